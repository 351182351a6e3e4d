"""The kernels of neurons: against plain NumPy, for atoms of every size, alone and among others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import pytest
from spike_runtime.ops import simd
from spike_runtime.ops.linear import AppendProducts
from spike_runtime.ops.neurons import COLUMNS, RUN, Neurons
from spike_runtime.ops.signals import Decode, FirstOrder
from spike_runtime.status import NOT_FINITE

from spikec.nef.neurons import LIF
from spikec.program import membranes, panels
from spikec.program.atoms import in_vectors

SIZES = (1, 7, 8, 15, 16, 17, 100, 255, 256)
DT, TAU_RC, TAU_REF = 1e-3, 0.02, 0.002
NEURON = LIF(tau_rc=TAU_RC, tau_ref=TAU_REF)
SCALES = membranes.scales(NEURON, DT)
REALS = ("float32", "float64")


def arguments(real: str, rows: int, gather: bool, sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """Atoms of these sizes with three dimensions, in the order of the kernel's arguments."""
    random, dims = np.random.default_rng(3), 3
    first = np.cumsum((0, *sizes))
    atoms = np.zeros((len(sizes), len(COLUMNS)), np.int64)
    for name, column in (
        ("neuron", first[:-1]),
        ("count", sizes),
        ("dims", dims),
        ("encoder", dims * first[:-1]),
        ("rows", rows),
        ("decoder", rows * first[:-1]),
        ("sum", rows * np.arange(len(sizes))),
        ("gather", gather),
        ("current", -1),
        ("activity", -1),
    ):
        atoms[:, COLUMNS.index(name)] = column
    neurons = first[-1]
    E = random.uniform(-9, 9, (dims, neurons)).astype(real)
    blocks = [in_vectors(E[:, a:b], real) for a, b in pairwise(first)]
    return {
        "values": random.uniform(-1, 1, dims).astype(real),
        "sums": np.zeros(rows * len(sizes), np.int64),
        "state": np.stack(
            [random.uniform(0, 1, neurons), membranes.rest(random.uniform(-0.001, 0.003, neurons), SCALES)]
        ).astype(real),
        "status": np.zeros(2, np.int64),
        "atoms": atoms,
        "parameters": np.tile(np.array([0, DT, *membranes.lines(NEURON, DT), 0], real), (len(sizes), 1)),
        "encoders": np.concatenate(blocks),
        "bias": random.uniform(0, 20, neurons).astype(real),
        "decoders": random.uniform(-1e6, 1e6, rows * neurons).astype(real),
        "n": np.array(1),
    }


def plain(encoders: np.ndarray, dims: int) -> np.ndarray:
    """dims x neurons of an atom, in float64, of what kernels walk through."""
    lanes, count = simd.BYTES // encoders.itemsize, len(encoders) // dims
    ends = [*range(0, count, lanes), count]
    blocks = [encoders[dims * a : dims * b].reshape(dims, b - a) for a, b in pairwise(ends)]
    return np.concatenate(blocks, axis=1).astype(np.float64)


def lif(J: Any, v: Any, r: Any) -> tuple[Any, Any, Any]:
    """Voltage, refractory time and spikes after one step, with NumPy's functions."""
    r = r - DT
    v = v - (J - v) * np.expm1(-np.clip(DT - r, 0, DT) / TAU_RC)
    spiked = v > 1
    late = np.log1p(-(v[spiked] - 1) / (J[spiked] - 1))
    r[spiked], v[spiked] = TAU_REF + DT + TAU_RC * late, 0
    return np.maximum(v, 0), r, spiked.astype(v.dtype)


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize(
    ("rows", "gather"), [(0, False), (1, False), (5, False), (5, True), (16, True), (37, True)]
)
def test_atoms_of_every_size_equal_numpy(real: str, rows: int, gather: bool) -> None:
    given = arguments(real, rows, gather)
    x, atoms = given["values"].astype(np.float64), given["atoms"]
    before = given["state"].astype(np.float64)
    sums, state, status = Neurons("wide_lif", real)(*given.values())
    tolerance = 1e-11 if real == "float64" else 3e-5
    spikes = 0.0
    for atom in atoms:
        n, m, _, _, e, _, d, y = atom[:8]
        J = x @ plain(given["encoders"][e : e + 3 * m], 3) + given["bias"][n : n + m]
        v, left = before[:, n : n + m]
        v, r, a = lif(J, v, membranes.refractory_time(left, SCALES))
        np.testing.assert_allclose(state[0, n : n + m], v, rtol=tolerance, atol=tolerance)
        found = membranes.refractory_time(state[1, n : n + m], SCALES)
        np.testing.assert_allclose(found, r, rtol=tolerance, atol=tolerance)
        D = given["decoders"][d : d + rows * m].astype(np.float64)
        D = D.reshape(m, rows).T if gather else D.reshape(rows, m)
        np.testing.assert_allclose(sums[y : y + rows], D @ a, rtol=tolerance, atol=max(0.51, 1e9 * tolerance))
        spikes += a.sum()
    assert status[0] == 0
    assert spikes > 50


