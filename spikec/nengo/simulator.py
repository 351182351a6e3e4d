"""`Simulator`: Nengo's interface to a model that runs as a Spike session.

Nengo's own builder makes the model, `convert` the dataflow graph of it, `sessions` runs that.  What is not
about running steps (times, closing, warnings, pickling) is inherited from Nengo's simulator.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import nengo
import nengo.utils.numpy as npext
import numpy as np
from nengo.builder import Model, Operator
from nengo.cache import get_default_decoder_cache
from nengo.exceptions import SimulatorClosed
from nengo.rc import rc
from nengo.utils.progress import Progress, ProgressTracker
from nengo.utils.simulator import operator_dependency_graph
from spike_runtime.interrupt import interrupted_after

from spikec.going_on import Saved, go_on, load, opened, save
from spikec.nef.blas import one_thread
from spikec.nengo import arguments, following
from spikec.nengo.convert import Converted, convert
from spikec.nengo.data import Samples, Signals, SimulationData
from spikec.nengo.naming import called
from spikec.nengo.solve import Building
from spikec.sessions import Running, session

# Seconds between two looks at the progress bar, and at what else wants to be heard.
SHOWN_EVERY = 0.2


class Simulator(nengo.Simulator):
    """Runs a Nengo network on Spike; see `nengo.Simulator` for all that is not said here.

    partitions: into how many the model is cut, each in a thread of its own.  A model that cannot be cut into
    so many is cut into as many as can be.  "auto": into as many as are predicted to be fastest.  The number
    of parts is in the attribute of this name from the first step on.  The results are the same, to the bit.
    processes: each is a process of its own, with the Python functions that it calls: several may run at the
    same time, and they change copies of what they use.
    optimize: taken for compatibility; Spike's passes always run.
    names: variables, such as globals(), that objects are called by in saved states, as
    `spikec compile` calls them.
    """

    default_processes = False
    default_partitions: int | str = 1
    default_called: Mapping[Any, str] | None = None
    closed = True  # of one that was not made, too

    def __init__(
        self,
        network: nengo.Network | None,
        dt: float = 0.001,
        seed: int | None = None,
        model: Model | None = None,
        progress_bar: Any = True,
        optimize: bool = True,
        partitions: int | str | None = None,
        processes: bool | None = None,
        names: Mapping[str, Any] | None = None,
    ) -> None:
        self.progress_bar, self.optimize = progress_bar, optimize
        wanted = self.default_partitions if partitions is None else partitions
        self.partitions: int | str = arguments.partitions(wanted)
        self.processes = arguments.processes(self.default_processes if processes is None else processes)
        dt, seed = arguments.length_of(dt), arguments.seed_of(seed)
        self.model = Model(
            dt=dt,
            label=f"{network}, dt={dt:f}",
            decoder_cache=get_default_decoder_cache(),
            builder=Building(),
        ) if model is None else model  # fmt: skip
        tracker = ProgressTracker(progress_bar, Progress("Building", "Build"))
        with tracker:
            if network is not None:
                with one_thread():  # the last bits of what solvers give depend on how many there are
                    self.model.build(network, progress=tracker.next_stage("Building", "Build"))
                if isinstance(self.model.builder, Building):
                    self.model.builder.finish(self.model)
        self.dg = operator_dependency_graph(self.model.operators)
        self._sim_data = self.model.params
        self.data = SimulationData(self._sim_data)
        if seed is None:
            given = None if network is None else network.seed
            seed = np.random.randint(npext.maxint) if given is None else given + 1
        self._called = self.default_called
        if self._called is None:
            self._called = called(network or self.model.toplevel, names or {})
        self._converted: Converted | None = None
        self._session: Running | None = None
        self._streams: list[Any] = []  # of neurons' random numbers, which no reset begins anew
        self._precision = rc.float_dtype
        self.closed = False
        try:
            self.reset(seed=seed)
        except BaseException:
            self.closed = True  # there is nothing to close
            raise

    def reset(self, seed: int | None = None) -> None:
        """Back to before the first step, with new random numbers where a `seed` is given.

        As in Nengo, neurons that draw random numbers go on with these.
        """
        if self.closed:
            raise SimulatorClosed("Cannot reset closed Simulator.")
        seed = arguments.seed_of(seed)
        again = self._converted is None or (seed is not None and self._converted.seeded)
        if seed is not None:
            self.seed = seed
        if self._session is not None:
            self._streams = self._session.streams()
        self._begin(self._followed(again))
        if self._session is not None:
            self._session.reset()
            self._session.draw_on(self._streams)
        self.clear_probes()
        self._n_steps, self._time = 0, 0.0

    def _begin(self, made: Converted) -> None:
        """Have the functions of a model begin anew."""
        self._converted = made
        self._converted.start(self.seed)
        self._step_order = list(self._converted.order)
        unseen = self._converted.unseen.difference(s.base for s in self._converted.states)
        copied = None if self.processes else {signal.base for signal in self._converted.states}
        self.signals = Signals(self._converted.signals, unseen, copied, lambda: self._n_steps > 0)

    def _followed(self, again: bool) -> Converted:
        """The model as it is to be run from the first step on; `again`: converted anew.

        What the loop around the simulator changed once it may change again: such functions stay Python.
        """
        before = self._converted
        if before is None or again:
            made = self._convert([] if before is None else before.followed)
        else:
            functions = before.changed()
            made = before.following(functions) if functions else before
        if made is not before:
            self._drop_session()
        return made

    def _convert(self, followed: Sequence[Operator]) -> Converted:
        """The model with calls of these functions."""
        made = convert(self.model, self.seed, called=self._called, apart=self.processes)
        return made.following(followed) if followed else made

    @property
    def signals(self) -> Signals | None:
        """Nengo's memory: time, the state of neurons, and all that host calls use; None once closed."""
        if self._signals is not None and self._session is not None and self._converted is not None:
            self._session.recall()
            memory = self._converted.signals
            memory[self.model.step], memory[self.model.time] = self._n_steps, self._time
            for signal, (path, variable) in self._converted.states.items():
                values = self._session.variable(path, variable)
                if values is not None:
                    memory[signal] = values.reshape(signal.shape)
        return self._signals

    @signals.setter
    def signals(self, signals: Signals | None) -> None:
        self._signals = signals

    def clear_probes(self) -> None:
        """Forget what probes recorded."""
        if self._session is not None:
            self._session.drain()
        for kept in self._converted.recorded.values() if self._converted is not None else ():
            kept.clear()
        for probe in self.model.probes:
            self._sim_data[probe] = Samples()
        self.data.reset()

    def close(self) -> None:
        """No step can be run from now on; what was recorded stays."""
        super().close()
        self._drop_session()
        self._converted = None

    def _drop_session(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def __getstate__(self) -> dict[str, Any]:
        """As Nengo's, with all that the session needs to go on."""
        state: dict[str, Any] = super().__getstate__()
        kept = None if self._session is None else self._session.snapshot()
        told = {name: getattr(self, name) for name in ("partitions", "processes")}
        return state | told | {"session": kept, "called": self._called, "followed": self._numbers()}

    def _numbers(self) -> list[int]:
        """The numbers of functions that became calls among the operators."""
        followed = [] if self._converted is None else self._converted.followed
        return [self.model.operators.index(op) for op in followed]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.default_partitions, self.default_called = state["partitions"], state["called"]
        self.default_processes = state["processes"]
        super().__setstate__(state | {"signals": {}})
        if self._converted is not None:
            if followed := [self.model.operators[k] for k in state["followed"]]:
                self._converted = self._converted.following(followed)
            for signal, value in state["signals"].items():
                self._converted.signals[signal] = value
        if state["session"] is not None and not self.closed:
            self._started().restore(state["session"])
            self._n_steps = state["session"].steps
            self._time = self._n_steps * self.dt

    def save_state(self, path: Path | str) -> None:
        """Save the state of the model to a file, as `spike-run --save-state` does, in place of what is there:
        neurons, synapses, learned weights, and all that host calls hold.

        Raises `RunError` where that cannot be, and `EngineError` where a process is gone; the file is as it
        was then.
        """
        self._check_open("save its state")
        running = self._refreshed()
        assert self._converted is not None
        save(running, Path(path), self.seed - 1, self._converted.begun, self._numbers())

    def load_state(self, path: Path | str) -> None:
        """Go on from a saved state of the same network, in any number of partitions, with empty probes.

        Host calls go on with copies of the objects that they had.  The file holds their code: load only what
        you would run.  Raises `RunError` where it is not of this network, which leaves all as it was.
        """
        self._check_open("load a state")
        saved = opened(Path(path))
        self._refreshed()
        before = self._converted, self._session, self._signals
        other = list(saved.followed) != self._numbers()
        try:
            if other:
                operators = self.model.operators
                self._session = None
                self._begin(self._convert([operators[k] for k in saved.followed if k < len(operators)]))
            self._load(saved, Path(path))
        except BaseException:
            if other:
                self._drop_session()
                self._converted, self._session, self._signals = before
            raise
        if other and before[1] is not None:
            before[1].close()
        self.clear_probes()

    def _load(self, saved: Saved, path: Path) -> None:
        running, made = self._started(), self._converted
        assert made is not None
        assert made.begun is not None
        begun, calls = made.begun, made.calls
        load(running, saved, path, self.seed - 1, begun, lambda: calls.update(begun.functions()))
        self._n_steps = running.steps
        self._time = self._n_steps * self.dt

    def _check_open(self, what: str) -> None:
        if self.closed:
            raise SimulatorClosed(f"Simulator cannot {what} because it is closed.")

    # ------------------------------------------------------------------------------------------- running

    def step(self) -> None:
        """Run one step."""
        self._advance(1, 0)

    def run(self, time_in_seconds: float, progress_bar: Any = None) -> None:
        """Run for so many seconds, rounded to whole steps.

        Raises `TypeError` where that is no number, `ValidationError` where it is not 0 or more and finite.
        """
        super().run(arguments.seconds(time_in_seconds), progress_bar)

    def run_steps(self, steps: int, progress_bar: Any = None) -> None:
        """Run so many steps.  Raises `TypeError` where that is no whole number."""
        steps = arguments.whole_steps(steps)
        shown = self.progress_bar if progress_bar is None else progress_bar
        progress, pieces = Progress("Simulating", "Simulation", steps), _pieces(steps)
        done, end = 0, time.perf_counter() + SHOWN_EVERY
        # Nengo's own bar takes 0.1 s to be closed, and shows nothing of so short a run.
        while (shown is True and time.perf_counter() < end) or not shown:
            count, more = next(pieces, (0, 0))
            if not count:
                return
            self._advance(count, more)
            done += count
        with ProgressTracker(shown, progress) as tracker:
            tracker.total_progress.step(done)
            for count, more in pieces:
                self._advance(count, more)
                tracker.total_progress.step(count)

    def _advance(self, count: int, more: int) -> None:
        """Run steps, and keep what was recorded, also where one fails."""
        if self.closed:
            raise SimulatorClosed("Simulator cannot run because it is closed.")
        running = self._refreshed()
        try:
            running.advance(count, more)
        finally:
            self._n_steps = int(running.steps)
            self._time = self._n_steps * self.dt
            self._keep(running.drain())

    def _refreshed(self) -> Running:
        """The session, with what compiled functions captured as it is now."""
        assert self._converted is not None
        functions = self._converted.changed()
        if self._session is not None and self._session.broken:
            return self._session
        if not functions:
            running = self._started()
            if self.processes:
                self._tell(running)
            return running
        before, old = self._converted, self._session
        if old is not None and self.processes:
            self._bring_functions(old)
        self._converted, self._session = before.following(functions), None
        try:
            running = self._started()
            if old is not None:
                go_on(old, before.graph, running, self._converted.graph)
        except BaseException:  # Ctrl-C too: the next call goes on from where this one began
            self._drop_session()
            self._converted, self._session = before, old
            raise
        if old is not None:
            old.close()
        return running

    def _tell(self, running: Running) -> None:
        """Have processes know what functions that Python calls there read here."""
        assert self._converted is not None
        assert self._converted.begun is not None
        values = following.told(self._converted.begun.places)
        if values is None:
            self._bring_functions(running)
            running.renew()
            self._converted.watch()
        elif values:
            running.tell(values)

    def _bring_functions(self, running: Running) -> None:
        """Have what functions hold here, to call them elsewhere."""
        assert self._converted is not None
        assert self._converted.begun is not None
        running.recall(code=True)
        self._converted.calls |= self._converted.begun.functions()

    def _started(self) -> Running:
        """The session, made when it is needed first."""
        if self._session is None:
            assert self._converted is not None
            precision = "float64" if self._precision == np.float64 else "float32"
            made = self._converted
            apart = made.running if self.processes else None
            top = self.model.toplevel
            name = (top and top.label) or "the network"
            with interrupted_after():  # it imports libraries, which are of no use when that is cut short
                self._session = session(made.graph, made.calls, self.partitions, precision, apart, name)
            self._session.draw_on(self._streams)
            self.partitions = self._session.partitions
        return self._session

    def _keep(self, drained: dict[str, Any]) -> None:
        """Put what was recorded where `data` finds it."""
        assert self._converted is not None
        for probe, name in self._converted.probes.items():
            signal = self.model.sig[probe]["in"]
            samples = drained[name]
            self._sim_data[probe].extend(samples.reshape(len(samples), *signal.shape).astype(signal.dtype))
        for probe, kept in self._converted.recorded.items():
            self._sim_data[probe].extend(kept)
            kept.clear()


def _pieces(steps: int) -> Iterator[tuple[int, int]]:
    """Steps in pieces of about `SHOWN_EVERY`: how many, and how many follow; each is run before the next."""
    piece = 1
    while steps:
        count = min(piece, steps)
        steps -= count
        start = time.perf_counter()
        yield count, steps
        spent = max(time.perf_counter() - start, 1e-6)
        piece = int(min(max(count * SHOWN_EVERY / spent, 1), 10 * count))
