"""What `spikec inspect` shows: the plan in a manifest, and beside it what a run of it took."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from spike_runtime.manifest import Manifest

from spikec.errors import model_error

if TYPE_CHECKING:
    from spike_runtime.results import Run

WIDTH = 100
# How people call the kinds of stages.
KINDS = {
    "NeuronGroup": "neurons",
    "Decoded": "decoded values",
    "Lowpass": "lowpass synapses",
    "StateSpace": "other synapses",
    "Delays": "delays",
    "Constants": "constants",
    "Expressions": "functions",
    "Tables": "tables",
    "NoiseSources": "noise",
    "Linear": "sums and transforms",
    "Recording": "probes",
    "Events": "spike probes",
    "Join": "joining signals",
    "step": "the step itself",
    "exchange": "the exchange",
}
MEASURED = ("compute", "exchange", "waiting", "recording")


@dataclass(frozen=True)
class PartitionReport:
    """One partition: contents, predicted us per step by kind (exchange included), measured us per step or None."""

    index: int
    host: str
    neurons: int
    atoms: int
    operators: Mapping[str, int]
    predicted: Mapping[str, float]
    measured: Mapping[str, float] | None

    @property
    def predicted_total(self) -> float:
        return sum(self.predicted.values())

    @property
    def measured_work(self) -> float | None:
        """us per step without waiting for others."""
        return None if self.measured is None else sum(us for k, us in self.measured.items() if k != "waiting")


@dataclass(frozen=True)
class WireReport:
    """What one partition sends another: bytes per step, and the signals with most words first."""

    source: int
    target: int
    bytes: int
    signals: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Report:
    """The plan of a model, and what a run took where one is given."""

    model: str
    precision: str
    neurons: int
    dt: float
    partitions: tuple[PartitionReport, ...]
    wires: tuple[WireReport, ...]
    step_predicted: float
    step_measured: float | None
    balance: float
    cut_bytes: int
    predictions: tuple[Mapping[str, Any], ...]
    slowest: int
    reasons: tuple[str, ...]
    advice: str
    profile: str

    def to_json(self) -> str:
        """JSON text of everything; times in us per step."""
        return json.dumps({**asdict(self)}, indent=1)

    def to_text(self) -> str:
        """Tables for people, up to 100 columns wide."""
        from rich.console import Console

        from spikec.tables import blocks

        console = Console(file=io.StringIO(), width=WIDTH, force_terminal=False, highlight=False, emoji=False)
        for block in blocks(self):
            console.print(block, markup=False) if isinstance(block, str) else console.print(block)
        assert isinstance(console.file, io.StringIO)
        return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def report(manifest: Manifest, run: Run | None = None) -> Report:
    """The report on a manifest; with a `Run` of it, what that took.

    Raises `ModelError` where the run is of another compilation.
    """
    times = _measured(manifest, run)
    partitions = tuple(
        PartitionReport(
            p.index, p.host, p.neurons, p.atoms, {KINDS.get(k, k): n for k, n in p.operators.items()},
            _predicted(p.cost.compute, p.cost.exchange), times[k] if times else None,
        )
        for k, p in enumerate(manifest.partitions)
    )  # fmt: skip
    wires = tuple(
        WireReport(w.source, w.target, 8 * w.words, tuple(sorted(w.signals, key=lambda s: (-s[1], s[0]))))
        for w in manifest.wires
    )
    slowest = max(partitions, key=lambda p: (p.predicted_total, -p.index))
    plan = manifest.plan
    longest = slowest.predicted_total
    profile = plan.get("profile", {})
    return Report(
        model=manifest.model,
        precision=manifest.precision,
        neurons=manifest.neurons,
        dt=manifest.dt,
        partitions=partitions,
        wires=wires,
        step_predicted=plan.get("step_us", round(longest, 3)),
        step_measured=_wall(run),
        balance=plan.get("balance", 1.0),
        cut_bytes=sum(w.bytes for w in wires),
        predictions=tuple(plan.get("predictions", ())),
        slowest=slowest.index,
        reasons=_reasons(slowest, wires, plan),
        advice=plan.get("advice", ""),
        profile=" ".join(str(profile[k]) for k in ("name", "digest") if k in profile),
    )


def _predicted(compute: Mapping[str, float], exchange: float) -> dict[str, float]:
    """us by kind, in the words of people."""
    named = {KINDS.get(k, k): round(ns / 1e3, 3) for k, ns in compute.items()}
    return named | ({"the exchange": round(exchange / 1e3, 3)} if exchange else {})


def _measured(manifest: Manifest, run: Run | None) -> list[dict[str, float]] | None:
    if run is None:
        return None
    if run.about.model != manifest.model or len(run.measured) not in (0, len(manifest.partitions)):
        raise model_error(
            f"the run in {run.path} is of another compilation ({run.about.model}, {len(run.measured)} partitions)",
            "give the manifest that it was run from, or run again",
        )
    return [{k: round(us, 3) for k, us in kinds.items()} for kinds in run.measured] or None


def _wall(run: Run | None) -> float | None:
    if run is None or not run.measured:
        return None
    return round(run.step_time, 3)


def _reasons(
    slowest: PartitionReport, wires: Sequence[WireReport], plan: Mapping[str, Any]
) -> tuple[str, ...]:
    """Why a partition takes as long as it does: its largest kinds, populations and signals."""
    total = slowest.predicted_total or 1.0
    kinds = sorted(slowest.predicted.items(), key=lambda item: (-item[1], item[0]))[:3]
    reasons = ["most of its time goes to " + ", ".join(f"{k} ({100 * us / total:.0f} %)" for k, us in kinds)]
    runs = plan.get("atoms", {}).get(str(slowest.index), [])
    sizes: dict[str, int] = {}
    for path, first, last in runs:
        sizes[path] = sizes.get(path, 0) + last - first + 1
    if sizes:
        largest = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:3]
        reasons.append("largest populations: " + ", ".join(f"{path} ({n:,} neurons)" for path, n in largest))
    words = {(w.source, w.target): w for w in wires if slowest.index in (w.source, w.target)}
    signals = sorted(
        ((n, name, s, t) for (s, t), w in words.items() for name, n in w.signals[:3]),
        key=lambda x: (-x[0], x[1]),
    )[:3]
    if signals:
        listed = ", ".join(f"{name} {s} to {t} ({8 * n} bytes)" for n, name, s, t in signals)
        reasons.append(f"largest signals that it exchanges: {listed}")
    return tuple(reasons)
