"""Networks of `nengo.spa`: buffers that are bound, compared, remembered, and chosen among."""

from __future__ import annotations

from typing import Any

import numpy as np
from converted import nengo
from nengo import spa

from random_networks.draw import Draw


def semantic(draw: Draw) -> list[Any]:
    """One of Nengo's own networks of semantic pointers."""
    vocabulary = spa.Vocabulary(4, rng=np.random.RandomState(draw.below(50)))
    vocabulary.parse("A + B + C")
    small = {"dimensions": 4, "subdimensions": 2, "neurons_per_dimension": 10, "vocab": vocabulary}
    with spa.SPA(seed=draw.pick(None, 2)) as model:
        model.state = spa.State(feedback=draw.pick(0.0, 0.5), **small)
        model.buffer = spa.Buffer(**small)
        model.memory = spa.Memory(**small)
        model.input = spa.Input(state=lambda t: "A" if t < 0.03 else "B*C", buffer="0.5*B")
        seen = draw.made(
            lambda: _bound(model, vocabulary),
            lambda: _compared(model, vocabulary),
            lambda: _recalled(model, vocabulary),
            lambda: _chosen(model),
        )
        nengo.Probe(seen, synapse=draw.synapse())
    return [model.state.input, model.buffer.state.input, model.buffer.state.output, seen]


def _bound(model: Any, vocabulary: Any) -> Any:
    model.bound = spa.Bind(4, vocab=vocabulary, n_neurons=15)
    model.cortical = spa.Cortical(
        spa.Actions("bound_A = state", "bound_B = buffer", "memory = bound"), neurons_cconv=15
    )
    return model.memory.state.output


def _compared(model: Any, vocabulary: Any) -> Any:
    model.compared = spa.Compare(4, vocab=vocabulary, neurons_per_multiply=15)
    model.cortical = spa.Cortical(spa.Actions("compared_A = state", "compared_B = buffer"))
    return model.compared.output


def _recalled(model: Any, vocabulary: Any) -> Any:
    model.recalled = spa.AssociativeMemory(vocabulary, wta_output=True)
    model.cortical = spa.Cortical(spa.Actions("recalled = state", "memory = recalled"))
    return model.recalled.output


def _chosen(model: Any) -> Any:
    actions = spa.Actions(
        "dot(state, A) --> memory = B", "dot(state, B) --> memory = state * buffer", "0.4 --> "
    )
    model.ganglia = spa.BasalGanglia(actions)
    model.thalamus = spa.Thalamus(
        model.ganglia, neurons_action=10, neurons_channel_dim=5, neurons_cconv=8, neurons_gate=10
    )
    return model.memory.state.output
