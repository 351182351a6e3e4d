"""Functions that read arrays and lists by an index that they compute: compiled, exact, and translated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converted import Simulator, converted, nengo
from translated import simulated, translated

from spikec.expressions import evaluate
from spikec.nengo.writing.translate import translate
from spikec.tracing.functions import trace, why

RNG = np.random.RandomState(1)
LONG, ROWS, CUBE = RNG.standard_normal(5000), RNG.standard_normal((300, 4)), RNG.standard_normal((40, 2, 3))
IMAGES = RNG.standard_normal((20, 28, 28))
NUMBERS = [float(value) for value in LONG[:500]]
PAIRS = [(float(a), float(b)) for a, b in ROWS[:, :2]]
COUNTS = tuple(range(100, 0, -1))
# Each with how many numbers it takes and gives.
FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "again": (lambda t: LONG[int(t / 0.001) % len(LONG)], 0, 1),
    "to the end": (lambda t: LONG[min(int(t * 1000), len(LONG) - 1)], 0, 1),
    "from the end": (lambda t: LONG[-1 - int(t * 1000) % 50], 0, 1),
    "either end": (lambda t: LONG[int(t * 1000) % 100 - 50], 0, 1),
    "rows": (lambda t: ROWS[int(t / 0.001) % len(ROWS)], 0, 4),
    "a column": (lambda t: ROWS[int(t // 0.002) % len(ROWS), 2], 0, 1),
    "every other column": (lambda t: ROWS[int(t // 0.002) % 300][::2], 0, 2),
    "a computed column": (lambda t: ROWS[7, int(t * 1000) % 4], 0, 1),
    "matrices": (lambda t: CUBE[int(t / 0.01) % 40].ravel(), 0, 6),
    "rows of matrices": (lambda t: CUBE[int(t / 0.01) % 40, 1, :], 0, 3),
    "columns of matrices": (lambda t: CUBE[int(t / 0.01) % 40, :, -1], 0, 2),
    "images": (lambda t: IMAGES[int(t / 0.01) % len(IMAGES)].ravel(), 0, 784),
    "images backwards": (lambda t: IMAGES[-1 - int(t / 0.01) % len(IMAGES)].ravel(), 0, 784),
    "a list": (lambda t: 2 * NUMBERS[int(t // 0.002) % len(NUMBERS)] + 1, 0, 1),
    "pairs": (lambda t: PAIRS[int(np.floor(t / 0.003)) % 300], 0, 2),
    "an index in an index": (lambda t: LONG[COUNTS[int(t * 1000) % 100]], 0, 1),
    "differences": (lambda t: LONG[(int(t * 1000) + 1) % 5000] - LONG[int(t * 1000) % 5000], 0, 1),
    "of a value": (lambda _, x: LONG[int(np.clip(100 * x[0], 0, 99))] * x[1], 2, 1),
    "in branches": (lambda t: LONG[int(t * 1000) % 500] if t % 0.02 < 0.01 else t, 0, 1),
}


def network() -> nengo.Network:
    with nengo.Network(seed=1) as net:
        given = nengo.Node(lambda t: [np.sin(9 * t), np.cos(t)])
        for name, (function, taken, size) in FUNCTIONS.items():
            node = nengo.Node(function, size_in=taken, size_out=size, label=name)
            if taken:
                nengo.Connection(given, node, synapse=None)
            nengo.Probe(node)
        a, b = nengo.Ensemble(30, 1), nengo.Ensemble(30, 1)
        nengo.Connection(given[0], a)
        nengo.Connection(a, b, function=lambda x: LONG[int(np.clip(100 * x[0], -99, 99))])
        nengo.Probe(b, synapse=0.01)
    return net


def test_what_is_read_is_that_of_nengo_and_of_the_text(tmp_path: Path) -> None:
    """Nothing of it runs in Python."""
    net = network()
    assert not converted(net).host_calls
    with nengo.Simulator(net, progress_bar=False) as simulator:
        simulator.run_steps(400)
        wanted = [simulator.data[probe] for probe in net.all_probes]
    ours = simulated(net, 400)
    for probe, found, expected in zip(net.all_probes, ours, wanted, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12, err_msg=str(probe.obj))
    for exact, expected in zip(ours[:-1], wanted[:-1], strict=True):
        assert np.abs(exact - expected).max() <= 1e-15
    for other in (simulated(net, 400, 2), translated(net, tmp_path / "model.spk", 400, "float64")):
        assert [np.ravel(data).tobytes() for data in other] == [np.ravel(data).tobytes() for data in ours]


def test_the_text_reads_tables_beside_it(tmp_path: Path) -> None:
    with nengo.Network(seed=1) as net:
        for name in ("rows", "a column", "either end"):
            nengo.Probe(nengo.Node(FUNCTIONS[name][0], label=name))
    written = translate(net, tmp_path / "m.spk")
    assert (
        'input rows(t) = load("m/rows.table.npy")[floor(t / 0.001) % 300]\n'
        'input a_column(t) = load("m/a_column.table.npy")[round((t - t % 0.002) / 0.002) % 300]\n'
        'input either_end(t) = load("m/either_end.table.npy")[(floor(t * 1000) % 100 - 50) % 5000]\n'
    ) in written.path.read_text()
    np.testing.assert_array_equal(np.load(tmp_path / "m/rows.table.npy"), ROWS)
    np.testing.assert_array_equal(np.load(tmp_path / "m/a_column.table.npy"), ROWS[:, 2])


RAGGED = [[1.0, 2.0], [3.0]] * 30


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda t: LONG[int(t / 0.001)], "uses a number that it computes as an index"),
        (lambda t: NUMBERS[int(t / 0.001) % 600], "uses a number that it computes as an index"),
        (lambda t: LONG[t % 5000], "uses a number that it computes as an index"),
        (lambda t: RAGGED[int(t / 0.001) % 60][0], "uses a number that it computes as an index"),
    ],
)
def test_what_may_be_outside_of_a_table_stays_python(function: Callable[..., Any], reason: str) -> None:
    assert trace(function, True, None, 1) is None
    found = why(function, True, None, 1, held=True)
    assert found is not None
    assert found.text.startswith(reason)


def test_numbers_of_a_table_that_are_not_finite_stay_python() -> None:
    holes = np.where(np.arange(100) == 50, np.nan, 1.0)
    assert trace(lambda t: holes[int(t / 0.001) % 100], True, None, 1) is None


# Nearly everywhere small: what overflows does in a row that no sample of the function meets.
SMALL = np.where(np.arange(1000) == 523, 250, 10).astype(np.uint8)
FLAGS = SMALL > 100
LISTS = [[0.0, 1.0]] * 999 + [[5.0, 6.0]]


def place(x: Any) -> int:
    return int(abs(np.sin(x[0])) * 999)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: SMALL[place(x)] + SMALL[3],
        lambda x: -SMALL[place(x)] * 1.0,
        lambda x: SMALL[place(x)] + int(x[0] > 9),
        lambda x: int(x[0] > 9) * 100 + SMALL[place(x)],
        lambda x: (FLAGS[place(x)] + FLAGS[523]) * 1.0,
    ],
)
def test_what_may_overflow_in_the_type_of_an_array_stays_python(function: Callable[..., Any]) -> None:
    found = why(function, False, 1, 1)
    assert found is not None
    assert found.text == "computes with small integers of an array, which may overflow"


@pytest.mark.parametrize(
    "function",
    [
        lambda x: SMALL[place(x)],
        lambda x: SMALL[place(x)] / 255,
        lambda x: x[0] * SMALL[place(x)] - 0.5 * SMALL[place(x)],
        lambda x: int(SMALL[place(x)]) + 250,
        lambda x: float(SMALL[place(x)]) * 100,
        lambda x: 1.0 if FLAGS[place(x)] else SMALL[place(x)],
        lambda x: LISTS[SMALL[place(x)]][1],
        lambda x: (LISTS[place(x)] + LISTS[-1 - place(x)])[2] + (2 * LISTS[place(x)])[3],
    ],
)
def test_what_python_makes_of_entries_is_compiled(function: Callable[..., Any]) -> None:
    made = trace(function, False, 1, 1, held=True)
    assert made is not None
    at = np.append(np.arcsin((np.arange(0, 999, 7) + 0.5) / 999), np.arcsin(523.5 / 999))[:, None]
    np.testing.assert_allclose(
        np.broadcast_to(evaluate(made.expressions[0], at), len(at)), [float(function(x)) for x in at]
    )


def test_arrays_of_other_kinds_compute_in_their_own_way() -> None:
    masked = np.ma.array(np.arange(10.0), mask=[False, True] * 5)
    made = trace(lambda x: masked.sum() * x[0], False, 1, 1)
    assert made is not None
    assert evaluate(made.expressions[0], np.array([0.5])) == 10.0


def test_a_table_that_is_changed_between_runs_is_read_as_it_is_then() -> None:
    values = np.arange(100.0)
    with nengo.Network(seed=1) as net:
        probe = nengo.Probe(nengo.Node(lambda t: values[round(t * 1000) % 100]))
    with Simulator(net, progress_bar=False) as simulator:
        simulator.run_steps(5)
        values *= -2
        simulator.run_steps(5)
        np.testing.assert_array_equal(simulator.data[probe].ravel(), [1, 2, 3, 4, 5, -12, -14, -16, -18, -20])
