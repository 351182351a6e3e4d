"""The partitioner: what stays together, what is balanced, what is cut, and that it is always the same."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partition_models import assigned, populations

from spikec import frontend, pipeline
from spikec import graph as g
from spikec.cache import Cache
from spikec.errors import ModelError
from spikec.planning import hypergraph as hg
from spikec.planning import partition as pt
from spikec.planning import plan, predict, profile
from spikec.planning.cost import HOST_CALL
from spikec.planning.divider import Divider, PartitionerError
from spikec.program import layout as la
from spikec.program.schedule import schedule

REFERENCE = profile.load("reference")
MODELS = Path(__file__).resolve().parent.parent / "models"


def _hypergraph(graph: g.Graph) -> hg.Hypergraph:
    return hg.hypergraph(graph, hg.reads(graph), pt.vertex_costs(graph, REFERENCE, "float32"))


def test_every_atom_is_somewhere_and_every_partition_has_some() -> None:
    graph = populations(count=3, neurons=700)
    for n in (1, 2, 3, 5, 8, 9):
        assignment = assigned(graph, n, REFERENCE)
        assert set(assignment.atoms) == {name for name, _ in graph.nodes(g.Atom)}
        assert set(assignment.atoms.values()) == set(range(n))
        assert set(assignment.probes.values()) <= set(range(n))


def test_a_single_population_is_split() -> None:
    assignment = assigned(populations(count=1, neurons=1024), 2, REFERENCE)
    assert sorted(Counter(assignment.atoms.values()).values()) == [2, 2]


def test_partitions_are_numbered_by_their_first_atom() -> None:
    assignment = assigned(populations(count=20, neurons=100), 4, REFERENCE)
    assert list(dict.fromkeys(assignment.atoms.values())) == [0, 1, 2, 3]


def test_two_rings_are_not_cut() -> None:
    even, odd = range(0, 16, 2), range(1, 16, 2)
    links = [(ring[k], ring[(k + 1) % 8]) for ring in (even, odd) for k in range(8)]
    made = plan.make_plan(populations(count=16, neurons=200, links=links), 2, REFERENCE, "float32")
    assert made.summary()["cut_bytes"] == 0
    assert {made.assignment.atoms[f"e{k}#0"] for k in even} != {made.assignment.atoms[f"e{k}#0"] for k in odd}


def test_a_chain_is_cut_at_few_places() -> None:
    links = [(k, k + 1) for k in range(31)]
    made = plan.make_plan(populations(count=32, neurons=200, links=links), 2, REFERENCE, "float32")
    # Two of the 31 connections at most; each is one number.
    assert 0 < made.summary()["cut_bytes"] <= 16
    assert made.summary()["balance"] < 1.1


def test_unequal_populations_are_balanced_by_cost() -> None:
    assignment = assigned(populations(count=7, neurons=256, links=[]), 3, REFERENCE)
    assert sorted(Counter(assignment.atoms.values()).values()) == [2, 2, 3]


def test_a_connection_without_synapse_keeps_its_atoms_together() -> None:
    graph = populations(count=4, neurons=600, links=[(1, 2)], direct=((0, 1), (2, 3)))
    groups = [{name.split("#")[0] for name in group} for group in _hypergraph(graph).groups]
    assert groups == [{"e0", "e1"}, {"e2", "e3"}]
    assignment = assigned(graph, 2, REFERENCE)
    assert len({p for name, p in assignment.atoms.items() if name[:2] in ("e0", "e1")}) == 1
    assert len({p for name, p in assignment.atoms.items() if name[:2] in ("e2", "e3")}) == 1
    schedule(graph, assignment, "float32")


def test_more_partitions_than_atoms_are_refused_with_their_number() -> None:
    with pytest.raises(ModelError) as error:
        plan.make_plan(populations(count=2, neurons=300), 5, REFERENCE, "float32")
    assert "5 partitions are more than the model can be cut into: it has 4 atoms" in str(error.value)
    assert "use -n 4 or less, or -n auto" in str(error.value)


def test_more_partitions_than_groups_are_refused_with_the_reason() -> None:
    graph = populations(count=2, neurons=300, links=[], direct=((0, 1),))
    with pytest.raises(ModelError) as error:
        plan.make_plan(graph, 2, REFERENCE, "float32")
    assert "4 atoms (runs of at most 256 neurons) in 1 group that must stay together" in str(error.value)


def test_no_partitions_are_refused() -> None:
    with pytest.raises(ModelError, match="0 partitions cannot be made"):
        plan.make_plan(populations(count=2, neurons=30), 0, REFERENCE, "float32")


def test_a_value_is_recorded_where_most_of_it_is_made() -> None:
    graph = populations(count=4, neurons=256, links=[])
    assignment = assigned(graph, 4, REFERENCE)
    assert assignment.probes == {"value": assignment.atoms["e3#0"]}


def test_recording_counts_in_the_balance() -> None:
    plain, recorded = (populations(count=2, neurons=200, spikes=s) for s in (False, True))
    more = _hypergraph(recorded).weights[0] - _hypergraph(plain).weights[0]
    stages = REFERENCE.kernels["float32"]
    # Neurons are computed in whole vectors.
    assert more == pytest.approx(200 * stages.stages["events"] + 208 * stages.neurons["lif"]["activity"])


def test_only_the_components_that_are_read_count() -> None:
    graph = populations(count=2, neurons=64, dims=4, links=[])
    graph.add("part", g.Product(size=4, matrix=np.diag([1.0, 0.0, 0.0, 0.5])))
    graph.connect("e0.lowpass", "part")
    graph.connect("part", "e1.in")
    made = _hypergraph(graph)
    assert [list(pins) for pins in made.pins] == [[0, 1]]
    assert made.words == (2,)


def test_every_read_of_a_sum_in_another_partition_is_found() -> None:
    graph = populations(count=6, neurons=300, dims=2)
    who = hg.reads(graph)
    read = {
        names: {s for s, number in zip(who.sums, who.later[::2], strict=True) if k in who.sets.of(number)}
        for k, names in enumerate(who.readers)
    }
    assert np.array_equal(who.later[::2], who.later[1::2])  # of sums of two components
    assert read[("e1#0", "e1#1")] == {"e0.x"}
    assert read[("e0#0", "e0#1")] == {"e5.x"}
    assert read[("value",)] == {"e5.x"}
    probes = {names: who.sums_later.of(k) for k, names in enumerate(who.readers)}
    assert {names: found for names, found in probes.items() if found} == {("value",): [(5, 2)]}
    assert not any(map(who.sums_now.of, range(len(who.readers))))


THREADS = """
import os, sys
os.cpu_count = lambda: int(sys.argv[1])
sys.path.insert(0, sys.argv[2])
from partition_models import assigned, populations
from spikec.planning import partition, profile
links = [(k, 7 * k * k % 60) for k in range(60)] + [(k, (k + 1) % 60) for k in range(60)]
graph = populations(count=60, neurons=40, links=links)
print(list(assigned(graph, 4, profile.load("reference")).atoms.values()))
"""


def test_the_number_of_threads_does_not_change_the_result() -> None:
    here = str(Path(__file__).parent)
    one, four = (
        subprocess.run(
            [sys.executable, "-c", THREADS, threads, here], capture_output=True, text=True, check=True
        ).stdout
        for threads in ("1", "4")
    )
    assert one == four
    assert len(set(json.loads(one))) == 4


def test_planning_twice_gives_the_same_bytes() -> None:
    first, second = (
        plan.make_plan(populations(count=12, neurons=300), 3, REFERENCE, "float32").summary()
        for _ in range(2)
    )
    assert json.dumps(first) == json.dumps(second)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_model_can_be_placed_and_scheduled(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 5))
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    links = sorted(set(data.draw(st.lists(pairs, max_size=8))))
    # Without a synapse only forwards: no loop within a step.
    direct = tuple(sorted({(s, t) for s, t in data.draw(st.lists(pairs, max_size=3)) if s < t}))
    graph = populations(count, data.draw(st.integers(1, 600)), links=links, direct=direct)
    groups = _hypergraph(graph).groups
    n = data.draw(st.integers(1, len(groups)))
    assignment = assigned(graph, n, REFERENCE)
    layouts, recorded = schedule(graph, assignment, "float32")
    atoms = [sum(s.operators for s in layout.stages if isinstance(s, la.NeuronGroup)) for layout in layouts]
    assert min(atoms) > 0
    assert sum(atoms) == len(assignment.atoms)
    assert {r.probe for r in recorded} == {"value"}
    for names in groups:
        assert len({assignment.atoms[name] for name in names}) == 1


# ------------------------------------------------------------------------------------------ choosing n


def test_a_tiny_model_is_advised_to_stay_whole() -> None:
    made = plan.make_plan(populations(count=4, neurons=10), 4, REFERENCE, "float32")
    assert "would be faster than 4" in made.advice
    assert "-n 1" in made.advice
    assert made.summary()["advice"] == made.advice


def test_a_large_model_is_not() -> None:
    made = plan.make_plan(populations(count=64, neurons=500), 2, REFERENCE, "float32")
    assert made.advice == ""
    assert made.step < 0.7 * next(p.step for p in made.predictions if p.partitions == 1)


def test_auto_takes_the_fastest_number_up_to_the_cores() -> None:
    small = plan.make_plan(populations(count=4, neurons=10), "auto", REFERENCE, "float32")
    large = plan.make_plan(populations(count=64, neurons=500), "auto", REFERENCE, "float32")
    assert small.assignment.partitions == 1
    assert large.assignment.partitions == REFERENCE.cores == 2


def test_auto_compares_plans_as_they_would_be() -> None:
    """The first cut of this model for two partitions is slower than one, and the refined one is faster."""
    graph = frontend.load(MODELS / "bench" / "learned_channel.spk")
    for _, apply in pipeline.passes(pipeline.Options(), dtype="float32"):
        graph = apply(graph)
    ring = REFERENCE.wires["ring"]
    for latency, partitions in ((300.0, 2), (600.0, 1)):
        host = replace(REFERENCE, wires={"ring": {**ring, "latency": latency}})
        one, two, auto = (plan.make_plan(graph, n, host, "float32") for n in (1, 2, "auto"))
        # Where both are alike, one partition is taken.
        assert (two.step < one.step * (1 - plan.INDIFFERENT)) == (partitions == 2)
        assert two.step < one.step
        assert auto.assignment == (one, two)[partitions - 1].assignment


def test_predictions_cover_the_number_asked_for() -> None:
    assert predict.candidates(3, cores=2, limit=100) == [1, 2, 3, 4, 8, 16]
    assert predict.candidates(1, cores=4, limit=6) == [1, 2, 4]
    assert predict.candidates(40, cores=24, limit=100) == [1, 2, 4, 8, 16, 24, 32, 40]


def test_what_more_cores_would_give_is_predicted() -> None:
    graph = populations(count=64, neurons=500)
    made = {p.partitions: p for p in plan.make_plan(graph, 2, REFERENCE, "float32").predictions}
    for cores in (4, 8):
        there = plan.make_plan(graph, cores, replace(REFERENCE, cores=cores), "float32")
        cored = made[cores].cored
        assert cored == pytest.approx(there.step, rel=0.5)
        assert cored < 0.75 * made[2].step < made[cores].step
        assert made[cores].entry()["us_on_cores"] == round(cored / 1e3, 3)
        (own,) = (p for p in there.predictions if p.partitions == cores)
        assert own.cored == own.step
        assert "us_on_cores" not in own.entry()


def test_estimates_are_near_the_plans_they_stand_for(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = populations(count=64, neurons=500)
    exact = plan.make_plan(graph, 2, REFERENCE, "float32").predictions
    monkeypatch.setattr(plan, "EXACT_ATOMS", 0)
    rough = plan.make_plan(graph, 2, REFERENCE, "float32").predictions
    assert [p.partitions for p in rough] == [p.partitions for p in exact]
    assert [p.exact for p in rough] == [p.partitions == 2 for p in rough]
    for a, b in zip(rough, exact, strict=True):
        assert a.step == pytest.approx(b.step, rel=0.35)


def test_partitions_beyond_the_cores_are_not_predicted_to_be_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """They share the caches too, of which this model fills several; planned in full, and estimated."""
    host, graph = replace(REFERENCE, cache=100_000), populations(count=64, neurons=500)
    for exact in (plan.EXACT_ATOMS, 0):
        monkeypatch.setattr(plan, "EXACT_ATOMS", exact)
        for n in (2, 8):
            times = {p.partitions: p.step for p in plan.make_plan(graph, n, host, "float32").predictions}
            assert times[2] < times[1]
            assert times[4] > 0.98 * times[2]
            assert n == 2 or times[8] > 0.98 * times[2]


def test_pairs_join_all_that_they_lead_to() -> None:
    pairs = [(7, 3), (3, 9), (1, 2), (9, 0), (5, 5), (2, 1)]
    assert hg._joined(11, pairs) == [0, 1, 1, 0, 4, 5, 6, 0, 8, 0, 10]


def test_host_calls_stay_in_one_partition_of_an_estimate() -> None:
    """However many share the neurons: they take the time of their functions."""
    graph = populations(count=4, neurons=300, dims=2)
    for functions in (1, 8):
        name = f"call{functions}"
        graph.add(name, g.HostCall(size=0, call=name, arguments=0, functions=functions))
    placed = plan.make_plan(graph, 1, REFERENCE, "float32")
    assert placed.costs[0].compute["HostCalls"] >= 9 * HOST_CALL
    assert predict.estimate(placed, 4, REFERENCE, "ring") >= 9 * HOST_CALL


def test_what_was_cut_before_is_not_cut_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    ask = Divider._asked
    monkeypatch.setattr(Divider, "_asked", lambda *given: asked.append(given) or ask(*given))
    cache, reference = Cache(tmp_path), profile.load("reference")

    def made(model: g.Graph, n: int) -> dict[str, int]:
        return plan.make_plan(model, n, reference, "float32", cache=cache).assignment.atoms

    chain, other = populations(9, 300), populations(10, 300)
    first = made(chain, 2)
    assert made(chain, 2) == first
    assert len(asked) == 1
    made(chain, 3)
    made(other, 2)
    assert len(asked) >= 3
    before = len(asked)
    for file in cache.folder.iterdir():  # damaged
        file.write_bytes(file.read_bytes()[:-1])
    assert made(chain, 2) == first
    assert len(asked) == before + 1


def test_the_partitioner_has_a_process_of_its_own_that_ends() -> None:
    pairs = [(0, 1), (2, 3), (1, 2)]
    with Divider() as divider:
        assert divider.blocks(2, [], [1, 1, 1, 1], [9, 9, 1], pairs) == [0, 0, 1, 1]
        assert divider.blocks(2, [], [1, 1, 1, 1], [1, 1, 9], [(0, 1), (1, 2), (0, 3)]) != [0, 0, 1, 1]
        process = divider._process
        assert process.poll() is None
    assert process.poll() is not None
    assert "mtkahypar" not in sys.modules


_ASKS = """
from spikec.planning import divider
started = divider._started
def told():
    process = started()
    print(process.pid, flush=True)
    return process
divider._started = told
count = 20_000
pins = [tuple({(k * j * j + j) % count for j in range(1, 13)}) for k in range(3 * count)]
with divider.Divider() as made:
    made.blocks(4, [], [1] * count, [1] * len(pins), pins)
"""


def test_the_partitioner_ends_with_who_asks() -> None:
    """Also in the middle of an answer, for which it takes long."""
    asking = subprocess.Popen([sys.executable, "-c", _ASKS], stdout=subprocess.PIPE, text=True)
    with asking:
        partitioner = psutil.Process(int(asking.stdout.readline()))
        time.sleep(1)
        asking.kill()
    _, alive = psutil.wait_procs([partitioner], timeout=5)
    assert all(process.status() == psutil.STATUS_ZOMBIE for process in alive)


def test_a_partitioner_that_was_killed_is_an_error() -> None:
    with Divider() as divider:
        divider.blocks(2, [], [1, 1, 1], [1, 1], [(0, 1), (1, 2)])
        divider._process.kill()
        with pytest.raises(
            PartitionerError, match="was killed by signal 9\n  help: if memory is short"
        ) as caught:
            divider.blocks(2, [], [1, 1, 1], [2, 1], [(0, 1), (1, 2)])
    assert caught.value.exit_code == 1
