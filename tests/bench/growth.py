"""How compiling and running grow with the model: run with `python -m tests.bench.growth`.

Rings of ensembles of 100 and of 4000 neurons, compiled with an empty cache for one partition, then run.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from tests.bench import measure

MODEL = measure.ROOT / "models" / "bench" / "small_ensembles.spk"
SIZES = 10_000, 100_000, 1_000_000, 4_000_000
# Neurons of an ensemble, and the most neurons of a model of such: large ensembles take long to solve for.
KINDS = {100: SIZES[-1], 4000: 1_000_000}
RUN = 2.0  # seconds that a run is to take, about


@dataclass(frozen=True)
class Grown:
    """Figures of one size; memory is the peak of the largest process, `nodes` those of PyTensor's graph."""

    ensemble: int
    neurons: int
    compile_s: float
    step_us: float
    compile_mib: float
    run_mib: float
    arrays_mib: float
    nodes: int


def grown(ensemble: int, neurons: int, partitions: int = 1) -> Grown:
    """Compile and run a ring of so many neurons (of one ensemble, where the ring has fewer)."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        manifest = home / "model" / "manifest.json"
        count = max(1, neurons // ensemble)
        command = [measure._bin("spikec"), "compile", str(MODEL), "-o", str(home / "model"), "--quiet"]
        command += ["--param", f"count={count}", "--param", f"neurons={ensemble}"]
        command += ["-n", str(partitions), "--host-profile", str(measure._host_profile())]
        seconds, memory = measure._timed(command, {"SPIKE_CACHE_DIR": str(home / "cache")})
        probe = measure.run(manifest, home / "probe", "0.02s")
        length = min(max(RUN * probe["dt"] / (probe["step_us"] * 1e-6), 0.05), 60.0)
        run = measure.run(manifest, home / "run", f"{length:.3f}s")
        return Grown(
            ensemble,
            count * ensemble,
            seconds,
            run["step_us"],
            memory,
            run["mib"],
            sum(f.stat().st_size for f in (home / "model").rglob("*.npy")) / 2**20,
            measure._child("nodes_child", str(manifest))["nodes"],
        )


def main() -> None:
    """Measure, print a table, write JSON and the picture of the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("out/growth.json"))
    parser.add_argument("--plot", type=Path, default=Path("docs/growth.png"))
    parser.add_argument("--largest", type=int, default=SIZES[-1], metavar="NEURONS")
    arguments = parser.parse_args()
    console = Console() if sys.stdout.isatty() else Console(width=140)
    base = grown(100, 100)
    rows = []
    for ensemble, largest in KINDS.items():
        for neurons in SIZES:
            if neurons <= min(largest, arguments.largest):
                console.print(f"measuring {neurons} neurons in ensembles of {ensemble} ...", style="dim")
                rows.append(grown(ensemble, neurons))
    console.print(table(rows, base))
    console.print("\n".join(readings(rows, base)))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    report = {"base": asdict(base), "sizes": [asdict(row) for row in rows]}
    arguments.output.write_text(json.dumps(report, indent=1) + "\n")
    plot(rows, arguments.plot)
    console.print(f"Written: {arguments.output}, {arguments.plot}")


def table(rows: list[Grown], base: Grown) -> Table:
    """One line for each size.  What a model of one ensemble takes is Python and its libraries: the last two
    columns are what is above it, over the arrays.
    """
    made = Table(title="Growth (float32, one partition)")
    for column in (
        "of", "neurons", "compile s", "us per neuron", "us per step", "ns per neuron", "nodes",
        "MiB compile", "MiB run", "MiB arrays", "compile / arrays", "run / arrays",
    ):  # fmt: skip
        made.add_column(column, justify="right")
    for r in rows:
        made.add_row(
            str(r.ensemble), str(r.neurons), f"{r.compile_s:.2f}", f"{r.compile_s * 1e6 / r.neurons:.1f}",
            f"{r.step_us:.1f}", f"{r.step_us * 1e3 / r.neurons:.2f}", str(r.nodes),
            f"{r.compile_mib:.0f}", f"{r.run_mib:.0f}", f"{r.arrays_mib:.1f}",
            f"{(r.compile_mib - base.compile_mib) / r.arrays_mib:.1f}",
            f"{(r.run_mib - base.run_mib) / r.arrays_mib:.1f}",
        )  # fmt: skip
    return made


def readings(rows: list[Grown], base: Grown) -> list[str]:
    """Memory over that of the arrays, read in two ways, where the arrays are more than a few pages."""
    lines = []
    large = [r for r in rows if r.arrays_mib >= 1]
    for part in ("compile", "run"):
        taken = [(getattr(r, f"{part}_mib"), r.arrays_mib) for r in large]
        added = [(mib - getattr(base, f"{part}_mib")) / arrays for mib, arrays in taken]
        whole = [mib / arrays for mib, arrays in taken]
        lines.append(
            f"Memory of {part} above that of a model of one ensemble: {min(added):.1f} to {max(added):.1f} "
            f"times the arrays (bar 3); with Python and its libraries: {min(whole):.1f} to {max(whole):.0f}."
        )
    return lines


def plot(rows: list[Grown], path: Path) -> None:
    """Compile time, step time and memory over neurons, with lines of slope 1."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    panels = {
        "compile (s)": lambda r: r.compile_s,
        "step (us)": lambda r: r.step_us,
        "peak memory of compile (MiB)": lambda r: r.compile_mib,
    }
    for axes, (title, figure_of) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        for ensemble in KINDS:
            chosen = [r for r in rows if r.ensemble == ensemble]
            x, y = [r.neurons for r in chosen], [figure_of(r) for r in chosen]
            (line,) = axes.loglog(x, y, "o-", label=f"ensembles of {ensemble}")
            linear = [y[-1] * n / x[-1] for n in x]
            axes.loglog(x, linear, "--", color=line.get_color(), alpha=0.4, linewidth=1)
        axes.set(title=title, xlabel="neurons")
        axes.grid(alpha=0.3)
    figure.axes[0].legend(title="dashed: linear", fontsize="small")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
