"""Probes: what is recorded of a network, and what they hold after a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikec import graph as g
from spikec.language.lower_matrices import Part
from spikec.network.builder import Builder
from spikec.network.describe import positive
from spikec.network.mistakes import here, mistake, nearest
from spikec.network.nodes import Ensemble, Node, Origin, whole

DATA_TYPES = ("decoded", "spikes")


class Probe:
    """A recording of `target` every `dt_sample` (s); sample k is that of the time (k + 1) dt_sample."""

    def __init__(self, name: str, target: str, dt_sample: float, every: int) -> None:
        self.name, self.target, self.dt_sample = name, target, dt_sample
        self._every, self._pieces = every, list[NDArray[np.float64]]()

    def get_data(self) -> NDArray[np.float64]:
        """All samples: samples x numbers of what is recorded."""
        self._pieces = [np.concatenate(self._pieces)] if self._pieces else []
        return self._pieces[0].copy() if self._pieces else np.zeros((0, 0))

    def clear(self, steps: int) -> None:  # noqa: ARG002
        """Forget all samples, of a network that goes on after so many steps."""
        self._pieces = []

    def take(self, recorded: Mapping[str, Any], steps: int) -> None:  # noqa: ARG002
        """Add what was recorded since the last time, of a network after so many steps."""
        self._pieces.append(np.asarray(recorded[self.name], np.float64))


class SpikeProbe(Probe):
    """How often each neuron spiked between samples: samples x members of the array x neurons.

    Upstream has the spikes of one step in each sample: the same where dt_sample is the step.
    """

    def __init__(
        self, name: str, target: str, dt_sample: float, every: int, names: list[str], neurons: int
    ) -> None:
        super().__init__(name, target, dt_sample, every)
        self._names, self._neurons = names, neurons
        self._events: list[tuple[int, NDArray[np.int64]]] = []
        self._steps = self._first = 0

    def clear(self, steps: int) -> None:
        self._events, self._steps, self._first = [], steps, steps // self._every

    def take(self, recorded: Mapping[str, Any], steps: int) -> None:
        self._events += [(k, recorded[name]) for k, name in enumerate(self._names)]
        self._steps = steps

    def get_data(self) -> NDArray[np.float64]:
        counts = np.zeros((self._steps // self._every - self._first, len(self._names), self._neurons))
        for member, events in self._events:
            sample = (events[:, 0] - 1) // self._every - self._first
            inside = sample < len(counts)
            np.add.at(counts[:, member], (sample[inside], events[inside, 1]), 1.0)
        return counts


def make_probe(
    builder: Builder,
    recorded: Node | Origin,
    name: str,
    dt_sample: float,
    data_type: str,
    pstc: float,
    target: str,
) -> Probe:
    """Add a probe: see `Network.make_probe`."""
    every = _every(dt_sample, builder.graph.dt, name)
    if data_type not in DATA_TYPES:
        mistake(f"a probe cannot record {data_type!r}", nearest(str(data_type), DATA_TYPES, "data types"))
    if isinstance(recorded, Origin):
        parts = [
            _filtered(builder, f":probe {name}.filter.{k}", part, pstc)
            for k, part in enumerate(recorded.parts)
        ]
        _add(builder, name, parts, every, target)
        return Probe(name, target, dt_sample, every)
    if not isinstance(recorded, Ensemble) or not recorded.populations:
        mistake(f"{target!r} has no spikes", "name an ensemble with neurons")
    size = recorded.neurons_num
    if not recorded.populations[0].neuron.spiking:
        parts = [whole(builder.activity(path, size), size) for path in recorded.paths]
        _add(builder, name, parts, every, target)
        return Probe(name, target, dt_sample, every)
    names = []
    for k, path in enumerate(recorded.paths):
        names.append(f"{name}[{k}]" if recorded.array_size > 1 else name)
        op = g.Probe(size=size, span=here(), name=names[-1], attribute="spikes", target=path)
        builder.add(f":probe {names[-1]}", op, neurons=path)
    return SpikeProbe(name, target, dt_sample, every, names, size)


def _filtered(builder: Builder, name: str, part: Part, pstc: float) -> Part:
    """A part of a signal after a synapse, which one shorter than a step is not."""
    node = builder.lowpass(name, part.node, pstc, delayed=False)
    return Part(node, part.taken, part.size)


def _add(builder: Builder, name: str, parts: list[Part], every: int, target: str) -> None:
    node, size = builder.gathered(f":probe {name}", parts)
    op = g.Probe(size=size, span=here(), name=name, every=every, target=target)
    builder.add(f":probe {name}", op, x=node)


def _every(dt_sample: float, dt: float, name: str) -> int:
    steps = positive("dt_sample", dt_sample, name, "0.01") / dt
    if abs(steps - round(steps)) > 1e-6 or steps < 0.5:
        mistake(
            f"dt_sample of {dt_sample} s is no whole number of steps of {dt} s", f"give {dt} or a multiple"
        )
    return round(steps)
