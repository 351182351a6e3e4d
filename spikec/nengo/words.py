"""Host calls in words, for people: what of a model runs in Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nengo.builder import Model, Operator, Signal
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import SimPyFunc
from nengo.builder.processes import SimProcess
from nengo.ensemble import Neurons

from spikec.nengo.calls import Call
from spikec.nengo.names import label
from spikec.nengo.processes import coefficients
from spikec.nengo.signals import plain
from spikec.tracing import purity
from spikec.tracing.functions import why

# Of what has no form in the graph, or not in this place.
OTHER = "is none that is compiled here"


class Words:
    """`given`: what the user calls objects, where that is known."""

    def __init__(self, model: Model, given: Mapping[Any, str]) -> None:
        self._owners: dict[Signal, str] = {}
        self._dt = model.dt
        for obj, signals in model.sig.items():
            owner = label(obj.ensemble if isinstance(obj, Neurons) else obj, given)
            for signal in signals.values():
                if isinstance(signal, Signal):
                    self._owners.setdefault(signal.base, owner)

    def of_call(self, call: Call) -> tuple[str, ...]:
        """What runs in a call, each once: not what Nengo only moves and multiplies."""
        said = dict.fromkeys(self.of(op) for op in call.operators if not plain(op))
        return tuple(said) or ("sums and products of Nengo",)

    def reasons(self, calls: Iterable[Call]) -> dict[str, str]:
        """Why functions run in Python, by their words: "changes the list 'seen' (model.py:5)"."""
        found = {}
        for op in (op for call in calls for op in call.operators if not plain(op)):
            if not isinstance(op, SimPyFunc):
                found[self.of(op)] = self._kind(op)
                continue
            size = 0 if op.output is None else op.output.size
            asked = (op.fn, op.t_passed, None if op.x is None else op.x.size, size)
            # What it reads of objects is no reason, unless other Python runs beside it.
            reason = why(*asked, held=True) or why(*asked)
            if reason is not None:
                found[self.of(op)] = reason.text + (f" ({reason.file}:{reason.line})" if reason.line else "")
        return found

    def _kind(self, op: Operator) -> str:
        """Why what is no function runs in Python."""
        if isinstance(op, SimProcess) and coefficients(op.process, self._dt) is not None:
            return "filters signals of what runs in Python"
        return OTHER

    def of(self, op: Operator) -> str:
        """An operator."""
        match op:
            case SimPyFunc():
                name = purity.attribute(op.fn, "__qualname__", type(op.fn).__name__)
                return f"the function {name.replace('<locals>.', '')}{_place(op.fn)}"
            case SimProcess():
                return f"the process {type(op.process).__name__}{self._owner(op.output)}"
            case SimNeurons():
                return f"neurons of the type {type(op.neurons).__name__}{self._owner(op.J)}"
        written = [*op.sets, *op.incs, *op.updates]
        return f"the operator {type(op).__name__}{self._owner(written[0]) if written else ''}"

    def _owner(self, signal: Signal | None) -> str:
        owner = self._owners.get(signal.base) if signal is not None else None
        return f" of {owner}" if owner else ""


def _place(function: Any) -> str:
    code = purity.attribute(function, "__code__")
    return f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
