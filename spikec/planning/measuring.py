"""This host's profile, measured by `spike_runtime.calibrate`: each part once, when a model first needs it.

A plan is made with what its model needs and nothing else, so it does not depend on what was measured for
other models.  What was measured while others slowed the processor is measured again by a later compilation
that finds it faster, and can tell its user that predictions change.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

from spike_runtime import speed
from spike_runtime.version import profile_name

from spikec.cache import default_folder
from spikec.errors import ModelError, SpikeError, writing
from spikec.graph import Graph
from spikec.planning.profile import PRECISIONS, REFERENCE, HostProfile, costs_of, load, read
from spikec.records import dataclass

FILE = profile_name()
REMEDY = "set XDG_CACHE_HOME to a folder that can be written, or give --host-profile reference"
# Of which every other kind takes a part, and populations at the level of synapses all.
LIF = "lif"
# Standard work takes less than this part of what it took when the host was measured: it is measured again, so
# often at most in vain.
FASTER, IN_VAIN = 0.85, 3

Progress = Callable[[str, int, int], None]


class CalibrationError(SpikeError):
    """The host could not be measured."""

    exit_code = 1


@dataclass(frozen=True)
class Needs:
    """What a model needs of a profile: the kernels of one precision, and of these kinds of neurons; wires of
    these transports (rings always: others numbers of partitions are compared over them).
    """

    precision: str
    kinds: frozenset[str]
    wires: frozenset[str] = frozenset({"ring"})

    def met(self, profile: HostProfile) -> bool:
        """Whether a profile has it all."""
        kernels = profile.kernels.get(self.precision)
        return kernels is not None and self.kinds <= set(kernels.neurons) and self.wires <= set(profile.wires)

    def part(self, profile: HostProfile) -> HostProfile:
        """That of a profile and no more."""
        kernels = profile.kernels[self.precision]
        neurons = {kind: kernels.neurons[kind] for kind in sorted(self.kinds)}
        wires = {name: profile.wires[name] for name in sorted(self.wires)}
        return replace(profile, kernels={self.precision: replace(kernels, neurons=neurons)}, wires=wires)


def needs(graph: Graph, precision: str, transports: Iterable[str] = ()) -> Needs:
    """What a model needs whose wires are of these transports; kinds of neurons that nobody has measured are
    taken for the dearest of all.
    """
    known, kinds = _kinds(), {LIF}
    for _, op in graph.nodes():
        if neuron := getattr(op, "neuron", None):
            kinds |= known.intersection(costs_of(neuron.kind)) or known
    return Needs(precision, frozenset(kinds), frozenset({"ring", *transports}))


@cache
def _kinds() -> frozenset[str]:
    """All kinds of neurons that can be measured."""
    return frozenset(load(REFERENCE).kernels[PRECISIONS[0]].neurons)


def of_this_host(needed: Needs, progress: Progress | None = None) -> HostProfile:
    """The part of this host's profile that is needed, measured where it is not yet, or was while the
    processor was slower than it is now.  The latter only where there is `progress`: what is known never
    changes without a word.

    `progress` is told ("calibrate", 0, 1) before measuring and ("calibrate", 1, 1) after.
    Raises `CalibrationError` where measuring failed, `WriteError` where its result cannot be kept.
    """
    path = default_folder() / FILE

    def is_enough(known: HostProfile | None) -> bool:
        return known is not None and needed.met(known) and not (progress and was_slow(path))

    known = _known(path)
    if known and is_enough(known):
        return needed.part(known)
    with _alone(path):
        known = _known(path)  # another compiler may have measured meanwhile
        if not (known and is_enough(known)):
            if progress:
                progress("calibrate", 0, 1)
            again = known is not None and needed.met(known)
            known = calibrate(path, needed, progress is None, again)
            if progress:
                progress("calibrate", 1, 1)
    return needed.part(known)


def _known(path: Path) -> HostProfile | None:
    """What was measured before; nothing where that was by another version."""
    try:
        return read(path, ())
    except ModelError:
        return None


def was_slow(path: Path) -> bool:
    """Whether the processor is faster now than when it was measured, and that was not in vain before."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:  # the cache was cleared meanwhile
        return False
    pace: float = body.get("pace", 0.0)
    return body.get("again", 0) < IN_VAIN and speed.now() < FASTER * pace


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one compiler measure; the others wait for it.  Raises `WriteError` where none may write."""
    with writing(path.parent, REMEDY):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_suffix(".lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def calibrate(path: Path, needed: Needs, quiet: bool = False, again: bool = False) -> HostProfile:
    """Measure what is needed and not at `path` yet, or all that is needed `again`, in a process of its own,
    and keep the profile there.

    Raises `CalibrationError`, or `WriteError`.
    """
    draft = path.with_suffix(".draft.json")
    with writing(path.parent, REMEDY):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.touch()
    try:
        command = [sys.executable, "-m", "spike_runtime.calibrate", "--output", str(draft)]
        command += ["--precision", needed.precision, "--kinds", ",".join(sorted(needed.kinds))]
        command += ["--wires", ",".join(sorted(needed.wires))]
        command += ["--known", str(path)] if _known(path) else []
        command += ["--again"] * again
        done = subprocess.run(command, check=False, stderr=subprocess.PIPE if quiet else None, text=True)
        if done.returncode:
            why = f": {done.stderr.strip()}" if done.stderr else " (see above)"
            remedy = "give --host-profile reference"
            raise CalibrationError(f"error: measuring this host failed{why}\n  help: {remedy}")
        profile = read(draft, ())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return profile
