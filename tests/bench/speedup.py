"""How a step becomes faster with partitions: run with `python -m tests.bench.speedup [MODEL ...]`.

Models measured before stay in the JSON file, and in the picture of the documentation.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from spike_runtime import cores

from tests.bench import measure

MODELS = ("stream", "random_graph", "circular_convolution", "big_ensembles", "small_ensembles")
NUMBERS = (1, 2, 4, 16)


def main() -> None:
    """Measure, print a table, write JSON and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help=f"some of: {', '.join(MODELS)}")
    parser.add_argument("--output", type=Path, default=Path("out/speedup.json"))
    parser.add_argument("--plot", type=Path, default=Path("docs/speedup.png"))
    arguments = parser.parse_args()
    console = Console() if sys.stdout.isatty() else Console(width=140)
    found: dict[str, list[dict[str, Any]]] = {}
    if arguments.output.is_file():
        found = json.loads(arguments.output.read_text())
    for name in arguments.models or MODELS:
        path = measure.ROOT / "models" / "bench" / f"{name}.spk"
        console.print(f"measuring {name} ...", style="dim")
        found[name] = measure.steps(path, NUMBERS)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(found, indent=1) + "\n")
    console.print(table(found))
    plot(found, arguments.plot)
    console.print(f"Written: {arguments.output}, {arguments.plot}")


def table(found: dict[str, list[dict[str, Any]]]) -> Table:
    """One line for each model: us per step, and how many times faster than one partition that is."""
    made = Table(title=f"us per step (speed-up) of N partitions on {cores.core_count()} cores")
    for column in ("model", *(f"N = {n}" for n in NUMBERS)):
        made.add_column(column, justify="left" if column == "model" else "right")
    for name, rows in found.items():
        first = rows[0]["step_us"]
        made.add_row(name, *(f"{r['step_us']:.1f} ({first / r['step_us']:.2f})" for r in rows))
    return made


def plot(found: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Speed-up over the number of partitions: measured, and dashed what was predicted."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, rows in found.items():
        numbers = [r["partitions"] for r in rows]
        (line,) = axes.semilogx(numbers, [rows[0]["step_us"] / r["step_us"] for r in rows], "o-", label=name)
        predicted = [rows[0]["predicted_us"] / r["predicted_us"] for r in rows]
        axes.semilogx(numbers, predicted, "--", color=line.get_color(), alpha=0.4, linewidth=1)
    axes.set(title="speed-up", xlabel=f"partitions, on {cores.core_count()} cores", xticks=NUMBERS)
    axes.set_xticklabels([str(n) for n in NUMBERS])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    figure.legend(title="dashed: predicted", fontsize="small", loc="outside right upper", frameon=False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
