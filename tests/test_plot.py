"""Pictures of runs: what is in them is asserted on the figure, not on pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from spike_runtime import plot
from spike_runtime.results import Run
from spike_runtime.runfile import RunError, RunFile

# ------------------------------------------------------------------------------------------------ pictures


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Every figure that is saved, as it was drawn."""
    made: list[Figure] = []
    save = Figure.savefig

    def spy(self: Figure, *args: object, **kwargs: object) -> None:
        made.append(self)
        save(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", spy)
    return made


def panels(figure: Figure) -> dict[str, object]:
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_title(loc="left")}


def test_one_panel_for_each_probe(tiny, tmp_path: Path, figures: list[Figure]) -> None:
    plot.plot_run(tiny.run, tmp_path / "new folder" / "tiny.png")
    assert (tmp_path / "new folder" / "tiny.png").read_bytes().startswith(b"\x89PNG")
    (figure,) = figures
    assert list(panels(figure)) == ["product", "spikes", "voltage"]
    assert figure.axes[-1].get_xlabel() == "time (s)"
    assert figure.axes[-1].get_xlim() == (0.0, 0.5)
    assert figure.get_suptitle() == "tiny: 0.5 s"


def test_a_run_that_went_on_is_drawn_from_there(tiny, tmp_path: Path, figures: list[Figure]) -> None:
    first = tiny.compiled.run("200ms", tmp_path / "first", save_state=tmp_path / "state.npz")
    run = tiny.compiled.run("50ms", tmp_path / "run", load_state=tmp_path / "state.npz")
    plot.plot_run(run, tmp_path / "tiny.png")
    assert first.about.span == (0.0, 0.2)
    assert figures[0].axes[-1].get_xlim() == (0.2, 0.25)
    assert figures[0].get_suptitle() == "tiny: 0.05 s after 0.2 s"


def test_values_beside_their_ideal_with_the_error(tiny, tmp_path: Path, figures: list[Figure]) -> None:
    plot.plot_run(tiny.run, tmp_path / "tiny.svg")
    axes = panels(figures[0])["product"]
    product = tiny.run.probe("product")
    t = product["time"].values
    ideal = np.sin(4 * np.pi * t) / 2
    decoded, dashed = axes.get_lines()[:2]
    np.testing.assert_array_equal(decoded.get_ydata(), product.values[:, 0])
    np.testing.assert_allclose(dashed.get_ydata(), ideal, atol=1e-12)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["recorded", "ideal"]
    late = t > 0.2
    rmse = np.sqrt(np.mean((product.values[late, 0] - ideal[late]) ** 2))
    assert axes.get_title(loc="right") == f"RMSE {rmse:.3g} after 0.2 s"


def test_spikes_are_a_raster_with_their_mean_rate(tiny, tmp_path: Path, figures: list[Figure]) -> None:
    plot.plot_run(tiny.run, tmp_path / "tiny.png")
    axes = panels(figures[0])["spikes"]
    spikes = tiny.run.probe("spikes")
    (marks,) = axes.get_lines()
    chosen = np.unique(np.linspace(0, 119, 60).round().astype(int))
    seen = np.isin(spikes["neuron"].values, chosen)
    assert 0 < seen.sum() < len(spikes)
    np.testing.assert_array_equal(marks.get_xdata(), spikes.values[seen])
    np.testing.assert_array_equal(chosen[marks.get_ydata()], spikes["neuron"].values[seen])
    rate = len(spikes) / 120 / 0.5
    assert axes.get_title(loc="right") == f"spikes of 60 of 120 neurons, {rate:.3g} Hz on average"


def test_voltages_are_traces_of_some_neurons(tiny, tmp_path: Path, figures: list[Figure]) -> None:
    plot.plot_run(tiny.run, tmp_path / "tiny.pdf")
    axes = panels(figures[0])["voltage"]
    assert len(axes.get_lines()) == plot.MOST_TRACES
    assert axes.get_title(loc="right") == "voltage of 8 of 120 neurons"
    voltage = tiny.run.probe("voltage").values
    neurons = [int(label.get_text()) for label in axes.get_yticklabels()]
    for line, place, neuron in zip(axes.get_lines(), axes.get_yticks(), neurons, strict=True):
        np.testing.assert_allclose(line.get_ydata() - place, voltage[:, neuron], atol=1e-5)


# A run that is not on disk: `Run` with arrays in memory.


