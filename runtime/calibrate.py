"""Measure this host: `python -m spike_runtime.calibrate --output FILE` writes its profile for the cost model.

Every coefficient is fitted to times of the kernels and wires themselves.  Parts are compiled at the same
time, in processes forked from this one when it has loaded what all need, and measured one after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from spike_runtime import cores, housing  # noqa: F401 (before PyTensor)

SCHEMA = 10
PRECISIONS = ("float32", "float64")
RING = "ring"
TRANSPORTS = (RING, "ipc", "tcp")
# Pace, in times that of what is known, of what takes its place.
LESS = 0.95
_ONE_THREAD = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR", "NUMBA")


def main(arguments: list[str] | None = None) -> int:
    """Command line; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m spike_runtime.calibrate", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="file to write, replaced where it exists")
    parser.add_argument("--known", type=Path, help="a profile of this host: only what it lacks is measured")
    parser.add_argument(
        "--again", action="store_true", help="the processor was slower then: measure all anew"
    )
    parser.add_argument("--precision", choices=PRECISIONS, help="measure the kernels of one precision only")
    parser.add_argument("--kinds", help="measure only these kinds of neurons: names with commas between")
    parser.add_argument("--wires", help="measure only these transports: names with commas between")
    options = parser.parse_args(arguments)
    if options.output.is_dir() or not os.access(options.output.absolute().parent, os.W_OK):
        parser.error(f"cannot write {options.output}: give a file in a folder that can be written")
    try:
        known = json.loads(options.known.read_text(encoding="utf-8")) if options.known else {}
    except (OSError, ValueError) as error:
        parser.error(f"cannot use {options.known}: {error}")
    if options.again and "pace" not in known:
        parser.error("--again: give the profile that was measured while the processor was slower as --known")
    # Before NumPy is loaded: threads would not be in the processes forked.
    os.environ.update({f"{name}_NUM_THREADS": "1" for name in _ONE_THREAD})
    from spike_runtime.calibrate_neurons import KINDS

    try:
        precisions = (options.precision,) if options.precision else PRECISIONS
        kinds = _named("--kinds", options.kinds, KINDS, parser)
        wires = _named("--wires", options.wires, TRANSPORTS, parser)
        if options.again:
            say("the processor is faster now than when it was measured")
        made = profile(precisions, kinds, {} if options.again else known, wires)
        _write(options.output, better(known, made) if options.again else made)
    except OSError as error:
        print(f"calibrate: cannot use {error.filename}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def _named(
    option: str, given: str | None, known: Sequence[str], parser: argparse.ArgumentParser
) -> list[str] | None:
    """The names that an option gives; ends with a message where one of them is unknown."""
    names = [name.strip() for name in given.split(",")] if given else None
    if unknown := [name for name in names or () if name not in known]:
        parser.error(f"{option}: there is no {unknown[0]!r}; choose from {', '.join(known)}")
    return names


