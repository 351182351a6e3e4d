"""From a graph to a session: compiled into a folder that lasts as long as the session, and run here."""

from __future__ import annotations

import logging
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from spike_runtime.apart import ApartSession, Functions
from spike_runtime.calls import Call
from spike_runtime.manifest import Cost
from spike_runtime.runfile import RunError
from spike_runtime.session import Arrays, Session, Snapshot
from spike_runtime.statefile import HERE, SESSION, Saved

from spikec import graph as g
from spikec.errors import ModelError
from spikec.frontend import collector_paused
from spikec.nef.blas import one_thread
from spikec.nef.build import scale
from spikec.nef.neurons import NeuronType
from spikec.pipeline import Options, passes
from spikec.planning import hypergraph as hg
from spikec.planning import partition as pt
from spikec.planning import plan, profile
from spikec.planning.divider import Divider
from spikec.planning.measuring import needs, of_this_host
from spikec.program import layout as la
from spikec.program import membranes
from spikec.program.emit import emit
from spikec.program.schedule import Assignment, schedule
from spikec.verify import verify

log = logging.getLogger(__name__)

# Up to so many atoms a placement is refined, as that of a compiled model is: of more that takes seconds.
FEW = 64


class Running(Protocol):
    """A model that can be run step by step; see `spike_runtime.session.Session`."""

    @property
    def steps(self) -> int: ...

    @property
    def partitions(self) -> int: ...

    @property
    def failed(self) -> bool: ...

    @property
    def broken(self) -> bool: ...

    def arrays(self) -> Arrays: ...

    def go_on(self, arrays: Arrays, step: int, failed: bool = False) -> None: ...

    def advance(self, steps: int, more: int = 0) -> None: ...

    def drain(self) -> dict[str, NDArray[Any]]: ...

    def reset(self) -> None: ...

    def streams(self) -> list[Arrays]: ...

    def draw_on(self, streams: list[Arrays]) -> None: ...

    def recall(self, code: bool = False) -> None: ...

    def tell(self, values: Mapping[int, Any]) -> None: ...

    def renew(self) -> None: ...

    def snapshot(self) -> Snapshot: ...

    def restore(self, snapshot: Snapshot) -> None: ...

    def saved(self, seed: int) -> Saved: ...

    def load(self, saved: Saved, seed: int, path: Path, functions: Callable[[], None]) -> None: ...

    def variable(self, path: str, name: str) -> NDArray[np.float64] | None: ...

    def close(self) -> None: ...