def memory_run(attribute: str = "value", start: int = 0, **probes: object) -> Run:
    import xarray as xr

    t = np.arange(start + 1, start + 400_001) * 0.005

    def probe(values: np.ndarray, ideal: list[str]) -> xr.DataArray:
        attributes = {
            "attribute": attribute,
            "units": "",
            "ideal": ideal,
            "size": values.shape[1],
            "every": 1,
        }
        return xr.DataArray(
            values, dims=("time", "column"), coords={"time": t[: len(values)]}, attrs=attributes
        )

    class InMemory(Run):
        def probe(self, name: str) -> xr.DataArray:
            given = probes[name]
            return probe(*given) if isinstance(given, tuple) else probe(given, [])

    about = RunFile(
        "m", "", "", 0, 0.005, 400, "ring", tuple(probes), 0, "complete", recorded=400, start=start
    )
    return InMemory(Path("memory"), about)


def test_many_dimensions_are_an_image(tmp_path: Path, figures: list[Figure]) -> None:
    values = np.random.default_rng(1).normal(size=(400, 64))
    plot.plot_run(memory_run(many=(values, ["0.0"] * 64)), tmp_path / "many.png")
    axes = panels(figures[0])["many"]
    (image,) = axes.get_images()
    np.testing.assert_array_equal(image.get_array(), values.T)
    assert image.get_clim()[0] == -image.get_clim()[1]
    rmse = np.sqrt(np.mean(values[40:] ** 2))
    assert axes.get_title(loc="right") == f"64 dimensions, RMSE {rmse:.3g} after 0.2 s"


def test_one_sample_of_many_dimensions_is_where_the_run_is(tmp_path: Path, figures: list[Figure]) -> None:
    run = memory_run(start=100, one=np.random.default_rng(1).normal(size=(1, 64)))
    plot.plot_run(run, tmp_path / "one.png")
    (image,) = panels(figures[0])["one"].get_images()
    assert image.get_extent()[:2] == pytest.approx((0.5, 0.505))


def test_a_recorded_ideal_is_drawn_with_its_probe(tmp_path: Path, figures: list[Figure]) -> None:
    values = np.ones((400, 2))
    plot.plot_run(memory_run(past=values, past_ideal=values - 0.25, other_ideal=values), tmp_path / "a.png")
    assert list(panels(figures[0])) == ["past", "other_ideal"]
    assert panels(figures[0])["past"].get_title(loc="right") == "RMSE 0.25 after 0.2 s"


def test_many_probes_are_said_not_to_be_drawn(tmp_path: Path, figures: list[Figure]) -> None:
    run = memory_run(**{f"p{k}": np.zeros((400, 1)) for k in range(plot.MOST_PANELS + 3)})
    plot.plot_run(run, tmp_path / "all.png")
    assert len(panels(figures[0])) == plot.MOST_PANELS
    assert "3 more probes are not drawn" in figures[0].get_suptitle()


def test_a_run_that_failed_says_so(tmp_path: Path, figures: list[Figure]) -> None:
    run = memory_run(p=np.zeros((400, 1)))
    failed = type(run)(run.path, replace(run.about, steps=800, status="failed"))
    plot.plot_run(failed, tmp_path / "f.png")
    assert figures[0].get_suptitle() == "m: 2 s of 4 s (failed)"


def test_an_ideal_that_cannot_be_read_is_left_out(tmp_path: Path, figures: list[Figure]) -> None:
    plot.plot_run(memory_run(p=(np.zeros((400, 1)), ["open('x')"])), tmp_path / "p.png")
    assert panels(figures[0])["p"].get_title(loc="right") == ""


# ---------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("name", ["picture.bmp", "picture", "picture.png.txt"])
def test_other_formats_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not a picture; end the name with \.png, \.svg or \.pdf"):
        plot.check_file(tmp_path / name)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(RunError, match="is a directory; name a file"):
        plot.check_file(tmp_path / "a.png")


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot draw to .*a\.png: "):
        plot.plot_run(memory_run(p=np.zeros((400, 1))), tmp_path / "file" / "a.png")


def test_no_probes_no_picture(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="has no probes; add a probe to the model"):
        plot.plot_run(memory_run(), tmp_path / "a.png")


