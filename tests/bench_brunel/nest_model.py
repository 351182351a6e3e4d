"""The network in NEST, run in an environment of its own: python nest_model.py SEED THREADS SECONDS
OUTPUT.npz"""

from __future__ import annotations

import json
import sys
import time

import nest
import numpy as np


def main(seed: int, threads: int, duration: float, output: str) -> None:
    """As NEST's example brunel_delta_nest.py, with order 2000, g = 5, eta = 2."""
    nest.set_verbosity("M_ERROR")
    nest.ResetKernel()
    nest.set(local_num_threads=threads, resolution=0.1, rng_seed=seed, print_time=False)
    start = time.perf_counter()
    neuron = {"C_m": 1.0, "tau_m": 20.0, "t_ref": 2.0, "E_L": 0.0, "V_reset": 10.0, "V_m": 0.0, "V_th": 20.0}
    excitatory = nest.Create("iaf_psc_delta", 8000, params=neuron)
    inhibitory = nest.Create("iaf_psc_delta", 2000, params=neuron)
    noise = nest.Create("poisson_generator", params={"rate": 20_000.0})
    recorder = nest.Create("spike_recorder")
    every = excitatory + inhibitory
    synapse = {"synapse_model": "static_synapse", "delay": 1.5}
    nest.Connect(noise, every, syn_spec=synapse | {"weight": 0.1})
    nest.Connect(excitatory, every, {"rule": "fixed_indegree", "indegree": 800}, synapse | {"weight": 0.1})
    nest.Connect(inhibitory, every, {"rule": "fixed_indegree", "indegree": 200}, synapse | {"weight": -0.5})
    nest.Connect(every, recorder)
    nest.Prepare()
    build, start = time.perf_counter() - start, time.perf_counter()
    nest.Run(1000 * duration)
    run = time.perf_counter() - start
    nest.Cleanup()
    np.savez(output, times=recorder.events["times"] / 1000, neurons=recorder.events["senders"] - 1)
    print(json.dumps({"build": build, "run": run}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
