"""Passes: what each does to a graph, what it declines, and that the meaning stays."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp

from spikec import frontend
from spikec import graph as g
from spikec.expressions import Call, Component, Number, Time, identity
from spikec.nef.build import build
from spikec.passes.advance import advance
from spikec.passes.drop import drop, unobserved
from spikec.passes.fold import fold
from spikec.passes.narrow import narrow
from spikec.passes.share import share
from spikec.passes.split import split
from spikec.sparse import shared
from spikec.verify import verify

REALS = ("float64", "float32")
LOWPASS = {"num": (1.0,), "den": (0.005, 1.0)}


def empty() -> g.Graph:
    return g.Graph("test", 1e-3, 0)


def wire(graph: g.Graph, *names: str) -> None:
    """Connect a chain of nodes on their usual ports."""
    for source, target in pairwise(names):
        graph.connect(source, target)


def kinds(graph: g.Graph) -> dict[str, int]:
    found: dict[str, int] = {}
    for _, op in graph.nodes():
        found[type(op).__name__] = found.get(type(op).__name__, 0) + 1
    return found


def probed(graph: g.Graph, name: str, source: str) -> None:
    graph.add(name, g.Probe(size=graph.op(source).size, name=name))
    graph.connect(source, name)


# ------------------------------------------------------------------------------------------------ share


def test_share_merges_chains_of_equal_operators() -> None:
    graph = empty()
    graph.add("u", g.TimeFunction(size=1, expressions=(Time(),)))
    for k in range(3):
        graph.add(f"f{k}", g.Filter(size=1, **LOWPASS))
        graph.add(f"p{k}", g.Product(size=2, matrix=np.array([[1.0], [2.0]])))
        wire(graph, "u", f"f{k}", f"p{k}")
        probed(graph, f"out{k}", f"p{k}")
    shared = verify(share(verify(graph)))
    assert kinds(shared) == {"TimeFunction": 1, "Filter": 1, "Product": 1, "Probe": 3}
    assert [shared.inputs(f"out{k}") for k in range(3)] == [["p0"]] * 3
    assert kinds(graph)["Filter"] == 3, "a pass leaves its argument alone"


@pytest.mark.parametrize(
    "other",
    [
        g.Filter(size=1, num=(1.0,), den=(0.006, 1.0)),
        g.Filter(size=1, num=(1.0,), den=(0.005, 1.0), analog=False),
        g.Delay(size=1, steps=1),
    ],
)
def test_share_keeps_what_differs(other: g.Operator) -> None:
    graph = empty()
    graph.add("u", g.TimeFunction(size=1, expressions=(Time(),)))
    graph.add("a", g.Filter(size=1, **LOWPASS))
    graph.add("b", other)
    for name in "ab":
        wire(graph, "u", name)
        probed(graph, f"out {name}", name)
    assert len(share(graph).nx) == len(graph.nx)


def test_share_decodes_once_for_equal_functions() -> None:
    graph = frontend.loads(
        "model m\nensemble a(50)\nensemble b(50)\nensemble c(50)\n"
        "connect a -> b via x[0]*x[0]\nconnect a -> c via x[0]*x[0] transform 2\nprobe b\nprobe c\n"
    )
    squares = [op for _, op in share(graph).nodes(g.Decoding) if op.expressions != identity(1)]
    assert len(squares) == 1


# ------------------------------------------------------------------------------------------------- drop


def test_drop_removes_what_no_probe_depends_on() -> None:
    graph = frontend.loads(
        "model m\nensemble a(50)\nensemble b(60)\nensemble c(70)\nconnect a -> b\nconnect b -> c\nprobe b\n"
    )
    kept = verify(drop(graph))
    assert [op.path for _, op in kept.nodes(g.Ensemble)] == ["a", "b"]
    assert unobserved(graph) == ["c"]


def filtered_sum(graph: g.Graph) -> None:
    """a + b + c into `s` through filters and relays of one term, the filter of b equal to one made before."""
    for name in "abc":
        graph.add(name, g.TimeFunction(size=1, expressions=(Call("+", (Time(), Number(ord(name)))),)))
    graph.add("first", g.Filter(size=1, num=(1.0,), den=(0.01, 1.0)))
    wire(graph, "b", "first")
    probed(graph, "other", "first")
    graph.add("s", g.Sum(size=1))
    for name in "abc":
        graph.add(f"{name}.filter", g.Filter(size=1, num=(1.0,), den=(0.01, 1.0)))
        graph.add(f"{name}.relay", g.Sum(size=1))
        wire(graph, name, f"{name}.filter", f"{name}.relay", "s")
    probed(graph, "out", "s")


def test_terms_stay_in_their_order() -> None:
    """What stands for a term of a sum is added where the term was: rounding does not depend on sharing."""
    graph = empty()
    filtered_sum(graph)
    shared = verify(share(graph))
    assert shared.inputs("s") == ["a.relay", "b.relay", "c.relay"]
    folded = verify(fold(shared))
    assert folded.inputs("s") == ["a.filter", "first", "c.filter"]
    assert verify(share(fold(graph))).inputs("s") == ["a.filter", "first", "c.filter"]


# ------------------------------------------------------------------------------------------------- fold


def test_fold_passes_a_sum_of_one_term_only_where_pieces_may_be_read() -> None:
    """A filter reads what neurons decode itself; neurons read it by a sum, in one piece."""
    graph = frontend.loads(
        "ensemble a(50)\nensemble b(50)\nrelay r\nconnect a -> r synapse none\nconnect r -> b synapse none\n"
        "connect r -> a synapse 5ms\nprobe b\n"
    )
    folded = verify(fold(drop(graph)))
    assert folded.inputs("r->a.filter") == ["a->r.decode"]
    assert isinstance(folded.op(folded.inputs("b")[0]), g.Sum)


def test_fold_computes_constants() -> None:
    graph = empty()
    graph.add("u", g.TimeFunction(size=2, expressions=(Number(2.0), Call("*", (Number(3.0), Number(4.0))))))
    graph.add("p", g.Product(size=1, matrix=np.array([[1.0, 0.5]])))
    wire(graph, "u", "p")
    probed(graph, "out", "p")
    folded = verify(fold(graph))
    assert folded.op("p").value == (8.0,)


def test_fold_removes_relays() -> None:
    """Two sources through a relay of 2 into two sums: selections pass the relay, nothing else is computed."""
    graph = empty()
    graph.add("relay", g.Sum(size=2))
    for k in range(2):
        graph.add(f"u{k}", g.TimeFunction(size=1, expressions=(Time(),)))
        graph.add(f"f{k}", g.Filter(size=1, num=(1.0,), den=(0.01 * (k + 1), 1.0)))
        graph.add(f"into{k}", g.Product(size=2, matrix=sp.csr_array(np.eye(2)[:, [k]])))
        wire(graph, f"u{k}", f"f{k}", f"into{k}", "relay")
    for k in range(2):
        graph.add(f"from{k}", g.Product(size=1, matrix=sp.csr_array(np.eye(2)[[k], :])))
        graph.add(f"s{k}", g.Sum(size=1))
        wire(graph, "relay", f"from{k}", f"s{k}")
        probed(graph, f"out{k}", f"s{k}")
    folded = verify(fold(verify(graph)))
    assert "relay" not in folded.nx
    products = [(folded.inputs(name), op.matrix.toarray().tolist()) for name, op in folded.nodes(g.Product)]
    assert products == [(["f0"], [[1.0]]), (["f1"], [[1.0]])]


def test_fold_keeps_a_relay_that_would_become_a_square() -> None:
    """m sums into n readers: m + n products with the relay, m n without."""
    count = 6
    graph = empty()
    graph.add("relay", g.Sum(size=1))
    for k in range(count):
        graph.add(f"u{k}", g.TimeFunction(size=1, expressions=(Time(),)))
        graph.add(f"f{k}", g.Filter(size=1, num=(1.0,), den=(0.01 * (k + 1), 1.0)))
        graph.add(f"into{k}", g.Product(size=1, matrix=np.array([[0.5]])))
        wire(graph, f"u{k}", f"f{k}", f"into{k}", "relay")
        graph.add(f"from{k}", g.Product(size=1, matrix=np.array([[k + 1.0]])))
        graph.add(f"s{k}", g.Sum(size=1))
        wire(graph, "relay", f"from{k}", f"s{k}")
        graph.add(f"v{k}", g.Filter(size=1, **LOWPASS))
        wire(graph, f"u{k}", f"v{k}", f"s{k}")
        probed(graph, f"out{k}", f"s{k}")
    assert "relay" in fold(verify(graph)).nx


def wide_relay(terms: int, readers: int, dims: int = 1) -> g.Graph:
    """`terms` signals of `dims` through one relay into `readers` sums, every matrix full."""
    graph = empty()
    graph.add("relay", g.Sum(size=dims))
    full = np.ones((dims, dims))
    for k in range(terms):
        graph.add(f"u{k}", g.TimeFunction(size=dims, expressions=(Time(),) * dims))
        graph.add(f"into{k}", g.Product(size=dims, matrix=full))
        wire(graph, f"u{k}", f"into{k}", "relay")
    for k in range(readers):
        graph.add(f"from{k}", g.Product(size=dims, matrix=full))
        graph.add(f"s{k}", g.Sum(size=dims))
        wire(graph, "relay", f"from{k}", f"s{k}")
    return graph


def test_fold_keeps_a_wide_relay_without_making_the_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """Terms x readers products would be half a million; that the relay stays is known without any."""
    made = []

    def multiply(left: g.Matrix, right: g.Matrix) -> g.Matrix:
        made.append(left.shape)
        return left @ right

    monkeypatch.setattr("spikec.passes.fold.multiply", multiply)
    folded = fold(wide_relay(512, 1024))
    assert "relay" in folded.nx
    assert made == []
    assert "relay" not in fold(wide_relay(1, 8, dims=3)).nx
    assert len(made) == 8


def test_fold_declines_an_outer_product_before_it_is_made() -> None:
    """(n x 1) (1 x n) has n x n entries: with n = 200,000 they would be 320 GB."""
    graph = empty()
    count = 200_000
    ones = sp.csr_array(np.ones((count, 1)))
    graph.add("u", g.Table(size=count, samples=np.zeros((1, count)), starts=np.zeros(1, np.int64)))
    graph.add("inner", g.Product(size=1, matrix=sp.csr_array(ones.T)))
    graph.add("outer", g.Product(size=count, matrix=ones))
    wire(graph, "u", "inner", "outer")
    assert set(fold(graph).nx) == {"u", "inner", "outer"}


def test_fold_counts_products_and_not_their_entries_alone() -> None:
    """30 terms gathered, then the rows of a full 30 x 30 matrix: 900 entries both ways, but 900 operators."""
    count = 30
    graph = empty()
    graph.add("relay", g.Sum(size=count))
    for k in range(count):
        graph.add(f"u{k}", g.TimeFunction(size=1, expressions=(Time(),)))
        graph.add(f"into{k}", g.Product(size=count, matrix=sp.csr_array(np.eye(count)[:, [k]])))
        wire(graph, f"u{k}", f"into{k}", "relay")
        graph.add(f"from{k}", g.Product(size=1, matrix=np.ones((1, count))))
        graph.add(f"s{k}", g.Sum(size=1))
        wire(graph, "relay", f"from{k}", f"s{k}")
    folded = fold(graph)
    assert "relay" in folded.nx
    assert kinds(folded)["Product"] == 2 * count


def test_fold_goes_on_until_nothing_changes() -> None:
    """What becomes constant in a relay's place is folded further: relay after relay, in any order."""
    graph = empty()
    graph.add("out", g.Sum(size=1))
    graph.add("c", g.Constant(size=1, value=(3.0,)))
    stages = 6
    for k in range(stages):
        # Written from the last to the first, so that one sweep meets each before what it depends on.
        graph.add(
            f"f{k}", g.Function(size=1, arguments=1, expressions=(Call("+", (Component(0), Number(1.0))),))
        )
    for k in range(stages - 1):
        wire(graph, f"f{k + 1}", f"f{k}")
    wire(graph, "c", f"f{stages - 1}")
    wire(graph, "f0", "out")
    folded = fold(graph)
    assert folded.op("f0").value == (3.0 + stages,)


