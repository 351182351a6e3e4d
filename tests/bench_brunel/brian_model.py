"""The network in Brian2's C++ standalone mode, run in an environment of its own:
python brian_model.py SEED THREADS SECONDS OUTPUT.npz"""

from __future__ import annotations

import json
import sys
import tempfile
import time

import numpy as np
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonInput,
    SpikeMonitor,
    Synapses,
    defaultclock,
    device,
    ms,
    prefs,
    second,
    seed,
    set_device,
)  # fmt: skip


def main(number: int, threads: int, duration: float, output: str) -> None:
    """Equations and parameters as in the other two; in-degrees are fixed."""
    start = time.perf_counter()
    set_device("cpp_standalone", build_on_run=False)
    prefs.devices.cpp_standalone.openmp_threads = threads
    defaultclock.dt = 0.1 * ms
    seed(number)
    rng = np.random.default_rng(number)
    neurons = NeuronGroup(
        10_000, "dv/dt = -v / (20*ms) : 1 (unless refractory)", threshold="v >= 20", reset="v = 10",
        refractory=2 * ms, method="exact",
    )  # fmt: skip
    kept = [SpikeMonitor(neurons), PoissonInput(neurons, "v", N=800, rate=25 * Hz, weight=0.1)]
    for part, inputs, weight in ((neurons[:8000], 800, 0.1), (neurons[8000:], 200, -0.5)):
        synapses = Synapses(part, neurons, on_pre=f"v_post += {weight}", delay=1.5 * ms)
        targets = np.repeat(np.arange(10_000), inputs)
        synapses.connect(i=rng.integers(0, len(part), len(targets)), j=targets)
        kept.append(synapses)
    Network(neurons, *kept).run(duration * second)
    with tempfile.TemporaryDirectory() as folder:
        device.build(directory=folder, compile=True, run=False)
        build = time.perf_counter() - start
        device.run(folder, "results", with_output=False, run_args=[])
        monitor = kept[0]
        np.savez(output, times=np.array(monitor.t / second), neurons=np.array(monitor.i))
        print(json.dumps({"build": build, "run": device._last_run_time}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
