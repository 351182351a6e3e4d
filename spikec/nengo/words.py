"""Host calls in words, for people: which of a model's objects run in Python, and why."""

from __future__ import annotations

from typing import Any

from nengo.builder import Operator
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import SimPyFunc
from nengo.builder.processes import SimProcess

from spikec.nengo.convert import Converted


def described(made: Converted) -> tuple[tuple[str, ...], ...]:
    """For each call, its operators in words."""
    return tuple(tuple(_words(op) for op in call.operators) for call in made.host_calls)


def _words(op: Operator) -> str:
    match op:
        case SimPyFunc():
            return f"the function {getattr(op.fn, '__qualname__', type(op.fn).__name__)}{_place(op.fn)}"
        case SimProcess():
            return f"the process {type(op.process).__name__}"
        case SimNeurons():
            return f"neurons of the type {type(op.neurons).__name__}"
    return f"Nengo's operator {type(op).__name__}"


def _place(function: Any) -> str:
    code = getattr(function, "__code__", None)
    return f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
