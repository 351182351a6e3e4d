"""References to views: `position.x[0:2]`, `mem[3].neurons` to the pieces of elements that they mean."""

from __future__ import annotations

from dataclasses import replace

from spikec.errors import Span
from spikec.language import syntax as s
from spikec.language.elements import (
    Array,
    Cells,
    Element,
    FunctionNode,
    Piece,
    Population,
    RuleInput,
    View,
    neuron_of,
)
from spikec.language.evaluate import indices, integer
from spikec.language.frame import Broken, Frame, Instance, Link, Object
from spikec.language.learning import DELTA, change_of, part_of
from spikec.language.scope import Scope, suggestion
from spikec.language.values import AlreadyReported, Mistake
from spikec.nef.converted import Converted
from spikec.nef.neurons import NeuronType

ATTRIBUTES = (
    "neurons", "spikes", "voltage", "refractory_time", "adaptation", "recovery", "rate_out", "input",
)  # fmt: skip


def resolve(reference: s.Reference, frame: Frame, as_target: bool = False) -> View:
    """The pieces that a reference means; of a function node its arguments where it is a target.

    Raises `Mistake` for unknown names and parts.
    """
    obj, name, rest = _find(reference, frame)
    if isinstance(obj, Link):
        view, rest = _part_of_link(obj, rest, reference.span, as_target)
    else:
        view = _view(obj, name, reference, as_target)
    if isinstance(obj, Array) and rest and isinstance(rest[0], s.Subscript):
        view = _elements_of(obj, view, rest[0], frame.scope)
        rest = rest[1:]
    for trailer in rest:
        if isinstance(trailer, s.Subscript):
            view = _part(view, trailer, frame.scope)
        else:
            view = _attribute(view, trailer)
    return view


# A name that lists more subscripts than this would be long in every message and file.
_MOST_NAMED = 6

Trailers = tuple[s.Attribute | s.Subscript, ...]


def _part_of_link(link: Link, rest: Trailers, span: Span, as_target: bool) -> tuple[View, Trailers]:
    """A part of a connection with a name, and the trailers left.  Raises `Mistake`."""
    made = link.made() if link.made else None
    if made is None:
        raise AlreadyReported
    if not rest or not isinstance(rest[0], s.Attribute):
        known = [made.learning[0].name] + [made.weights[0].kind] * (not as_target)
        parts = " or ".join(f"{link.path}.{p}" for p in known)
        raise Mistake(f"{link.path!r} is a connection", span, f"name a part of it: {parts}")
    if not as_target and (change := change_of(made, link.path, rest, span)):
        return change, rest[2:]
    return part_of(made, link.path, rest[0], as_target, span), rest[1:]


def _find(reference: s.Reference, frame: Frame) -> tuple[Element | Array | Link, str, Trailers]:
    """The element, array or connection a reference starts with, its path, and the trailers left."""
    outer, name, rest, span = frame, reference.name, reference.trailers, reference.span
    while True:
        obj, rest = _object(name, rest, outer, frame.scope, span)
        if isinstance(obj, Broken):
            raise AlreadyReported
        if not isinstance(obj, Instance):
            return obj, obj.path, rest
        ports = ", ".join(obj.frame.ports) or "none"
        if not rest or not isinstance(rest[0], s.Attribute):
            path = obj.frame.path[:-1]
            hint = (
                f"name one of its ports, such as {path}.{obj.frame.ports[0]}"
                if obj.frame.ports
                else "name an object"
            )
            raise Mistake(f"{path!r} is a module, not one vector (ports: {ports})", reference.span, hint)
        outer, name, span, rest = obj.frame, rest[0].name, rest[0].span, rest[1:]


def _object(name: str, rest: Trailers, frame: Frame, scope: Scope, span: Span) -> tuple[Object, Trailers]:
    """The object `name` of a frame; members of a family take the subscripts that number them."""
    found = frame.objects.get(name)
    if found is None and name in frame.families:
        key = name
        while (
            found is None and rest and isinstance(rest[0], s.Subscript) and isinstance(rest[0].part, s.Expr)
        ):
            key += f"[{integer(rest[0].part, scope, 'the number of a member')}]"
            rest = rest[1:]
            found = frame.objects.get(key)
        if found is None:
            members = [n for n in frame.objects if n.startswith(name + "[")]
            if not members:  # the numbers of all of them have mistakes
                raise AlreadyReported
            raise Mistake(f"there is no {key!r}", span, f"the members are {members[0]} to {members[-1]}")
    if found is None:
        frame.context.refuse_unread(name)
        where = f" in {frame.path[:-1]!r}" if frame.path and frame.scope is not scope else ""
        raise Mistake(f"unknown name {name!r}{where}", span, suggestion(name, frame.names()))
    return found, rest


def _view(obj: Element | Array, name: str, reference: s.Reference, as_target: bool) -> View:
    if isinstance(obj, Array):
        return View(name, obj.pieces, "value", reference.span)
    size = obj.arguments if as_target and isinstance(obj, FunctionNode) else obj.size
    pieces = (Piece(obj, range(size), size),)
    # A population has no value: its neurons are meant.
    return View(name, pieces, "neurons" if isinstance(obj, Cells) else "value", reference.span)


