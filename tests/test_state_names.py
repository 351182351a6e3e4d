"""Names in saved states follow from what the text says, not from what else reads or comes after it."""

from __future__ import annotations

from continued import named

from spikec.frontend import loads

PLANT = """
seed 5
input goal = [0.5, -0.5]
relay pos[2] synapse lowpass(50ms)
node plant(u[2]) = [u[0] + 1, u[1] * u[0]]
ensemble s(50, dims=2)
relay ua; relay ub
node err(p[2], g[2]) = [p[0] - g[0], p[1] - g[1]]
connect pos -> err[0:2] synapse none
connect goal -> err[2:4] synapse none
connect goal -> s
connect s -> ua via 0 learning rls as la
connect s -> ub via 0 learning pes
connect s -> ub via 0 learning pes(rate=1e-3) as lb
connect ua -> plant[0] synapse none
connect ub -> plant[1] synapse none
connect plant -> pos synapse none delay 2ms
connect err[0] -> la.rls; connect err[1] -> lb.pes
probe pos
"""
READER = "ensemble aaa(30)\nconnect {} -> aaa\nprobe aaa\n"


def names(text: str, *kinds: str) -> list[str]:
    """Of the arrays in states of a model, those of some kinds."""
    return [name for kind, name, _ in named(loads(text)) if kind in kinds]


def test_what_learns_is_called_by_its_name_or_as_its_ends_are_written() -> None:
    plain = names(PLANT, "weights", "inverse")
    assert plain == ["la.weights.0", "la.weights", "lb.weights", "s->ub.weights"]
    for other in ("ua", "ub", "err[0]", "s[1]"):
        assert names(PLANT + READER.format(other), "weights", "inverse") == plain
    second = names(PLANT + "connect s -> ub via 1 learning pes", "weights")
    assert second == ["la.weights", "lb.weights", "s->ub#3.weights", "s->ub.weights"]


def test_synapses_and_sums_of_what_learns_are_called_by_it() -> None:
    wanted = {"la.filter", "lb.filter", "s->ub.filter", "s->la.filter"}
    for text in (PLANT, PLANT + READER.format("ua"), PLANT + READER.format("ub")):
        assert wanted <= set(names(text, "filter"))


def test_nodes_that_compute_are_ends() -> None:
    """The delay and the relay's synapse lie between `plant` and `err`, whatever the populations are."""
    assert names(PLANT, "delay") == ["plant->err.delay"]
    assert "plant->err.filter" in names(PLANT, "filter")
