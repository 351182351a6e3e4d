"""Runs a compiled model: starts workers for its partitions, supervises them, records, and tears all down."""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import socket
import time as clock
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from numbers import Integral
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from spike_runtime import crew, manifest, runfile, runfolder, statefile, statemap, team, version
from spike_runtime import hosts as hosts_file
from spike_runtime.job import ENGINE, TRANSPORTS, Task
from spike_runtime.manifest import Host, Manifest
from spike_runtime.progress import Progress
from spike_runtime.remote import Link
from spike_runtime.results import Run, open_run
from spike_runtime.runfile import RecordError, RunError, RunFile
from spike_runtime.runfile import RunFailedError as RunFailedError
from spike_runtime.saving import Saving
from spike_runtime.statefile import Begin
from spike_runtime.statemap import StateMap
from spike_runtime.supervise import PartitionError, Signals, Supervisor, caught_signals

if TYPE_CHECKING:
    from spike_runtime.record import Recorder

# What `hosts` may be instead of a file.
HERE = "here"
_SALVAGE = 1.0


@dataclass(frozen=True)
class Plan:
    """What is to be run, and how."""

    path: Path
    manifest: Manifest
    steps: int
    folder: Path
    transport: str
    seed: int | None
    engine: str
    hosts: tuple[Host, ...]
    begin: Begin
    save_state: Path | None
    save_every: int
    places: StateMap | None

    @property
    def last(self) -> int:
        """The last step."""
        return self.begin.step + self.steps

    @property
    def teams(self) -> list[tuple[Host | None, tuple[int, ...]]]:
        """The hosts with the partitions that each runs."""
        parts = self.manifest.partitions
        if not self.hosts:
            return [(None, tuple(range(len(parts))))]
        teams = [(host, tuple(p.index for p in parts if p.host == host.name)) for host in self.hosts]
        return [(host, partitions) for host, partitions in teams if partitions]


def run(
    manifest_path: Path | str,
    time: float,
    output: Path | str | None = None,
    transport: str = "ring",
    seed: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    overwrite: bool = False,
    engine: str = ENGINE,
    hosts: Path | str | None = None,
    save_state: Path | str | None = None,
    load_state: Path | str | None = None,
    load_weights: Path | str | None = None,
    save_every: float | None = None,
    loaded: Manifest | None = None,
) -> Run:
    """Run the model of a manifest for `time` seconds of simulated time and return the run.

    Results go to the directory `output`, by default `MODEL-run-1`, ... beside the compiled MODEL.
    `transport` is "ring" (shared memory), "ipc" or "tcp" (ZeroMQ); the results are the same.  `seed`
    replaces the manifest's for noise.  `progress` is called about ten times per second, also while
    programs are compiled.  On Ctrl-C or SIGTERM the run stops at a step and is
    returned with status "stopped"; a second one ends it at once.
    `hosts`: a hosts file that says anew where the hosts of the model are; "here": all partitions run on this
    host.

    `save_state`: a file for the state after the last step, also of a run that is stopped; `save_every`: and
    before that, after every so many seconds of simulated time, each in place of the one before.
    `load_state`: go on from such a file, as if that run had not ended, in however many partitions both are;
    the seed of the noise is then that of the file; where another is given, streams of random numbers begin
    anew with that.  `load_weights`: begin anew, with what was learned according to such a file, of
    connections of the same names; `about.notes` of the run say what is not in both.  `loaded`: what the
    manifest holds, where that was read.

    Raises `ManifestError` or `RunError` where the input is bad, `RunFailedError` where the run fails,
    `KeyboardInterrupt` where it is interrupted before its first step.
    """
    path = Path(manifest_path)
    model = loaded or manifest.load(path)
    where = _hosts(model, hosts)
    if save_every is not None and save_state is None:
        raise RunError("save_every needs save_state, the file to save the state to")
    seed = _seed(seed)
    every = _steps(model, save_every, "after which it saves its state") if save_every is not None else 0
    steps, transport = _steps(model, time), _transport(transport, where)
    saved = Path(save_state) if save_state is not None else None
    with runfolder.held(Path(output) if output is not None else None, path.parent, overwrite) as folder:
        if saved:
            statefile.check_place(saved, overwrite)
        needed = saved is not None or load_state is not None or load_weights is not None
        places = statemap.load(model, path.parent) if needed else None
        first = statefile.begin(places, load_state, load_weights, seed) if places else Begin()
        seed = first.noise if seed is None else seed
        plan = Plan(path, model, steps, folder, transport, seed, engine, where, first, saved, every, places)
        for host, partitions in plan.teams:
            if not _is_remote(host):
                manifest.check_present(model, path.parent, partitions)
        with caught_signals() as signals:
            _execute(plan, signals, progress)
        return open_run(folder)