# --------------------------------------------------------------------------------------------- advance


def test_advance_puts_the_delay_next_to_the_neurons() -> None:
    graph = frontend.loads(
        "model m\nensemble a(50, dims=2)\nrelay sum[1]\nensemble b(50)\n"
        "connect a -> sum transform [[1, 2]] synapse none\nconnect sum -> b synapse lowpass(5ms)\nprobe b\n"
    )
    moved = verify(advance(verify(graph)))
    for name, _ in moved.nodes(g.Decoding):
        assert all(
            moved.op(reader).delay >= 1 or isinstance(moved.op(reader), g.Probe)
            for reader, _ in moved.readers(name)
        )


# ---------------------------------------------------------------------------------------------- narrow


def test_narrow_decodes_only_what_is_used() -> None:
    graph = frontend.loads(
        "model m\nensemble a(60, dims=4)\nensemble b(50)\n"
        "connect a -> b transform [[1, 2, 3, 4]] synapse lowpass(5ms)\nprobe b\n"
    )
    built = build(share(graph))
    wide = next(op for name, op in built.nodes(g.Decoders) if op.size == 4)
    narrowed = verify(narrow(built))
    row = next(op for _, op in narrowed.nodes(g.Decoders) if op.matrix.shape[1] == 60)
    np.testing.assert_allclose(row.matrix, np.array([[1.0, 2, 3, 4]]) @ wide.matrix, rtol=1e-12)


