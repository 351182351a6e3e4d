"""The Python interface: what the commands do, from a notebook."""

from __future__ import annotations

import gc
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from spike_runtime.launch import RunFailedError
from spike_runtime.manifest import ManifestError
from spike_runtime.runfile import RunError

import spikec
from spikec.planning.measuring import FILE


@pytest.fixture
def text(tiny) -> str:
    """The tiny model as text."""
    return tiny.source.read_text(encoding="utf-8")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# ------------------------------------------------------------------------------------------------ compile


@pytest.mark.usefixtures("reference_host")
def test_a_text_is_compiled_as_a_file_is(tiny, text: str) -> None:
    made = spikec.compile_text(text, partitions=2)
    assert contents(made.folder) == contents(tiny.compiled.folder)


@pytest.mark.usefixtures("reference_host")
def test_a_folder_that_was_not_asked_for_goes_with_the_model(text: str) -> None:
    made = spikec.compile_text(text, parameters={"n": 10})
    folder = made.folder
    assert made.path.is_file()
    del made
    gc.collect()
    assert not folder.parent.exists()


@pytest.mark.usefixtures("reference_host")
def test_what_fails_leaves_no_folder(
    tmp_path: Path, tiny, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that failed is kept as long as its error holds it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(spikec.ModelError, match="more than the model can be cut into"):
        spikec.compile_text(text, partitions=1000)
    with pytest.raises(KeyboardInterrupt):
        spikec.compile_text(text, partitions=2, progress=interrupted)
    with pytest.raises(RunError, match="less than one step"):
        tiny.compiled.run("1us")
    with pytest.raises(KeyboardInterrupt):
        tiny.compiled.run("100s", progress=interrupted)
    assert not list(tmp_path.iterdir())
    with pytest.raises(RunFailedError) as caught:
        tiny.compiled.run("1s", engine="spike_runtime.engine:NoSuchEngine")
    assert (caught.value.run, list(tmp_path.iterdir())) == (None, [])


@pytest.mark.usefixtures("reference_host")
def test_parameters_seed_step_and_precision(text: str) -> None:
    made = spikec.compile_text(text, parameters={"n": 10}, seed=3, dt=0.0005, precision="float64")
    found = made.manifest
    assert (found.neurons, found.seed, found.dt, found.precision) == (30, 3, 0.0005, "float64")


@pytest.mark.usefixtures("reference_host")
def test_mistakes_are_one_exception_with_all_of_them(tmp_path: Path) -> None:
    with pytest.raises(spikec.ModelError) as caught:
        spikec.compile_text("ensemble a(50)\nconnect b -> a\nprobe c\n", output=tmp_path / "out")
    assert [(d.span.line, d.span.column) for d in caught.value.diagnostics] == [(2, 9), (3, 7)]
    assert issubclass(spikec.ModelError, spikec.SpikeError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("reference_host")
def test_a_folder_with_something_else_is_not_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(spikec.ModelError, match="holds no compiled model"):
        spikec.compile_text(text, output=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_model_is_opened_by_manifest_or_folder(tiny, tmp_path: Path) -> None:
    for path in (tiny.compiled.path, tiny.compiled.folder, str(tiny.compiled.folder)):
        assert spikec.open_manifest(path) == tiny.compiled
    with pytest.raises(ManifestError, match="compile a model first"):
        spikec.open_manifest(tmp_path)


# ----------------------------------------------------------------------------------------- the same twice


@pytest.mark.parametrize("hash_seed", ["0", "12345"])
def test_compiling_twice_writes_the_same_bytes(
    tiny, measured_host: Path, tmp_path: Path, commands: dict[str, str], hash_seed: str
) -> None:
    """In another process, with another order of hashes, and nothing solved before."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / FILE).write_bytes((measured_host / FILE).read_bytes())
    environment = commands | {"PYTHONHASHSEED": hash_seed, "SPIKE_CACHE_DIR": str(cache)}
    command = ["spikec", "compile", str(tiny.source), "-n", "2", "-o", str(tmp_path / "again"), "--quiet"]
    subprocess.run(command, env=environment, check=True, timeout=120)
    assert contents(tmp_path / "again") == contents(tiny.compiled.folder)


@pytest.mark.usefixtures("reference_host")
def test_another_seed_gives_other_neurons(tiny, text: str) -> None:
    other = spikec.compile_text(text, partitions=2, seed=1)
    assert contents(other.folder).keys() == contents(tiny.compiled.folder).keys()
    (bias,) = (path.relative_to(other.folder) for path in other.folder.glob("partition_0/*_bias.npy"))
    assert not np.array_equal(np.load(other.folder / bias), np.load(tiny.compiled.folder / bias))


# --------------------------------------------------------------------------------------- inspect and draw


def test_the_report_tells_the_plan_and_the_run(tiny) -> None:
    plan = tiny.compiled.inspect()
    assert [partition.neurons for partition in plan.partitions] == [120, 60]
    assert "tiny" in plan.to_text()
    with_run = tiny.compiled.inspect(tiny.run)
    assert with_run.partitions[0].measured == pytest.approx(tiny.run.measured[0], abs=0.001)


def test_a_model_draws_itself(tiny, tmp_path: Path) -> None:
    html = tiny.compiled._repr_html_()
    assert "<svg" in html
    for name in ("stimulus", "both", "result", "product"):
        assert name in html
    tiny.compiled.draw(tmp_path / "plan.svg")
    assert "<svg" in (tmp_path / "plan.svg").read_text(encoding="utf-8")


# --------------------------------------------------------------------------------------------------- run


def test_a_probe_of_values_has_time_and_units(tiny) -> None:
    product = tiny.run.probe("product")
    assert product.dims == ("time", "column")
    assert product.shape == (500, 1)
    np.testing.assert_allclose(product["time"], np.arange(1, 501) * 0.001, rtol=1e-12)
    assert product["time"].attrs["units"] == "s"
    assert (product.dtype, product.name, product.attrs["units"]) == (np.float32, "product", "")
    ideal = np.sin(4 * np.pi * product["time"].values) / 2
    lag = 40  # ms: the synapses
    assert np.sqrt(np.mean((product.values[lag:, 0] - ideal[:-lag]) ** 2)) < 0.1


def test_a_probe_of_spikes_is_events(tiny) -> None:
    spikes = tiny.run.probe("spikes")
    assert spikes.dims == ("event",)
    assert spikes.attrs["units"] == "s"
    neuron = spikes["neuron"].values
    assert neuron.min() >= 0
    assert neuron.max() < 120
    assert np.all(np.diff(spikes.values) >= 0)
    steps = np.round(spikes.values / 0.001).astype(int)
    assert np.all((steps >= 1) & (steps <= 500))
    pairs = set(zip(steps.tolist(), neuron.tolist(), strict=True))
    assert len(pairs) == len(spikes) > 1000


def test_a_probe_of_states_keeps_its_interval(tiny) -> None:
    voltage = tiny.run.probe("voltage")
    assert voltage.shape == (100, 120)
    np.testing.assert_allclose(voltage["time"], np.arange(1, 101) * 0.005, rtol=1e-12)
    assert 0.0 <= float(voltage.min()) < float(voltage.max()) <= 1.0


def test_a_plain_model_needs_no_large_library(tmp_path: Path) -> None:
    """Importing SciPy takes as long as compiling the model; Mt-KaHyPar is for more than one partition, and
    np.unique imports masked arrays.
    """
    text = "array a(100, dims=1, count=3)\nconnect a -> a[[1, 2, 0]] synapse 5ms\nprobe a synapse 10ms\n"
    (tmp_path / "ring.spk").write_text(text, encoding="utf-8")
    code = f"""
import sys
from spikec.cli import main
folder = {str(tmp_path)!r}
main(["compile", folder + "/ring.spk", "-o", folder + "/out", "-q"], standalone_mode=False)
large = {{"scipy.sparse", "scipy.linalg", "scipy.special", "mtkahypar", "pytensor", "numba", "zarr"}}
large.add("numpy.ma")
print("imported:", *sorted(large & set(sys.modules)))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout.splitlines()[-1] == "imported:"


def test_a_run_knows_how_it_went(tiny) -> None:
    run = tiny.run
    assert (run.status, run.names) == ("complete", ("product", "spikes", "voltage"))
    assert len(run.measured) == 2
    assert run.step_time >= max(sum(kinds.values()) for kinds in run.measured) * 0.999
    assert "0.5 s of 0.5 s" in repr(run)
    shown = run._repr_html_()
    assert "complete" in shown
    assert "<td>product</td><td>500 x 1</td>" in shown
    assert tiny.compiled.inspect()._repr_html_().startswith("<pre>tiny: 180 neurons in 2 partitions")


def test_a_run_again_is_the_same_and_its_arrays_outlive_it(tiny) -> None:
    run = tiny.compiled.run(0.5, transport="ipc")
    again = {name: run.probe(name) for name in run.names}
    del run
    gc.collect()
    for name, array in again.items():
        np.testing.assert_array_equal(array.values, tiny.run.probe(name).values)


def test_results_that_were_not_asked_for_are_gone_when_python_ends(tiny) -> None:
    text = f"import spikec; print(spikec.open_manifest({str(tiny.compiled.path)!r}).run('10ms').path)"
    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    folder = Path(ended.stdout.splitlines()[-1])
    assert folder.name == "run"
    assert not folder.parent.exists()


def test_mistakes_of_a_run(tiny) -> None:
    with pytest.raises(RunError, match="there is no probe 'spike' in"):
        tiny.run.probe("spike")
    with pytest.raises(RunError, match="no transport 'fax'"):
        tiny.compiled.run("10ms", transport="fax")
    with pytest.raises(RunError, match="the time 2 has no unit"):
        tiny.compiled.run("2")
    with pytest.raises(RunError, match="'days' is not a unit of time"):
        tiny.compiled.run("10ms", save_state="s.npz", save_every="3 days")


# --------------------------------------------------------------------------------------------- the package


def test_importing_costs_nothing_until_it_is_used() -> None:
    code = "import sys, spikec; print(sorted({'numpy', 'networkx', 'pytensor'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_everything_that_the_package_promises_is_there() -> None:
    for name in spikec.__all__:
        assert getattr(spikec, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'compiler'"):
        _ = spikec.compiler


def test_the_bytes_that_are_compared_are_many(tiny) -> None:
    files = contents(tiny.compiled.folder)
    assert {"manifest.json", "partition_0.py", "partition_1.py"} < files.keys()
    assert len({hashlib.sha256(data).hexdigest() for data in files.values()}) > 10
