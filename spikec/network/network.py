"""`Network`: the interface of the first Spike and of the Nengo of its day, on the dataflow graph.

Names and arguments are those of `nengo_theano`; the text and the numbers are ours.  Every call adds to the
graph at once; the first `run` compiles it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, NoReturn

from spike_runtime.interrupt import interrupted_after
from spike_runtime.runfile import RunError

from spikec.errors import ModelError
from spikec.going_on import load, opened, save
from spikec.network import describe, functions, inputs, learning
from spikec.network.builder import Builder
from spikec.network.directory import Directory, name_of
from spikec.network.mistakes import NetworkError, arguments_checked, mistake, nearest, runtime_mistake
from spikec.network.nodes import Ensemble, Function, Input, Node, entry, members, whole
from spikec.network.probe import Probe, make_probe
from spikec.network.python import Functions
from spikec.network.simplenode import SimpleNode
from spikec.network.subnetwork import SubNetwork
from spikec.network.transforms import transform_of, weights_of
from spikec.sessions import Running, session


class Network(Directory):
    """A network of ensembles, made call by call and run in this process.

    name: of the network.  seed: of all random numbers; each ensemble draws its own, keyed by its name.
    fixed_seed: ensembles of the same size and description are alike.  dt: the step (s).  partitions: into
    how many the network is cut, each in a thread of its own; the results are the same, to the bit.
    precision: "float32" or "float64".

    Raises `NetworkError` for mistakes in a call, or in the line of the call that the compiler blames.
    """

    @arguments_checked
    def __init__(
        self,
        name: str,
        seed: int | None = None,
        fixed_seed: int | None = None,
        dt: float = 0.001,
        partitions: int = 1,
        precision: str = "float32",
    ) -> None:
        self.name, self.seed = name, describe.seed_of(seed, name) or 0
        self.fixed_seed = describe.seed_of(fixed_seed, name, "fixed_seed")
        self.dt = describe.positive("dt", dt, name, "0.001 (s)")
        self.partitions = describe.whole_number("partitions", partitions, name, 2)
        if precision not in ("float32", "float64"):
            mistake(f"precision cannot be {precision!r}", 'give "float32" or "float64"')
        self.precision = precision
        super().__init__(Builder(name, self.dt, self.seed))
        self.probes: dict[str, Probe] = {}
        self._session: Running | None = None

    # ------------------------------------------------------------------------------------------- making

    @arguments_checked
    def make(
        self, name: str, neurons: int, dimensions: int, *, array_size: int = 1, **description: Any
    ) -> Ensemble:
        """Add an ensemble of `neurons` that represent a vector of `dimensions`, or `array_size` of these.

        tau_ref=0.002, tau_rc=0.02: of the neurons (s).  max_rate=(200, 300) (Hz), intercept=(-1, 1): lowest
        and highest, drawn between them.  radius=1: of what is represented.  encoders=None: directions,
        repeated for all neurons (random ones without).  eval_points=None: dimensions x points at which
        decoders are fitted, within the unit sphere.  decoder_noise=0.1: relative to the largest rate.
        noise=None, noise_type="uniform": in the current of each neuron, or "gaussian" (its variance).
        mode="spiking", or "rate", or "direct" (no neurons).  neuron_type="lif", or "lif-rate", or a type of
        `spikec.nef.neurons`.  seed=None: in place of the network's.  num_subs=1: into how many parts the
        first Spike cut it; here the partitioner decides.  dt=None: the step, which is the network's.
        """
        known = describe.Description.__dataclass_fields__
        for argument in description:
            if argument not in known:
                mistake(f"make has no argument {argument!r}", nearest(argument, known, "arguments"))
        neurons = describe.whole_number("neurons", neurons, name, 100)
        dims = describe.whole_number("dimensions", dimensions, name, 1)
        count = describe.whole_number("array_size", array_size, name, 1)
        self._check_new(name, count)
        described = describe.Description(**description)
        described.check(name, self.dt)
        direct = described.mode == "direct"
        made = Ensemble(
            name, array_size=count, dimensions=dims, neurons_num=0 if direct else neurons,
            mode=described.mode, radius=float(described.radius), decoder_noise=float(described.decoder_noise),
        )  # fmt: skip
        sums = [self._builder.sum(entry(path), dims) for path in made.paths]
        made.targets[""] = tuple(whole(node, dims) for node in sums)
        if not direct:
            self._populate(made, described)
        made.origin["X"] = functions.of_value(self._builder, made, "X", None)
        self.nodes[name] = made
        return made

    def _populate(self, made: Ensemble, described: describe.Description) -> None:
        """Add the neurons of an ensemble."""
        keys, seed = made.paths, self.seed if described.seed is None else int(described.seed)
        if described.seed is None and self.fixed_seed is not None:
            keys, seed = members("fixed_seed", made.array_size), self.fixed_seed
        populations = []
        for path, key in zip(made.paths, keys, strict=True):
            op = described.population(path, key, made.neurons_num, made.dimensions, seed)
            self._builder.add(path, op, x=entry(path))
            populations.append(op)
            noise = described.noise_source(f"{key}.noise", made.neurons_num, seed)
            if noise is not None:
                source = self._builder.add(f"{path}::noise", noise)
                self._builder.graph.connect(source, path, "encoded")
        made.populations = tuple(populations)

    @arguments_checked
    def make_array(
        self, name: str, neurons: int, length: int = 1, dimensions: int = 1, **description: Any
    ) -> Ensemble:
        """Add an array of `length` ensembles; see `make`."""
        return self.make(name, neurons, dimensions, **{"array_size": length, **description})

    @arguments_checked
    def make_input(
        self,
        name: str,
        values: Any = None,
        zero_after_time: float | None = None,
        *,
        value: Any = None,
        zero_after: float | None = None,
    ) -> Input:
        """Add an input: a number, a list of them, a function of t, or a dict of what holds from which time on
        (s), 0 before.  From `zero_after_time` on (s) it is 0.
        """
        self._check_new(name)
        given = value if values is None else values
        until = zero_after if zero_after_time is None else zero_after_time
        made = Input(name)
        made.origin["X"] = inputs.origin(self._builder, name, given, until)
        self.nodes[name] = made
        return made

    @arguments_checked
    def make_probe(
        self,
        target: str | Node,
        name: str | None = None,
        dt_sample: float = 0.01,
        data_type: str = "decoded",
        pstc: float = 0.03,
    ) -> Probe:
        """Record a node or "node:origin" every `dt_sample` (s), after a synapse of `pstc` (s); with data_type
        "spikes" the spikes of an ensemble.
        """
        number = 1
        while name is None or name in self.probes:
            name, number = f"Probe{number}", number + 1
        self._check_open()
        spikes = self.get_object(target) if data_type == "spikes" else self.get_origin(target)
        made = make_probe(self._builder, spikes, name, dt_sample, data_type, pstc, name_of(target))
        self.probes[name] = made
        return made

    @arguments_checked
    def make_subnetwork(self, name: str) -> SubNetwork:
        """A part of the network whose nodes are called "name.node" outside of it."""
        self._check_new(name)
        return SubNetwork(name, self)

    def add(self, node: SimpleNode) -> SimpleNode:
        """Add a `SimpleNode`."""
        if not isinstance(node, SimpleNode):
            mistake(f"{type(node).__name__} is no node", "derive a class from spikec.nef.SimpleNode")
        self._check_new(node.name)
        node.build(self._builder)
        self.nodes[node.name] = node
        return node

    @arguments_checked
    def set_alias(self, alias: str, node: str | Node) -> None:
        """Another name for a node."""
        self._check_new(alias)
        self.nodes[alias] = self.node(node)

    # --------------------------------------------------------------------------------------- connecting

    @arguments_checked
    def connect(
        self,
        pre: str | Node,
        post: str | Node,
        transform: Any = None,
        weight: float = 1,
        index_pre: int | Sequence[int] | None = None,
        index_post: int | Sequence[int] | None = None,
        pstc: float = 0.01,
        func: Function | None = None,
    ) -> None:
        """Connect a node or "node:origin" to a node (of a `SimpleNode`: "node:input").

        transform: the matrix (numbers of post x numbers of pre); or instead `weight`, and which components of
        pre go to which of post.  pstc: time constant of the synapse (s); one shorter than a step is a delay
        of one step.  func: of what pre represents, for each member of an array.
        """
        self._check_open()
        origin, targets = self.get_origin(pre, func), self.targets(post)
        size = sum(part.size for part in targets)
        matrix = transform_of(origin.dimensions, size, transform, weight, index_pre, index_post)
        self._builder.connect(
            f":{name_of(pre)}->{name_of(post)}", origin.parts, targets, self._pstc(pstc), matrix
        )

    @arguments_checked
    def connect_neurons(
        self,
        pre: str | Node,
        post: str | Node,
        weight_matrix: Any,
        pstc: float = 0.01,
        func: Function | None = None,
    ) -> None:
        """Connect to the neurons of an ensemble: their gains multiply what comes in.

        weight_matrix: neurons of post x numbers of pre, or neurons of post x neurons of pre; of one member of
        post for all alike.  Between neurons, a weight is what one spike adds before the synapse.
        """
        self._check_open()
        target = self.neural(post)
        source = self.node(pre)
        sending = source if isinstance(source, Ensemble) and source.populations else None
        origin = self.get_origin(pre, func)
        weights, neural = weights_of(weight_matrix, sending, origin.dimensions, target, func is not None)
        parts = origin.parts
        if neural and sending is not None:
            if func is not None:
                mistake("a connection from neurons computes no function", "leave func out")
            size = sending.neurons_num
            parts = tuple(whole(self._builder.activity(p, size), size) for p in sending.paths)
            spiking = sending.populations[0].neuron.spiking
            weights = weights * self.dt if spiking else weights
        ends = tuple(self._builder.currents(path, target.neurons_num) for path in target.paths)
        self._builder.connect(
            f":{name_of(pre)}->{name_of(post)} neurons", parts, ends, self._pstc(pstc), weights
        )

    @arguments_checked
    def learn(
        self,
        pre: str | Node,
        post: str | Node,
        error: str | Node,
        pstc: float = 0.01,
        weight_matrix: Any = None,
        rate: float = 5e-7,
        supervision_ratio: float = 0.5,
        learning_pstc: float = 0.005,
    ) -> None:
        """Connect the neurons of two ensembles by weights that learn to make `error` small (hPES; see
        `spikec.network.learning`).

        error: what `post` lacks, target - actual; Nengo's PES is told the opposite.  weight_matrix: first
        weights, random ones within 0.001 without.
        """
        self._check_open()
        rule = learning.HPES(
            describe.positive("rate", rate, "learn", "5e-7"),
            learning.share_of(supervision_ratio),
            describe.positive("learning_pstc", learning_pstc, "learn", "0.005"),
        )
        sending, target, wrong = self.neural(pre), self.neural(post), self.get_origin(error)
        learning.learn(self._builder, rule, sending, target, wrong, self._pstc(pstc), weight_matrix)

    # ------------------------------------------------------------------------------------------- running

    @arguments_checked
    def run(self, time: float) -> None:
        """Run for `time` (s); called again it goes on.  Raises what a function raises, as it was."""
        if not isinstance(time, Real) or not 0 <= float(time) < float("inf"):
            mistake(f"a network cannot run for {time!r}", "give a number of seconds, 0 or more")
        changed = self._builder.changed()
        if changed is not None:
            mistake(
                f"a value that the function of {changed!r} uses has changed since it was compiled",
                "make it an input, or a SimpleNode, whose code runs in every step",
            )
        running = self._started()
        from spike_runtime.engine import EngineError  # now that it is loaded

        try:
            running.advance(round(float(time) / self.dt))
        except EngineError as error:
            runtime_mistake(error)
        finally:
            recorded: Mapping[str, Any] = running.drain()
            for probe in self.probes.values():
                probe.take(recorded, running.steps)

    def _started(self) -> Running:
        """The session, made when it is needed first."""
        if self._session is None:
            if not self.probes and not self._builder.calls:
                mistake("the network records nothing: it has no probe", "add one: make_probe(name)")
            graph, calls = self._builder.graph, self._builder.calls
            try:
                with interrupted_after():  # it imports libraries, which are of no use when that is cut short
                    self._session = session(graph, calls, self.partitions, self.precision)
            except ModelError as error:
                raise NetworkError(error.diagnostics, error.sources) from None
        return self._session

    def save_state(self, path: Path | str) -> None:
        """Save the state to a file, as `spike-run --save-state` does, in place of what is there: neurons,
        synapses, learned weights, and all that Python code of the network holds.

        Raises `NetworkError` where that cannot be, which leaves the file as it was.
        """
        running = self._started()
        try:
            save(running, Path(path), self.seed, Functions(self._builder.calls, self.nodes))
        except RunError as error:
            runtime_mistake(error)

    def load_state(self, path: Path | str) -> None:
        """Go on from a saved state of the same network, with empty probes.

        Python code goes on with copies of the objects that it had: `get_object` gives the nodes.  The file
        holds that code: load only what you would run.  Raises `NetworkError` where it is not of this
        network, which leaves all as it was.
        """
        running = self._started()
        functions = Functions(self._builder.calls, self.nodes)
        try:
            load(running, opened(Path(path)), Path(path), self.seed, functions, lambda: None)
        except RunError as error:
            runtime_mistake(error)
        for probe in self.probes.values():
            probe.clear(running.steps)

    @property
    def run_time(self) -> float:
        """How long it ran (s)."""
        return 0.0 if self._session is None else float(self._session.steps * self.dt)

    def write_data_to_hdf5(self, filename: str = "data") -> NoReturn:
        """Refused: says what to use instead."""
        mistake(
            f"the file {filename!r} is not written: Spike writes no HDF5 files of Neo",
            "save what get_data() of the probes gives, for example with numpy.savez",
        )

    def _pstc(self, pstc: float) -> float:
        if not isinstance(pstc, Real) or not 0 <= float(pstc) < float("inf"):
            mistake(f"pstc is a time of 0 s or more, not {pstc!r}", "give pstc=0.01")
        return float(pstc)

    def _check_open(self) -> None:
        if self._session is not None:
            mistake("a network that has run cannot be changed", "make all of it before the first run")

    def _check_new(self, name: str, count: int = 1) -> None:
        self._check_open()
        if not isinstance(name, str) or not name or ":" in name:
            mistake(f"{name!r} cannot be the name of a node", 'give text without ":"')
        for path in [name, *members(name, count)]:
            if path in self.nodes or path in self._builder.graph:
                mistake(f"there is a node {path!r} already", "give every node a name of its own")