@pytest.mark.parametrize("kind", ["lif", "wide_lif"])
@pytest.mark.parametrize("gather", [False, True])
@pytest.mark.parametrize("real", REALS)
def test_an_atom_has_the_same_bytes_alone_and_among_others(real: str, gather: bool, kind: str) -> None:
    together = arguments(real, 6, gather)
    if kind == "lif":
        voltage, rest = together["state"]
        together["state"] = np.where(rest > 0, -rest, voltage)[None]
    # The third to fifth differ from those around them.
    other = membranes.lines(LIF(tau_rc=0.03, tau_ref=0.0014), DT)
    together["parameters"][2:5, 2:7] = other
    before = {k: v.copy() for k, v in together.items()}
    sums, state, _ = Neurons(kind, real)(*together.values())
    for k, atom in enumerate(before["atoms"]):
        alone = {k: v.copy() for k, v in before.items()}
        alone["atoms"], alone["parameters"] = atom[None], before["parameters"][k : k + 1]
        own_sums, own_state, _ = Neurons(kind, real)(*alone.values())
        y, here = atom[7], slice(atom[0], atom[0] + atom[1])
        assert own_sums[y : y + 6].tobytes() == sums[y : y + 6].tobytes()
        assert own_state[:, here].tobytes() == state[:, here].tobytes()
        # Nothing beside the atom is touched.
        own_state[:, here] = before["state"][:, here]
        assert own_state.tobytes() == before["state"].tobytes()


@pytest.mark.parametrize("real", REALS)
def test_the_direction_in_which_atoms_are_taken_changes_no_byte(real: str) -> None:
    sizes = SIZES * 5
    assert len(sizes) > 2 * RUN
    given = arguments(real, 2, False, sizes)
    results = []
    for step in (1, 2):
        again = {name: array.copy() for name, array in given.items()} | {"n": np.array(step)}
        sums, state, status = Neurons("wide_lif", real)(*again.values())
        results.append((sums.tobytes(), state.tobytes(), status.tobytes()))
    assert results[0] == results[1]
    # Not a number in the first and in the last atom: the one that is taken first is named.
    given["decoders"][[0, -1]] = np.nan
    named = []
    for step in (1, 2):
        again = {name: array.copy() for name, array in given.items()} | {"n": np.array(step)}
        named.append(Neurons("wide_lif", real)(*again.values())[2][1])
    assert named[0] == 0
    assert named[1] > 2 * (len(sizes) - RUN) - 1


@pytest.mark.parametrize("real", REALS)
def test_rows_of_every_length_and_pattern_equal_numpy(real: str) -> None:
    random = np.random.default_rng(5)
    # Rows without entries, with few, with places in a row, with gaps, and with the order of places mixed up.
    rows = [random.permutation(80)[:n] for n in (0, 1, 3, 5, 16, 33)]
    rows += [np.arange(a, b) for a, b in ((0, 16), (3, 40), (0, 80))]
    rows += [np.delete(np.arange(80), k) for k in (0, 20, 79)]
    rows += [np.arange(k, k + 7) for k in (2, 9)] + [np.arange(a, b) for a, b in ((0, 16), (3, 40))] * 9
    lanes = simd.lanes(np.dtype(real).type)
    values, x = (
        [random.normal(size=len(row)).astype(real) for row in rows],
        random.normal(size=80).astype(real),
    )

    def products(chosen: Sequence[int]) -> np.ndarray:
        counts = np.array([len(rows[k]) for k in chosen])
        columns = np.concatenate([rows[k] for k in chosen]).astype(np.int32)
        made = panels.panels(counts, columns, np.concatenate([values[k] for k in chosen]), lanes)
        found = AppendProducts()(x, *made.values())
        assert found[:80].tobytes() == x.tobytes()
        return found[80:]

    y = products(range(len(rows)))
    exact = [v.astype(float) @ x[row] for v, row in zip(values, rows, strict=True)]
    np.testing.assert_allclose(y, exact, rtol=0, atol=1e-13 if real == "float64" else 2e-5)
    # A row has the same bytes whichever others there are, so in whichever panel it is.
    for chosen in ([0], [8], range(4, len(rows)), range(0, len(rows), 3), range(len(rows) - 1, 0, -2)):
        assert products(chosen).tobytes() == y[list(chosen)].tobytes()


