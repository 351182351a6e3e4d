"""One measurement each: Nengo's build and step, Spike's compilation and step."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tests.bench.turns import Timed, in_turns

ROOT = Path(__file__).resolve().parents[2]
# Enough steps for every run to take about this long (s), so that start and noise do not count.
LENGTH = 1.5
# Builds of each kind, and blocks of Nengo's steps that count.
BUILDS, BLOCKS = 3, 5


@dataclass(frozen=True)
class Nengo:
    """A peer's figures: build in s, one step in us; how that was timed (see `Timed`)."""

    neurons: int
    build_s: float
    step_us: float
    tries: int
    quiet: int
    pace: float


@dataclass(frozen=True)
class Spike:
    """Figures of one compilation: cold and warm cache in s, a step in us, memory in MiB.

    `manifest_s`: from reading the model to the manifest's place in its folder, within a process that has
    imported the compiler, as Nengo's build is measured; `compile_cold_s`: the whole command.  `solve_mib`:
    the arrays of the largest solve, which every process has once.  `first_step_s`: from the command to the
    first step, the first time; `start_s`: after that, when its programs are compiled.  How steps were timed:
    see `Timed`.
    """

    partitions: int
    precision: str
    neurons: int
    manifest_s: float
    compile_cold_s: float
    compile_warm_s: float
    first_step_s: float
    start_s: float
    step_us: float
    tries: int
    quiet: int
    pace: float
    predicted_us: float
    compile_mib: float
    run_mib: float
    arrays_mib: float
    solve_mib: float


def nengo(model: str, bits: int) -> Nengo:
    """Build and step of Nengo's own simulator, decoder cache off, in a process of its own."""
    return Nengo(**_child("nengo_child", model, bits))


def spike(model: Path, kinds: Iterable[tuple[int, str]]) -> dict[tuple[int, str], Spike]:
    """Figures for each number of partitions and precision, built and run in turns."""
    with tempfile.TemporaryDirectory() as folder:
        made = {kind: Made(model, *kind, Path(folder) / f"{kind[1]}-{kind[0]}") for kind in kinds}
        # As many times as Nengo's only build is likely to be disturbed: none is left out.
        builds = in_turns({kind: one.build for kind, one in made.items()}, BUILDS, BUILDS)
        warm = in_turns({kind: one.again for kind, one in made.items()}, BUILDS, BUILDS)
        steps = in_turns({kind: one.step for kind, one in made.items()})
        return {
            kind: one.figures(builds[kind].value, warm[kind].value, steps[kind]) for kind, one in made.items()
        }


class Made:
    """A model compiled with an empty and with a filled cache, and what times its build and its step."""

    def __init__(self, model: Path, partitions: int, precision: str, home: Path) -> None:
        self.model, self.partitions, self.precision, self.home = model, partitions, precision, home
        self.manifest = home / "model" / "manifest.json"
        cache = {"SPIKE_CACHE_DIR": str(home / "cache")}
        command = [_bin("spikec"), "compile", str(model), "-n", str(partitions), "-o", str(home / "model")]
        command += ["--precision", precision, "--host-profile", str(_host_profile()), "--quiet"]
        self.cold, self.compile_mib = _timed(command, cache)
        self.again = lambda: _timed(command, cache)[0]
        self.probe = run(self.manifest, home / "probe", "0.05s")
        self.length = _length(self.probe, LENGTH)
        self.runs, self.builds = [self.probe], [self._built()]

    def _built(self) -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            profile = str(_host_profile())
            return _child("manifest_child", str(self.model), self.partitions, self.precision, profile, folder)

    def build(self) -> float:
        """s from reading the model to the manifest's place, with an empty cache."""
        self.builds.append(self._built())
        return self.builds[-1]["manifest_s"]

    def step(self) -> float:
        """us of a step, of a run of some LENGTH."""
        self.runs.append(run(self.manifest, self.home / f"run{len(self.runs)}", self.length))
        return self.runs[-1]["step_us"]

    def figures(self, build: float, warm: float, step: Timed) -> Spike:
        body = json.loads(self.manifest.read_text())
        return Spike(
            partitions=self.partitions,
            precision=self.precision,
            neurons=body["neurons"],
            manifest_s=build,
            compile_cold_s=self.cold,
            compile_warm_s=warm,
            first_step_s=self.probe["start_s"],
            start_s=statistics.median(run["start_s"] for run in self.runs[1:]),
            step_us=step.value,
            tries=step.tries,
            quiet=step.quiet,
            pace=step.pace,
            predicted_us=body["plan"]["step_us"],  # with what recording takes of the cores
            compile_mib=self.compile_mib,
            run_mib=statistics.median(run["mib"] for run in self.runs),
            arrays_mib=sum(f.stat().st_size for f in self.manifest.parent.rglob("*.npy")) / 2**20,
            solve_mib=self.builds[0]["solve_mib"],
        )


def steps(model: Path, partitions: Sequence[int]) -> list[dict[str, float]]:
    """The step of a model in so many partitions, and what was predicted (us)."""
    with tempfile.TemporaryDirectory() as folder:
        manifests = {n: compiled(model, n, Path(folder) / f"model{n}") for n in partitions}
        timed = in_turns({n: stepping(manifests[n], LENGTH) for n in partitions})
        plans = {n: json.loads(manifests[n].read_text())["plan"] for n in partitions}
    return [
        {"partitions": n, "step_us": timed[n].value, "predicted_us": plans[n]["step_us"]} for n in partitions
    ]


def compiled(model: Path, partitions: int, folder: Path) -> Path:
    """The manifest of a model, compiled into a folder for this host."""
    command = [_bin("spikec"), "compile", str(model), "-n", str(partitions), "-o", str(folder)]
    _timed([*command, "--host-profile", str(_host_profile()), "--quiet"], {})
    return folder / "manifest.json"


