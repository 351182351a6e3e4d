"""What `spikec inspect` shows of a saved state: of which model it is, and the arrays that it holds."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from spike_runtime.statefile import Saved, load

WIDTH = 100
# Longer lists are cut, with the number of what is left out.
MOST_ROWS = 40
# What is looked for first, first.
KINDS = ("weights", "neurons", "spikes", "filter", "delay", "signal", "inverse", "stream")


def contents(path: Path) -> dict[str, Any]:
    """The state in a file in numbers.  Raises `RunError` where it is none."""
    saved = load(path)
    return {
        "model": saved.model,
        "steps": saved.step,
        "time_s": saved.step * saved.dt,
        "dt": saved.dt,
        "precision": saved.precision,
        "seed": saved.seed,
        "seed_of_noise": saved.noise,
        "python_bytes": len(saved.pickled),
        "arrays": [_array(saved, key) for key in sorted(saved.arrays, key=_order)],
    }


def _order(key: str) -> tuple[int, str]:
    kind = key.partition("/")[0]
    return (KINDS.index(kind) if kind in KINDS else len(KINDS), key)


def _array(saved: Saved, key: str) -> dict[str, Any]:
    """An array: its shape; least, mean and most of what is known of it, None where that is nothing."""
    kind, _, name = key.partition("/")
    about = {"kind": kind, "name": name, "shape": list(saved.shapes[key])}
    if kind == "spikes":
        return about | {"spikes": len(saved.arrays[key])}
    if kind == "stream":  # its numbers say nothing
        return about | dict.fromkeys(("least", "mean", "most"))
    known = saved.arrays[key][~np.isnan(saved.arrays[key])].astype(np.float64)
    numbers = (known.min(), known.mean(), known.max()) if known.size else (None, None, None)
    return about | dict(zip(("least", "mean", "most"), map(_float, numbers), strict=True))


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def as_text(path: Path) -> str:
    """`contents` for people."""
    found = contents(path)
    console = Console(file=io.StringIO(), width=WIDTH, force_terminal=False, highlight=False, emoji=False)
    noise = found["seed_of_noise"]
    seeds = f"seed {found['seed']}" + f", of noise {noise}" * (noise != found["seed"])
    console.print(
        f"{found['model']}: the state after {found['time_s']:g} s ({found['steps']} steps of "
        f"{found['dt'] * 1e3:g} ms), {found['precision']}, {seeds}\n",
        markup=False,
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("", "name", "shape", "least", "mean", "most"):
        table.add_column(column, justify="left" if column in ("", "name") else "right", overflow="fold")
    for array in found["arrays"][:MOST_ROWS]:
        shape = " x ".join(map(str, array["shape"]))
        numbers = [_number(array.get(word)) for word in ("least", "mean", "most")]
        if "spikes" in array:
            numbers = ["", f"{array['spikes']} spikes", ""]
        table.add_row(array["kind"], array["name"], shape, *numbers)
    console.print(table, markup=False)
    if len(found["arrays"]) > MOST_ROWS:
        console.print(f"... and {len(found['arrays']) - MOST_ROWS} more; --json lists all of them")
    if found["python_bytes"]:
        size = f"{found['python_bytes']:,} bytes"
        console.print(f"... and the Python that the model runs, with its state: {size} of code", markup=False)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def as_json(path: Path) -> str:
    """`contents` as JSON."""
    return json.dumps(contents(path), indent=1)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
