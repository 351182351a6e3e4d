"""Learning rules of the user's own, which run in Python."""

from __future__ import annotations

from typing import Any

import pytest
from converted import Simulator, nengo


class Forgetting(nengo.learning_rules.LearningRuleType):
    """A rule of the user's own, which reads activities in the step that makes them."""

    modifies = "decoders"

    def __init__(self) -> None:
        super().__init__(1.0, size_in=0)


class SimForgetting(nengo.builder.Operator):
    def __init__(self, pre: Any, delta: Any) -> None:
        super().__init__()
        self.sets, self.incs, self.reads, self.updates = [], [], [pre], [delta]

    def make_step(self, signals: Any, dt: float, _: Any) -> Any:
        pre, delta = signals[self.reads[0]], signals[self.updates[0]]

        def step() -> None:
            delta[...] = -1e-6 * dt * pre

        return step


@nengo.builder.Builder.register(Forgetting)
def build_forgetting(model: Any, _: Any, rule: Any) -> None:
    model.sig[rule]["in"] = None
    pre = model.sig[rule.connection.pre_obj.neurons]["out"]
    model.add_op(SimForgetting(pre, model.sig[rule]["delta"]))


def test_rules_of_ones_own_are_told_what_takes_their_place(caplog: pytest.LogCaptureFixture) -> None:
    with nengo.Network(seed=1) as net:
        a = nengo.Ensemble(400, 1, label="a")
        nengo.Connection(a, nengo.Node(size_in=1), learning_rule_type=Forgetting())
        nengo.Probe(a, synapse=0.01)
    with Simulator(net, partitions=2, progress_bar=False) as sim:
        sim.run_steps(2)
    assert (
        "\n  'a' is connected to what runs in Python without a synapse; add one, for example: synapse 5ms, "
        "or if its learning rule reads them, take PES, RLS, BCM, Oja or Voja, which are cut anywhere"
    ) in caplog.text
