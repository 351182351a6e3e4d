"""The table of `make bench`: run with `python -m tests.bench [MODEL ...]`."""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import sys
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench import growth, measure

MODELS = {
    "stream": "stream-8x8",
    "random_graph": "random-128-5%",
    "circular_convolution": "cconv-64d-200n",
    "lorenz": "lorenz-2000n",
    "big_ensembles": "big-16x4000-8d",
    "small_ensembles": "small-1000x100-1d",
    "learned_channel": "pes-1000n-4d",
}
# More partitions than cores: of this model, so many, and at most so many times the step of two.
CROWDED, MANY, CROWDED_BAR = "small_ensembles", 16, 1.5
AUTO_BAR = 1.1
MEMORY_BAR = 3


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help=f"some of: {', '.join(MODELS)}")
    parser.add_argument("--output", type=Path, default=Path("out/bench.json"))
    parser.add_argument("--no-peer", action="store_true", help="do not run Nengo")
    arguments = parser.parse_args()
    # The table needs more room than a file or a pipe is taken to have.
    console = Console() if sys.stdout.isatty() else Console(width=200)
    rows = []
    for name in arguments.models or MODELS:
        console.print(f"measuring {name} ...", style="dim")
        rows.append(_measure(name, not arguments.no_peer))
    console.print(_table(rows))
    # With fewer ensembles than these, nothing is to be divided: the partitioner is not loaded.
    least = [asdict(growth.grown(100, 400, n)) for n in (1, 2)]
    console.print(_summary(rows, least))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    report = {"machine": platform.processor() or platform.machine(), "models": rows, "least": least}
    arguments.output.write_text(json.dumps(report, indent=1) + "\n")
    console.print(f"Written: {arguments.output}")


def _measure(name: str, peer: bool) -> dict[str, Any]:
    path = measure.ROOT / "models" / "bench" / f"{name}.spk"
    row: dict[str, Any] = {"model": name}
    if peer:
        row["nengo64"] = asdict(measure.nengo(MODELS[name], 64))
        row["nengo32"] = asdict(measure.nengo(MODELS[name], 32))
    row["auto"] = measure.chosen(path)
    numbers = {1, 2, row["auto"]} | ({MANY} if name == CROWDED else set())
    found = measure.spike(path, [*((n, "float32") for n in sorted(numbers)), (1, "float64")])
    row |= {"spike": [asdict(found[n, "float32"]) for n in (1, 2)], "spike64": asdict(found[1, "float64"])}
    row["spike_auto"] = asdict(found[row["auto"], "float32"])
    if name == CROWDED:
        row["crowded"] = asdict(found[MANY, "float32"])
    return row


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Spike beside Nengo (medians; us per step unless said otherwise)")
    for column in (
        "model", "N", "neurons", "us/step", "ns/neuron", "predicted", "error", "x Nengo", "x Nengo 32",
        "speed-up", "manifest s", "command s", "warm s", "Nengo build s", "x build", "start s",
        "MiB compile", "MiB run", "MiB arrays",
    ):  # fmt: skip
        table.add_column(column, justify="left" if column == "model" else "right")
    for row in rows:
        first = row["spike"][0]
        for s in (*row["spike"], row["spike64"]):
            wide = s["precision"] == "float64"
            table.add_row(
                row["model"] + (" float64" if wide else ""),
                str(s["partitions"]),
                str(s["neurons"]),
                f"{s['step_us']:.1f}",
                f"{s['step_us'] * 1e3 / s['neurons']:.2f}",
                f"{s['predicted_us']:.1f}",
                f"{s['predicted_us'] / s['step_us'] - 1:+.0%}",
                _ratio(row, "nengo64", s),
                _ratio(row, "nengo32", s),
                f"{first['step_us'] / s['step_us']:.2f}",
                f"{s['manifest_s']:.2f}",
                f"{s['compile_cold_s']:.2f}",
                f"{s['compile_warm_s']:.2f}",
                f"{row['nengo64']['build_s']:.1f}" if "nengo64" in row else "-",
                f"{row['nengo64']['build_s'] / s['manifest_s']:.1f}" if "nengo64" in row else "-",
                f"{s['start_s']:.1f}",
                f"{s['compile_mib']:.0f}",
                f"{s['run_mib']:.0f}",
                f"{s['arrays_mib']:.1f}",
            )
    return table


