"""A Nengo network through `spikec.nengo.convert`, beside Nengo's own simulator."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

with warnings.catch_warnings():  # Nengo 4.1 imports names that NumPy 2.4 deprecates
    warnings.simplefilter("ignore")
    import nengo

    from spikec.nengo import Simulator
    from spikec.nengo.convert import Converted, convert

nengo.rc.set("decoder_cache", "enabled", "False")

SEED = 7


def converted(net: nengo.Network, dt: float = 0.001) -> Converted:
    model = nengo.builder.Model(dt=dt)
    model.build(net)
    made = convert(model, SEED)
    made.start(SEED)
    return made


def run(net: nengo.Network, steps: int, partitions: int = 1) -> dict[Any, NDArray[np.float64]]:
    """Data of all probes, from Spike."""
    with Simulator(net, seed=SEED, progress_bar=False, partitions=partitions) as simulator:
        simulator.run_steps(steps)
        return {probe: np.array(simulator.data[probe]) for probe in net.all_probes}


def reference(net: nengo.Network, steps: int, dt: float = 0.001) -> dict[Any, NDArray[np.float64]]:
    """The same of Nengo's own simulator."""
    with nengo.Simulator(net, dt=dt, seed=SEED, progress_bar=False, optimize=False) as simulator:
        simulator.run_steps(steps)
        return {probe: np.array(simulator.data[probe]) for probe in net.all_probes}


def assert_equal(ours: NDArray[np.float64], nengos: NDArray[np.float64], what: str = "") -> None:
    assert np.abs(nengos).max() > 0, f"{what}: the signal is 0 throughout"
    scale = max(1.0, float(np.abs(nengos).max()))
    np.testing.assert_allclose(ours.reshape(nengos.shape), nengos, rtol=0, atol=1e-9 * scale, err_msg=what)


__all__ = ["Converted", "assert_equal", "converted", "nengo", "reference", "run"]