def _execute(plan: Plan, signals: Signals, progress: Callable[[Progress], None] | None) -> None:
    """The whole life of the workers.  However it ends, they are gone afterwards."""
    with contextlib.ExitStack() as stack:
        sockets = stack.enter_context(crew.socket_folder(plan.transport))
        supervisor = Supervisor(plan.manifest, signals)
        if plan.save_state and plan.places:
            seed = plan.manifest.seed if plan.seed is None else plan.seed
            supervisor.saving = Saving(plan.save_state, plan.places, seed)
        # What records takes as long to import as a worker to be ready, which is waited for meanwhile.
        Thread(target=import_module, args=("spike_runtime.record",)).start()
        try:
            _start_workers(plan, supervisor, sockets, stack)
            ready = supervisor.prepare(_told(plan, progress))
            if ready and plan.begin.parts is not None:
                ready = supervisor.adopt(plan.begin.parts, plan.begin.step)
                plan.begin.parts.clear()  # the workers have it now
        except PartitionError as error:
            raise RunFailedError(str(error), error.partition, None, error.details) from None
        if not ready:
            raise KeyboardInterrupt
        runfolder.prepare(plan.folder)
        stack.callback(runfolder.release_reserve, plan.folder)
        record = _record(plan, supervisor, progress)
        _check_saved(plan, supervisor, record)


def _told(plan: Plan, progress: Callable[[Progress], None] | None) -> Callable[[str, float], None] | None:
    """How `progress` is told what is compiled."""
    if progress is None:
        return None
    dt = plan.manifest.dt
    return lambda compiling, elapsed: progress(Progress(0, plan.steps, dt, elapsed, compiling))


def _check_saved(plan: Plan, supervisor: Supervisor, record: RunFile) -> None:
    """Raises `RunFailedError` where the state after the last step was to be saved, and was not."""
    saving = supervisor.saving
    if not saving or saving.step == supervisor.last:
        return
    if record.status == "stopped" and supervisor.signals.count > 1:
        return  # that was asked for
    cause = saving.failure or "it was interrupted then"
    how = "complete" if record.status == "complete" else "stopped"
    cause = f"the run is {how}, but its state could not be saved to {saving.path}: {cause}"
    raise RunFailedError(cause, None, open_run(plan.folder))


def _record(plan: Plan, supervisor: Supervisor, progress: Callable[[Progress], None] | None) -> RunFile:
    """From the first step to the last, then write how it ended."""
    from spike_runtime.record import Recorder

    record = _run_file(plan)
    recorder: Recorder | None = None
    try:
        runfile.save(record, plan.folder)
        recorder = Recorder(
            plan.manifest, plan.folder / runfile.STORE, plan.last, record.seed, plan.begin.step
        )
        start, spent = clock.monotonic(), clock.process_time()
        supervisor.run(recorder, plan.last, progress, plan.begin.step)
        wall = clock.monotonic() - start
        recorded = recorder.finish() - plan.begin.step
        record = replace(record, not_finite=recorder.not_finite)
    except (PartitionError, RecordError, OSError) as error:
        _fail(plan, supervisor, recorder, record, error)
    except BaseException as error:  # of the caller's `progress`, or an interrupt in another thread
        recorded = _keep(plan, supervisor, recorder, disk_works=True) if recorder else 0
        cause = f"{type(error).__name__}: {error}"
        ended = replace(record, status="failed", cause=cause, recorded=recorded, **_saved(supervisor))
        runfile.save(ended, plan.folder)
        raise
    spent = clock.process_time() - spent
    supervisor.close()
    status = "stopped" if supervisor.signals.count and recorded < plan.steps else "complete"
    times = tuple(time for _, time in sorted(supervisor.times.items()))
    cause = f"signal {supervisor.signals.number}" if status == "stopped" else ""
    record = replace(record, status=status, cause=cause, recorded=recorded, times=times, **_saved(supervisor))
    runfile.save(replace(record, wall=wall, recorder=spent), plan.folder)
    return record


def _saved(supervisor: Supervisor) -> dict[str, Any]:
    """What `run.json` says of the state that was saved."""
    saving = supervisor.saving
    if saving:
        saving.finish()
    return {"state": str(saving.path), "state_step": saving.step} if saving and saving.step else {}


def _fail(
    plan: Plan, supervisor: Supervisor, recorder: Recorder | None, record: RunFile, error: Exception
) -> None:
    """Keep what was recorded, note the cause, and raise `RunFailedError`."""
    runfolder.release_reserve(plan.folder)
    recorded = 0
    if recorder:
        recorded = _keep(plan, supervisor, recorder, not isinstance(error, RecordError))
    partition = getattr(error, "partition", None)
    ended = replace(
        record,
        status="failed",
        cause=str(error),
        partition=partition,
        recorded=recorded,
        not_finite=recorder.not_finite if recorder else {},
        **_saved(supervisor),
    )
    with contextlib.suppress(OSError):  # a full disk may refuse even this; the message below says it all
        runfile.save(ended, plan.folder)
    found = None
    with contextlib.suppress(RunError):
        found = open_run(plan.folder)
    raise RunFailedError(str(error), partition, found, getattr(error, "details", "")) from None


def _keep(plan: Plan, supervisor: Supervisor, recorder: Recorder, disk_works: bool) -> int:
    """Write what can be written; gives the number of steps that the results hold."""
    if disk_works:
        with contextlib.suppress(RecordError):
            supervisor.salvage(_SALVAGE)
            return recorder.finish() - plan.begin.step
    return recorder.abandon() - plan.begin.step


