"""Placement of boxes for a picture of a graph: columns from inputs on the left to probes on the right."""

from __future__ import annotations

import math
from collections.abc import Sequence

from spikec.records import dataclass

SWEEPS = 6
# A column of more boxes than this becomes several.
TALLEST = 9


@dataclass(frozen=True)
class Spot:
    """Where a box is: column, and place in it from the top (halves where a column is shorter)."""

    column: int
    row: float


def arrange(kinds: Sequence[str], edges: Sequence[tuple[int, int]]) -> list[Spot]:
    """A spot for every box ("input", "ensemble" or "probe"), so that most edges go to the right and few
    cross.
    """
    layers = _layers(kinds, edges)
    columns = _columns(layers, edges)
    tallest = max((len(c) for c in columns), default=0)
    spots: dict[int, Spot] = {}
    for number, column in enumerate(columns):
        top = (tallest - len(column)) / 2
        spots.update({box: Spot(number, top + k) for k, box in enumerate(column)})
    return [spots[k] for k in range(len(kinds))]


def _layers(kinds: Sequence[str], edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Boxes by distance from the inputs (from the first ensemble where nothing leads to it); probes come
    last.
    """
    depth = {k: 0 for k, kind in enumerate(kinds) if kind == "input"}
    after: dict[int, list[int]] = {}
    for s, t in edges:
        if kinds[t] == "ensemble":
            after.setdefault(s, []).append(t)
    _spread(list(depth), depth, after)
    for k, kind in enumerate(kinds):
        if kind == "ensemble" and k not in depth:
            depth[k] = 1
            _spread([k], depth, after)
    last = 1 + max(depth.values(), default=0)
    depth |= {k: last for k, kind in enumerate(kinds) if kind == "probe"}
    layers: dict[int, list[int]] = {}
    for k in range(len(kinds)):
        layers.setdefault(depth[k], []).append(k)
    return [layers[d] for d in sorted(layers)]


def _spread(front: list[int], depth: dict[int, int], after: dict[int, list[int]]) -> None:
    while front:
        fresh = []
        for box in front:
            new = [t for t in after.get(box, []) if t not in depth]
            depth.update(dict.fromkeys(new, depth[box] + 1))
            fresh += new
        front = fresh


def _columns(layers: list[list[int]], edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Layers ordered so that few edges cross, then cut or joined to columns of a height that fits a page."""
    ordered = _ordered(layers, edges)
    total = sum(len(layer) for layer in ordered)
    height = max(3, min(TALLEST, math.ceil(math.sqrt(total * 0.75))))
    first, *rest = ordered or [[]]
    if len(ordered) > 2 + math.ceil(total / height):
        # A long chain: columns are filled one after the other.
        inner = [box for layer in rest[:-1] for box in layer]
        rest = [inner[k : k + height] for k in range(0, len(inner), height)] + rest[-1:]
    columns = []
    for layer in (first, *rest):
        parts = math.ceil(len(layer) / max(height, TALLEST)) or 1
        size = math.ceil(len(layer) / parts)
        columns += [layer[k : k + size] for k in range(0, len(layer), size)]
    return columns


def _ordered(layers: list[list[int]], edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Each box near the mean place of its neighbours, in several sweeps."""
    near: dict[int, list[int]] = {}
    for s, t in edges:
        if s != t:
            near.setdefault(s, []).append(t)
            near.setdefault(t, []).append(s)
    layers = [list(layer) for layer in layers]
    place = {box: k / max(1, len(layer)) for layer in layers for k, box in enumerate(layer)}
    for sweep in range(SWEEPS):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            mean = {box: _mean([place[o] for o in near.get(box, [])], place[box]) for box in layer}
            layer.sort(key=lambda box: (mean[box], box))
            place.update({box: k / max(1, len(layer)) for k, box in enumerate(layer)})
    return layers


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
