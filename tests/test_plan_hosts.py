"""Plans over several hosts: fast hosts take more, heavy wires stay inside a host, always the same plan."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from partition_models import populations
from spike_runtime import manifest as mf
from spike_runtime.hosts import HostsError

import spikec
from spikec import graph as g
from spikec.errors import ModelError
from spikec.planning import partition as pt
from spikec.planning import plan, profile
from spikec.planning.sites import Site, spread

REFERENCE = profile.load("reference")


def slower(times: float) -> profile.HostProfile:
    """The reference host with kernels that take so many times as long."""
    kernels = {
        name: profile.Kernels(
            {kind: {k: v * times for k, v in costs.items()} for kind, costs in kernel.neurons.items()},
            {k: v * times for k, v in kernel.stages.items()},
            tuple((size, byte * times, row * times) for size, byte, row in kernel.far),
        )
        for name, kernel in REFERENCE.kernels.items()
    }
    return replace(REFERENCE, name="slow", kernels=kernels)


def site(name: str, cores: int, times: float = 1.0) -> Site:
    host = mf.Host(name, f"{name}.lan", cores)
    return Site(replace(slower(times), cores=cores), host)


def neurons(graph: g.Graph, made: plan.Plan) -> Counter[str]:
    """Neurons on each host."""
    counts: Counter[str] = Counter()
    for name, op in graph.nodes(g.Atom):
        counts[made.spread.places[made.assignment.atoms[name]]] += op.size
    return counts


def test_partitions_are_dealt_in_proportion_to_cores() -> None:
    two, four, eight = site("a", 2), site("b", 4), site("c", 8)
    for n, counts in {1: (1,), 2: (1, 1), 3: (1, 1, 1), 7: (1, 2, 4), 14: (2, 4, 8), 28: (4, 8, 16)}.items():
        assert spread(n, (two, four, eight), "ring").counts == counts
    made = spread(4, (two, eight), "ring")
    assert made.places == ("a", "c", "c", "c")


def test_a_slow_host_takes_less() -> None:
    graph = populations(count=40, neurons=1024, links=[])
    # A quarter by speed; less, as what every partition does besides is also slower there.
    for times, low, high in ((1.0, 0.45, 0.55), (3.0, 0.15, 0.26)):
        made = plan.make_plan(graph, 4, (site("fast", 2), site("slow", 2, times)), "float32")
        part = neurons(graph, made)["slow"] / 40960
        assert low < part < high
        compute = [sum(c.compute.values()) for c in made.costs]
        assert max(compute) < 1.15 * min(compute)


def test_heavy_wires_stay_inside_a_host() -> None:
    """Two rings of wide signals, joined by one narrow signal: a host for each, cut inside as need be."""
    even, odd = range(0, 16, 2), range(1, 16, 2)
    links = [(ring[k], ring[(k + 1) % 8]) for ring in (even, odd) for k in range(8)] + [(0, 1)]
    graph = populations(count=16, neurons=200, dims=4, links=links)
    made = plan.make_plan(graph, 4, (site("a", 2), site("b", 2)), "float32")
    host = {k: made.spread.places[made.assignment.atoms[f"e{k}#0"]] for k in range(16)}
    assert len({host[k] for k in even}) == len({host[k] for k in odd}) == 1
    assert host[0] != host[1]
    between = [
        len(rows)
        for layout in made.layouts
        for target, rows in layout.send.items()
        if made.spread.places[layout.partition] != made.spread.places[target]
    ]
    assert sum(between) == 4


def test_wires_between_hosts_cost_more() -> None:
    graph = populations(count=4, neurons=200)
    near = plan.make_plan(graph, 2, REFERENCE, "float32")
    far = plan.make_plan(graph, 2, (site("a", 1), site("b", 1)), "float32")
    tcp = plan.make_plan(graph, 2, REFERENCE, "float32", "tcp")
    assert [c.exchange for c in far.costs] == [c.exchange for c in tcp.costs]
    assert far.costs[0].exchange > 10 * near.costs[0].exchange
    four = plan.make_plan(graph, 4, (site("a", 2), site("b", 2)), "float32")
    # A ring of four: every partition has one wire inside its host and one between hosts.
    wire = REFERENCE.wires
    both = [sum(wire[t]["message"] + wire[t]["word"] for t in ("ring", "tcp")) + wire["tcp"]["latency"]]
    for layout, cost in zip(four.layouts, four.costs, strict=True):
        assert len(layout.send) == len(layout.receive) == 1
        assert len(layout.late) == 0  # what is received is added to the partition's own sums, not to a copy
        assert cost.exchange == pytest.approx(both[0], abs=0.1)


def test_auto_uses_more_hosts_only_where_that_is_faster() -> None:
    sites = (site("a", 2), site("b", 2))
    small = plan.make_plan(populations(count=4, neurons=10), "auto", sites, "float32")
    large = plan.make_plan(populations(count=100, neurons=4000, links=[]), "auto", sites, "float32")
    assert small.spread.counts == (1,)
    assert large.spread.counts == (2, 2)


def test_the_advice_names_fewer_hosts() -> None:
    made = plan.make_plan(populations(count=8, neurons=50), 4, (site("a", 4), site("b", 4)), "float32")
    assert "on 1 host would be faster than 4" in made.advice
    assert "use the first 1 of the hosts file, or -n auto" in made.advice
    entry = next(p for p in made.summary()["predictions"] if p.get("hosts") == 2 and p["partitions"] == 4)
    assert entry["exact"]


def test_every_partition_has_atoms_and_the_plan_is_always_the_same() -> None:
    graph = populations(count=3, neurons=700)
    sites = (site("a", 4), site("b", 2, 5.0), site("c", 1, 0.5))
    for n in range(1, 10):
        made = plan.make_plan(graph, n, sites, "float32")
        assert set(made.assignment.atoms.values()) == set(range(n))
        assert len(made.spread.places) == n
        assert list(made.spread.places) == sorted(made.spread.places)
        again = plan.make_plan(graph, n, sites, "float32").summary()
        assert json.dumps(again) == json.dumps(made.summary())


HOSTS = """
[[host]]
name = "a"
address = "10.0.0.1"
cores = 2
[[host]]
name = "b"
address = "10.0.0.2"
cores = 2
launch = ["ssh", "b"]
folder = "/there"
"""


@pytest.mark.usefixtures("reference_host")
def test_the_manifest_says_where_everything_is(tiny, tmp_path: Path) -> None:
    file = tmp_path / "hosts.toml"
    file.write_text(HOSTS)
    made = spikec.compile(tiny.source, 2, tmp_path / "build", hosts=file).manifest
    assert [p.host for p in made.partitions] == ["a", "b"]
    assert made.hosts == (
        mf.Host("a", "10.0.0.1", 2),
        mf.Host("b", "10.0.0.2", 2, ("ssh", "b"), "/there"),
    )
    assert mf.load(tmp_path / "build" / "manifest.json") == made
    plain = spikec.compile(tiny.source, 2, tmp_path / "plain").manifest
    assert ({p.host for p in plain.partitions}, plain.hosts) == ({"localhost"}, ())


@pytest.mark.usefixtures("reference_host")
def test_inspect_shows_the_hosts(tiny, tmp_path: Path) -> None:
    file = tmp_path / "hosts.toml"
    file.write_text(HOSTS)
    made = spikec.compile(tiny.source, 2, tmp_path / "build", hosts=file)
    shown = made.inspect()
    sent = [sum(8 * w.words for w in made.manifest.wires if w.source == k) for k in range(2)]
    assert [(h.name, h.partitions, h.bytes) for h in shown.hosts] == [
        ("a", (0,), sent[0]),
        ("b", (1,), sent[1]),
    ]
    assert sum(h.wires for h in shown.hosts) == len(made.manifest.wires) > 0
    text = shown.to_text()
    row = next(words for line in text.splitlines() if (words := line.split())[:3] == ["b", "2", "1"])
    assert row[-1] == json.loads(shown.to_json())["hosts"][1]["profile"]
    assert f"{sum(sent)} of them between hosts" in text
    assert "on 2 hosts, this plan" in text
    assert "Hosts" not in spikec.open_manifest(tiny.compiled.folder).inspect().to_text()


def test_mistakes_about_hosts(tiny, tmp_path: Path) -> None:
    file = tmp_path / "hosts.toml"
    file.write_text(HOSTS.replace("cores = 2\nlaunch", 'cores = 2\nprofile = "none.json"\nlaunch'))
    with pytest.raises(ModelError, match=r"cannot read the host profile .*none.json"):
        spikec.compile(tiny.source, 2, tmp_path / "build", hosts=file, host_profile="reference")
    with pytest.raises(ModelError, match="transport ipc joins partitions of one host only"):
        spikec.compile(tiny.source, 2, tmp_path / "build", hosts=file, transport="ipc")
    with pytest.raises(HostsError, match="cannot read the hosts file"):
        spikec.compile(tiny.source, 2, tmp_path / "build", hosts=tmp_path / "no.toml")
    assert not (tmp_path / "build").exists()


def test_what_is_missing_comes_from_the_heaviest_that_can_spare_it() -> None:
    assert pt._filled([0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [2, 1, 2]) == [0, 0, 2, 2, 1]
    assert pt._filled([0, 1, 1, 1], [9, 1, 1, 1], [1, 1, 2]) == [0, 1, 2, 2]
