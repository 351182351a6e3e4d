"""Small arrays in memory that goes back, and what a compilation takes of it."""

from __future__ import annotations

import tracemalloc
import weakref
from pathlib import Path

import numpy as np

from spikec import frontend, pipeline
from spikec import graph as g
from spikec.store import BLOCK, Store

RING = """
model ring
param count = 4
input u(t) = sin(t)
array a(100, count=count)
connect u -> a[0]
connect a -> a[[(i + 1) % count for i in 0..count]] transform 0.5 synapse 5ms
probe a[0] synapse 30ms as first
"""


def test_arrays_are_apart() -> None:
    store = Store()
    made = [store.array((3, k), "float32") for k in (5, 0, 7)] + [store.array((2 * BLOCK,), np.uint8)]
    for k, array in enumerate(made):
        assert not array.any()
        array[...] = k + 1
    assert [array.shape for array in made] == [(3, 5), (3, 0), (3, 7), (2 * BLOCK,)]
    assert all((array == k + 1).all() for k, array in enumerate(made))
    assert all(array.ctypes.data % 16 == 0 for array in made)


def test_a_block_goes_with_its_last_array() -> None:
    store = Store()
    first, second = store.array((100,), np.float64), store.array((100,), np.float64)
    block = weakref.ref(first.base)
    assert second.base is first.base
    rest = store.array((BLOCK,), np.uint8)  # in another one
    del first
    assert block() is not None
    del second
    assert block() is None
    rest[:] = 1


def _compiled(folder: Path, count: int, keep: bool) -> tuple[dict[str, bytes], g.Graph]:
    """The files of a compiled ring, and the graph after the last pass."""
    seen = []

    def look(stage: str, made: object) -> bool:
        if stage == "split":
            seen.append(made)
        return True

    options = pipeline.Options(cache=False, jobs=1, host_profile="reference")
    graph = frontend.loads(RING, "ring.spk", parameters={"count": count})
    pipeline.compile_graph(graph, folder, options, None, look, None, keep)
    files = {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}
    assert isinstance(seen[0], g.Graph)
    return files, seen[0]


def test_numbers_of_atoms_go_where_nobody_needs_them(tmp_path: Path) -> None:
    kept, graph = _compiled(tmp_path / "kept", 3, True)
    freed, bare = _compiled(tmp_path / "freed", 3, False)
    assert kept == freed
    assert [op.numbers.shape for _, op in graph.nodes(g.Atom)] == [(3, 100)] * 3
    assert [op.numbers.shape for _, op in bare.nodes(g.Atom)] == [(0, 100)] * 3


def _peak(folder: Path, count: int) -> tuple[int, int]:
    """Bytes of objects at the peak of a compilation, without numbers in stores, and bytes of its arrays."""
    tracemalloc.start()
    graph = frontend.loads(RING, "ring.spk", parameters={"count": count})
    options = pipeline.Options(cache=False, jobs=1, host_profile="reference")
    pipeline.compile_graph(graph, folder, options, keep=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, sum(file.stat().st_size for file in folder.rglob("*.npy"))


def test_objects_of_many_ensembles_take_few_times_their_arrays(tmp_path: Path) -> None:
    """Each of 100 neurons: five operators, with 1.4 kB of arrays."""
    _peak(tmp_path / "first", 4)  # what is made once
    (few, less), (many, more) = (_peak(tmp_path / str(count), count) for count in (200, 1000))
    assert (many - few) / (more - less) < 2.6
