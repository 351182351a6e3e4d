"""Sparse transforms: entries by their places, and convolutions, which are sparse matrices too."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikec.errors import Span
from spikec.graph import Array, Distribution
from spikec.language import vocabulary as v
from spikec.language.signatures import Parameter, bind, text_of
from spikec.language.values import Entry, Mistake, Record, Value
from spikec.records import dataclass

if TYPE_CHECKING:
    import scipy.sparse as sp

Ints = NDArray[np.int64]

_SPARSE = (Parameter("entries", kind="matrix", required=True), Parameter("values", kind="any"))
_CONVOLUTION = (
    Parameter("filters", required=True, least=1.0),
    Parameter("input_shape", kind="vector", required=True),
    Parameter("kernel_size", kind="vector"),
    Parameter("strides", kind="vector"),
    Parameter("padding", kind="any"),
    Parameter("channels_last"),
    Parameter("groups", least=1.0),
    Parameter("kernel", kind="any"),
)
TRANSFORMS = {"sparse": _SPARSE, "convolution": _CONVOLUTION, "convolution_transpose": _CONVOLUTION}


@dataclass(frozen=True, eq=False)
class Sparse:
    """Entries at (rows, columns); `values` are numbers, or drawn."""

    rows: Ints
    columns: Ints
    values: Array | Distribution

    @property
    def drawn(self) -> tuple[int, int]:
        """Shape of what is drawn."""
        return len(self.rows), 1

    def matrix(self, shape: tuple[int, int], values: Array) -> sp.csr_array:
        """A matrix of that shape; equal places add."""
        import scipy.sparse as sp

        return sp.csr_array(sp.coo_array((values.ravel(), (self.rows, self.columns)), shape=shape))


@dataclass(frozen=True, eq=False)
class Convolution:
    """`kernel`: (places of the kernel x channels of a group) x filters, numbers or drawn, C order.

        y[p, f] = sum over k, c of kernel[k, c, f] x[p * strides + k - before, c]

    "valid": only where the kernel lies inside; "same": ceil(size / stride) places.  Transposed: x and y
    change their places, and so do channels and filters.
    """

    shape: tuple[int, ...]
    channels: int
    filters: int
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    same: bool
    channels_last: bool
    groups: int
    transposed: bool
    kernel: Array | Distribution

    @property
    def values(self) -> Array | Distribution:
        return self.kernel

    @property
    def drawn(self) -> tuple[int, int]:
        return math.prod(self.kernel_size) * (self.channels // self.groups), self.filters

    @property
    def out_shape(self) -> tuple[int, ...]:
        sizes = zip(self.shape, self.kernel_size, self.strides, strict=True)
        if self.transposed:
            return tuple((n - 1) * s + (1 if self.same else k) for n, k, s in sizes)
        return tuple(-(-(n if self.same else n - k + 1) // s) for n, k, s in sizes)

    @property
    def size_in(self) -> int:
        return math.prod(self.shape) * self.channels

    @property
    def size_out(self) -> int:
        return math.prod(self.out_shape) * self.filters

    @property
    def entries(self) -> int:
        """The most entries that its matrix can have."""
        small = self.shape if self.transposed else self.out_shape
        return math.prod(small) * self.drawn[0] * self.filters

    def matrix(self, shape: tuple[int, int], values: Array) -> sp.csr_array:
        """The matrix, size_out x size_in."""
        import scipy.sparse as sp

        large, small = (self.out_shape, self.shape) if self.transposed else (self.shape, self.out_shape)
        places, kernel, inputs = self._pairs(large, small)
        group_in, group_out = self.channels // self.groups, self.filters // self.groups
        c, f = np.meshgrid(np.arange(self.channels), np.arange(self.filters), indexing="ij")
        together = c // group_in == f // group_out
        c, f = c[together], f[together]
        entry = values[(kernel[:, None] * group_in + c % group_in), f]
        ends = (inputs, places) if self.transposed else (places, inputs)
        rows = self._index(ends[0], f, self.filters, math.prod(self.out_shape))
        columns = self._index(ends[1], c, self.channels, math.prod(self.shape))
        made = sp.coo_array((entry.ravel(), (rows.ravel(), columns.ravel())), shape=shape)
        return sp.csr_array(made)

    def _index(self, places: Ints, channel: Ints, channels: int, count: int) -> Ints:
        if self.channels_last:
            return np.asarray(places[:, None] * channels + channel)
        return np.asarray(channel * count + places[:, None])

    def _pairs(self, large: tuple[int, ...], small: tuple[int, ...]) -> tuple[Ints, Ints, Ints]:
        """(place of the small end, place in the kernel, place of the large end) of all that meet."""
        p = np.stack(np.unravel_index(np.arange(math.prod(small)), small), axis=-1)
        k = np.stack(np.unravel_index(np.arange(math.prod(self.kernel_size)), self.kernel_size), axis=-1)
        before = np.zeros(len(large), np.int64)
        if self.same:
            sizes = zip(large, small, self.kernel_size, self.strides, strict=True)
            before = np.array([max((m - 1) * s + w - n, 0) // 2 for n, m, w, s in sizes])
        at = p[:, None] * np.array(self.strides) + k - before
        inside = ((at >= 0) & (at < np.array(large))).all(axis=-1)
        first, second = np.nonzero(inside)
        return first, second, np.ravel_multi_index(tuple(at[inside].T), large)


def transform(record: Record) -> Sparse | Convolution:
    """What a record of `TRANSFORMS` stands for.  Raises `Mistake`."""
    given = bind(record, TRANSFORMS[record.name])
    return _sparse(given, record) if record.name == "sparse" else _convolution(given, record)


def _sparse(given: dict[str, Any], record: Record) -> Sparse:
    entries, values = np.atleast_2d(given["entries"]), given.get("values")
    wanted = 3 if values is None else 2
    if entries.ndim != 2 or entries.shape[1] != wanted:
        names = "row, column" + ", value" * (wanted == 3)
        raise Mistake(
            f"entries of sparse have {entries.shape[-1]} column(s), not {wanted}",
            record.span,
            f"give {names}",
        )
    places = entries[:, :2]
    if (places != np.floor(places)).any() or (places < 0).any():
        raise Mistake("rows and columns of entries are whole numbers from 0 on", record.span, "count from 0")
    rows, columns = places.astype(np.int64).T
    if values is None:
        return Sparse(rows, columns, entries[:, 2].copy())
    found = _numbers(values, "values of sparse")
    if isinstance(found, np.ndarray):
        found = np.broadcast_to(found.ravel(), len(rows)) if found.size == 1 else found.ravel()
        if len(found) != len(rows):
            raise Mistake(f"{len(found)} values for {len(rows)} entries", values.span, "give one for each")
    return Sparse(rows, columns, found)


def _numbers(entry: Entry, what: str) -> Array | Distribution:
    if isinstance(entry.value, Value) and not entry.value.symbolic:
        return np.asarray(entry.value.array, np.float64)
    return v.distribution(entry.value, entry.span, what)


def _convolution(given: dict[str, Any], record: Record) -> Convolution:
    shape = _sizes(given["input_shape"], 0, "input_shape", record.span)
    last = bool(given.get("channels_last", 1.0))
    if len(shape) < 2:
        raise Mistake("input_shape holds sizes and channels", record.span, "write input_shape=[28, 28, 1]")
    places, channels = (shape[:-1], shape[-1]) if last else (shape[1:], shape[0])
    kernel_size = _sizes(given.get("kernel_size", np.array([3])), len(places), "kernel_size", record.span)
    strides = _sizes(given.get("strides", np.array([1])), len(places), "strides", record.span)
    padding = text_of(given["padding"].value) if "padding" in given else "valid"
    if padding not in ("valid", "same"):
        raise Mistake("the padding of a convolution is a word in quotes", record.span, 'write padding="same"')
    filters, groups = (int(given.get(name, 1.0)) for name in ("filters", "groups"))
    if channels % groups or filters % groups:
        what = f"{groups} groups do not divide {channels} channels and {filters} filters"
        raise Mistake(what, record.span, "give a number of groups that divides both")
    kernel: Array | Distribution = Distribution("uniform", (-1.0, 1.0))
    if "kernel" in given:
        kernel = _numbers(given["kernel"], "the kernel")
    made = Convolution(
        places, channels, filters, kernel_size, strides, padding == "same", last, groups,
        record.name == "convolution_transpose", kernel,
    )  # fmt: skip
    if min(made.out_shape) < 1:
        raise Mistake("the kernel is larger than the input", record.span, 'write padding="same"')
    if made.transposed and groups > 1:
        raise Mistake("a transposed convolution has one group", record.span, "leave groups out")
    if isinstance(kernel, np.ndarray) and kernel.shape != made.drawn:
        wanted, have = " x ".join(map(str, made.drawn)), " x ".join(map(str, kernel.shape))
        hint = f"give a matrix of shape {wanted}: places of the kernel and channels, by filters"
        raise Mistake(f"the kernel has shape {have}, not {wanted}", record.span, hint)
    return made


def _sizes(given: Array, count: int, name: str, span: Span) -> tuple[int, ...]:
    """Whole numbers of at least 1, `count` of them (0: any number); one stands for all."""
    if (given != np.floor(given)).any() or (given < 1).any():
        raise Mistake(f"{name} holds whole numbers of at least 1", span, f"write {name}=[3, 3]")
    if count and len(given) not in (1, count):
        raise Mistake(f"{name} has {len(given)} numbers for {count} dimension(s)", span, "give one for each")
    sizes = tuple(int(n) for n in given)
    return sizes * count if count and len(sizes) == 1 else sizes
