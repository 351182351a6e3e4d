"""A picture of a compiled model as SVG: populations coloured by partition, inputs, probes and connections."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from spike_runtime.manifest import Manifest

from spikec.errors import model_error
from spikec.records import dataclass
from spikec.views.draw_edges import Ways
from spikec.views.draw_place import arrange

WIDTH, HEIGHT = 148, 46
GAP_X, GAP_Y, MARGIN = 74, 26, 28
HEADER, LEGEND_ROW = 58, 24
LETTERS = 19
# Colours that people with colour blindness tell apart (Okabe and Ito 2008), then others.
PALETTE = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#0072B2", "#D55E00", "#8C8C8C")
STYLE = (
    "text{font-family:Helvetica,Arial,sans-serif;fill:#1a1a1a}"
    ".n{font-size:12.5px;font-weight:600}.d{font-size:11px;fill:#444}.t{font-size:17px;font-weight:600}"
    "path{fill:none}.x{stroke:#c0392b;stroke-width:1.5;opacity:.75}.l{stroke:#777;stroke-width:1.1;opacity:.55}"
)


@dataclass(frozen=True)
class Box:
    """One box of the picture: shares are neurons by partition; x, y its upper left corner."""

    name: str
    kind: str
    members: int
    shares: Mapping[int, int]
    x: float = 0.0
    y: float = 0.0

    @property
    def detail(self) -> str:
        """The second line of its text."""
        count = f"{self.members:,} × " if self.members > 1 else ""
        if self.kind != "ensemble":
            return f"{count}{self.kind}"
        total = sum(self.shares.values())
        each = total // self.members
        return f"{count}{each:,} neurons" if each * self.members == total else f"{count}, {total:,} neurons"


def draw(manifest: Manifest, path: Path) -> None:
    """Write the picture to an SVG file; raises `ModelError` where its name is that of another format."""
    if path.suffix.lower() != ".svg":
        raise model_error(f"cannot draw the plan to {path}: it is drawn as SVG", "end the name with .svg")
    path.write_text(svg(manifest), encoding="utf-8")


def svg(manifest: Manifest) -> str:
    """The picture as SVG text."""
    graph = manifest.plan.get("graph", {})
    edges = [(int(s), int(t), bool(crossing)) for s, t, crossing in graph.get("edges", ())]
    boxes = _placed(graph.get("nodes", ()), [(s, t) for s, t, _ in edges])
    width = max([b.x + WIDTH for b in boxes] + [560.0]) + MARGIN
    bottom = max([b.y + HEIGHT for b in boxes] + [HEADER]) + MARGIN
    legend, height = _legend(manifest, bottom, width)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}">',
        f"<style>{STYLE}</style>",
        '<defs><marker id="a" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" '
        'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z" style="fill:#666"/></marker>'
        "</defs>",
        f'<rect width="{width:g}" height="{height:g}" fill="white"/>',
        _text(MARGIN, 30, _title(manifest), "t"),
        *_edges(boxes, edges),
        *(line for box in boxes for line in _box(box)),
        *legend,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _title(manifest: Manifest) -> str:
    n = len(manifest.partitions)
    return f"{manifest.model}: {manifest.neurons:,} neurons in {n} partition{'s' * (n != 1)}"


def _placed(nodes: Sequence[Sequence[object]], edges: list[tuple[int, int]]) -> list[Box]:
    spots = arrange([str(kind) for _, kind, _, _ in nodes], edges)
    return [
        Box(
            str(name),
            str(kind),
            int(str(members)),
            {int(p): int(n) for p, n in dict(shares).items()},  # type: ignore[call-overload]
            MARGIN + spot.column * (WIDTH + GAP_X),
            HEADER + spot.row * (HEIGHT + GAP_Y),
        )
        for (name, kind, members, shares), spot in zip(nodes, spots, strict=True)
    ]


def colour(partition: int) -> str:
    """The colour of a partition, as #RRGGBB."""
    if partition < len(PALETTE):
        return PALETTE[partition]
    # Steps of the golden angle around the circle of hues keep neighbours apart.
    r, g, b = colorsys.hls_to_rgb(partition * 0.381966 % 1.0, 0.55 + 0.12 * (partition % 3 - 1), 0.6)
    return f"#{round(r * 255):02X}{round(g * 255):02X}{round(b * 255):02X}"


