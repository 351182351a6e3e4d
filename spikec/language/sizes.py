"""That the sizes of both ends of a connection agree, and what to write where they do not."""

from __future__ import annotations

import numpy as np

from spikec.errors import Span
from spikec.graph import Distribution
from spikec.language import elements as e
from spikec.language.transforms import Convolution, Sparse
from spikec.language.values import Mistake


def check_sizes(link: e.Connection, at: Span, transform: Span) -> None:
    """What arrives must fit the target.  Raises `Mistake` with both sizes and where each comes from.

    `at`, `transform`: where the connection and its transform are written.
    """
    have = link.outputs
    want = link.target.size
    if link.functions is None and link.targets is None:
        what = f"{link.source.name!r} has {_dimensions(have)}"
    else:
        what = f"the function of {link.source.name!r} gives {_dimensions(have)}"
    notes = _origins(link.source, link.target)
    if (shape := _shape(link)) is not None:
        rows, columns = shape
        if (rows, columns) != (want, have):
            hint = f"give a matrix of shape {want} x {have}"
            if isinstance(link.transform, Convolution):
                hint = f"it leads from {_dimensions(columns)} to {rows}: connect what has so many"
            raise Mistake(
                f"the transform has shape {rows} x {columns}; {what} and {link.target.name!r} takes {want}",
                transform,
                hint,
                notes,
            )
        return
    if have != want and not isinstance(link.transform, Distribution):
        raise Mistake(
            f"{what}, but {link.target.name!r} takes {want}",
            at,
            _fitting(link),
            notes,
        )


def _fitting(link: e.Connection) -> str:
    """The connection that was likely meant where sizes differ, and the shape of a transform between them."""
    have, want, computed = link.outputs, link.target.size, link.functions or link.targets is not None
    transform = f"give a transform of shape {want} x {have}"
    source, target = link.source.name, link.target.name
    if link.source.attribute == "neurons" != link.target.attribute and not computed:
        return f"connect {source.removesuffix('.neurons')}, what the neurons represent; or {transform}"
    if have > want and computed:
        return f"write a function that gives {_dimensions(want)}, or {transform}"
    larger, size = (link.source, want) if have > want else (link.target, have)
    part = f"{larger.name}[0]" if size == 1 else f"{larger.name}[0:{size}]"
    if (
        "[" in larger.name
        or larger.attribute == "neurons"
        or isinstance(larger.pieces[0].element, e.RuleInput)
        or not _by_component(larger)
    ):
        return transform
    return (
        f"connect {part} -> {target}, or {transform}" if have > want else f"connect to {part}, or {transform}"
    )


def _by_component(view: e.View) -> bool:
    """Whether an index of what is written takes one component: of an array it takes an element."""
    return len(view.pieces) == 1 or all(len(p.components) == 1 for p in view.pieces)


def _shape(link: e.Connection) -> tuple[int, int] | None:
    """Rows and columns of a transform that has a shape of its own."""
    made = link.transform
    if isinstance(made, Convolution):
        return made.size_out, made.size_in
    if isinstance(made, Sparse):
        fits = made.rows.max() < link.target.size and made.columns.max() < link.outputs
        return (link.target.size, link.outputs) if fits else (made.rows.max() + 1, made.columns.max() + 1)
    return made.shape if isinstance(made, np.ndarray) else None


def _dimensions(size: int) -> str:
    return f"{size} dimension" + "s" * (size != 1)


def _origins(*views: e.View) -> tuple[tuple[str, Span], ...]:
    """What views are of, with all its components or neurons, and where each is declared."""
    sizes: dict[tuple[str, Span], dict[str, None]] = {}
    for view in views:
        piece = view.pieces[0]
        name, size = piece.element.path, _dimensions(piece.total)
        if len(view.pieces) > 1:
            name, size = view.name, f"{_dimensions(view.size)} in all"
        elif view.attribute == "neurons":
            size = f"{piece.total} neuron" + "s" * (piece.total != 1)
        sizes.setdefault((name, piece.element.span), {})[size] = None
    return tuple((f"{name!r} of {' and '.join(of)} is declared here", at) for (name, at), of in sizes.items())
