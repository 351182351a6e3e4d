"""Draws a run: one panel for each probe over time, for `spike-run --plot FILE`.

    values      a line for each dimension, its ideal dashed in the same colour; an image where they are many
    weights     the same, and encoders
    spikes      a raster, a row for each neuron, or an image where they are many, and the mean rate
    states      (voltage, ...) a trace for each of some neurons, one above the other

`X_ideal`, a probe of the same shape as the probe `X`, is what X should be: it is drawn with X.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from spike_runtime.ideal import IdealError, evaluate_all
from spike_runtime.results import Run
from spike_runtime.runfile import RunError

FORMATS = (".png", ".svg", ".pdf")
MOST_PANELS = 24
MOST_LINES = 10
MOST_TRACES = 8
MOST_ROWS = 60
MOST_COLUMNS = 1500  # samples of an image
MOST_IMAGE_ROWS = 1000
MOST_POINTS = 4000  # of a line
MOST_SPIKES = 20000  # of a raster
SPIKE_BINS = 600  # times of an image of spikes
# Attributes whose columns are dimensions or weights, not neurons.
VECTORS = ("value", "input", "weights")
# What else than weights is recorded as such, by the end of its name.
_PARTS = {"encoders": "encoders", "delta": "change", "inverse": "inverse"}
SETTLED = 0.2  # s: the error is taken after it, when synapses have settled
# Okabe and Ito: told apart by everybody, also in print.
# fmt: off
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#8C6D31",
    "#444444", "#B8B000",
)
# fmt: on
IDEAL_SUFFIX = "_ideal"
GREY = "#666666"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """A probe with its ideal (samples x columns), where one is known."""

    name: str
    data: Any
    ideal: Floats | None

    @property
    def attribute(self) -> str:
        return str(self.data.attrs["attribute"])

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Of the neuron, or the dimension, in each column."""
        neurons = self.data.attrs.get("neurons")
        return np.asarray(neurons) if neurons else np.arange(self.data.attrs["size"])

    @property
    def height(self) -> float:
        """Height in inches."""
        return 2.2 if self.attribute in VECTORS else 2.6


def check_file(path: Path) -> None:
    """Raises `RunError` where a picture cannot be drawn to `path`, which is better known before the run."""
    if path.suffix.lower() not in FORMATS:
        raise RunError(
            f"cannot draw to {path}: {path.suffix or 'a name without suffix'} is not a picture; "
            f"end the name with {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        )
    if path.is_dir():
        raise RunError(f"cannot draw to {path}: it is a directory; name a file")
    folder = next(above for above in path.absolute().parents if above.exists())
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise RunError(f"cannot draw to {path}: it cannot be written; name another file")


def plot_run(run: Run, file: Path) -> None:
    """Draw every probe of `run` over time (s) to `file`, whose suffix is one of `FORMATS`.

    The root mean square error against the ideal stands beside the name, in units of the probe, over the time
    after `SETTLED` seconds (over all of a run that is shorter than twice that).
    Raises `RunError` where the file cannot be drawn to, or the run holds nothing.
    """
    check_file(file)
    panels = _panels(run)
    if not panels:
        raise RunError(f"there is nothing to draw: {run.path} has no probes; add a probe to the model")
    shown = panels[:MOST_PANELS]
    heights = [panel.height for panel in shown]
    figure = Figure(figsize=(9.5, sum(heights) + 0.4 * len(shown) + 0.7), dpi=110, layout="constrained")
    grid = figure.subplots(len(shown), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axes, panel in zip(grid[:, 0], shown, strict=True):
        _draw(axes, panel, run)
    begin, end = run.about.span
    grid[-1, 0].set_xlim(begin, end if end > begin else begin + 1.0)
    grid[-1, 0].set_xlabel("time (s)")
    figure.suptitle(_heading(run, len(panels) - len(shown)), x=0.01, ha="left", fontsize=12)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file)
    except OSError as error:
        raise RunError(f"cannot draw to {file}: {error.strerror or error}") from None


def _heading(run: Run, left_out: int) -> str:
    about = run.about
    text = f"{about.model}: {about.recorded * about.dt:g} s"
    if about.status in ("stopped", "failed"):
        text += f" of {about.steps * about.dt:g} s ({about.status})"
    if about.start:
        text += f" after {about.span[0]:g} s"
    return text + (f"; {left_out} more probes are not drawn" if left_out else "")


def _panels(run: Run) -> list[Panel]:
    data = {name: _flat(run.probe(name)) for name in run.names}
    recorded_ideals = {
        name: name + IDEAL_SUFFIX
        for name in data
        if name + IDEAL_SUFFIX in data and data[name + IDEAL_SUFFIX].shape == data[name].shape
    }
    partners = set(recorded_ideals.values())
    return [
        Panel(name, array, _ideal(array, data.get(recorded_ideals.get(name, ""))))
        for name, array in data.items()
        if name not in partners
    ]


def _flat(array: Any) -> Any:
    """Samples that are matrices, as the rows of their entries."""
    return array.stack(entry=array.dims[1:], create_index=False) if array.ndim > 2 else array


def _ideal(array: Any, recorded: Any) -> Floats | None:
    if recorded is not None:
        return np.asarray(recorded.values, np.float64)
    if not array.attrs["ideal"]:
        return None
    try:
        return evaluate_all(tuple(array.attrs["ideal"]), array["time"].values)
    except IdealError:
        return None  # the results are worth a picture without it


def _draw(axes: Axes, panel: Panel, run: Run) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, color=GREY)
    if panel.attribute != "spikes" and not panel.data.size:
        detail = _nothing(axes, panel, run)
    elif panel.attribute == "spikes" or _dense(panel, run):
        detail = _spikes(axes, panel, run)
    elif panel.attribute not in VECTORS:
        detail = _traces(axes, panel)
    elif panel.data.shape[1] > MOST_LINES:
        detail = _image(axes, panel, run)
    else:
        detail = _lines(axes, panel)
    axes.set_title(panel.name, loc="left", fontsize=10, fontweight="bold")
    axes.set_title(detail, loc="right", fontsize=9, color=GREY)


