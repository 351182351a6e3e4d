"""Measure this host: `python -m spike_runtime.calibrate --output FILE` writes its profile for the cost model.

Every coefficient is fitted to times of the kernels and wires themselves.  The two precisions are compiled
at the same time, in
processes of their own, and measured one after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from spike_runtime import cores

SCHEMA = 6
PRECISIONS = ("float32", "float64")
_ONE_THREAD = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR", "NUMBA")


def main(arguments: list[str] | None = None) -> int:
    """Command line; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m spike_runtime.calibrate", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="file to write, replaced where it exists")
    parser.add_argument("--precision", choices=PRECISIONS, help="measure the kernels of one precision only")
    parser.add_argument("--lock", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        made = kernels(options.precision, options.lock) if options.precision else profile()
        _write(options.output, made)
    except OSError as error:
        print(f"calibrate: cannot write {options.output}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def say(text: str) -> None:
    """One line of progress."""
    print(f"calibrate: {text}", file=sys.stderr, flush=True)  # noqa: T201


def profile() -> dict[str, Any]:
    """Everything that the compiler's cost model needs to know of this host."""
    from spike_runtime import calibrate_recording, calibrate_wires

    say("measuring this host once, for predictions; this takes about a minute")
    measured = _both_precisions()
    say("wires")
    wires = {"ring": calibrate_wires.measure_ring()}
    wires |= {name: calibrate_wires.measure_sockets(name) for name in ("ipc", "tcp")}
    say("recording")
    recording = calibrate_recording.measure()
    name = f"{platform.node()} ({platform.machine()}, {cores.core_count()} cores)"
    made = {
        "schema": SCHEMA,
        "name": name,
        "cores": cores.core_count(),
        "cache": cache_size(),
        "kernels": measured,
        "wires": wires,
        "recording": recording,
    }
    return dict(_rounded(made))


def _both_precisions() -> dict[str, Any]:
    environment = os.environ | {f"{name}_NUM_THREADS": "1" for name in _ONE_THREAD}
    with tempfile.TemporaryDirectory(prefix="spike-calibrate-") as folder:
        command = [sys.executable, "-m", "spike_runtime.calibrate", "--lock", f"{folder}/lock"]
        running = [
            subprocess.Popen([*command, "--precision", p, "--output", f"{folder}/{p}"], env=environment)
            for p in PRECISIONS
        ]
        codes = [process.wait() for process in running]
        if any(codes):
            raise SystemExit(f"calibrate: measuring the kernels failed (exit codes {codes})")
        return {p: json.loads(Path(folder, p).read_text(encoding="utf-8")) for p in PRECISIONS}


def kernels(real: str, lock: Path | None) -> dict[str, Any]:
    """Costs of the kernels in one precision."""
    from spike_runtime import calibrate_neurons, calibrate_stages

    neurons = dict(calibrate_neurons.measure(real, lock))
    far = neurons.pop("far")["far"]
    say(f"neurons, {real}")
    stages = calibrate_stages.measure(real, lock)
    say(f"synapses, functions, products, probes, {real}")
    return {"neurons": neurons, "stages": stages, "far": far}


def cache_size() -> int:
    """Bytes of the largest cache that a core has to itself (level 2); 1 MiB where the system does not say."""
    try:
        text = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text(encoding="ascii").strip()
        return int(text.removesuffix("K")) * 1024
    except (OSError, ValueError):
        return 1 << 20


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _write(path: Path, made: dict[str, Any]) -> None:
    """Whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(draft, path)


if __name__ == "__main__":
    sys.exit(main())
