"""Entries of vectors and matrices by an index that is computed of x or t."""

from __future__ import annotations

from pathlib import Path

import inprocess
import numpy as np
import pytest
from language_helpers import mistakes

from spikec.frontend import load, loads
from spikec.nef.build import build
from spikec.verify import verify

LONG = np.round(np.random.RandomState(1).standard_normal(5000), 6)
ROWS = np.round(np.random.RandomState(2).standard_normal((300, 3)), 6)
MODEL = """
let long = load("long.npy")
let rows = load("rows.npy")
input again(t) = long[floor(t / 1ms) % len(long)]
input other(t) = 2 * long[floor(t / 3ms) % len(long)]
input third(t) = 2 * rows[floor(t / 5ms) % len(rows)][1]
input from_the_end(t) = long[floor(t / 1ms) % 100 - 50]
input row(t) = rows[floor(t / 2ms) % len(rows)]
input other_row(t) = load("others.npy")[floor(t / 5ms) % 300]
input entry(t) = rows[floor(t / 2ms) % len(rows)][2] + [1, 2, 3][round(t / 2ms) % 3]
node of_value(x[3], t) = long[max(0, min(floor(100 * x[0]), 99))] * x[1]
node row_of(x) = rows[max(0, min(round(100 * x), 299))]
node other_row_of(x) = rows[max(0, min(round(50 * x), 299))]
ensemble a(40)
ensemble b(40)
connect row -> of_value synapse none
connect row[0] -> row_of synapse none
connect row[0] -> other_row_of synapse none
connect row[0] -> a
connect a -> b via long[max(0, min(floor(100 * x), 99))]
probe again; probe other; probe third; probe from_the_end; probe row; probe entry; probe of_value
probe other_row; probe row_of; probe other_row_of
probe b synapse 10ms
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    np.save(tmp_path / "long.npy", LONG)
    np.save(tmp_path / "rows.npy", ROWS)
    np.save(tmp_path / "others.npy", -2 * ROWS[::-1])
    (tmp_path / "model.spk").write_text(MODEL, encoding="utf-8")
    return tmp_path / "model.spk"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_entries_are_those_of_the_table(model: Path, dtype: str) -> None:
    found = inprocess.run(load(model), 1, dtype, 60)
    t = np.arange(1, 61) * 0.001

    def at(step: float) -> np.ndarray:
        return np.floor(t / step).astype(int)

    row = ROWS[at(0.002) % 300]
    first = row[:, 0].astype(dtype).astype(float)
    place = np.clip(np.floor(100 * first), 0, 99).astype(int)
    wanted = {
        "again": LONG[at(0.001) % 5000],
        "other": 2 * LONG[at(0.003) % 5000],
        "third": 2 * ROWS[at(0.005) % 300][:, 1],
        "from_the_end": LONG[at(0.001) % 100 - 50],
        "row": row,
        "other_row": -2 * ROWS[::-1][at(0.005) % 300],
        "row_of": ROWS[np.clip(np.round(100 * first), 0, 299).astype(int)],
        "other_row_of": ROWS[np.clip(np.round(50 * first), 0, 299).astype(int)],
        "entry": row[:, 2] + np.array([1, 2, 3])[np.round(t / 0.002).astype(int) % 3],
        "of_value": LONG[place] * row[:, 1].astype(dtype).astype(float),
    }
    for name, values in wanted.items():
        np.testing.assert_array_equal(np.squeeze(found[name]), values.astype(dtype), err_msg=name)
    for name, values in inprocess.run(load(model), 2, dtype, 60).items():
        assert values.tobytes() == found[name].tobytes(), name


UNBOUND = """
input big(t) = select(t > 3ms, 1e38, 1) * 1000
relay r[1]
connect big -> r transform 1000 synapse lowpass(1ms)
node entry(x) = [5, 6, 7][floor(x) % 3]
node row(x) = [[1, 2], [3, 4], [5, 6]][floor(x) % 3]
node within(x) = [5, 6, 7][max(0, min(floor(x), 2))]
connect r -> entry synapse none; connect r -> row synapse none; connect r -> within synapse none
ensemble a(300)
probe r; probe entry; probe row; probe within; probe a
"""


@pytest.mark.parametrize("compiled", [True, False])
def test_what_has_no_row_is_no_number(compiled: bool) -> None:
    """Of a value that has grown without bound; programs do not look beyond the table."""
    graph = inprocess.prepared(loads(UNBOUND, "m.spk"))
    for partitions in (1, 2):
        found = inprocess.run_split(graph, partitions, "float32", 8, compiled=compiled)
        lost = np.ravel(~np.isfinite(found["r"]))
        assert 0 < lost.sum() < 8
        np.testing.assert_array_equal(np.isnan(np.ravel(found["entry"])), lost)
        np.testing.assert_array_equal(np.isnan(np.squeeze(found["row"])), np.stack([lost, lost], axis=1))
        assert not np.isnan(found["within"]).any()


def test_decoders_are_solved_for_the_entries() -> None:
    """Of a table as of a formula that gives the same."""
    head = "ensemble a(50)\nensemble b(40)\nprobe b synapse 10ms\nconnect a -> b via "
    squares = "[(i - 20) * (i - 20) / 400 for i in 0..41][max(0, min(floor(20 * x) + 20, 40))]"
    formula = "(max(0, min(floor(20 * x) + 20, 40)) - 20) * (max(0, min(floor(20 * x) + 20, 40)) - 20) / 400"
    decoded = [
        build(verify(loads(head + via, "m.spk"))).op("a->b.decode").matrix for via in (squares, formula)
    ]
    assert np.abs(decoded[0]).max() > 0
    np.testing.assert_array_equal(*decoded)


S = "let s = [1, 2, 3]\n"
WHOLE = "a computed index must be a whole number, one of 3 entries, for every x and t"


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("input u(t) = s[t % 3]", (2, 16, WHOLE, "write floor(...) % 3, or max(0, min(floor(...), 2))")),
        ("input u(t) = s[floor(t)]", (2, 16, WHOLE, "write floor(...) % 3, or max(0, min(floor(...), 2))")),
        ("node u(x) = s[[floor(x) % 3, 1]]",
         (2, 13, "an index is a whole number", "write a number, a slice or a list of numbers")),
        ("input u(t) = [t, 1][floor(t) % 2]",
         (2, 21, "a computed index takes numbers that do not depend on x or t",
          "choose by select(condition, yes, no)")),
        ("input u(t) = t\nprobe u ideal s[floor(t) % 3]",
         (3, 15, "ideal reads no entries by a computed index",
          "record that beside: input NAME(t) = ..., and probe NAME")),
    ],
)  # fmt: skip
def test_mistakes(text: str, mistake: tuple[int, int, str, str]) -> None:
    assert mistakes(S + text)[0] == mistake