def _nothing(axes: Axes, panel: Panel, run: Run) -> str:
    """Says so in the middle of the panel."""
    text = f"no samples (one every {panel.data.attrs['every'] * run.about.dt:g} s)"
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=9, color=GREY)
    axes.set_yticks([])
    axes.set_ylabel(_quantity(panel), fontsize=9)
    return ""


def _lines(axes: Axes, panel: Panel) -> str:
    t, values = panel.data["time"].values, panel.data.values
    labelled = values.shape[1] > 1 or panel.ideal is not None
    for column in range(values.shape[1]):
        colour = COLOURS[column]
        label = f"[{panel.numbers[column]}]" if values.shape[1] > 1 else "recorded"
        _line(axes, t, values[:, column], color=colour, linewidth=1.0, label=label)
        if panel.ideal is not None:
            dashed = colour if values.shape[1] > 1 else "#222222"
            _line(axes, t, panel.ideal[:, column], color=dashed, linewidth=1.3, dashes=(5, 3), alpha=0.6)
    if panel.ideal is not None:
        axes.plot([], [], color="#222222", linewidth=1.3, dashes=(5, 3), alpha=0.6, label="ideal")
    if labelled:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8, handlelength=1.8)
    axes.axhline(0.0, color="#DDDDDD", linewidth=0.8, zorder=0)
    axes.set_ylabel(_quantity(panel), fontsize=9)
    return _error(panel)


