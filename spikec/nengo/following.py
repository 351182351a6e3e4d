"""Functions that Python computes after all: what they captured is not what it was when they were traced.

A loop around a simulator may change such a value before every step, so a function of which one was changed is
called in every step from then on, where it stands in the graph.  All else stays as it is, so that the state
goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from types import CodeType
from typing import Any

import numpy as np
from nengo.builder import Operator
from nengo.builder.operator import SimPyFunc
from nengo.builder.signal import SignalDict
from spike_runtime.calls import PURE

from spikec.expressions import Number
from spikec.nengo.calls import Call, Clock, HostFunction
from spikec.nengo.forms import Form, traced
from spikec.tracing.functions import Traced
from spikec.tracing.objects import parts
from spikec.tracing.purity import Captured, kept


def changed(native: Mapping[Operator, Form]) -> list[Operator]:
    """Compiled functions of which something captured has changed, and those of the same code: what changes
    for one of them soon does for the others.
    """
    compiled = {op: form for op, form in native.items() if isinstance(form, Traced) and not form.call}
    gone = [op for op, form in compiled.items() if not all(captured.same() for captured in form.captured)]
    codes = {_code(op) for op in gone}
    return [op for op, form in compiled.items() if form.captured and _code(op) in codes]


def _code(op: Operator) -> CodeType | Operator:
    found = parts(op.fn) if isinstance(op, SimPyFunc) else None
    return op if found is None else found[0].__code__


def called(native: Mapping[Operator, Form], followed: Collection[Operator]) -> dict[Operator, Form]:
    """The same forms, but of some functions calls of these; `followed` may hold others too."""
    return {
        op: _call(op, form, f"{PURE}{k}") if isinstance(form, Traced) and op in followed else form
        for k, (op, form) in enumerate(native.items())
    }


def _call(op: Any, form: Traced, name: str) -> Traced:
    """Expressions of the right length that nobody computes."""
    return replace(form, expressions=(Number(0.0),) * op.output.size, call=name)


def watched(native: Mapping[Operator, Form]) -> list[Captured]:
    """What functions that are called read, as it is now."""
    found: list[Captured] = []
    for op, form in native.items():
        if isinstance(form, Traced) and form.call:
            found += ((traced(op) if isinstance(op, SimPyFunc) else None) or form).captured
    return [replace(captured, value=kept(captured.now())) for captured in found]


def told(places: list[Captured]) -> dict[int, Any] | None:
    """What of that has changed, by number, which is noted; None where other processes cannot be told so."""
    found = {k: captured.now() for k, captured in enumerate(places) if not captured.same()}
    if not all(places[k].takes(value) for k, value in found.items()):
        return None
    for k, value in found.items():
        places[k] = replace(places[k], value=kept(value))
    return found


def functions(
    native: Mapping[Operator, Form], clock: Clock, said: Callable[[Operator], str]
) -> dict[str, HostFunction]:
    """What the calls of functions run: Nengo's operators, each on a memory of its own."""
    return {
        form.call: _function(op, clock, said)
        for op, form in native.items()
        if isinstance(form, Traced) and form.call
    }


def _function(op: Any, clock: Clock, said: Callable[[Operator], str]) -> HostFunction:
    signals = SignalDict()
    op.init_signals(signals)
    for signal in (clock.step, clock.time):
        if signal not in signals:
            signals.init(signal)
    x = getattr(op, "x", None)
    call = Call([op], loads=[] if x is None else [x.base], gives=[op.output.base])
    step = op.make_step(signals, clock.dt, np.random.RandomState(0))
    return call.function(clock, signals, {op: step}, said)
