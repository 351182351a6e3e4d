"""The compiled steps of `fake_engine`."""

from __future__ import annotations

import numba as nb
from spike_runtime import native
from spike_runtime.addresses import ENTRY, address_of, code_of, viewer
from spike_runtime.ops import disk
from spike_runtime.wires import ring
from spike_runtime.wires.layout import STOP

words, table_of = viewer("int64", 1), viewer("int64", 2)


def steps(first: int, count: int, _progress: int, table: int) -> int:
    segment, out, into = words(table, 0), table_of(table, 2), table_of(table, 5)
    rows, sums, totals = words(table, 8), words(table, 10), words(table, 12)
    about, log = words(table, 14), table_of(table, 16)
    for k in range(count):
        n = first + k
        totals[:] = 0
        if segment[STOP] != 0 or ring.collect(segment, into, rows, totals, n - 1) < 0:
            return k
        for i in range(len(sums)):
            sums[i] = (n * (i + 3) + 17 * about[0]) % 1001
        if about[1] == 0 and ring.publish(segment, out, rows, sums, n) < 0:
            return k
        log[n % len(log), 0] = totals.sum()
        log[n % len(log), 1:] = sums
    return count


def compile_and_keep(key: str) -> int:
    """The address of the steps, which are kept on disk by `key`."""
    kept = disk.keep(steps, key)
    compiled = nb.njit(ENTRY, nogil=True, cache=kept)(steps)
    if kept and (code := code_of(compiled, ENTRY)):
        native.keep(key, [code])
    return address_of(compiled)