def test_narrow_leaves_a_vector_that_is_also_read_whole() -> None:
    graph = frontend.loads(
        "model m\nensemble a(60, dims=4)\nensemble b(50)\n"
        "connect a -> b transform [[1, 2, 3, 4]] synapse lowpass(5ms)\nprobe b\nprobe a synapse 10ms\n"
    )
    built = build(share(graph))
    assert len(narrow(built).nx) == len(built.nx)


# ----------------------------------------------------------------------------------------------- split


@pytest.mark.parametrize(
    ("neurons", "sizes"), [(1, [1]), (256, [256]), (257, [256, 1]), (600, [256, 256, 88])]
)
def test_split_cuts_at_fixed_borders(neurons: int, sizes: list[int]) -> None:
    graph = frontend.loads(f"model m\nensemble a({neurons})\nprobe a\n")
    cut = verify(split(build(graph)))
    atoms = [op for _, op in cut.nodes(g.Atom)]
    assert [op.size for op in atoms] == sizes
    whole = next(op for _, op in build(graph).nodes(g.Decoders)).matrix
    (total,) = [op for _, op in cut.nodes(g.ExactSum)]
    in_units = whole * (1 / graph.dt * 2.0**total.exponent)
    np.testing.assert_array_equal(np.concatenate([op.decoders[0] for op in atoms], axis=1), in_units)