def better(known: Mapping[str, Any], made: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of what is known of this host and was measured again, that of the time when it was faster."""
    ratio = made["pace"] / known["pace"]
    if ratio < LESS:
        say(f"standard work takes {ratio:.2f} times what it did then: predictions change")
        return made
    say("the processor is as slow as it was then: nothing changes")
    return {**known, "again": known.get("again", 0) + 1}


def say(text: str) -> None:
    """One line of progress."""
    print(f"calibrate: {text}", file=sys.stderr, flush=True)  # noqa: T201


def profile(
    precisions: Sequence[str] = PRECISIONS,
    kinds: Sequence[str] | None = None,
    known: Mapping[str, Any] | None = None,
    wires: Sequence[str] | None = None,
) -> dict[str, Any]:
    """What the compiler's cost model needs to know of this host, for models of some precisions and kinds of
    neurons, and for wires of some transports (all, where none are given): a profile that is `known`, with
    what it lacks.
    """
    from spike_runtime import calibrate_recording, calibrate_wires
    from spike_runtime.calibrate_timing import alone

    known = known or {}
    say("measuring this host once, for predictions; this takes some seconds")
    made: dict[str, Any] = {
        "schema": SCHEMA,
        "name": f"{platform.node()} ({platform.machine()}, {cores.core_count()} cores)",
        "cores": cores.core_count(),
        "cache": cache_size(),
    }
    made |= {name: dict(known.get(name, {})) for name in ("wires", "recording")}
    lacking = [name for name in wires or TRANSPORTS if name not in made["wires"]]
    with ExitStack() as stack:
        # They compile beside the kernels.
        pipes = stack.enter_context(calibrate_wires.members()) if set(lacking) - {RING} else ()

        def meanwhile(lock: Path) -> None:
            if RING in lacking:
                calibrate_wires.prepare()
            if not made["recording"]:
                say("recording")
                with alone(lock):
                    made["recording"] = calibrate_recording.measure()

        made["kernels"], paces = _kernels(precisions, kinds, known, meanwhile)
        made["pace"] = max(known.get("pace", 0.0), *paces)
        for name in lacking:
            say(f"wires, {name}")
            made["wires"][name] = (
                calibrate_wires.measure_ring()
                if name == RING
                else calibrate_wires.measure_sockets(pipes, name)
            )
    return dict(_rounded(made))


def _kernels(
    precisions: Sequence[str],
    kinds: Sequence[str] | None,
    known: Mapping[str, Any],
    meanwhile: Callable[[Path], None],
) -> tuple[dict[str, Any], list[float]]:
    """Kernels by precision, `known` ones and those that were not: each part in a process of its own.  And
    what standard work took while these were measured.
    """
    from spike_runtime.calibrate_neurons import KINDS

    made: dict[str, Any] = {p: dict(entry) for p, entry in known.get("kernels", {}).items()}
    missing: list[tuple[str, str, list[str]]] = []
    for precision in precisions:
        neurons = made.setdefault(precision, {}).get("neurons", {})
        if "stages" not in made[precision]:
            missing.append(("stages", precision, []))
        if lacking := [kind for kind in kinds or KINDS if kind not in neurons]:
            missing.append(("neurons", precision, lacking))
    paces = [0.0]
    for (_, precision, _), part in zip(missing, _in_processes(missing, known, meanwhile), strict=True):
        entry = made[precision]
        paces.append(part.pop("pace"))
        entry["neurons"] = entry.get("neurons", {}) | part.pop("neurons", {})
        entry.update(part)
    return made, paces


def _in_processes(
    parts: Sequence[tuple[str, str, list[str]]], known: Mapping[str, Any], meanwhile: Callable[[Path], None]
) -> list[dict[str, Any]]:
    """What is measured of each part; `meanwhile` is called here, with the lock of who measures."""
    from spike_runtime import calibrate_neurons, calibrate_stages  # noqa: F401 (for all that are forked)
    from spike_runtime.forked import Process, end_all

    running: list[Process] = []
    with tempfile.TemporaryDirectory(prefix="spike-calibrate-") as folder:
        lock = Path(folder, "lock")
        try:
            for part in parts:
                running.append(Process(_measured))
                running[-1].send(*part, known, lock)
            meanwhile(lock)
            return [process.reply() for process in running]
        finally:
            end_all(running)


def _measured(
    part: str, real: str, kinds: Sequence[str], known: Mapping[str, Any], lock: Path
) -> dict[str, Any]:
    """Costs of a part of the kernels in one precision; and what standard work took meanwhile ("pace")."""
    from spike_runtime import calibrate_neurons, calibrate_stages
    from spike_runtime.calibrate_timing import Stopwatch

    watch = Stopwatch(lock)
    if part == "stages":
        made: dict[str, Any] = {"stages": calibrate_stages.measure(real, watch)}
        say(f"synapses, functions, products, probes, {real}")
        return made | {"pace": watch.pace}
    lif = known.get("kernels", {}).get(real, {}).get("neurons", {}).get("lif")
    neurons = dict(calibrate_neurons.measure(real, watch, cache_size(), kinds, lif))
    far = neurons.pop("far", {})
    say(f"neurons, {real}")
    if not lif:
        calibrate_stages.help_compile(real)
    return {"neurons": neurons, "pace": watch.pace, **far}


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
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _write(path: Path, made: Mapping[str, Any]) -> None:
    """Whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(draft, path)


if __name__ == "__main__":
    sys.exit(main())
