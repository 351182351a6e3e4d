"""Ways of connections through a picture of boxes in columns: between the boxes, never behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

# What a line keeps from boxes that it passes, and how far apart lines in the same gap are.
CLEAR, APART = 7.0, 4.0


class Placed(Protocol):
    """A box: the place of its upper left corner."""

    @property
    def x(self) -> float: ...
    @property
    def y(self) -> float: ...


class Ways:
    """Draws connections one after the other; those that share a gap lie side by side."""

    def __init__(self, boxes: Sequence[Placed], width: float, height: float, gap: float) -> None:
        self._width, self._height, self._gap = width, height, gap
        self._columns: dict[float, list[float]] = {}
        for box in boxes:
            self._columns.setdefault(box.x, []).append(box.y)
        self._used: dict[tuple[float, float], int] = {}

    def path(self, a: Placed, b: Placed) -> str:
        """The path of an SVG from `a` to `b`.

        To the right from the middle of a side to the middle of a side, back to the left a little lower, to
        the same column around its right side, to itself in a loop above.
        """
        if a is b:
            x = a.x + self._width - 34
            return f"M{x:g} {a.y:g}C{x - 4:g} {a.y - 18:g} {x + 28:g} {a.y - 18:g} {x + 24:g} {a.y:g}"
        if a.x == b.x:
            x, y0, y1 = a.x + self._width, a.y + self._height / 2 + 6, b.y + self._height / 2 + 6
            out = x + 16 + 0.12 * abs(b.y - a.y)
            return f"M{x:g} {y0:g}C{out:g} {y0:g} {out:g} {y1:g} {x:g} {y1:g}"
        return self._across(a, b)

    def _across(self, a: Placed, b: Placed) -> str:
        right = b.x > a.x
        depth = self._height * (0.5 if right else 0.8)
        x, y = a.x + self._width * right, a.y + depth
        end, last = b.x + self._width * (not right), b.y + depth
        parts = [f"M{x:g} {y:g}"]
        between = sorted((c for c in self._columns if min(a.x, b.x) < c < max(a.x, b.x)), reverse=not right)
        for column in between:
            near, far = (column, column + self._width) if right else (column + self._width, column)
            straight = y + (last - y) * (column + self._width / 2 - x) / (end - x)
            lane = self._lane(column, straight)
            parts += [_bend(x, y, near, lane), f"H{far:g}"]
            x, y = far, lane
        return "".join([*parts, _bend(x, y, end, last)])

    def _lane(self, column: float, wanted: float) -> float:
        """A height near the wanted one at which a line passes a column without touching a box."""
        for top in self._columns[column]:
            if top - CLEAR < wanted < top + self._height + CLEAR:
                over, under = top - self._gap / 2, top + self._height + self._gap / 2
                wanted = over if wanted - over < under - wanted else under
                break
        before = self._used.get((column, wanted), 0)
        self._used[column, wanted] = before + 1
        # 0, 1, -1, 2, -2 and again: what does not fit into a gap lies on what was there before.
        return wanted + APART * ((before % 5 + 1) // 2) * (1 if before % 2 else -1)


def _bend(x0: float, y0: float, x1: float, y1: float) -> str:
    bend = max(30.0, abs(x1 - x0) / 2) * (1 if x1 > x0 else -1)
    return f"C{x0 + bend:g} {y0:g} {x1 - bend:g} {y1:g} {x1:g} {y1:g}"
