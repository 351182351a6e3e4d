"""The compiled loop around a program's step.

The program gives one step as a PyTensor graph.  PyTensor compiles it in NUMBA mode with every state as a
mutable input, so that kernels work in place; around it goes a loop, also compiled, that holds no Python: a
step costs no call from Python, exchanges happen inside, and the interpreter is free meanwhile (nogil).
What a program works on is given by its address, in one table (see `addresses`), and never as a constant:
programs of one structure share one compiled function on disk, and all loops are called alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import accumulate
from types import ModuleType, SimpleNamespace
from typing import Any

import numba
import numpy as np
import pytensor
from numpy.typing import NDArray
from pytensor.compile.io import In, Out
from pytensor.compile.maker import FunctionMaker
from pytensor.compile.mode import NUMBA
from pytensor.graph.basic import Apply
from pytensor.link.numba.cache import compile_numba_function_src
from pytensor.link.numba.dispatch.basic import (
    cache_key_for_constant,
    numba_funcify_ensure_cache,
    numba_typify,
)
from spike_runtime.addresses import ENTRY, code_of, viewer
from spike_runtime.native import Code
from spike_runtime.ops import disk
from spike_runtime.ops.alone import alone
from spike_runtime.ops.calling import by_name, called, kinds_of, name_of, prepare
from spike_runtime.ops.kernel import KernelOp
from spike_runtime.progress import tell, told
from spike_runtime.status import FULL
from spike_runtime.table import arrays_of
from spike_runtime.version import source_version
from spike_runtime.wires.atomics import load_acquire, store_release
from spike_runtime.wires.layout import STOP

# Functions of signals must mean the same arithmetic in every program, whatever else is in it: no liberties
# for PyTensor's own loops, and no rewriting of formulas, which looks at who else reads a part of one.
pytensor.config.numba__fastmath = False
pytensor.config.floatX = "float64"
MODE = NUMBA.excluding("canonicalize", "stabilize", "specialize", "add_mul_fusion")

# (first step, number of steps, word of the progress, address of the table) -> steps done: fewer where the run
# was stopped, or a step left a status.
Loop = Callable[[int, int, int, int], int]
Arrays = dict[str, NDArray[Any]]


def compile_loop(
    program: ModuleType, constants: Arrays, state: Arrays, segment: NDArray[np.int64]
) -> tuple[Loop, list[NDArray[Any]]]:
    """The compiled loop over the program's step, and the arrays that its table must hold."""
    clock = pytensor.tensor.TensorType("int64", ())("n")
    a = {name: _variable(name, value) for name, value in sorted(constants.items())}
    s = {name: _variable(name, value) for name, value in sorted({**state, "segment": segment}.items())}
    updates = program.step(clock, SimpleNamespace(**a), SimpleNamespace(**s))
    names = [name for name, variable in s.items() if variable in updates]
    inputs = [
        In(clock),
        *(In(v, borrow=True) for v in a.values()),
        *(In(v, mutable=True, borrow=True) for v in s.values()),
    ]
    outputs = [Out(updates[s[name]], borrow=True) for name in names]
    fgraph = FunctionMaker(inputs, outputs, MODE, accept_inplace=True, on_unused_input="ignore").fgraph
    arguments = arrays_of(constants, state, segment)
    offset = 1 + len(a)
    positions = [offset + list(s).index(name) for name in names]
    copies = [
        (k, position)
        for k, position in enumerate(positions)
        if not _in_place(fgraph.outputs[k], fgraph.inputs[position])
    ]
    words = {"status": offset + list(s).index("status"), "segment": offset + list(s).index("segment")}
    return _loop(fgraph, copies, arguments, **words), arguments


def _variable(name: str, value: NDArray[Any]) -> Any:
    return pytensor.tensor.TensorType(value.dtype.name, (None,) * value.ndim)(name)


def _in_place(output: Any, source: Any) -> bool:
    """Whether `output` is computed in the memory of input `source`, through Ops that work in place."""
    variable = output
    while variable.owner is not None:
        node = variable.owner
        destroyed = (node.op.destroy_map or {}).get(node.outputs.index(variable))
        if not destroyed:
            return False
        variable = node.inputs[destroyed[0]]
    return variable is source