@pytest.mark.parametrize("values", [np.zeros((0, 3)), np.ones((1, 3)), np.ones((400, 3)), np.zeros((0, 50))])
@pytest.mark.parametrize("attribute", ["voltage", "value", "input"])
def test_probes_of_nothing_or_of_constants(
    values: np.ndarray, attribute: str, tmp_path: Path, figures: list[Figure]
) -> None:
    plot.plot_run(memory_run(attribute, p=values), tmp_path / "p.png")
    axes = panels(figures[0])["p"]
    texts = [text.get_text() for text in axes.texts]
    assert texts == ([] if len(values) else ["no samples (one every 0.005 s)"])
    if not len(values):
        return
    if len(values) == 1:
        assert all(line.get_marker() == "o" for line in axes.get_lines()[:3])
    if attribute == "input" and values.shape[1] == 3:
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["[0]", "[1]", "[2]"]
        assert axes.get_ylabel() == "input"


def test_long_lines_keep_their_extremes(tmp_path: Path, figures: list[Figure]) -> None:
    values = np.zeros((400_000, 1))
    values[[7, 123_456]] = [[5.0], [-3.0]]
    plot.plot_run(memory_run(long=values), tmp_path / "long.png")
    line = panels(figures[0])["long"].get_lines()[0]
    assert len(line.get_ydata()) == plot.MOST_POINTS
    assert (line.get_ydata().max(), line.get_ydata().min()) == (5.0, -3.0)
    assert line.get_xdata()[np.argmin(line.get_ydata())] == pytest.approx(123_456 * 0.005, abs=2.0)


def test_many_spikes_are_an_image_of_rates(tmp_path: Path, figures: list[Figure]) -> None:
    import xarray as xr

    random = np.random.default_rng(1)
    neuron = random.integers(0, 100, 90_000)
    neuron[neuron == 0] = 99  # the first is silent
    attributes = {"attribute": "spikes", "units": "s", "ideal": [], "size": 100, "kind": "events"}
    spikes = xr.DataArray(
        np.sort(random.uniform(0, 2, 90_000)),
        dims="event",
        coords={"neuron": ("event", neuron)},
        attrs=attributes,
    )

    class Many(Run):
        def probe(self, name: str) -> xr.DataArray:  # noqa: ARG002 (there is one)
            return spikes

    about = RunFile("m", "", "", 0, 0.005, 400, "ring", ("spikes",), 0, "complete", recorded=400)
    plot.plot_run(Many(Path("memory"), about), tmp_path / "spikes.png")
    axes = panels(figures[0])["spikes"]
    (image,) = axes.get_images()
    counts = np.asarray(image.get_array())
    chosen = np.unique(np.linspace(0, 99, plot.MOST_ROWS).round().astype(int))
    assert counts.shape == (plot.MOST_ROWS, plot.SPIKE_BINS)
    np.testing.assert_array_equal(counts.sum(axis=1), np.bincount(neuron, minlength=100)[chosen])
    assert axes.get_title(loc="right") == "spikes of 60 of 100 neurons, 450 Hz on average"


def drawn(array: Any, folder: Path, figures: list[Figure]) -> Any:
    """The panel of a run of 20 steps with one probe, which recorded `array`."""

    class Given(Run):
        def probe(self, name: str) -> Any:  # noqa: ARG002 (there is one)
            return array

    about = RunFile("m", "", "", 0, 0.001, 20, "ring", ("p",), 0, "complete", recorded=20)
    plot.plot_run(Given(Path("memory"), about), folder / "p.png")
    return panels(figures[0])["p"]


@pytest.mark.parametrize(
    ("target", "values", "label", "detail"),
    [
        ("a.neurons", 1000.0 * (np.arange(600).reshape(20, 30) % 7 == 0), "neuron", "spikes of 30 neurons, "),
        ("a.neurons", np.linspace(0, 90, 600).reshape(20, 30), "neuron", "30 neurons"),
        ("learned.weights", np.linspace(0, 90, 600).reshape(20, 30), "weight", "30 weights"),
        ("a", np.linspace(0, 90, 600).reshape(20, 30), "dimension", "30 dimensions"),
        ("rates", np.linspace(0, 90, 600).reshape(20, 30), "neuron", "30 neurons"),
    ],
)
def test_spikes_rates_and_weights_of_nengo_models_are_drawn_as_such(
    tmp_path: Path, figures: list[Figure], target: str, values: np.ndarray, label: str, detail: str
) -> None:
    import xarray as xr

    units = "" if label == "dimension" else "Hz"
    attributes = {
        "attribute": "value",
        "units": units,
        "ideal": [],
        "size": 30,
        "kind": "samples",
        "every": 1,
    }
    t = 0.001 * np.arange(1, 21)
    array = xr.DataArray(values, {"time": t}, ("time", "column"), attrs=attributes | {"target": target})

    axes = drawn(array, tmp_path, figures)
    assert axes.get_ylabel() == label
    assert axes.get_title(loc="right").startswith(detail)
    if detail.startswith("spikes"):
        (marks,) = (line for line in axes.lines if len(line.get_xdata()))
        steps, neurons = np.nonzero(values)
        np.testing.assert_array_equal(marks.get_xdata(), t[steps])
        np.testing.assert_array_equal(marks.get_ydata(), neurons)
        assert axes.get_yticks().tolist() == [0, 10, 20]
    elif label != "weight":
        (image,) = axes.get_images()
        assert (image.get_clim()[0] == 0.0) == bool(units)
        assert image.colorbar.ax.get_ylabel() == ("value (Hz)" if units else "value")


