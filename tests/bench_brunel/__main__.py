"""Times the balanced random network in Spike, NEST and Brian2, each with two threads, and compares
statistics.

    python -m tests.bench_brunel --output out/bench_brunel.json

The peers run in environments of their own, made from the package registry where they are missing.
"""

from __future__ import annotations

import argparse
import json
import statistics as st
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from spike_runtime.results import open_run

from tests.bench_brunel.statistics import statistics

HERE = Path(__file__).resolve().parent
MODEL = HERE.parent.parent / "models" / "brunel.spk"
PARTITIONS, NEURONS = 2, 10_000
PACKAGES = {"nest": ("nest-simulator==3.10.0",), "brian": ("brian2==2.9.0", "numpy<2", "setuptools")}
# What Spike must reach: seconds of compilation and of a simulated second, and how many times a peer's speed.
MOST_BUILD, MOST_RUN, LEAST_RATIO = 5.0, 1.2, {"nest": 5.0, "brian": 2.5}

Times = dict[str, float]


def command(*arguments: str | Path) -> str:
    """Output of a command; raises where it fails."""
    done = subprocess.run([str(a) for a in arguments], check=True, capture_output=True, text=True)
    return done.stdout


def environment(name: str, folder: Path) -> Path:
    """The Python of a peer's environment, made where it is missing."""
    python = folder / name / "bin" / "python"
    if not python.exists():
        print(f"installing {PACKAGES[name][0]} into {folder / name}", flush=True)
        command(sys.executable, "-m", "venv", folder / name)
        command(python, "-m", "pip", "install", "--quiet", *PACKAGES[name])
    return python


def peer(name: str, folder: Path, seed: int, seconds: float, work: Path) -> tuple[Times, dict[str, float]]:
    output = work / f"{name}.npz"
    script = HERE / f"{name}_model.py"
    said = command(environment(name, folder), script, str(seed), str(PARTITIONS), str(seconds), output)
    spikes = np.load(output)
    times: Times = json.loads([line for line in said.splitlines() if line.startswith("{")][-1])
    return times, statistics(spikes["times"], spikes["neurons"], NEURONS, seconds)


def spike(seed: int, seconds: float, work: Path) -> tuple[Times, dict[str, float]]:
    tool = Path(sys.executable).parent
    start = time.perf_counter()
    command(
        tool / "spikec", "compile", MODEL, "-n", str(PARTITIONS), "--seed", str(seed), "-o", work / "model"
    )
    build = time.perf_counter() - start
    # The first run of a new structure compiles its programs.
    manifest, output = work / "model" / "manifest.json", work / "run"
    for length in (0.001, seconds):
        command(tool / "spike-run", manifest, "--time", f"{length}s", "-o", output, "--overwrite")
    with (output / "run.json").open(encoding="utf-8") as file:
        took = float(json.load(file)["wall"])
    run = open_run(output)
    spikes = [run.probe(f"{name}.spikes") for name in ("excitatory", "inhibitory")]
    times = np.concatenate([s.values for s in spikes])
    neurons = np.concatenate([s["neuron"].values + k * 8000 for k, s in enumerate(spikes)])
    return {"build": build, "run": took / seconds}, statistics(times, neurons, NEURONS, seconds)


def table(results: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Medians of times, means and spreads of statistics, ratios to Spike."""
    lines = [f"{'':8}{'build s':>9}{'run s':>8}{'ratio':>7}   rate Hz         cv              synchrony"]
    fastest = st.median(r["run"] for r in results["spike"]) if "spike" in results else None
    for name, runs in results.items():
        build, run = (st.median(r[key] for r in runs) for key in ("build", "run"))
        ratio = f"{run / fastest:7.2f}" if fastest else " " * 7
        spread = [
            f"{np.mean(v):.4g} +- {np.std(v):.2g}"
            for v in ([r[key] for r in runs] for key in ("rate", "cv", "synchrony"))
        ]
        lines.append(f"{name:8}{build:9.2f}{run:8.3f}{ratio}   " + "".join(f"{s:16}" for s in spread))
    if fastest:
        least = [f"{name} {bar:g}" for name, bar in LEAST_RATIO.items()]
        lines.append(f"bars: build {MOST_BUILD:g} s, run {MOST_RUN:g} s, ratios at least {', '.join(least)}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("out/bench_brunel.json"))
    parser.add_argument("--environments", type=Path, default=Path("out/peers"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--seconds", type=float, default=1.0, help="simulated in each run")
    parser.add_argument("--only", choices=["spike", *PACKAGES], nargs="+", default=["spike", *PACKAGES])
    given = parser.parse_args()
    results: dict[str, list[dict[str, Any]]] = {}
    for name in given.only:
        for seed in given.seeds:
            with tempfile.TemporaryDirectory() as folder:
                work = Path(folder)
                measure: Callable[[], tuple[Times, dict[str, float]]] = (
                    (lambda: spike(seed, given.seconds, work))  # noqa: B023
                    if name == "spike"
                    else lambda: peer(name, given.environments, seed, given.seconds, work)  # noqa: B023
                )
                times, found = measure()
            results.setdefault(name, []).append({"seed": seed, **times, **found})
            print(name, json.dumps(results[name][-1]), flush=True)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print("\n".join(["", *table(results), f"written: {given.output}"]))


if __name__ == "__main__":
    main()
