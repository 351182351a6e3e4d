"""Times benchmark models through `spikec.nengo.Simulator`, beside the same in `.spk` in the same process:
`python -m tests.bench.nengo_door [MODEL ...]`.
"""

# ruff: noqa: T201
from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from spike_runtime.session import Session

from spikec import frontend
from spikec.nengo import Simulator  # before Nengo: its warnings of its own imports are caught there
from spikec.pipeline import Options, compile_graph
from tests.bench.__main__ import MODELS as LANGUAGE
from tests.bench.nengo_models import MODELS

import nengo  # isort: skip

FOLDER = Path(__file__).resolve().parents[2] / "models" / "bench"
SAME = {network: name for name, network in LANGUAGE.items()}
# Seconds that are timed each time, and how often.
SPAN, REPEATS = 0.3, 5


def main(names: list[str]) -> None:
    nengo.rc.set("decoder_cache", "enabled", "False")
    nengo.rc.set("precision", "bits", "32")
    for name in names or MODELS:
        for partitions in (1, 2):
            door, language, built = measured(name, partitions)
            print(
                f"{name:20} {partitions} partitions: ready in {built:.2f} s, {door:.1f} us/step, "
                f"in .spk {language:.1f} us/step, {100 * language / door:.0f} % of its speed",
                flush=True,
            )


def measured(name: str, partitions: int) -> tuple[float, float, float]:
    """us per step through the door and in the language, and s until the simulator was ready."""
    start = time.perf_counter()
    with Simulator(MODELS[name](), progress_bar=False, partitions=partitions) as simulator:
        built = time.perf_counter() - start
        for _ in range(3):
            simulator.run_steps(10)
        simulator._session._price = 1e-9  # type: ignore[union-attr]  # compile it now
        simulator.run_steps(200)
        with tempfile.TemporaryDirectory() as folder:
            graph = frontend.load(FOLDER / f"{SAME[name]}.spk")
            manifest = compile_graph(graph, Path(folder) / "model", Options(partitions, "float32"))
            session = Session(manifest, Path(folder) / "model", compiled=True)

            def run(steps: int) -> None:
                session.advance(steps)
                session.drain()

            run(200)
            pairs = [(timed(simulator.run_steps), timed(run)) for _ in range(REPEATS)]
    door, language = (min(times) for times in zip(*pairs, strict=True))
    return door, language, built


def timed(run: Callable[[int], None]) -> float:
    """us per step, over about `SPAN` seconds."""
    steps, spent = 100, 0.0
    while spent < SPAN / 2:
        steps *= 2
        start = time.perf_counter()
        run(steps)
        spent = time.perf_counter() - start
    return spent / steps * 1e6


if __name__ == "__main__":
    main(sys.argv[1:])