@pytest.mark.parametrize(
    ("target", "label", "kind"),
    [
        ("learned", "weights", "weight"),
        ("encoders", "weights", "weight"),  # a connection of that name
        ("learned.encoders", "encoders", "component"),
        ("learned.pes.delta", "change", "component"),
    ],
)
@pytest.mark.parametrize("columns", [2, 30, 3000])
def test_weights_have_a_scale(
    tmp_path: Path, figures: list[Figure], target: str, label: str, kind: str, columns: int
) -> None:
    import xarray as xr

    attributes = {"attribute": "weights", "units": "", "ideal": [], "size": columns, "kind": "samples"}
    values = np.linspace(-90, 90, 20 * columns).reshape(20, columns)
    coordinates = {"time": 0.001 * np.arange(1, 21)}
    attributes |= {"every": 1, "target": target}
    axes = drawn(xr.DataArray(values, coordinates, ("time", "column"), attrs=attributes), tmp_path, figures)
    if columns == 2:
        assert axes.get_ylabel() == label
        assert axes.get_ylim()[0] < -90
    else:
        assert (axes.get_ylabel(), axes.get_title(loc="right")) == (kind, f"{columns:,} {kind}s")
        (image,) = axes.get_images()
        assert image.colorbar.ax.get_ylabel() == label
        assert image.get_clim()[1] == pytest.approx(90, rel=0.01)
        assert image.get_extent()[2:] == [columns - 0.5, -0.5]
        assert image.get_array().shape == (min(columns, plot.MOST_IMAGE_ROWS), 20)


def test_matrices_are_drawn_by_their_entries(tmp_path: Path, figures: list[Figure]) -> None:
    import xarray as xr

    attributes = {"attribute": "value", "units": "", "ideal": [], "size": 30, "target": "learned.weights"}
    values = np.linspace(0, 90, 600).reshape(20, 3, 10)
    coordinates = {"time": 0.001 * np.arange(1, 21)}
    array = xr.DataArray(values, coordinates, ("time", "row", "column"), attrs=attributes)

    axes = drawn(array, tmp_path, figures)
    assert (axes.get_ylabel(), axes.get_title(loc="right")) == ("weight", "30 weights")
    (image,) = axes.get_images()
    np.testing.assert_array_equal(image.get_array(), values.reshape(20, 30).T)


@pytest.mark.parametrize("kind", ["value", "voltage", "spikes"])
def test_neurons_are_numbered_as_in_their_population(
    tmp_path: Path, figures: list[Figure], kind: str
) -> None:
    import xarray as xr

    numbers = list(range(3, 210, 7))
    values = np.linspace(0, 90, 600).reshape(20, 30)
    if kind == "spikes":
        values = 1000.0 * (values % 7 < 1)
    attributes = {
        "attribute": "voltage" if kind == "voltage" else "value", "units": "Hz" * (kind != "voltage"),
        "ideal": [], "size": 30, "target": "a.neurons", "every": 1, "neurons": numbers,
    }  # fmt: skip
    array = xr.DataArray(values, {"time": 0.001 * np.arange(1, 21)}, ("time", "column"), attrs=attributes)

    axes = drawn(array, tmp_path, figures)
    axes.figure.canvas.draw()
    shown = [text.get_text() for text in axes.get_yticklabels()]
    rows = axes.get_yticks()
    assert all(float(row).is_integer() for row in rows) or kind == "voltage"
    if kind == "voltage":
        assert shown == [str(numbers[k]) for k in plot._spread(30, plot.MOST_TRACES)]
    else:
        inside = [int(row) for row in rows if 0 <= row < 30]
        assert len(inside) > 2
        assert [text for text in shown if text] == [str(numbers[row]) for row in inside]
