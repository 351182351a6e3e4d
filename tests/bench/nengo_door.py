"""Times benchmark models through `spikec.nengo.Simulator` and the same in `.spk` by `spike-run`, in turns,
each in a process of its own: `python -m tests.bench.nengo_door [MODEL ...]`.
"""

# ruff: noqa: T201
from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import measure
from tests.bench.__main__ import MODELS
from tests.bench.turns import Timed, in_turns

NETWORKS = {network: name for name, network in MODELS.items()}
# Seconds that are timed each time, and how many tries count.
SPAN, COUNTED = 0.5, 7


def main(names: list[str]) -> None:
    for name in names or NETWORKS:
        for partitions in (1, 2):
            timed = measured(name, partitions)
            door, language = timed["door"].value, timed["language"].value
            print(
                f"{name:18} {partitions} partitions: {door:6.2f} us/step, in .spk {language:6.2f}: "
                f"{language / door:.0%} of its speed ({timed['door'].quiet} of {timed['door'].tries} tries "
                "undisturbed)",
                flush=True,
            )


def measured(name: str, partitions: int) -> dict[str, Timed]:
    """us per step through the door and in the language."""
    model = measure.ROOT / "models" / "bench" / f"{NETWORKS[name]}.spk"
    with opened(name, partitions) as door, tempfile.TemporaryDirectory() as folder:
        language = measure.stepping(measure.compiled(model, partitions, Path(folder) / "model"), SPAN)
        door(), language()
        return in_turns({"door": door, "language": language}, COUNTED, 3 * COUNTED)


@contextmanager
def opened(name: str, partitions: int) -> Iterator[Callable[[], float]]:
    """What times a simulator, which is in another process."""
    command = [sys.executable, "-m", "tests.bench.nengo_door", "--door", name, str(partitions)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=measure.ROOT, stdin=pipe, stdout=pipe, text=True) as child:
        asked, told = child.stdin, child.stdout
        assert asked is not None
        assert told is not None

        def timed() -> float:
            print(file=asked, flush=True)
            return float(told.readline())

        yield timed
        asked.close()


def door_child(name: str, partitions: int) -> None:
    """Runs in a process of its own: times a simulator for each line that it reads."""
    from spikec.nengo import Simulator  # before Nengo: its warnings of its own imports are caught there
    from tests.bench import nengo_models

    import nengo  # isort: skip

    nengo.rc.set("decoder_cache", "enabled", "False")
    nengo.rc.set("precision", "bits", "32")
    with Simulator(nengo_models.MODELS[name](), progress_bar=False, partitions=partitions) as simulator:
        simulator.run_steps(50)
        simulator._session._price = 1e-9  # type: ignore[union-attr]  # compile it now
        simulator.run_steps(200)
        steps = 100
        for _ in sys.stdin:
            while (spent := seconds_of(simulator.run_steps, steps)) < SPAN / 2:
                steps *= 2
            print(spent / steps * 1e6, flush=True)


def seconds_of(run: Callable[[int], None], steps: int) -> float:
    start = time.perf_counter()
    run(steps)
    return time.perf_counter() - start


if __name__ == "__main__":
    if sys.argv[1:2] == ["--door"]:
        door_child(sys.argv[2], int(sys.argv[3]))
    else:
        main(sys.argv[1:])