def _start_workers(plan: Plan, supervisor: Supervisor, sockets: str, stack: contextlib.ExitStack) -> None:
    """Start all workers; each is ended when `stack` closes, also where a later one cannot be started."""
    teams = plan.teams
    number = secrets.token_hex(16)
    binds = [_bind(plan.transport, sockets, host, len(teams) > 1) for host, _ in teams]
    made = sorted(zip(teams, binds, strict=True), key=lambda team: not _is_remote(team[0][0]))
    for (host, partitions), bind in made:  # those elsewhere first: they take longest to start
        folder = Path(host.folder) if host and host.folder else plan.path.resolve().parent
        file = str(folder / plan.path.name)
        task = Task(
            file, partitions, plan.last, plan.seed, plan.transport, number, bind, plan.engine,
            plan.begin.step, plan.begin.parts is not None, plan.save_state is not None, plan.save_every,
        )  # fmt: skip
        try:
            if host and host.launch:
                link = Link(host, task, manifest.sha256(plan.path), plan.path.resolve().parent)
                stack.callback(link.end)
                supervisor.links.append(link)
                continue
            for worker in team.start(task, plan.manifest, stack, near=True):
                worker.host = host.name if host else ""
                supervisor.local.append(worker)
        except MemoryError as error:
            raise RunFailedError(f"not enough memory for the wires: {error}", None, None) from None
        except OSError as error:
            raise RunFailedError(str(error), None, None) from None


def _is_remote(host: Host | None) -> bool:
    return bool(host and host.launch)


def _bind(transport: str, sockets: str, host: Host | None, several: bool) -> str:
    """Where partitions receive from others than those of their host: a port that the system chooses, or a
    file in a private folder; "" where they do not.
    """
    if transport == "ipc":
        return f"ipc://{sockets}/"
    if transport == "ring" and not several:
        return ""
    try:
        return f"tcp://{socket.gethostbyname(host.address) if host else '127.0.0.1'}:*"
    except OSError as error:
        assert host is not None
        raise RunError(
            f"the address {host.address} of host {host.name} is not known: {error.strerror}; "
            "correct it in the hosts file, and give that with --hosts"
        ) from None


def _run_file(plan: Plan) -> RunFile:
    return RunFile(
        model=plan.manifest.model,
        manifest=str(plan.path.resolve()),
        manifest_sha256=manifest.sha256(plan.path),
        seed=plan.manifest.seed if plan.seed is None else plan.seed,
        dt=plan.manifest.dt,
        steps=plan.steps,
        start=plan.begin.step,
        transport=plan.transport,
        probes=tuple(probe.name for probe in plan.manifest.probes),
        pid=os.getpid(),
        notes=(*plan.begin.notes, *_unkept()),
        parameters=plan.manifest.parameters,
    )


def _steps(model: Manifest, time: float, what: str = "to run") -> int:
    """Number of steps in `time` seconds; raises `RunError` where it is not at least one."""
    if not math.isfinite(time) or time <= 0:
        raise RunError(f"the time {what} is {time} s; give a time above 0")
    steps = round(time / model.dt)
    if steps < 1:
        raise RunError(f"{time} s is less than one step of {model.dt} s; give a longer time")
    if abs(time / model.dt - steps) > max(1e-6, 1e-9 * steps):
        near = f"{steps * model.dt:.12g} s"
        raise RunError(f"{time:.12g} s is not a whole number of steps of {model.dt} s; the nearest is {near}")
    return steps


def _seed(given: int | None) -> int | None:
    if given is None:
        return None
    if not isinstance(given, Integral) or not 0 <= given < 2**63:
        raise RunError(f"the seed {given!r} is not in 0 .. 2^63 - 1; give a seed such as 7")
    return int(given)


def _transport(name: str, hosts: tuple[Host, ...]) -> str:
    if name not in TRANSPORTS:
        raise RunError(f"there is no transport {name!r}; choose one of {', '.join(TRANSPORTS)}")
    if name == "ipc" and hosts:
        raise RunError("transport ipc joins partitions of one host only; with several hosts, use ring or tcp")
    return name


def _hosts(model: Manifest, given: Path | str | None) -> tuple[Host, ...]:
    """The hosts of the model; where a file is given, as that describes them."""
    if given == HERE or (given is None and not model.hosts):
        return ()
    if given is None:
        return model.hosts
    found = {entry.host.name: entry.host for entry in hosts_file.load(Path(given))}
    if not model.hosts:
        raise RunError("the model was compiled for one host; compile it again with --hosts")
    for host in model.hosts:
        if host.name not in found:
            raise RunError(f"{given} has no host {host.name}, which the model was compiled for; add it")
    return tuple(found[host.name] for host in model.hosts)


def _unkept() -> tuple[str, ...]:
    """What the user should know where machine code cannot be kept."""
    try:
        version.opened_kernel_folder()
    except OSError as error:
        remedy = "set XDG_CACHE_HOME to a folder that can be written"
        return (f"every run compiles its programs anew: {error.filename}: {error.strerror}; {remedy}",)
    return ()