def _elements_of(array: Array, view: View, trailer: s.Subscript, scope: Scope) -> View:
    """`mem[3]`, `mem[0:8]`: elements of an array."""
    taken = indices(trailer.part, len(array.elements), scope, f"the array {array.path!r}", trailer.span)
    single = len(taken) == 1 and not isinstance(trailer.part, s.Slice)
    name = array.elements[taken[0]].path if single else view.name + _brackets(taken)
    return View(name, tuple(view.pieces[i] for i in taken), view.attribute, view.span)


def _part(view: View, trailer: s.Subscript, scope: Scope) -> View:
    """Components of a view; a component may be taken more than once or out of order."""
    taken = indices(trailer.part, view.size, scope, repr(view.name), trailer.span)
    name = view.name + _brackets(taken)
    if len(view.pieces) == 1:
        piece = view.pieces[0]
        return View(name, (_slice(piece, taken),), view.attribute, view.span)
    pieces: list[Piece] = []
    starts = [(p, k) for p in view.pieces for k in range(len(p.components))]
    for i in taken:
        piece, k = starts[i]
        pieces.append(_slice(piece, [k]))
    return View(name, tuple(_merged(pieces)), view.attribute, view.span)


def _slice(piece: Piece, taken: range | list[int]) -> Piece:
    if isinstance(taken, range) and isinstance(piece.components, range):
        chosen = piece.components[taken.start : taken.stop : taken.step] if taken.step > 0 else None
        if chosen is not None:
            return Piece(piece.element, chosen, piece.total)
    picked = tuple(piece.components[i] for i in taken)
    simple = range(picked[0], picked[-1] + 1)
    return Piece(piece.element, simple if picked == tuple(simple) else picked, piece.total)


def _merged(pieces: list[Piece]) -> list[Piece]:
    """Neighbouring pieces of one element as one piece."""
    out: list[Piece] = []
    for piece in pieces:
        if out and out[-1].element is piece.element:
            joined = (*out[-1].components, *piece.components)
            simple = range(joined[0], joined[-1] + 1)
            out[-1] = Piece(piece.element, simple if joined == tuple(simple) else joined, piece.total)
        else:
            out.append(piece)
    return out


def _brackets(taken: range | list[int]) -> str:
    if len(taken) == 1:
        return f"[{taken[0]}]"
    if isinstance(taken, range):
        return (
            f"[{taken.start}:{taken.stop}]"
            if taken.step == 1
            else f"[{taken.start}:{taken.stop}:{taken.step}]"
        )
    if len(taken) > _MOST_NAMED:
        return f"[{taken[0]},{taken[1]},..,{taken[-1]}]"
    return "[" + ",".join(map(str, taken)) + "]"


def _currents(view: View, trailer: s.Attribute) -> View:
    """`a.neurons.input`: the current J of every neuron.  Raises `Mistake`."""
    if not all(isinstance(p.element, Population) for p in view.pieces):
        raise Mistake(f"{view.name!r} has no part 'input'", trailer.span, "name the neurons of an ensemble")
    return replace(view, name=f"{view.name}.input", attribute="current")


def _parts(view: View) -> list[str]:
    """What may follow the name of a view after a dot."""
    if view.attribute not in ("value", "neurons"):
        return []
    neurons = [neuron_of(piece.element) for piece in view.pieces]
    if view.attribute == "neurons":
        populations = all(isinstance(piece.element, Population) for piece in view.pieces)
        return ["input"] if populations else ["neurons"]
    if None in neurons:
        return ["input", *([DELTA] if isinstance(view.pieces[0].element, RuleInput) else [])]
    return [name for name in ATTRIBUTES if all(n is not None and _has(n, name) for n in neurons)]


def _has(neuron: NeuronType, name: str) -> bool:
    """Whether neurons of a type have a part, a state variable or one that all have."""
    if name == "spikes":
        return neuron.spiking and not neuron.negative
    if name == "rate_out":
        return isinstance(neuron, Converted)
    return name in ("neurons", "input", *neuron.state)


def _attribute(view: View, trailer: s.Attribute) -> View:
    name = trailer.name
    if name == "input" and view.attribute == "neurons":
        return _currents(view, trailer)
    if name == "neurons" and all(isinstance(p.element, Cells) for p in view.pieces):
        return view
    if name not in ATTRIBUTES or view.attribute != "value":
        known = _parts(view)
        hint = suggestion(name, known) if known else "leave it out"
        raise Mistake(f"{view.name!r} has no part {name!r}", trailer.span, hint)
    if name == "input":
        return View(f"{view.name}.input", view.pieces, "input", view.span)
    pieces = []
    for piece in view.pieces:
        element = piece.element
        if not isinstance(element, Population) or element.ensemble is None:
            raise Mistake(
                f"{view.name!r} has no neurons", trailer.span, "name an ensemble that is not in direct mode"
            )
        if not piece.whole:
            raise Mistake(
                "a part of a vector has no neurons of its own", trailer.span, "name the whole ensemble"
            )
        pieces.append(Piece(element, range(element.neurons), element.neurons))
    return View(f"{view.name}.{name}", tuple(pieces), name, view.span)
