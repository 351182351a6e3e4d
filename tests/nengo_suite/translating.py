"""Whether the networks of Nengo's tests are the same as text: `Translating` stands in for their simulator.

Each network that a test simulates is translated into the language, read back, and both are run a few steps.
A line of `NENGO_SUITE_FOUND` says how that ended: `same`, `refused` with the reason, or `differs`.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nengo
import numpy as np
from nengo.rc import rc

STEPS = 30
SEED = 3  # of networks that have none


class Translating(nengo.Simulator):  # type: ignore[misc]
    """Nengo's own simulator, for the test; its network is looked at beside that."""

    def __init__(self, network: Any, dt: float = 0.001, seed: Any = None, model: Any = None, **given: Any):
        if network is not None and model is None:
            with _undisturbed(network):
                _note(*outcome(network, dt))
        super().__init__(network, dt=dt, seed=seed, model=model, **given)


@contextmanager
def _undisturbed(network: nengo.Network) -> Iterator[None]:
    """What is random, warnings and the seed of the network stay as they are."""
    state, own = np.random.get_state(), network.seed
    if own is None:
        network.seed = SEED
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        network.seed = own
        np.random.set_state(state)


def outcome(network: nengo.Network, dt: float) -> tuple[str, str]:
    """`same`, or `refused` or `differs`, and why."""
    from spikec.errors import ModelError
    from spikec.nengo.writing.translate import translate

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.spk"
        try:
            written = translate(network, path, dt=dt)
        except ModelError as error:
            told = "; ".join(d.message for d in error.diagnostics)
            broken = told.startswith("in the language,") or "would not give the same" in told
            return ("differs" if broken else "refused"), told
        except Exception as error:  # anything but `ModelError` is a defect, unless Nengo fails on it too
            try:
                nengo.Simulator(network, dt=dt, progress_bar=False).close()
            except Exception:  # what a test of Nengo's wants to see raised: any kind
                return "same", "Nengo refuses it"
            return "differs", f"{type(error).__name__}: {error}"
        if not network.all_probes:
            return "same", "no probes"
        if kept := os.environ.get("NENGO_SUITE_TEXTS"):
            name = re.sub(r"\W+", "_", os.environ.get("PYTEST_CURRENT_TEST", ""))[-120:]
            Path(kept, f"{name}.spk").write_text(path.read_text())
        try:
            return _compared(network, dt, path, written.probes)
        except Exception as error:  # told as what differs
            return "differs", f"when it runs: {type(error).__name__}: {error}"


def _compared(network: nengo.Network, dt: float, path: Path, probes: tuple[str, ...]) -> tuple[str, str]:
    from spikec import frontend
    from spikec.nengo import Simulator
    from spikec.sessions import session

    Simulator.default_partitions = 1
    with Simulator(network, dt=dt, progress_bar=False) as simulator:
        simulator.run_steps(STEPS)
        theirs = [np.array(simulator.data[probe]) for probe in network.all_probes]
    running = session(frontend.load(path), {}, 1, f"float{max(32, int(rc.get('precision', 'bits')))}")
    try:
        running.advance(STEPS)
        drained = running.drain()
    finally:
        running.close()
    for name, wanted in zip(probes, theirs, strict=True):
        ours = drained[name].astype(wanted.dtype)
        if ours.reshape(wanted.shape).tobytes() != wanted.tobytes():
            return "differs", f"the samples of probe {name}"
    return "same", ""


def _note(kind: str, why: str) -> None:
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    path = Path(os.environ["NENGO_SUITE_FOUND"])
    with path.open("a") as found:
        found.write(json.dumps([test, kind, why]) + "\n")
