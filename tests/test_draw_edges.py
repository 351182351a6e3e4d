"""Connections in a picture pass between its boxes."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from spikec.views.draw_edges import Ways
from spikec.views.draw_place import Spot

WIDTH, HEIGHT, GAP_X, GAP_Y = 148, 46, 74, 26
PIECE = re.compile(r"([MCH])([-\d.e ]+)")


class Box:
    def __init__(self, spot: Spot) -> None:
        self.x, self.y = 28 + spot.column * (WIDTH + GAP_X), 58 + spot.row * (HEIGHT + GAP_Y)


def points(path: str) -> np.ndarray:
    """Points along a path."""
    made, at = [], np.zeros(2)
    for letter, text in PIECE.findall(path):
        numbers = np.array(text.split(), float)
        if letter == "C":
            ends = np.vstack([at, numbers.reshape(3, 2)])
            u = np.linspace(0, 1, 50)[:, None]
            made += list(
                (1 - u) ** 3 * ends[0]
                + 3 * u * (1 - u) ** 2 * ends[1]
                + 3 * u**2 * (1 - u) * ends[2]
                + u**3 * ends[3]
            )
            at = ends[3]
        elif letter == "H":
            made += list(np.linspace(at, (numbers[0], at[1]), 50))
            at = np.array([numbers[0], at[1]])
        else:
            at = numbers
    return np.array(made)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=2, max_size=5), st.data())
def test_lines_touch_no_box_but_their_own(heights: list[int], data: st.DataObject) -> None:
    tallest = max(heights)
    boxes = [
        Box(Spot(c, (tallest - height) / 2 + row))
        for c, height in enumerate(heights)
        for row in range(height)
    ]
    ways = Ways(boxes, WIDTH, HEIGHT, GAP_Y)
    pairs = st.tuples(st.sampled_from(boxes), st.sampled_from(boxes))
    for a, b in data.draw(st.lists(pairs, min_size=1, max_size=20)):
        if a.x == b.x:
            continue
        line = points(ways.path(a, b))
        start, end = line[0], line[-1]
        assert start[0] in (a.x, a.x + WIDTH)
        assert a.y < start[1] < a.y + HEIGHT
        assert end[0] in (b.x, b.x + WIDTH)
        assert b.y < end[1] < b.y + HEIGHT
        for box in boxes:
            inside = (np.array([box.x, box.y]) < line) & (line < np.array([box.x + WIDTH, box.y + HEIGHT]))
            assert not inside.all(axis=1).any()


def test_lines_through_the_same_gap_lie_side_by_side() -> None:
    boxes = [Box(Spot(c, r)) for c, r in ((0, 0), (0, 1), (1, 0.5), (2, 0), (2, 1))]
    ways = Ways(boxes, WIDTH, HEIGHT, GAP_Y)
    levels = [re.search(r"([-\d.]+)H", ways.path(boxes[0], boxes[3])) for _ in range(3)]
    assert len({level.group(1) for level in levels if level}) == 3
