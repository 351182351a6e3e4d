"""Nengo networks and what `spikec.nengo.translate` writes of them: what both give."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from converted import nengo
from numpy.typing import NDArray

from spikec import frontend
from spikec.nengo import Simulator
from spikec.nengo.writing.translate import translate
from spikec.sessions import session

Networks = dict[str, Callable[[], nengo.Network]]
Recorded = list[NDArray[Any]]


def enter(networks: Networks, make: Callable[[], None]) -> Callable[[], nengo.Network]:
    """Enter the network of what `make` makes, under its name."""

    def made() -> nengo.Network:
        with nengo.Network(seed=5) as net:
            make()
        return net

    networks[make.__name__] = made
    return made


def stimulus(dims: int = 1) -> Any:
    """A node of sines of the time."""
    return nengo.Node(lambda t: np.sin(20 * t + np.arange(dims)), label="stimulus")


def simulated(net: nengo.Network, steps: int, partitions: int = 1) -> Recorded:
    """Data of all probes, from the simulator."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of networks that SPA holds twice
        with Simulator(net, progress_bar=False, partitions=partitions) as simulator:
            simulator.run_steps(steps)
            return [np.array(simulator.data[probe]) for probe in net.all_probes]


def translated(
    net: nengo.Network, path: Path, steps: int, precision: str, partitions: int = 1, dt: float | None = None
) -> Recorded:
    """The same of the network written to `path`, read and run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        written = translate(net, path, dt=dt)
    running = session(frontend.load(path), {}, partitions, precision)
    try:
        running.advance(steps)
        drained = running.drain()
    finally:
        running.close()
    return [drained[name] for name in written.probes]