def _loop(
    fgraph: Any, copies: list[tuple[int, int]], arguments: Sequence[NDArray[Any]], status: int, segment: int
) -> Loop:
    """def loop(...): run the step for every number, copy what is not in place, watch status and stop."""
    places = [0, *accumulate(1 + array.ndim for array in arguments)]
    step = _Step(fgraph, places)
    names = {"__name__": __name__, "load_acquire": load_acquire, "store_release": store_release, **step.space}
    copied = [(position, step.name(fgraph.outputs[k])) for k, position in copies]
    views = []
    for k in sorted(step.viewed | {0, status, segment} | {position for position, _ in copied}):
        view = f"view_{arguments[k].dtype.name}_{arguments[k].ndim}"
        names[view] = viewer(arguments[k].dtype.name, arguments[k].ndim)
        views.append(f"    x{k} = {view}(table, {places[k]})")
    source = f"""
def loop(first, count, progress, table):
{chr(10).join(views)}
    for i in range(count):
        if load_acquire(x{segment}, {STOP}) != 0:
            return i
        x0[()] = first + i
{chr(10).join(f"        {line}" for line in step.lines)}
{chr(10).join(f"        x{position}[:] = {name}" for position, name in copied)}
        if x{status}[0] != 0:
            return i + (x{status}[0] == {FULL})
        store_release(x{segment}, progress, first + i)
    return count
"""
    key = f"{source}{step.keys}{source_version()}"
    digest = None if None in step.keys else hashlib.sha256(key.encode()).hexdigest()
    function = compile_numba_function_src(source, "loop", names)
    kept = digest is not None and disk.keep(function, digest)
    with alone(f"spike-{digest}") if kept else nullcontext():
        compiled: Loop = numba.njit(ENTRY, nogil=True, cache=kept, error_model="numpy")(function)
    return compiled


def codes_of(loop: Any) -> list[Code]:
    """The machine code of the kernels that a compiled loop calls, and its own, as it lies on disk; nothing
    where some does not, or cannot be looked into.
    """
    own = code_of(loop, ENTRY)
    if own is None:
        return []
    kernels = [code_of(machine, kinds, name) for name in own.needs for machine, kinds in by_name(name)]
    found = [code for code in (*kernels, own) if code]
    return found if len(found) == 1 + len(kernels) else []


class _Step:
    """The nodes of a step as lines of Python: kernels by name, PyTensor's own Ops as PyTensor has them.

    Kernels are given the places of arrays in the table; `viewed` are those that others need as variables.
    What an Op computes in place is the input whose memory it takes.
    """

    def __init__(self, fgraph: Any, places: Sequence[int]) -> None:
        self.lines: list[str] = []
        self.space: dict[str, Any] = {}
        self.keys: list[str | None] = []
        self.viewed: set[int] = set()
        self._places = places
        self._inputs = {v: k for k, v in enumerate(fgraph.inputs)}
        self._names: dict[Any, str] = {}
        nodes = fgraph.toposort()
        kernels = [(node.op, kinds_of(node)) for node in nodes if isinstance(node.op, KernelOp)]
        prepare(told(kernels))
        tell(len(kernels), len(kernels))
        for k, node in enumerate(nodes):
            self._add(f"op{k}", node)

    def name(self, variable: Any) -> str:
        """The name of an array."""
        if variable in self._inputs:
            self.viewed.add(self._inputs[variable])
            return f"x{self._inputs[variable]}"
        if variable not in self._names:
            self._constant(variable)
        return self._names[variable]

    def _add(self, name: str, node: Apply) -> None:
        taken = {}
        if isinstance(node.op, KernelOp):
            kinds, taken = kinds_of(node), node.op.destroy_map
            self.space[name], key = called(node.op, kinds), name_of(node.op, kinds)
            given = ["table", *(self._place(v) for v in node.inputs)]
        else:
            self.space[name], key = numba_funcify_ensure_cache(node.op, node=node)
            given = [self.name(v) for v in node.inputs]
        self.keys.append(key)
        new = []
        for k, variable in enumerate(node.outputs):
            if k in taken:
                self._is_in_place(variable, node.inputs[taken[k][0]])
            else:
                self._names[variable] = f"y{len(self._names)}"
                new.append(self._names[variable])
        call = f"{name}({', '.join(given)})"
        self.lines.append(f"{', '.join(new)} = {call}" if new else call)

    def _place(self, variable: Any) -> str:
        """The place of an array in the table, the name of one that is not there."""
        known = self._inputs.get(variable)
        return self.name(variable) if known is None else str(self._places[known])

    def _is_in_place(self, variable: Any, source: Any) -> None:
        if source in self._inputs:
            self._inputs[variable] = self._inputs[source]
        else:
            self._names[variable] = self._names[source]

    def _constant(self, variable: Any) -> None:
        self._names[variable] = f"c{len(self._names)}"
        self.space[self._names[variable]] = numba_typify(variable.data, variable=variable)
        self.keys.append(cache_key_for_constant(variable.data))
