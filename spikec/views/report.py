"""What `spikec inspect` shows: the plan in a manifest, and beside it what a run of it took."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from spike_runtime.manifest import Manifest, sha256

from spikec.errors import model_error
from spikec.records import dataclass
from spikec.views.report_parts import Contents, HostReport, PartitionReport, PythonReport, WireReport, short
from spikec.views.tables import WIDTH, blocks

if TYPE_CHECKING:
    from spike_runtime.results import Run

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
    "Draws": "noise of streams",
    "Linear": "sums and transforms",
    "Recording": "probes",
    "StateValues": "state that synapses read",
    "Events": "spike probes",
    "SpikeLists": "lists of spikes",
    "Projections": "synapses of populations",
    "CellGroup": "neurons of populations",
    "SpikeEvents": "spike probes of populations",
    "HostCalls": "calls of Python",
    "Traces": "synapses of recorded weights",
    "LearnedProducts": "learned connections",
    "Learning": "learning rules",
    "Changes": "recorded changes of weights",
    "Join": "joining signals",
    "step": "the step itself",
    "exchange": "the exchange",
}


@dataclass(frozen=True)
class Report(Contents):
    """The plan of a model, and what a run took where one is given, as text and JSON."""

    def to_json(self, **more: Any) -> str:
        """JSON text of everything, and what `more` there is; times in us per step."""
        return json.dumps(asdict(self) | more, indent=1)

    def to_text(self) -> str:
        """Tables for people, up to 100 columns wide."""
        console = Console(file=io.StringIO(), width=WIDTH, force_terminal=False, highlight=False, emoji=False)
        for block in blocks(self):
            console.print(block, markup=False)
        assert isinstance(console.file, io.StringIO)
        return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.to_text(), quote=False)}</pre>"


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
        WireReport(
            w.source,
            w.target,
            8 * w.words // (w.window if w.listed else 1),
            tuple(sorted(w.signals, key=lambda s: (-s[1], s[0]))),
        )
        for w in manifest.wires
    )
    slowest = max(partitions, key=lambda p: (p.work, -p.index))
    plan = manifest.plan
    longest = max(p.predicted_total for p in partitions)
    profile = plan.get("profile", {})
    made = Report(
        model=manifest.model,
        precision=manifest.precision,
        neurons=manifest.neurons,
        dt=manifest.dt,
        partitions=partitions,
        wires=wires,
        window=max((w.window for w in manifest.wires), default=1),
        step_predicted=plan.get("step_us", round(longest, 3)),
        step_measured=_wall(run),
        recording_predicted=plan.get("recording_us", 0.0),
        recording_measured=round(run.recording, 3) if run and run.measured else None,
        balance=plan.get("balance", 1.0),
        cut_bytes=sum(w.bytes for w in wires),
        predictions=tuple(plan.get("predictions", ())),
        slowest=slowest.index,
        reasons=_reasons(slowest, wires, plan),
        advice=plan.get("advice", ""),
        profile=" ".join(str(profile[k]) for k in ("name", "digest") if k in profile),
        transport=plan.get("transport", "ring"),
        run_transport=run.about.transport if run else None,
        hosts=_hosts(manifest, partitions, wires),
        python=tuple(PythonReport(p.index, p.python.calls) for p in manifest.partitions if p.python),
        steps=min(t.steps for t in run.about.times) if times and run else None,
        displaced=max(t.displaced / (t.total or 1.0) for t in run.about.times) if times and run else 0.0,
        parameters=manifest.parameters,
    )
    return replace(made, advice="") if made.wrong else made


def run_from(run: Path) -> Path:
    """The manifest of the run in a directory.  Raises `ModelError` where that is no longer there."""
    from spike_runtime.results import open_run

    about = open_run(run).about
    path = Path(about.manifest)
    if not path.is_file() or sha256(path) != about.manifest_sha256:
        how = "was compiled again since" if path.is_file() else "is no longer there"
        raise model_error(f"{path}, which {run} was run from, {how}", "compile the model and run it again")
    return path


def _hosts(
    manifest: Manifest, partitions: Sequence[PartitionReport], wires: Sequence[WireReport]
) -> tuple[HostReport, ...]:
    """The hosts of a model that is spread over several."""
    profiles = {p["host"]: p["digest"] for p in manifest.plan.get("hosts", ())}
    host_of = [p.host for p in partitions]
    found = []
    for host in manifest.hosts:
        own = [p for p in partitions if p.host == host.name]
        out = [w for w in wires if host_of[w.source] == host.name != host_of[w.target]]
        found.append(
            HostReport(
                host.name, host.cores, profiles.get(host.name, ""), tuple(p.index for p in own),
                sum(p.neurons for p in own), len(out), sum(w.bytes for w in out),
                max((p.predicted_total for p in own), default=0.0),
            )
        )  # fmt: skip
    return tuple(found)


def _predicted(compute: Mapping[str, float], exchange: float) -> dict[str, float]:
    """us by kind, in the words of people."""
    named = {KINDS.get(k, k): round(ns / 1e3, 3) for k, ns in compute.items()}
    return named | ({"the exchange": round(exchange / 1e3, 3)} if exchange else {})


def _measured(manifest: Manifest, run: Run | None) -> list[dict[str, float]] | None:
    if run is None:
        return None
    if run.about.model != manifest.model or len(run.measured) not in (0, len(manifest.partitions)):
        raise model_error(
            f"the run in {run.path} is of another compilation "
            f"({run.about.model}, {len(run.measured)} partitions)",
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
    listed = ", ".join(f"{k} ({us / total:.0%})" for k, us in kinds)
    reasons = [f"most of its {'predicted ' if slowest.measured else ''}time goes to {listed}"]
    if slowest.measured:
        reasons.insert(0, f"it worked {slowest.work:.3g} us per step, {total:.3g} were predicted")
    runs = plan.get("atoms", {}).get(str(slowest.index), [])
    sizes: dict[str, int] = {}
    for path, first, last in runs:
        sizes[path] = sizes.get(path, 0) + last - first + 1
    if sizes:
        largest = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:3]
        reasons.append(
            "largest populations: " + ", ".join(f"{short(path)} ({n:,} neurons)" for path, n in largest)
        )
    words = {(w.source, w.target): w for w in wires if slowest.index in (w.source, w.target)}
    signals = sorted(
        ((n, name, s, t) for (s, t), w in words.items() for name, n in w.signals[:3]),
        key=lambda x: (-x[0], x[1]),
    )[:3]
    if signals:
        exchanged = ", ".join(f"{short(name)} {s} to {t} ({8 * n} bytes)" for n, name, s, t in signals)
        reasons.append(f"largest signals that it exchanges: {exchanged}")
    return tuple(reasons)
