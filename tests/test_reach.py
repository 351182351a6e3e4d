"""Which readers need which nodes: compared with following every reader's needs by itself."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikec.planning.reach import needs, reach, strongly_connected

Edges = list[tuple[int, int]]


def needed_by(count: int, readers: int, edges: Edges) -> list[list[int]]:
    """Of each of `count` nodes the readers that need it."""
    found: list[list[int]] = [[] for _ in range(count)]
    for reader in range(readers):
        reached, waiting = set[int](), [count + reader]
        while waiting:
            node = waiting.pop()
            new = {read for reading, read in edges if reading == node} - reached
            reached |= new
            waiting += new
        for node in reached:
            found[node].append(reader)
    return found


def reached(count: int, readers: int, edges: Edges) -> list[list[int]]:
    """The same by `reach`."""
    pairs = np.array(edges, np.int32).reshape(-1, 2)
    sets, numbers = reach(needs(count, readers, pairs[:, 0], pairs[:, 1]))
    members = [sets.of(k) for k in range(len(sets.sizes))]
    assert members[: readers + 1] == [[], *([k] for k in range(readers))]
    assert len({tuple(m) for m in members}) == len(members)
    assert sets.sizes.tolist() == list(map(len, members))
    return [members[k] for k in numbers.tolist()]


@given(st.data())
def test_who_needs_what_is_found_in_any_graph(data: st.DataObject) -> None:
    count, readers = data.draw(st.integers(1, 12)), data.draw(st.integers(0, 5))
    edge = st.tuples(st.integers(0, count + readers - 1), st.integers(0, count - 1))
    edges = data.draw(st.lists(edge, max_size=30))
    assert reached(count, readers, edges) == needed_by(count, readers, edges)


@pytest.mark.parametrize("length", [1, 2, 3, 64, 65, 1000])
def test_a_chain_of_any_length_is_needed_by_who_reads_its_end(length: int) -> None:
    chain = [(length, length - 1), *((k + 1, k) for k in range(length - 1))]
    assert reached(length, 1, chain) == [[0]] * length


def test_nobody_needs_a_loop_that_nobody_reads() -> None:
    assert reached(3, 1, [(0, 1), (1, 0), (3, 2)]) == [[], [], [0]]


def test_all_of_a_loop_are_needed_by_who_reads_any_of_it() -> None:
    loop = [(0, 1), (1, 2), (2, 0)]
    assert reached(3, 2, [*loop, (3, 0), (4, 2)]) == [[0, 1]] * 3


def test_strongly_connected_parts_come_after_all_that_they_lead_to() -> None:
    successors: Sequence[Sequence[int]] = [[1], [2], [1, 3], []]
    assert strongly_connected(successors) == [[3], [2, 1], [0]]