def _tint(hexadecimal: str) -> str:
    """A colour mixed with white, so that text on it is easy to read."""
    mixed = [round(0.5 * int(hexadecimal[i : i + 2], 16) + 0.5 * 255) for i in (1, 3, 5)]
    return "#{:02X}{:02X}{:02X}".format(*mixed)


def _box(box: Box) -> list[str]:
    x, y = box.x, box.y
    radius = HEIGHT / 2 if box.kind == "input" else 5
    dash = ' stroke-dasharray="4 3"' if box.kind == "probe" else ""
    shared = ", ".join(f"{n:,} neurons in partition {p}" for p, n in box.shares.items())
    lines = [
        f"<g><title>{escape(box.name, quote=False)}: {escape(shared or box.detail, quote=False)}</title>"
    ]
    lines.append(
        f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="{radius:g}" fill="#FAFAFA"/>'
    )
    total, left = sum(box.shares.values()), x
    for partition, neurons in box.shares.items():
        part = WIDTH * neurons / total
        fill = _tint(colour(partition))
        lines.append(f'<rect x="{left:.2f}" y="{y:g}" width="{part:.2f}" height="{HEIGHT}" fill="{fill}"/>')
        foot = f'x="{left:.2f}" y="{y + HEIGHT - 5:g}" width="{part:.2f}" height="5"'
        lines.append(f'<rect {foot} fill="{colour(partition)}"/>')
        left += part
    rounding = 0 if box.shares else radius
    lines.append(
        f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="{rounding:g}" '
        f'fill="none" stroke="#555"{dash}/>'
    )
    middle = x + WIDTH / 2
    lines.append(_text(middle, y + 18, _short(box.name), "n", "middle"))
    lines.append(_text(middle, y + 33, box.detail, "d", "middle"))
    return [*lines, "</g>"]


def _short(name: str) -> str:
    if len(name) <= LETTERS:
        return name
    return f"{name[: LETTERS // 2]}…{name[-(LETTERS - LETTERS // 2 - 1) :]}"


def _text(x: float, y: float, text: str, style: str, anchor: str = "start") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" class="{style}" text-anchor="{anchor}">{escape(text, quote=False)}</text>'
    )


def _edges(boxes: list[Box], edges: list[tuple[int, int, bool]]) -> list[str]:
    """Connections; those that cross from one partition to another stand out and are drawn last."""
    ways = Ways(boxes, WIDTH, HEIGHT, GAP_Y)
    return [
        f'<path class="{"x" if crossing else "l"}" marker-end="url(#a)" d="{ways.path(boxes[s], boxes[t])}"/>'
        for s, t, crossing in sorted(edges, key=lambda edge: edge[2])
    ]


def _legend(manifest: Manifest, top: float, width: float) -> tuple[list[str], float]:
    """A line for each partition, as many side by side as fit, and what the lines mean; with the height in
    all.
    """
    each = 236
    across = max(1, int((width - 2 * MARGIN) // each))
    lines = []
    for k, p in enumerate(manifest.partitions):
        x, y = MARGIN + k % across * each, top + k // across * LEGEND_ROW
        lines.append(
            f'<rect x="{x:g}" y="{y:g}" width="16" height="14" fill="{colour(p.index)}" stroke="#555"/>'
        )
        us = f"{p.cost.total / 1e3:.3g}" if p.cost.total < 1e6 else f"{p.cost.total / 1e3:,.0f}"
        text = f"partition {p.index}: {p.neurons:,} neurons, {us} us/step"
        lines.append(_text(x + 23, y + 12, text, "d"))
    bottom = top + -(-len(manifest.partitions) // across) * LEGEND_ROW
    lines.append(f'<path class="l" d="M{MARGIN} {bottom + 8:g}h30"/>')
    lines.append(_text(MARGIN + 37, bottom + 12, "connection within a partition", "d"))
    lines.append(f'<path class="x" d="M{MARGIN + each} {bottom + 8:g}h30"/>')
    lines.append(_text(MARGIN + each + 37, bottom + 12, "crosses between partitions", "d"))
    return lines, bottom + LEGEND_ROW + MARGIN / 2
