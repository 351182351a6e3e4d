"""Runs a random network on Nengo and in every way on Spike, and says what differs.

- Nengo beside one partition, in float64, to 1e-9 of the largest number that a probe records, and where
  rounding grows to what it grows to in Nengo itself.
- Both after `reset` with another seed, and step by step.
- Two and three partitions, compiled code, and a state that is saved in one cut and loaded in another, beside
  one partition that runs through: to the byte.
- The text that `translate` writes, in one and in two partitions: to the byte.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from converted import nengo
from nengo.rc import rc
from numpy.typing import NDArray
from translated import translated

from random_networks.draw import Draw
from random_networks.networks import network
from spikec.errors import ModelError
from spikec.nengo import Simulator

Recorded = list[NDArray[Any]]
Use = Callable[[Any, "Plan"], None]
EQUAL = 1e-9


@dataclass(frozen=True)
class Plan:
    """How a network is run.  saved: after how many steps its state is taken, in how many partitions it is
    then, and in how many it goes on.
    """

    steps: int
    dt: float
    bits: int
    saved: tuple[int, int, int]
    seed: int
    compiled: bool


def planned(seed: int) -> Plan:
    draw = Draw(seed + 1_000_000)
    steps = draw.below(80, 40)
    return Plan(
        steps,
        draw.pick(0.001, 0.001, 0.001, 0.0005, 0.002, 0.0007),
        draw.pick(*[64] * 10, *[32] * 5, 16),
        (draw.below(steps, 1), draw.below(4, 1), draw.below(4, 1)),
        draw.below(1000),
        draw.chance(0.04),
    )


@dataclass(frozen=True)
class Found:
    """failures: what differs, each with how it was run; note: what could not be compared, and why."""

    seed: int
    plan: Plan
    failures: tuple[str, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        plan = self.plan
        how = f"{plan.steps} steps of {plan.dt * 1000:g} ms, {plan.bits} bits"
        said = "; ".join(" ".join(text.split()) for text in (*self.failures, *self.notes))
        return f"{self.seed} {'FAILS' if self.failures else 'equal'} ({how}){': ' * bool(said)}{said}"


def compared(seed: int) -> Found:
    """All of it for the network of a seed."""
    plan = planned(seed)
    with warnings.catch_warnings(), _precision(plan.bits):
        warnings.simplefilter("ignore")
        failures, notes = _differences(network(seed), plan)
    return Found(seed, plan, tuple(failures), tuple(dict.fromkeys(notes)))


def _differences(net: nengo.Network, plan: Plan) -> tuple[list[str], list[str]]:
    nengos = _attempt(lambda: _nengo(net, plan, _through))
    ours = _attempt(lambda: _spike(net, plan, 1))
    failed = [isinstance(made, Exception) for made in (nengos, ours)]
    if any(failed):
        said = [f"Nengo: {nengos!r:.120}, Spike: {ours!r:.200}"]
        return ([], said) if all(failed) else (said, [])
    failures: list[str] = []
    notes: list[str] = []
    if plan.bits == 64 and all(np.isfinite(data).all() for data in nengos):
        failures += _far(net, plan, _through, nengos, ours)
        anew = _spike(net, plan, 1, _again)
        failures += _far(net, plan, _again, _nengo(net, plan, _again), anew)
        failures += _unequal("reset in partitions", net, anew, _spike(net, plan, plan.saved[1], _again))
    for way, run in _ways(net, plan).items():
        got = _attempt(run)
        if isinstance(got, ModelError) and way.startswith("translated") and "please report" not in str(got):
            notes.append(f"not translated: {got}")
        elif isinstance(got, Exception):
            failures.append(f"{way}: {type(got).__name__}: {got!s:.300}")
        else:
            failures += _unequal(way, net, ours, got)
    return failures, notes


@contextmanager
def _precision(bits: int) -> Iterator[None]:
    own = rc.get("precision", "bits")
    rc.set("precision", "bits", str(bits))
    try:
        yield
    finally:
        rc.set("precision", "bits", own)


def _attempt(run: Callable[[], Recorded]) -> Recorded | Exception:
    try:
        return run()
    except Exception as error:  # of any kind: it is what is compared, or reported
        return error


# ------------------------------------------------------------------------------------------------- ways


def _ways(net: nengo.Network, plan: Plan) -> dict[str, Callable[[], Recorded]]:
    """What gives the bytes of one partition."""
    ways = {
        "2 partitions": lambda: _spike(net, plan, 2),
        "3 partitions": lambda: _spike(net, plan, 3),
        "saved and loaded": lambda: _continued(net, plan),
    }
    if plan.compiled:
        ways["compiled, 2 partitions"] = lambda: _spike(net, plan, 2, _compiled)
    if plan.bits > 16:
        ways |= {f"translated, {n} partitions": partial(_text, net, plan, n) for n in (1, 2)}
    return ways


# What is done with a simulator.


def _through(simulator: Any, plan: Plan) -> None:
    simulator.run_steps(plan.steps)


def _compiled(simulator: Any, plan: Plan) -> None:
    simulator.run_steps(20)  # so many tell how long a step takes
    simulator._session._spent = 1e9  # it is compiled now, at any price
    simulator.run_steps(plan.steps - 20)
    assert simulator._session._fast


def _again(simulator: Any, plan: Plan) -> None:
    """After a reset, with another seed, and step by step for a while."""
    simulator.run_steps(7)
    simulator.reset(seed=plan.seed)
    for _ in range(5):
        simulator.step()
    simulator.run_steps(plan.steps - 5)


def _data(simulator: Any, net: nengo.Network) -> Recorded:
    return [np.array(simulator.data[probe]) for probe in net.all_probes]


def _nengo(net: nengo.Network, plan: Plan, use: Use, nudged: float = 0.0) -> Recorded:
    """What Nengo records; `nudged`: biases of neurons are changed by so much of them."""
    with nengo.Simulator(net, dt=plan.dt, progress_bar=False, optimize=False) as simulator:
        for obj in net.all_ensembles if nudged else ():
            signal = simulator.model.sig[obj.neurons].get("bias")
            if signal is not None:
                simulator.signals[signal].setflags(write=True)
                simulator.signals[signal][...] *= 1 + nudged
        use(simulator, plan)
        return _data(simulator, net)


def _simulator(net: nengo.Network, plan: Plan, partitions: int) -> Simulator:
    return Simulator(net, dt=plan.dt, progress_bar=False, partitions=partitions)


def _spike(net: nengo.Network, plan: Plan, partitions: int, use: Use = _through) -> Recorded:
    with _simulator(net, plan, partitions) as simulator:
        use(simulator, plan)
        return _data(simulator, net)


def _continued(net: nengo.Network, plan: Plan) -> Recorded:
    """Saved in one cut, and continued in another."""
    after, first, second = plan.saved
    with tempfile.TemporaryDirectory() as folder:
        with _simulator(net, plan, first) as simulator:
            simulator.run_steps(after)
            before = _data(simulator, net)
            simulator.save_state(Path(folder) / "state.npz")
        with _simulator(net, plan, second) as simulator:
            simulator.load_state(Path(folder) / "state.npz")
            simulator.run_steps(plan.steps - after)
            after_it = _data(simulator, net)
    return [
        b if not len(a) else np.concatenate([a, b]) if len(b) else a
        for a, b in zip(before, after_it, strict=True)
    ]


def _text(net: nengo.Network, plan: Plan, partitions: int) -> Recorded:
    with tempfile.TemporaryDirectory() as folder:
        return translated(net, Path(folder) / "m.spk", plan.steps, f"float{plan.bits}", partitions, plan.dt)


# ------------------------------------------------------------------------------------------ differences


def _unequal(way: str, net: nengo.Network, ours: Recorded, got: Recorded) -> Iterator[str]:
    for probe, want, data in zip(net.all_probes, ours, got, strict=True):
        if data.size != want.size:
            yield f"{way}: {data.shape} of {probe}, not {want.shape}"
        elif data.reshape(want.shape).astype(want.dtype).tobytes() != want.tobytes():
            yield f"{way}: {_where(want, data.reshape(want.shape))} of {probe}"


def _far(net: nengo.Network, plan: Plan, use: Use, nengos: Recorded, ours: Recorded) -> Iterator[str]:
    """Probes that are farther from Nengo's than what rounding grows to."""
    far = [k for k, pair in enumerate(zip(nengos, ours, strict=True)) if _error(*pair) > EQUAL]
    if not far:
        return
    nudged = _nengo(net, plan, use, 1e-14)
    for k in far:
        allowed = 1000 * _error(nengos[k], nudged[k])
        if _error(nengos[k], ours[k]) > allowed:
            yield (
                f"Nengo, {use.__name__[1:]}: {_where(nengos[k], ours[k])}, {allowed:.1g} allowed, "
                f"of {net.all_probes[k]}"
            )


def _error(want: NDArray[Any], got: NDArray[Any]) -> float:
    if want.shape != got.shape:
        return float("inf")
    return float(np.abs(got - want).max(initial=0) / np.abs(want).max(initial=1e-9))


def _where(want: NDArray[Any], got: NDArray[Any]) -> str:
    if want.shape != got.shape:
        return f"{got.shape} for {want.shape}"
    differs = np.flatnonzero((want != got).reshape(len(want), -1).any(axis=1))
    return f"{_error(want, got):.1e} from sample {differs[0] if len(differs) else '?'}"


__all__ = ["Found", "Plan", "compared", "planned"]
