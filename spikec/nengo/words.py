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
from spikec.tracing.functions import why


class Words:
    """`given`: what the user calls objects, where that is known."""

    def __init__(self, model: Model, given: Mapping[Any, str]) -> None:
        self._owners: dict[Signal, str] = {}
        for obj, signals in model.sig.items():
            owner = label(obj.ensemble if isinstance(obj, Neurons) else obj, given)
            for signal in signals.values():
                if isinstance(signal, Signal):
                    self._owners.setdefault(signal.base, owner)

    def of_call(self, call: Call) -> tuple[str, ...]:
        """What runs in a call, each once: not what Nengo only moves and multiplies."""
        said = dict.fromkeys(self.of(op) for op in call.operators if not _plain(op))
        return tuple(said) or ("sums and products of Nengo",)

    def reasons(self, calls: Iterable[Call]) -> dict[str, str]:
        """Why functions run in Python, by their words: "changes the list 'seen' (model.py:5)"."""
        found = {}
        for op in (op for call in calls for op in call.operators if isinstance(op, SimPyFunc)):
            size = 0 if op.output is None else op.output.size
            reason = why(op.fn, op.t_passed, None if op.x is None else op.x.size, size)
            if reason is not None:
                found[self.of(op)] = reason.text + (f" ({reason.file}:{reason.line})" if reason.line else "")
        return found

    def of(self, op: Operator) -> str:
        """An operator."""
        match op:
            case SimPyFunc():
                name = getattr(op.fn, "__qualname__", type(op.fn).__name__)
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


def _plain(op: Operator) -> bool:
    return type(op).__module__ == "nengo.builder.operator" and not isinstance(op, SimPyFunc)


def _place(function: Any) -> str:
    code = getattr(function, "__code__", None)
    return f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