def stepping(manifest: Path, wanted: float) -> Callable[[], float]:
    """What runs a model for about `wanted` s, and gives its step in us."""
    output = manifest.parent.with_suffix(".runs")
    number = count()
    seconds = _length(run(manifest, output / "probe", "0.05s"), wanted)
    return lambda: run(manifest, output / str(next(number)), seconds)["step_us"]


def _length(probe: dict[str, float], wanted: float) -> str:
    return f"{min(max(wanted * probe['dt'] / (probe['step_us'] * 1e-6), 0.2), 60.0):.3f}s"


def chosen(model: Path) -> int:
    """The number of partitions that `-n auto` gives."""
    with tempfile.TemporaryDirectory() as folder:
        command = [_bin("spikec"), "compile", str(model), "-n", "auto", "-o", f"{folder}/model", "--quiet"]
        _timed([*command, "--host-profile", str(_host_profile())], {})
        return len(json.loads((Path(folder) / "model" / "manifest.json").read_text())["partitions"])


def _host_profile() -> Path:
    """The profile of this host, measured now where it was not before, or while the processor was slower."""
    from spikec.planning import measuring

    for precision in measuring.PRECISIONS:
        needed = measuring.Needs(precision, frozenset({measuring.LIF}))
        measuring.of_this_host(needed, lambda *_: None)
    return measuring.default_folder() / measuring.FILE


def run(manifest: Path, output: Path, length: str) -> dict[str, float]:
    """Step time (us, of the slowest partition), seconds until the first step, and memory of one run."""
    command = [_bin("spike-run"), str(manifest), "--time", length, "-o", str(output), "--quiet"]
    wall, memory = _timed(command, {})
    about = json.loads((output / "run.json").read_text())
    per_step = [
        sum(t[k] for k in ("compute", "exchange", "waiting", "recording")) / t["steps"]
        for t in about["times"]
    ]
    return {
        "step_us": max(per_step) / 1000,
        "start_s": wall - about["wall"],
        "dt": about["dt"],
        "mib": memory,
    }


def _timed(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall seconds of a command, and the largest memory of any of its processes in MiB."""
    script = (
        "import resource, subprocess, sys, time\n"
        "start = time.perf_counter()\n"
        "code = subprocess.run(sys.argv[1:]).returncode\n"
        "print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *command],
        # As where Spike is installed: its modules are compiled once, and not at every start.
        env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | environment,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    wall, memory = done.stdout.split()[-2:]
    return float(wall), float(memory)


def _bin(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _child(function: str, *arguments: Any) -> dict[str, Any]:
    command = [sys.executable, "-c", f"from tests.bench import measure; measure.{function}(*{arguments!r})"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def manifest_child(model: str, partitions: int, precision: str, profile: str, folder: str) -> None:
    """Runs in a process of its own: the compiler within it, with an empty cache."""
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "SPIKE_CACHE_DIR": f"{folder}/other-cache"}
    import spikec.api
    from spikec import graph, pipeline
    from spikec.nef.tuning import point_count

    start = time.perf_counter()
    loaded = spikec.frontend.load(Path(model))
    options = pipeline.Options(partitions, precision, host_profile=profile)
    pipeline.compile_graph(loaded, Path(folder) / "other-model", options)
    seconds = time.perf_counter() - start
    # Activities in float32, and their Gram matrix where one is formed.
    sizes = [(op.size, point_count(op, op.eval_points)) for _, op in loaded.nodes(graph.Ensemble)]
    solve = max((4 * n * (m + (n if n < 1000 else 0)) for n, m in sizes), default=0)
    print(json.dumps({"manifest_s": seconds, "solve_mib": solve / 2**20}))  # noqa: T201


def nodes_child(path: str) -> None:
    """Runs in a process of its own: how many nodes PyTensor compiles for a manifest's first partition."""
    import numpy as np
    from spike_runtime import engine, loop, manifest, native
    from spike_runtime.wires.layout import segment_layout

    loaded = manifest.load(Path(path))
    layout = segment_layout(loaded)

    class EnoughError(Exception):
        """The nodes are counted: nothing has to be compiled."""

    def counted(graph: Any, *_: Any, **__: Any) -> None:
        print(json.dumps({"nodes": len(graph.apply_nodes)}))  # noqa: T201
        raise EnoughError

    native.load = lambda _: None  # what was compiled before has no graph
    loop._loop = counted
    with suppress(EnoughError):
        engine.Engine(loaded, Path(path).parent, 0, np.zeros(layout.words, np.int64), layout)


def nengo_child(model: str, bits: int) -> None:
    """Runs in the process that `nengo` starts: build, then blocks of steps."""
    import nengo as peer

    from tests.bench.nengo_models import MODELS

    peer.rc["decoder_cache"]["enabled"] = "False"
    peer.rc["precision"]["bits"] = str(bits)
    network = MODELS[model]()
    start = time.perf_counter()
    with peer.Simulator(network, progress_bar=False) as simulator:
        build = time.perf_counter() - start
        simulator.run_steps(20, progress_bar=False)
        start = time.perf_counter()
        simulator.run_steps(10, progress_bar=False)
        steps = max(10, int(LENGTH / BLOCKS / ((time.perf_counter() - start) / 10)))

        def block() -> float:
            start = time.perf_counter()
            simulator.run_steps(steps, progress_bar=False)
            return (time.perf_counter() - start) / steps * 1e6

        step = in_turns({0: block}, BLOCKS, 3 * BLOCKS)[0]
    figures = Nengo(network.n_neurons, build, step.value, step.tries, step.quiet, step.pace)
    print(json.dumps(asdict(figures)))  # noqa: T201
