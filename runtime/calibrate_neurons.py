"""What neurons cost: the kernels of all kinds over atoms of several shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from spike_runtime import memory
from spike_runtime.calibrate_timing import Stopwatch, fit
from spike_runtime.ops import simd
from spike_runtime.ops.calling import prepare
from spike_runtime.ops.converted import is_random
from spike_runtime.ops.kernel import machine_code
from spike_runtime.ops.neurons import Neurons

KINDS = (
    "lif",
    "adaptive_lif",
    "spiking_rectified_linear",
    "rectified_linear",
    "lif_rate",
    "adaptive_lif_rate",
    "izhikevich",
    "regular_spiking_lif_rate",
    "stochastic_spiking_lif_rate",
    "poisson_spiking_lif_rate",
    "sigmoid",
    "tanh",
)
DT, TAU_RC, TAU_REF = 1e-3, 0.02, 0.002
CACHED_BYTES = 300_000
# Beyond a core's own cache, where that is half as large or less: in one that cores share, and in memory.
FAR_BYTES = (1_500_000, 3_000_000, 6_000_000, 12_000_000, 24_000_000)
# As the compiler's cost model has it: part of a cache that holds arrays, and bytes that come at a time.
HELD, LINE = 0.9, 64
# Steps after which a cache that cores share has all that fits it again: of 9 to 12 MB, on an AMD EPYC (Zen
# 3), the second step takes twice as long as the tenth.
SETTLED = 8


@dataclass(frozen=True)
class Shape:
    """Atoms of `count` neurons: dimensions, decoded rows, rate in Hz, whether rows are gathered, activity
    is summed.
    """

    count: int
    dims: int = 1
    rows: int = 1
    rate: float = 80.0
    gather: bool = False
    activity: bool = False

    def features(self, atoms: int, real: str) -> dict[str, float]:
        """How often each cost of neurons occurs (as the compiler's cost model counts it)."""
        neurons = atoms * (self.count + -self.count % simd.lanes(np.dtype(real).type))
        gathered = atoms * self.count * self.rows * self.rate * DT if self.gather else 0.0
        return {
            "atom": atoms,
            "rest": atoms if neurons > atoms * self.count else 0,
            "neuron": neurons,
            "dimension": neurons * self.dims,
            "input": atoms * self.dims,
            "row": 0.0 if self.gather else neurons * self.rows,
            "sum": atoms * self.rows,
            "scan": neurons if self.gather else 0.0,
            "gathered": gathered,
            "activity": neurons if self.activity else 0.0,
        }

    def bytes(self, itemsize: int) -> float:
        """Bytes of an atom: encoders, decoders, a number of state, and the bias."""
        return self.count * itemsize * (self.dims + self.rows + 2)

    def walk(self, itemsize: int) -> dict[str, float]:
        """Bytes of an atom that a step walks through, and of rows side by side among them."""
        row = self.count * itemsize
        gathered = self.count * self.rate * DT * (-(-self.rows * itemsize // LINE) * LINE)
        decoders = gathered if self.gather else self.rows * row
        beside = (self.dims - 1) * row + (gathered if self.gather else (self.rows - 1) * row)
        return {"byte": (self.dims + 2) * row + decoders, "row": beside}


SHAPES = (
    Shape(16),
    Shape(50),
    Shape(64),
    Shape(100),
    Shape(200),
    Shape(256),
    Shape(256, 4),
    Shape(256, 16),
    Shape(100, 2, 2),
    Shape(200, 1, 2),
    Shape(256, 3, 3),
    Shape(200, 4, 4),
    Shape(64, 8, 8),
    Shape(256, 1, 8),
    Shape(100, 4, 4),
    Shape(256, 8, 8),
    Shape(100, 16),
    Shape(100, 1, 12),
    Shape(256, 16, 16, gather=True),
    Shape(256, 1, 16, 20.0, gather=True),
    Shape(256, 8, 8, 160.0, gather=True),
    Shape(256, 1, 64, gather=True),
    Shape(100, 1, 32, 200.0, gather=True),
    Shape(256, 1, 32, 200.0, gather=True),
    Shape(256, activity=True),
    Shape(50, activity=True),
)
OTHER_SHAPES = (Shape(32), Shape(100), Shape(256))
FAR_SHAPES = (Shape(256), Shape(256, 3, 3), Shape(256, 8, 8), Shape(256, 8, 8, 160.0, gather=True))


def measure(
    real: str,
    watch: Stopwatch,
    cache: int,
    kinds: Sequence[str] = KINDS,
    lif: Mapping[str, float] | None = None,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(kind, costs) of some kinds of neurons in precision `real`.

    Where the costs of `lif` are not known, also those; last ("far", {"far": ...}): for arrays of some
    sizes, what bytes cost that a core with a `cache` of so many does not hold, as (bytes of the arrays, ns
    per byte, ns more per byte of rows side by side).
    """
    costs = dict(lif or _fitted("lif", real, SHAPES, {}, watch))
    yield "lif", costs
    shared = {name: cost for name, cost in costs.items() if name not in ("atom", "neuron")}
    for kind in kinds:
        if kind != "lif":
            yield kind, shared | _fitted(kind, real, OTHER_SHAPES, shared, watch)
    if not lif:
        sizes = [size for size in FAR_BYTES if size >= 2 * cache] or [*FAR_BYTES[-1:]]
        yield "far", {"far": [[size, *_far(real, size, cache, watch)] for size in sizes]}


def _far(real: str, size: int, cache: int, watch: Stopwatch) -> tuple[float, float]:
    """What a byte of arrays of so many costs more than in the cache, and one of rows side by side besides."""
    itemsize, kinds = np.dtype(real).itemsize, len(FAR_SHAPES)
    shapes = FAR_SHAPES + FAR_SHAPES
    sizes = [CACHED_BYTES] * kinds + [size] * kinds
    counts = [round(held / shape.bytes(itemsize)) for shape, held in zip(shapes, sizes, strict=True)]
    times = _times("lif", real, shapes, counts, watch, SETTLED)
    atom = [time / n for time, n in zip(times, counts, strict=True)]
    missing = 1.0 - HELD * cache / size
    rows = [
        {"near": near} | {name: missing * count for name, count in shape.walk(itemsize).items()}
        for shape, near in zip(FAR_SHAPES, atom, strict=False)
    ]
    more = fit(rows, atom[kinds:], {"near": 1.0})
    return more["byte"], more["row"]


def _fitted(
    kind: str, real: str, shapes: tuple[Shape, ...], known: dict[str, float], watch: Stopwatch
) -> dict[str, float]:
    itemsize = np.dtype(real).itemsize
    counts = [max(4, round(CACHED_BYTES / shape.bytes(itemsize))) for shape in shapes]
    _compile(kind, real)
    times = _times(kind, real, shapes, counts, watch)
    return fit([shape.features(n, real) for shape, n in zip(shapes, counts, strict=True)], times, known)


def _times(
    kind: str,
    real: str,
    shapes: Sequence[Shape],
    counts: Sequence[int],
    watch: Stopwatch,
    warm: int = 1,
) -> list[float]:
    """ns of one step of so many atoms of each shape, less those of a call for none: programs make no calls
    from Python.
    """
    calls = [_steps(kind, real, shape, n) for shape, n in zip(shapes, counts, strict=True)]
    call, *times = watch.fastest([_steps(kind, real, shapes[0], 0), *calls], warm=warm)
    return [time - call for time in times]


def _compile(kind: str, real: str) -> None:
    """Have the kernel compiled, for the arrays that programs give it."""
    arrays = map(np.asarray, _arguments(kind, real, SHAPES[0], 1))
    prepare([(Neurons(kind, real), tuple((a.dtype.name, a.ndim) for a in arrays))])


def _steps(kind: str, real: str, shape: Shape, atoms: int) -> Callable[[int], None]:
    kernel, arguments = machine_code(Neurons(kind, real)), _arguments(kind, real, shape, atoms)

    def steps(repetitions: int) -> None:
        for _ in range(repetitions):
            kernel(*arguments)

    return steps


def _arguments(kind: str, real: str, shape: Shape, atoms: int) -> tuple[Any, ...]:
    """Arguments of the kernel: every neuron fires at the rate of the shape, at any phase."""
    random = np.random.default_rng(1)
    count, dims, rows = shape.count, shape.dims, shape.rows
    neurons, number = atoms * count, np.arange(atoms)
    table = np.zeros((atoms, 11), np.int64)
    table[:, 0], table[:, 1], table[:, 2], table[:, 4] = number * count, count, dims, number * count * dims
    table[:, 5], table[:, 6], table[:, 7] = rows, number * count * rows, number * rows
    table[:, 8], table[:, 9] = shape.gather, -1
    table[:, 10] = atoms * rows + number * count if shape.activity else -1
    state = np.zeros((3, neurons), real)
    state[0] = random.uniform(0.0, 1.0, neurons)
    random_kind = (np.arange(atoms, dtype=np.uint64),) if is_random(kind) else ()
    # Aligned, as in a run.
    arguments = (
        np.zeros(dims, real),
        np.zeros(atoms * rows + neurons * shape.activity, np.int64),
        state,
        np.zeros(2, np.int64),
        table,
        np.tile(parameters(kind), (atoms, 1)).astype(real),
        random.uniform(-0.1, 0.1, neurons * dims).astype(real),
        np.full(neurons, _current(kind, shape.rate), real),
        random.uniform(-1e3, 1e3, neurons * rows).astype(real),
    )
    return (*map(memory.aligned, arguments), np.array(1), *random_kind)


def parameters(kind: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Parameters of an atom of this kind."""
    if kind in ("sigmoid", "tanh"):
        return np.array([1.0, DT, TAU_REF])
    if kind == "izhikevich":
        return np.array([1.0, DT, 0.02, 0.2, -65.0, 8.0])
    if kind.endswith("lif_rate"):
        return np.array([1.0, DT, TAU_RC, TAU_REF, 1.0, 1.0, 0.0])
    if kind == "rectified_linear":
        return np.array([1.0, DT, 1.0])
    if kind in ("lif", "adaptive_lif"):
        step = -np.expm1(-DT / TAU_RC)
        rest = (-round(TAU_REF / DT) * step, 1.0)
        return np.array([1.0, DT, step, *rest, *rest, 0.0, 1.0, 0.0])
    return np.array([1.0, DT])


def _current(kind: str, rate: float) -> float:
    """Current at which a neuron has about this rate in Hz."""
    if kind == "spiking_rectified_linear":
        return rate
    if kind == "izhikevich":
        return 20.0
    if kind in ("sigmoid", "tanh", "rectified_linear"):
        return 0.5
    return float(1.0 / (1.0 - np.exp((TAU_REF - 1.0 / rate) / TAU_RC)))
