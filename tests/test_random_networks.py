"""Random Nengo networks: some seeds of `make fuzz`, and whether they have all of Nengo's classes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from random_networks import compare
from random_networks.kinds import kinds
from random_networks.networks import network
from test_nengo_words import NAMED

SEEDS = (4, 15, 22)
# Enough for each class to be in some network.
MANY = 150
# Base classes, and what is no part of a network; LstsqL1 needs a library that Spike does not.
OTHERS = {
    "NeuronType", "RatesToSpikesNeuronType", "Process", "Synapse", "Distribution", "Solver", "Transform",
    "LearningRuleType", "Conv", "ConvTranspose", "Config", "Simulator", "LstsqL1",
    "presets.ThresholdingEnsembles", "spa.Actions", "spa.SemanticPointer", "spa.Vocabulary",
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_all_ways_give_what_nengo_gives(seed: int) -> None:
    found = compare.compared(seed)
    assert found.failures == ()
    assert found.notes == ()


def test_what_differs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one bit in the cut, and of less than a millionth beside Nengo."""
    own = compare._spike

    def other(net: Any, plan: Any, partitions: int, *use: Any) -> compare.Recorded:
        first, *rest = own(net, plan, partitions, *use)
        return [np.nextafter(first, 9) if partitions == 2 else first * (1 + 3e-9), *rest]

    monkeypatch.setattr(compare, "_spike", other)
    said = " ".join(compare.compared(SEEDS[0]).failures)
    assert "2 partitions: " in said
    assert "Nengo, through: 3.0e-09" in said


def test_the_networks_have_all_that_the_table_has() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = set().union(*(kinds(network(seed)) for seed in range(MANY)))
    assert sorted(NAMED - OTHERS - found) == []
    assert not OTHERS & found