@pytest.mark.parametrize("real", REALS)
def test_panels_hold_rows_of_one_length_and_of_matrices_only_their_first_column(real: str) -> None:
    lanes = simd.lanes(np.dtype(real).type)
    rows = [[4], [9], [1, 3], *[list(range(5, 5 + 2 * lanes))] * (lanes + 3), [7], []]
    counts = np.array([len(row) for row in rows])
    columns = np.concatenate(rows).astype(np.int32)
    made = panels.panels(counts, columns, np.arange(len(columns)).astype(real), lanes)
    dense = 2 * lanes
    assert made["panels"].tolist() == [
        [0, 1, 0, 0, 0],
        [1, 3, 0, 0, 1],
        [2, 1, 3, 3, 4],
        [dense, lanes, 5, ~5, 5],
        [dense, 3, 5 + dense * lanes, ~5, 5 + lanes],
    ]
    assert made["columns"].tolist() == [4, 9, 7, 1, 3]
    assert made["order"].tolist() == [len(rows) - 1, 0, 1, len(rows) - 2, 2, *range(3, 6 + lanes)]
    # The first entries of all rows of a panel, then the second.
    first = made["values"][5 : 5 + 2 * lanes].astype(int)
    assert first.tolist() == [4 + j + dense * k for j in (0, 1) for k in range(lanes)]


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("count", [0, 1, 15, 16, 41])
def test_sums_are_decoded_and_filtered_as_by_numpy(real: str, count: int) -> None:
    random = np.random.default_rng(count)
    sums, bits = random.integers(-(2**60), 2**60, 64), random.random(64) < 0.2
    sums[bits] = random.normal(size=bits.sum()).view(np.int64)
    # Places that follow each other, and others; of some the bits are those of a number.
    for rows in (np.arange(count) + 3, random.integers(0, 64, count)):
        scale = np.where(bits[rows], 0.0, 2.0 ** -random.integers(20, 50, count))
        wanted = (sums[rows] * scale).astype(real)
        wanted[bits[rows]] = sums[rows][bits[rows]].view(np.float64)
        assert Decode(real)(sums, rows, scale).tobytes() == wanted.tobytes()
        u, before = random.normal(size=64).astype(real), random.normal(size=count).astype(real)
        decay, gain = (random.random(count).astype(real) for _ in range(2))
        before[::7], gain[::7] = np.finfo(real).tiny, 0  # what fades away becomes 0
        wanted = decay * before + gain * u[rows]
        wanted[::7] = 0
        value = before.copy()
        assert FirstOrder()(value, u, rows, decay, gain).tobytes() == wanted.tobytes()


@pytest.mark.parametrize("real", REALS)
def test_activities_are_added_one_by_one_and_the_first_too_large_is_named(real: str) -> None:
    given = arguments(real, 0, False)
    count = sum(SIZES)
    given["atoms"][:, COLUMNS.index("activity")] = given["atoms"][:, 0]
    given["parameters"][:, 0] = 1e6 + 0.3
    given["sums"] = np.arange(count)
    large = {name: array.copy() for name, array in given.items()}
    sums, _, status = Neurons("wide_lif", real)(*given.values())
    spikes = sums - np.arange(count)
    assert sorted(set(spikes.tolist())) == [0, 1_000_000]
    assert status[0] == 0
    large["parameters"][:, 0] = 1e30
    sums, _, status = Neurons("wide_lif", real)(*large.values())
    # The direction of this step begins with the first atom.
    assert status.tolist() == [NOT_FINITE, np.flatnonzero(spikes)[0]]
    assert (sums == np.arange(count)).all()


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_vectors_read_and_write_only_under_their_mask(real: Any) -> None:
    @numba.njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def doubled(source, target, at, count):  # type: ignore[no-untyped-def]
        x = simd.load(source, at, simd.first(source, count))
        simd.store(target, at, x + x, simd.first(source, count))
        return simd.total(x)

    source, target = np.arange(1, 65).astype(real), np.zeros(64, real)
    for count in range(simd.lanes(real) + 1):
        target[:] = 0
        assert doubled(source, target, 3, count) == source[3 : 3 + count].sum()
        expected = np.zeros(64, real)
        expected[3 : 3 + count] = 2 * source[3 : 3 + count]
        np.testing.assert_array_equal(target, expected)


def test_vectors_refuse_arrays_with_gaps() -> None:
    @numba.njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def head(source):  # type: ignore[no-untyped-def]
        return simd.total(simd.load(source, 0, simd.every(source)))

    with pytest.raises(numba.core.errors.TypingError, match="arrays without gaps"):
        head(np.zeros(64)[::2])


def test_views_are_read_before_their_copies_are_freed() -> None:
    """What a kernel copies to have it in one piece stays until the pointer to it was last used."""
    n = 12_000_000  # so large that freed memory is given back at once
    u, order = np.arange(2 * n, dtype=np.float32)[::2], np.arange(n)[::-1].copy()
    zeros, ones = np.zeros(n, np.float32), np.ones(n, np.float32)
    filtered = FirstOrder()(zeros.copy(), u, order, zeros, ones)
    np.testing.assert_array_equal(filtered, u[::-1])
    columns = np.arange(n - 64, n, dtype=np.int32)
    made = panels.panels(np.array([64]), columns, np.ones(64, np.float32), 16)
    y = AppendProducts()(u, *made.values())
    np.testing.assert_allclose(y[-1], u[-64:].astype(float).sum(), rtol=1e-6)