class CallsAlone:
    """A model of which nothing is compiled: its functions, called in the order in which they were added."""

    partitions, broken = 1, False

    def __init__(self, graph: g.Graph, calls: Mapping[str, Call], precision: str) -> None:
        self._names = [op.call for _, op in graph.nodes(g.HostCall)]
        self._graph, self._precision, self.failed = graph, precision, False
        self._calls, self._nothing = calls, np.zeros(0)
        self.steps = 0

    def advance(self, steps: int, more: int = 0) -> None:  # noqa: ARG002
        """Run so many steps."""
        functions = [self._calls[name] for name in self._names]
        self.failed = True  # until all is well
        with np.errstate(invalid="raise", divide="ignore"):
            for _ in range(steps):
                for function in functions:
                    function(self.steps + 1, self._nothing)
                self.steps += 1
        self.failed = False

    def drain(self) -> dict[str, NDArray[Any]]:
        """There are no probes."""
        return {}

    def reset(self) -> None:
        """Back to before the first step."""
        self.steps, self.failed = 0, False

    def streams(self) -> list[Arrays]:
        """There are no neurons."""
        return []

    def draw_on(self, streams: list[Arrays]) -> None:
        """There are no neurons."""

    def recall(self, code: bool = False) -> None:
        """All is here."""

    def tell(self, values: Mapping[int, Any]) -> None:
        """All is here."""

    def renew(self) -> None:
        """All is here."""

    def snapshot(self) -> Snapshot:
        """There is no state but the step."""
        return Snapshot(self.steps, failed=self.failed)

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot."""
        self.steps, self.failed = snapshot.steps, snapshot.failed

    def arrays(self) -> Arrays:
        """There are none."""
        return {}

    def go_on(self, arrays: Arrays, step: int, failed: bool = False) -> None:  # noqa: ARG002
        """As `Session.go_on`."""
        self.restore(Snapshot(step, failed=failed))

    def saved(self, seed: int) -> Saved:
        """As of a `Session` that has no state of its own."""
        if self.failed:
            raise RunError("a step failed, so there is no state to save; reset to run again")
        about = self._graph.name, seed, seed, self._graph.dt, self._precision, self.steps
        return Saved(*about, {}, {}, SESSION)

    def load(self, saved: Saved, seed: int, path: Path, functions: Callable[[], None]) -> None:
        """As `Session.load`."""
        same = (saved.seed, saved.dt, saved.precision) == (seed, self._graph.dt, self._precision)
        if not same or saved.shapes or not saved.python:
            raise RunError(f"{path} is not of this model; {HERE.other}")
        functions()
        self.steps, self.failed = saved.step, False

    def variable(self, path: str, name: str) -> None:
        """There are no neurons."""

    def close(self) -> None:
        """Nothing is held."""


class Places:
    """Where in a session the state of every population is."""

    def __init__(self, session: Session, layouts: Sequence[la.Layout], graph: g.Graph) -> None:
        """`layouts`: of all partitions, made from the split `graph`."""
        self._session = session
        # Of every population: (partition, array, its rows, first number there, first neuron, how many, what
        # type) of its atoms.
        self._atoms: dict[str, list[tuple[int, str, tuple[str, ...], int, int, int, NeuronType]]] = {}
        self._dt = graph.dt
        for layout in layouts:
            for group in (stage for stage in layout.stages if isinstance(stage, la.NeuronGroup)):
                for name, first in group.members.items():
                    atom = graph.op(name)
                    place = (
                        layout.partition, f"{group.name}_neurons", group.rows, first, atom.start, atom.size,
                        atom.neurons.neuron,
                    )  # fmt: skip
                    self._atoms.setdefault(atom.path, []).append(place)

    def variable(self, path: str, name: str) -> NDArray[np.float64] | None:
        """A state variable of a population, a number for each neuron; None where nobody needs its neurons."""
        atoms = self._atoms.get(path)
        if atoms is None:
            return None
        whole = np.zeros(sum(atom[5] for atom in atoms))
        for partition, array, rows, first, start, size, neuron in atoms:
            state = self._session.state(partition)[array][:, first : first + size]
            whole[start : start + size] = membranes.read(state, rows, name, neuron, self._dt)
        return whole


class Placed(Session):
    """A session that tells the state of neurons."""

    places: Places

    def variable(self, path: str, name: str) -> NDArray[np.float64] | None:
        """See `Places`."""
        return self.places.variable(path, name)


class PlacedApart(ApartSession):
    """The same, of partitions that are processes."""

    places: Places

    def variable(self, path: str, name: str) -> NDArray[np.float64] | None:
        """See `Places`."""
        return self.places.variable(path, name)


def prepared(graph: g.Graph) -> g.Graph:
    """All passes; of `build` only the end where no populations are described: those of Nengo are built."""
    described = any(True for _ in graph.nodes(g.Ensemble))
    for stage, apply in passes(Options()):
        if described or stage != "build":
            graph = verify(apply(graph))
        else:
            graph = graph.copy()
            scale(graph)
            verify(graph)
    return graph


def session(
    graph: g.Graph,
    calls: Mapping[str, Call],
    partitions: int | str,
    precision: str,
    apart: Callable[[], Functions] | None = None,
    name: str = "",
) -> Running:
    """The session of a graph, in as many partitions as asked for, or as it can be cut into; "auto": in as
    many as are predicted to be fastest here.

    `apart`: gives what calls run on now, where partitions are to be processes.  `name`: what messages call
    the model, where that is not the name of the graph.
    """
    alone = all(isinstance(op, g.HostCall) for _, op in graph.nodes())
    if alone and (apart is None or not calls):
        return CallsAlone(graph, calls, precision)
    sources = graph.sources
    home = Path(tempfile.mkdtemp(prefix="spike-session-"))
    try:
        with collector_paused(), one_thread():
            graph = prepared(graph)
            if apart is None:
                _join_calls(graph)
            given = partitions, precision, name or graph.name, apart is not None
            assignment = assigned(graph, *given)
            layouts, recorded = schedule(graph, assignment, precision)
        costs = [Cost({}, 0.0)] * assignment.partitions
        manifest = emit(graph, layouts, recorded, dict, costs, home / "model", "spikec.sessions")
        what = manifest, home / "model", calls
        made: Placed | PlacedApart
        made = Placed(*what) if apart is None else PlacedApart(*what, functions=apart)
        made.places = Places(made, layouts, graph)
    except BaseException as error:
        shutil.rmtree(home, ignore_errors=True)
        if isinstance(error, ModelError):
            raise ModelError(error.diagnostics, sources | error.sources) from None
        raise
    weakref.finalize(made, shutil.rmtree, home, ignore_errors=True)
    return made


def _join_calls(graph: g.Graph) -> None:
    """Have all calls in one partition, that of the caller's thread."""
    for name, op in list(graph.nodes(g.HostCall)):
        graph.replace(name, replace(op, family=0))


def assigned(
    graph: g.Graph, partitions: int | str, precision: str, name: str, apart: bool = False
) -> Assignment:
    """Where everything is, in as many partitions as asked for, or as the graph can be cut into.

    `name`: that of the model in messages; `apart`: whether partitions are processes.
    """
    if partitions == 1:
        return pt.whole(graph)
    if isinstance(partitions, str):
        here = of_this_host(needs(graph, precision))
        return plan.make_plan(graph, partitions, here, precision).assignment
    host = profile.load(profile.REFERENCE)
    who = hg.reads(graph)
    hyper = hg.hypergraph(graph, who, pt.vertex_costs(graph, host, precision, apart))
    possible = min(partitions, max(1, len(hyper.groups)))
    if possible < partitions:
        parts, joining = pt.pieces(hyper, graph, who)
        said = f"{possible} partition{'s' * (possible != 1)}, not {partitions}: it has {parts}"
        log.warning("%s runs in %s", name, "\n  ".join([said, *(text for text, _ in joining)]))
    if possible == 1:
        return pt.whole(graph)
    if apart or sum(map(len, hyper.groups)) > FEW:
        with Divider() as divider:
            return pt.place(graph, possible, who, hyper, host.wires["ring"]["word"], divider)
    return plan.assignment(graph, possible, host, precision)