def _ratio(row: dict[str, Any], peer: str, spike: dict[str, Any]) -> str:
    return f"{row[peer]['step_us'] / spike['step_us']:.1f}" if peer in row else "-"


def _summary(rows: list[dict[str, Any]], least: list[dict[str, Any]]) -> str:
    errors = [abs(s["predicted_us"] / s["step_us"] - 1) for row in rows for s in row["spike"]]
    lines = [
        f"Prediction: median error {statistics.median(errors):.0%} over {len(errors)} runs (N = 1 and 2)."
    ]
    for peer in ("nengo64", "nengo32"):
        ratios = [row[peer]["step_us"] / row["spike"][0]["step_us"] for row in rows if peer in row]
        if ratios:
            mean = math.exp(statistics.fmean(map(math.log, ratios)))
            lines.append(
                f"One partition beside {peer}: geometric mean {mean:.1f} times, least {min(ratios):.1f}."
            )
    lines += [*_timing(rows), *_memory(rows, least), *_automatic(rows)]
    for row in rows:
        if "crowded" in row:
            many, two = row["crowded"]["step_us"], row["spike"][1]["step_us"]
            lines.append(
                f"{MANY} partitions of {CROWDED}: {many:.1f} us per step, {many / two:.2f} times that of 2 "
                f"(at most {CROWDED_BAR})."
            )
    return "\n".join(lines)


def _timing(rows: list[dict[str, Any]]) -> list[str]:
    """How often neighbours were at work, how much slower what counts was timed; the slowest start."""
    ours = [s for row in rows for s in (*row["spike"], row["spike64"])]
    timed = [*ours, *(row[peer] for row in rows for peer in ("nengo64", "nengo32") if peer in row)]
    tries, quiet = (sum(s[key] for s in timed) for key in ("tries", "quiet"))
    paces = [s["pace"] for s in timed]
    return [
        f"Steps are medians of the tries during which the cores were fastest: {quiet} of {tries} were "
        f"undisturbed; cores were slower by {max(paces) / min(paces) - 1:.0%} at most while what counts ran.",
        f"First runs, their programs compiled where they were not before: at most "
        f"{max(s['first_step_s'] for s in ours):.1f} s to the first step.",
    ]


def _memory(rows: list[dict[str, Any]], least: list[dict[str, Any]]) -> list[str]:
    """Memory of compile and run, for one partition and for two: what the least model takes (`least`, for
    each), and what every model takes above it, over its arrays and for compile those of one solve.
    """
    lines = []
    for part, k in product(("compile", "run"), range(len(least))):
        base, found, ratios = least[k][f"{part}_mib"], [], []
        for row in rows:
            s = row["spike"][k]
            arrays = s["arrays_mib"] + (s["solve_mib"] if part == "compile" else 0.0)
            ratios.append((s[f"{part}_mib"] - base) / arrays)
            found.append(f"{row['model']} {s[f'{part}_mib']:.0f} for {arrays:.1f} ({ratios[-1]:.1f})")
        lines.append(
            f"MiB of {part}, N = {k + 1}: four ensembles of 100 neurons take {base:.0f}.  Peak, arrays, and "
            f"what the peak is above those {base:.0f}, in times the arrays: {', '.join(found)}; at most "
            f"{max(ratios):.1f} times (bar {MEMORY_BAR})."
        )
    return lines


def _automatic(rows: list[dict[str, Any]]) -> list[str]:
    """What `-n auto` chose; a program for 1 or 2 is the one that was timed for them."""
    found, ratios = [], []
    for row in rows:
        ratios.append(row["spike_auto"]["step_us"] / min(s["step_us"] for s in row["spike"]))
        found.append(f"{row['model']} {row['auto']} ({ratios[-1]:.2f})")
    return [
        f"-n auto, and its step over the best of N = 1 and 2: {', '.join(found)}; "
        f"at most {max(ratios):.2f} times (bar {AUTO_BAR})."
    ]


if __name__ == "__main__":
    main()
