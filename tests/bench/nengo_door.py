"""Times benchmark models through `spikec.nengo.Simulator`: `python -m tests.bench.nengo_door [MODEL ...]`."""

# ruff: noqa: T201
from __future__ import annotations

import sys
import time

from spikec.nengo import Simulator  # before Nengo: its warnings of its own imports are caught there
from tests.bench.nengo_models import MODELS

import nengo  # isort: skip

# Enough steps that the session compiles, then so many are timed.
WARM, STEPS, REPEATS = 90_000, 6000, 3


def main(names: list[str]) -> None:
    nengo.rc.set("decoder_cache", "enabled", "False")
    nengo.rc.set("precision", "bits", "32")
    for name in names or ("lorenz-2000n", "stream-8x8", "pes-1000n-4d"):
        for partitions in (1, 2):
            start = time.perf_counter()
            with Simulator(MODELS[name](), progress_bar=False, partitions=partitions) as simulator:
                built = time.perf_counter() - start
                simulator.run_steps(WARM)
                times = []
                for _ in range(REPEATS):
                    start = time.perf_counter()
                    simulator.run_steps(STEPS)
                    times.append((time.perf_counter() - start) / STEPS)
            print(
                f"{name:20} {partitions} partitions: built in {built:.2f} s, {min(times) * 1e6:.1f} us/step"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