def _line(axes: Axes, t: Floats, y: Floats, **style: Any) -> None:
    """A line, of the least and the largest value in each of many spans where it is long; a dot for one
    sample.
    """
    if len(y) > MOST_POINTS:
        starts = np.linspace(0, len(y), MOST_POINTS // 2 + 1).astype(np.int64)[:-1]
        pairs = [op.reduceat(y, starts) for op in (np.fmin, np.fmax)]
        t, y = np.repeat(t[starts], 2), np.stack(pairs, axis=1).ravel()
    axes.plot(t, y, marker="o" if len(y) == 1 else "", markersize=4, **style)


def _image(axes: Axes, panel: Panel, run: Run) -> str:
    """Dimensions from top to bottom, evenly chosen ones where they are many, values as colour: white is 0, of
    rates darker is more.
    """
    stride, count = max(1, -(-len(panel.data) // MOST_COLUMNS)), panel.data.shape[1]
    values = panel.data.values[::stride, _spread(count, MOST_IMAGE_ROWS)].T
    t = panel.data["time"].values
    limit = float(np.quantile(np.abs(values), 0.998))
    begin = float(2 * t[0] - t[1]) if len(t) > 1 else run.about.span[0]
    span = (begin, float(t[-1]))
    rates = panel.data.attrs["units"] == "Hz"
    image = axes.imshow(
        values, aspect="auto", cmap="Greys" if rates else "RdBu_r",
        vmin=0.0 if rates else -limit or -1.0, vmax=limit or 1.0,
        extent=(*span, count - 0.5, -0.5), interpolation="nearest",
    )  # fmt: skip
    bar = axes.figure.colorbar(image, ax=axes, pad=0.01, fraction=0.03, aspect=15)
    bar.ax.tick_params(labelsize=8)
    bar.set_label(_quantity(panel), fontsize=9)
    kind = _columns(panel)
    axes.set_ylabel(kind, fontsize=9)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    if panel.data.attrs.get("neurons"):
        axes.yaxis.set_major_formatter(lambda row, _: _named(panel.numbers, row))
    return ", ".join(filter(None, (f"{count:,} {kind}s", _error(panel))))


def _named(numbers: NDArray[np.int64], row: float) -> str:
    """The number of what is in a row, "" outside of the picture."""
    return str(numbers[round(row)]) if 0 <= round(row) < len(numbers) else ""


def _columns(panel: Panel) -> str:
    """What a column is, by what was probed: of a Nengo model "a.neurons" or "learned.weights"."""
    if panel.attribute not in VECTORS:
        return "neuron"
    if panel.attribute == "weights":
        return "component" if _part(panel) in _PARTS else "weight"
    kinds = {"weights": "weight", "scaled_encoders": "component", "neurons": "neuron"}
    return kinds.get(_part(panel), "neuron" if panel.data.attrs["units"] == "Hz" else "dimension")


def _part(panel: Panel) -> str:
    """The end of the name of what was probed: "weights" of "learned.weights"."""
    owner, _, part = str(panel.data.attrs.get("target", "")).rpartition(".")
    return part if owner else ""


def _dense(panel: Panel, run: Run) -> bool:
    """Whether it holds spikes as Nengo records them: for every neuron and step 0, or 1/dt for each spike."""
    data, dt = panel.data, run.about.dt
    if _columns(panel) != "neuron" or data.attrs["units"] != "Hz" or data.attrs["every"] != 1:
        return False
    counts = data.values * dt
    return bool(np.allclose(counts, np.round(counts), rtol=1e-5, atol=0.0))


def _events(panel: Panel, run: Run) -> tuple[Floats, NDArray[np.int64], int]:
    """Times and neurons of spikes, and how many neurons there are."""
    data = panel.data
    if panel.attribute == "spikes":
        return data.values, data["neuron"].values, int(data.attrs["size"])
    counts = np.round(data.values * run.about.dt).astype(np.int64)
    steps, neurons = np.nonzero(counts)
    each = counts[steps, neurons]
    return np.repeat(data["time"].values[steps], each), np.repeat(neurons, each), counts.shape[1]


def _traces(axes: Axes, panel: Panel) -> str:
    """A few neurons, one above the other, each on a scale of its own range."""
    t, values = panel.data["time"].values, panel.data.values
    chosen = _spread(values.shape[1], MOST_TRACES)
    spacing = float(np.ptp(values[:, chosen])) * 1.15 or 1.0
    for row, neuron in enumerate(chosen):
        _line(axes, t, values[:, neuron] + row * spacing, color=COLOURS[row % 2 * 5], linewidth=0.7)
    labels = [str(number) for number in panel.numbers[chosen]]
    axes.set_yticks([row * spacing for row in range(len(chosen))], labels)
    axes.set_ylabel("neuron", fontsize=9)
    return f"{_quantity(panel).replace('_', ' ')} of {_some(len(chosen), values.shape[1])}"


def _spikes(axes: Axes, panel: Panel, run: Run) -> str:
    """A row for each neuron, the first one at the bottom; evenly chosen ones where they are many."""
    t, neuron, size = _events(panel, run)
    chosen = _spread(size, MOST_ROWS)
    row_of = np.full(size, -1)
    row_of[chosen] = np.arange(len(chosen))
    rows = row_of[neuron]
    seen = rows >= 0
    seconds = run.about.recorded * run.about.dt
    if seen.sum() > MOST_SPIKES:
        begin, end = run.about.span if seconds else (0.0, float(t[-1]))
        counts, _, _ = np.histogram2d(
            rows[seen], t[seen], (len(chosen), SPIKE_BINS), ((-0.5, len(chosen) - 0.5), (begin, end))
        )
        # Darker where a neuron spikes more often.
        axes.imshow(
            counts, aspect="auto", cmap="Greys", origin="lower", interpolation="nearest",
            vmin=0.0, vmax=max(1.0, float(np.quantile(counts, 0.99))),
            extent=(begin, end, -0.5, len(chosen) - 0.5),
        )  # fmt: skip
    else:
        height = panel.height * 72 * 0.7 / max(1, len(chosen))
        axes.plot(
            t[seen], rows[seen], linestyle="none", marker="|", color="#222222",
            markersize=min(8.0, max(1.2, height)), markeredgewidth=0.6, rasterized=True,
        )  # fmt: skip
    axes.set_ylim(-1, len(chosen))
    ticks = np.arange(0, len(chosen), next(step for step in (1, 2, 5, 10, 20) if len(chosen) <= 5 * step))
    axes.set_yticks(ticks, [str(number) for number in panel.numbers[chosen[ticks]]])
    axes.set_ylabel("neuron", fontsize=9)
    rate = len(t) / size / seconds if seconds and size else 0.0
    return f"spikes of {_some(len(chosen), size)}, {rate:.3g} Hz on average"


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` numbers below `count`, evenly spread from the first to the last."""
    return np.unique(np.linspace(0, max(0, count - 1), min(count, most)).round().astype(np.int64))


def _some(shown: int, count: int) -> str:
    return f"{shown} of {count:,} neurons" if shown < count else f"{count:,} neuron{'s' * (count != 1)}"


def _quantity(panel: Panel) -> str:
    unit, name = panel.data.attrs["units"], panel.attribute
    name = _PARTS.get(_part(panel), name) if name == "weights" else name
    return f"{name} ({unit})" if unit else name


def _error(panel: Panel) -> str:
    """Root mean square over time and dimensions of value - ideal."""
    if panel.ideal is None or not len(panel.data):
        return ""
    t = panel.data["time"].values
    start = SETTLED if t[-1] >= 2 * SETTLED else 0.0
    late = t > start
    rmse = float(np.sqrt(np.mean((panel.data.values[late] - panel.ideal[late]) ** 2)))
    return f"RMSE {rmse:.3g}" + (f" after {start:g} s" if start else "")