def test_atoms_hold_what_programs_hold() -> None:
    """Scaled encoders, bias and decoders, in the precision of the program; nothing of float64 stays."""
    graph = build(frontend.loads("model m\nensemble a(300, dims=2, radius=2)\nconnect a -> a\nprobe a\n"))
    (neurons,) = [op for _, op in graph.nodes(g.Neurons)]
    exact, rounded = ([op for _, op in split(graph, dtype).nodes(g.Atom)] for dtype in REALS)
    scaled = np.concatenate([neurons.scaled_encoders.T, neurons.bias[None]])
    np.testing.assert_array_equal(np.hstack([op.numbers[:3] for op in exact]), scaled)
    for one, other in zip(exact, rounded, strict=True):
        assert not isinstance(other.neurons, g.Neurons)
        assert other.numbers.dtype == np.float32
        np.testing.assert_array_equal(one.numbers.astype(np.float32), other.numbers)
        np.testing.assert_array_equal(np.vstack([one.encoders, one.bias, *one.decoders]), one.numbers)


def test_atoms_without_an_input_hold_no_encoders() -> None:
    graph = build(frontend.loads("model m\nensemble a(20)\nprobe a\n"))
    graph.disconnect("a.in", "a")
    (atom,) = [op for _, op in split(graph).nodes(g.Atom)]
    assert atom.encoders.shape == (0, 20)
    assert atom.numbers.shape == (2, 20)


def test_split_leaves_room_for_every_spike() -> None:
    """The largest sum, all neurons spiking at once in the worst direction, stays far below 63 bits."""
    graph = frontend.loads("model m\nensemble a(600, dims=2)\nprobe a\n")
    cut = split(build(graph))
    worst = sum(np.abs(op.decoders[0]).sum(axis=1) for _, op in cut.nodes(g.Atom)).max()
    assert 2.0**49 < worst <= 2.0**50


def test_split_records_spikes_and_activity_from_one_sum() -> None:
    graph = frontend.loads(
        "model m\nensemble a(20)\nensemble b(20)\nconnect a.neurons -> b.neurons transform 0.1\n"
        "probe a.neurons spikes as s\nprobe b\n"
    )
    cut = verify(split(build(share(graph))))
    atom = next(op for _, op in cut.nodes(g.Atom) if op.path == "a")
    assert sum(matrix is None for matrix in atom.decoders) == 1
    assert [count for count in atom.rows if count is not None] == [1] * (len(atom.rows) - 1)


def test_a_recorded_array_takes_no_square_of_its_size() -> None:
    """Each of n ensembles is placed among n components: what says where is one array for all of them."""
    graph = fold(share(frontend.loads("array a(2, count=600, dims=2)\nconnect a -> a\nprobe a\n")))
    tall = [op.matrix for _, op in graph.nodes(g.Product) if op.size > 100]
    assert len(tall) >= 600
    assert not any(isinstance(matrix, np.ndarray) for matrix in tall)
    owned = {id(matrix.indptr if matrix.indptr.base is None else matrix.indptr.base) for matrix in tall}
    assert len(owned) < 10
    for matrix in tall[:3]:
        np.testing.assert_array_equal(sp.csr_array(matrix.toarray()).indptr, matrix.indptr)


def test_pointers_are_shared_only_by_matrices_that_have_them() -> None:
    dense = np.zeros((40, 8))
    dense[7:10, :2] = 1.0
    matrix = shared(sp.csr_array(dense))
    assert matrix.indptr.base is not None
    np.testing.assert_array_equal(matrix.toarray(), dense)
    for place in ((9, 2), (20, 0)):
        other = dense.copy()
        other[place] = 1.0
        kept = sp.csr_array(other)
        own = kept.indptr
        assert shared(kept).indptr is own
    empty = sp.csr_array((40, 8))
    assert shared(empty) is empty
