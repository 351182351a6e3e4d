"""Ctrl-C before the first step of a simulator, while what runs it is made."""

from __future__ import annotations

import contextlib
import signal
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from spikec import nef
from spikec.nengo import (
    Simulator,
    simulator,
)  # before Nengo: its warnings of its own imports are caught there
from spikec.network import network

import nengo  # isort: skip


def _interrupted_once(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Sessions as they are made, each while Ctrl-C comes, which a library catches."""
    made, session = [], module.session  # type: ignore[attr-defined]  # of two modules that both have it

    def interrupted(*arguments: Any) -> Any:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        made.append(session(*arguments))
        return made[-1]

    monkeypatch.setattr(module, "session", interrupted)
    return made


@pytest.mark.parametrize("partitions", [1, 2])
def test_simulators_go_on(partitions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with nengo.Network(seed=1) as net:
        a, b = nengo.Ensemble(20, 1), nengo.Ensemble(20, 1)
        nengo.Connection(a, b)
        probe = nengo.Probe(b, synapse=0.01)
    with Simulator(net, progress_bar=False) as whole:
        whole.run_steps(10)
    made = _interrupted_once(simulator, monkeypatch)
    with Simulator(net, progress_bar=False, partitions=partitions) as sim:
        with pytest.raises(KeyboardInterrupt):
            sim.run_steps(10)
        assert sim.n_steps == 0
        sim.run_steps(10)
        assert len(made) == 1
        np.testing.assert_array_equal(sim.data[probe], whole.data[probe])


def test_networks_of_nef_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nef.Network("interrupted", seed=1)
    net.make("A", 20, 1)
    probe = net.make_probe("A", dt_sample=0.001)
    made = _interrupted_once(network, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        net.run(0.01)
    net.run(0.01)
    assert (len(made), len(probe.get_data())) == (1, 10)
