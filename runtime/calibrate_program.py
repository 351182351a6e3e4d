"""A program with one stage of every kind, written as the compiler writes programs, for measuring what
stages cost.

Sizes of arrays are not part of a compiled program: one compilation serves every size.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytensor.tensor as pt
from numpy.typing import NDArray
from spike_runtime.calibrate_neurons import parameters
from spike_runtime.ops import (
    append_products,
    clear,
    decode,
    delay,
    first_order,
    join,
    keep,
    lookup,
    neurons,
    noise,
    outputs,
    record,
    record_events,
    state_space,
)
from spike_runtime.ops.simd import BYTES

Arrays = dict[str, NDArray[Any]]
DT = 1e-3
# The kind of its neurons: of the kernel that is compiled in any case.
KIND = "lif"

# Operations of the function below, as the cost model counts them: 9 arithmetic and 1 transcendental in each.
ARITHMETIC, TRANSCENDENTAL = 9, 1
# Calls of Ops beside the neurons' own, as the cost model counts them: six stages, a join of values and one of
# what came before give new vectors; three stages, and what is carried over, work in place, which costs a
# quarter.  With functions, two joins more.
CALLS, JOINS = 6 + 1 + 1 + 0.25 * (3 + 1), 2
# Calls of PyTensor's own: a function of time (one), and two of signals (two each).
EXPRESSIONS = 1 + 2 * 2
# What programs have: neurons alone, all stages but functions, or all.
LEAST, OWN, ALL = range(3)


def program(real: str, kind: int) -> ModuleType:
    """A module with `step(n, a, s)` in precision `real`: LEAST, OWN or ALL."""
    module = ModuleType("calibration")
    module.__dict__["step"] = (
        (lambda n, a, s: _stages(n, a, s, real, kind == ALL))
        if kind
        else (lambda n, a, s: _least(n, a, s, real))
    )
    return module


def _least(n: Any, a: Any, s: Any, real: str) -> dict[Any, Any]:
    sums = clear(s.sums)
    update = neurons(KIND, real)
    sums, state, status = update(
        s.status.astype(real),
        sums,
        s.neurons,
        s.status,
        a.atoms,
        a.parameters,
        a.encoders,
        a.bias,
        a.decoders,
        n,
    )
    return {s.neurons: state, s.sums: sums, s.status: status}


def _stages(n: Any, a: Any, s: Any, real: str, functions: bool) -> dict[Any, Any]:
    t = n * DT
    decoded = decode(s.sums, a.rows, a.scale, real)
    before = join(decoded, s.carried)
    lowpass = first_order(s.value, before, a.source, a.decay, a.gain)
    filter_x, synapse = state_space(s.x, before, a.sources, a.filters, a.coefficients)
    buffer, late = delay(s.buffer, before, a.late, a.lengths, n)
    table = lookup(a.samples, a.starts, a.tables, a.columns, n)
    random = noise(a.noise, a.keys, n)
    source = [outputs([pt.sin(6.28 * t)], t.reshape((1,)), real)] if functions else []
    sums = clear(s.sums)
    values = join(lowpass, synapse, late, table, random, *source)
    values = append_products(values, a.values, a.terms, a.panels, a.order)
    if functions:
        plain = _function(values[a.plain].reshape((2, -1)).astype("float64"), pt.abs, real)
        values = join(values, plain)
        curved = _function(values[a.curved].reshape((2, -1)).astype("float64"), pt.sin, real)
        values = join(values, curved)
    update = neurons(KIND, real)
    sums, state, status = update(
        values, sums, s.neurons, s.status, a.atoms, a.parameters, a.encoders, a.bias, a.decoders, n
    )
    recorded = record(s.recorded, values, a.recorded_columns, a.recorded_starts, n, a.every)
    events, count, status = record_events(s.events, s.count, status, sums, a.event_sources, n)
    return {
        s.value: lowpass,
        s.x: filter_x,
        s.buffer: buffer,
        s.neurons: state,
        s.recorded: recorded,
        s.events: events,
        s.count: count,
        s.sums: sums,
        s.carried: keep(s.carried, values, a.carried_places),
        s.status: status,
    }


def _function(x: Any, call: Any, real: str) -> Any:
    """One output of two arguments: `ARITHMETIC` operations and one call."""
    expression = call(x[0] * 0.5 + x[1]) * 0.25 + x[0] * x[1] - x[1] * 0.125 + 1.0 - x[0] * 2.0
    return outputs([expression], x[0], real)


# Entries of a row of a dense matrix; its rows are as many as make vectors of this many entries together.
RUN = 50
# Sizes of the stages; `features` gives what the cost model counts for them.
SMALL = {
    "sum": 4,
    "decoded": 64,
    "lowpass": 80,
    "filter": 1,
    "filter_element": 2,
    "filter_multiply": 2,
    "delay": 4,
    "table": 1,
    "table_element": 2,
    "noise": 2,
    "linear_row": 1,
    "linear_entry": 32,
    "linear_run": RUN * 16,
    "plain": 2,
    "curved": 2,
    "record": 4,
    "events": 4,
    "carried": 4,
}
# filter_multiply is the order of the filters, the same for all.


def features(size: dict[str, int], real: str, kind: int = ALL) -> dict[str, float]:
    """How often each cost of `STAGE_COSTS` occurs in a step with stages of these sizes."""
    before = size["decoded"] + size["carried"]
    first = size["lowpass"] + size["filter_element"] + size["delay"] + size["table_element"] + size["noise"]
    first += kind == ALL
    third = first + _rows(size, real) + size["plain"]
    functions = size["plain"] + size["curved"] if kind == ALL else 0
    later = third + third + size["curved"] if functions else 0
    return {
        "op": CALLS + (JOINS if functions else 0),
        "expression": EXPRESSIONS if functions else 0,
        "sum": _sums(size),
        "join": before + first + first + later,
        "carried": size["carried"],
        "decoded": size["decoded"],
        "lowpass": size["lowpass"],
        "filter": size["filter"],
        "filter_element": size["filter_element"],
        "filter_multiply": size["filter_element"] * size["filter_multiply"] ** 2,
        "delay": size["delay"],
        "table": size["table"],
        "table_element": size["table_element"],
        "noise": size["noise"],
        "linear_row": len(_panels(size, real)),
        "linear_entry": size["linear_entry"],
        "linear_run": size["linear_run"],
        "argument": 2 * functions,
        "arithmetic": ARITHMETIC * functions + (size["plain"] if functions else 0),
        "transcendental": size["curved"] + 1 if functions else 0,
        "output": functions + (kind == ALL),
        "record": size["record"],
        "events": size["events"],
    }


def _sums(size: dict[str, int]) -> int:
    """Partial sums: each number that is decoded, and each neuron whose spikes are recorded, has its own."""
    return max(size["sum"], size["decoded"], size["events"])


def arrays(size: dict[str, int], real: str) -> tuple[Arrays, Arrays]:
    """Constant arrays and state of the program for stages of these sizes."""
    random = np.random.default_rng(1)
    order, filters = size["filter_multiply"], size["filter"]
    each = np.full(filters, size["filter_element"] // filters)
    before = size["decoded"] + size["carried"]
    values = size["lowpass"] + int(each.sum()) + size["delay"] + size["table_element"] + size["noise"] + 1

    def places(count: int, limit: int) -> NDArray[np.int64]:
        return np.sort(random.integers(0, limit, count))

    coefficients = order * order + 2 * order + 1
    number = np.arange(filters)
    constant: Arrays = {
        # Places that models read follow each other, as a rule: vectors of them are loaded at once, in half
        # the time that it takes to gather them (decoding 0.5 ns instead of 0.95, filters 0.25, not 0.5).
        "rows": np.arange(size["decoded"]),
        "scale": np.full(size["decoded"], 2.0**-40),
        "decay": np.full(size["lowpass"], 0.8, real),
        "gain": np.full(size["lowpass"], 0.2, real),
        "source": np.arange(size["lowpass"]) % size["decoded"],
        "sources": places(int(each.sum()), before),
        "filters": np.stack(
            [number * 0 + order, each, number * order * each[0], number * coefficients, number * 0], 1
        ),
        "coefficients": np.full(filters * coefficients, 0.1 / order, real),
        "late": places(size["delay"], before),
        "lengths": np.full(size["delay"], 3),
        "samples": np.zeros(10 * size["table_element"], real),
        "starts": np.tile(np.arange(0, 1000, 100), size["table"]),
        "tables": _tables(size["table"], size["table_element"] // size["table"]),
        "columns": np.tile(np.arange(size["table_element"] // size["table"]), size["table"]),
        "noise": np.tile(np.array([[1.0, 0.0, 1.0]], real), (size["noise"], 1)),
        "keys": random.integers(0, 2**63, size["noise"]).astype(np.uint64),
        "values": np.full(size["linear_entry"] + size["linear_run"], 0.01, real),
        "terms": (np.arange(size["linear_entry"]) * 5 % 16).astype(np.int32),
        "panels": _panels(size, real),
        "order": np.arange(_rows(size, real), dtype=np.int32),
        "plain": places(2 * size["plain"], values + _rows(size, real)),
        "curved": places(2 * size["curved"], values + _rows(size, real)),
        "recorded_columns": values - 1 - np.arange(size["record"]) % values,
        "recorded_starts": np.array([0, size["record"]]),
        "every": np.array([1]),
        "event_sources": np.array([[0, size["events"], 2**40, 0, 0, size["events"]]]),
        "carried_places": places(size["carried"], values),
        "atoms": np.array([[0, 8, 1, 0, 0, 1, 0, 0, 0, -1, -1]]),
        "parameters": parameters(KIND)[None].astype(real),
        "encoders": np.full(8, 0.1, real),
        "bias": np.full(8, 0.1, real),
        "decoders": np.full(8, 0.1, real),
    }
    return constant, _state(size, real, order * int(each.sum()))


def _state(size: dict[str, int], real: str, filters: int) -> Arrays:
    return {
        "sums": np.zeros(_sums(size), np.int64),
        "carried": np.zeros(size["carried"], real),
        "value": np.zeros(size["lowpass"], real),
        "x": np.zeros(filters, real),
        "buffer": np.zeros(3 * size["delay"], real),
        "neurons": np.zeros((3, 8), real),
        "recorded": np.zeros((16, size["record"]), real),
        "events": np.zeros((2, 4 * size["events"] + 64), np.int64),
        "count": np.zeros(1, np.int64),
        "status": np.zeros(2, np.int64),
    }


def _panels(size: dict[str, int], real: str) -> NDArray[np.int64]:
    """Panels of whole vectors: of rows with entries anywhere, then of dense matrices."""
    lanes, few = BYTES // np.dtype(real).itemsize, size["linear_row"]
    each, dense = size["linear_entry"] // (few * lanes), size["linear_run"] // (RUN * lanes)
    table = [(each, lanes, k * each * lanes, k * each * lanes, k * lanes) for k in range(few)]
    for k in range(dense):
        table.append((RUN, lanes, size["linear_entry"] + k * RUN * lanes, ~0, (few + k) * lanes))
    return np.array(table, np.int64)


def _rows(size: dict[str, int], real: str) -> int:
    """Rows of the sparse product."""
    return len(_panels(size, real)) * (BYTES // np.dtype(real).itemsize)


def _tables(count: int, size: int) -> NDArray[np.int64]:
    number = np.arange(count)
    return np.stack(
        [number * 10, number * 0 + 10, number * 0, number * 10 * size, number * 0 + size, number * 0 + size],
        1,
    )
