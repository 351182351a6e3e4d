"""Ensembles and nodes as statements of the language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import nengo
import numpy as np
from nengo.builder.neurons import SimNeurons

from spikec import graph as g
from spikec.nef.neurons import NeuronType
from spikec.nengo.forms import states
from spikec.nengo.neurons import own_type
from spikec.nengo.noise import Random
from spikec.nengo.populations import described
from spikec.nengo.processes import Synapse
from spikec.nengo.writing import words
from spikec.nengo.writing.scene import AS_IT_IS, Scene
from spikec.tracing.functions import Traced

# A table of at most so many rows stands in the text.
MOST_ROWS = 12


@dataclass(frozen=True)
class Described:
    """An ensemble in words: its size and other arguments, and what is given for every neuron."""

    size: int
    arguments: tuple[str, ...]
    numbers: dict[str, g.Array]
    noise: tuple[str, ...] = ()


def ensemble(scene: Scene, obj: nengo.Ensemble) -> str:
    """`ensemble name(...)` with the encoders, gains and biases that Nengo's builder made."""
    found = _described(scene, obj)
    return "" if found is None else _statement(scene, "ensemble", scene.labels[obj], [found])


def ensembles(scene: Scene, name: str, objs: Sequence[nengo.Ensemble]) -> list[str]:
    """`array name(...)` of ensembles that are alike, else a statement for each."""
    found = [_described(scene, obj) for obj in objs]
    given = [one for one in found if one is not None]
    alike = {(one.size, one.arguments, one.noise) for one in given}
    if len(given) == len(objs) and len(alike) == 1 and not given[0].noise:
        scene.arrays[name] = tuple(objs)
        return [_statement(scene, "array", name, given)]
    named = zip(objs, found, strict=True)
    return [_statement(scene, "ensemble", scene.labels[obj], [one]) for obj, one in named if one is not None]


def _statement(scene: Scene, kind: str, name: str, parts: list[Described]) -> str:
    """The statement of one ensemble, or of an array of several, which has the rows of all of them."""
    first = parts[0]
    given = [str(first.size)] + [f"count={len(parts)}"] * (kind == "array") + list(first.arguments)
    for key, array in first.numbers.items():
        rows = np.concatenate([part.numbers[key] for part in parts]) if len(parts) > 1 else array
        if key.startswith("initial_") and not rows.any():
            continue
        unit = " * 1s" if key == "initial_refractory_time" else ""
        file = f"{name}.{key.removeprefix('initial_')}"
        given.append(f"{key}={scene.files.text(file, rows)}{unit}")
    return f"{kind} {name}({', '.join([*given, *first.noise])})"


def _described(scene: Scene, obj: nengo.Ensemble) -> Described | None:
    """An ensemble in words; None for what is refused."""
    name = scene.labels[obj]
    given = [f"dims={obj.dimensions}"] * (obj.dimensions > 1)
    if isinstance(obj.neuron_type, nengo.Direct):
        return Described(obj.n_neurons, (*given, "neuron=direct"), {})
    op = next(op for op in scene.writers(scene.model.sig[obj.neurons]["out"]) if isinstance(op, SimNeurons))
    kind = scene.form(op)
    if not isinstance(kind, NeuronType):
        _refuse(scene, obj, op)
        return None
    if endless := words.infinite(kind):
        scene.refuse(f"ensemble {name}: {endless} of its neurons is infinite", "write a large number")
    encoders, gain, radius = described(scene.model, obj)
    bias = np.asarray(scene.model.sig[obj.neurons]["bias"].initial_value, np.float64)
    if radius != 1.0:
        given.append(f"radius={words.number(radius)}")
    if (text := words.neuron(kind)) != "lif":
        given.append(f"neuron={text}")
    numbers = {"encoders": encoders, "gain": gain, "bias": bias}
    for variable, signal in states(op, scene.converted.sides.table).items():
        numbers[f"initial_{variable}"] = np.asarray(signal.initial_value, np.float64)
    return Described(obj.n_neurons, tuple(given), numbers, tuple(_noise(scene, name, obj)))


def _refuse(scene: Scene, obj: nengo.Ensemble, op: SimNeurons) -> None:
    """Note neurons that run in Python."""
    name = scene.labels[obj]
    read = [p for p in scene.network.all_probes if p.obj == obj.neurons and p.attr in op.state]
    if own_type(obj.neuron_type) and any(p.synapse is not None for p in read):
        scene.refuse(
            f"ensemble {name}: a synapse filters the state of its neurons, so they run in Python",
            "record the state itself: synapse=None",
        )
        return
    scene.refuse(
        f"ensemble {name}: neurons of type {type(obj.neuron_type).__name__} run in Python here",
        "take LIF, AdaptiveLIF, Izhikevich, RectifiedLinear, Sigmoid, Tanh, the rates of these, or "
        "RegularSpiking, StochasticSpiking, PoissonSpiking of such rates",
    )


def _noise(scene: Scene, name: str, obj: nengo.Ensemble) -> list[str]:
    """What is added to the currents of neurons, as an argument."""
    if obj.noise is None:
        return []
    current = scene.model.sig[obj.neurons]["in"]
    op = next(op for op in scene.writers(current) if getattr(op, "process", None) is obj.noise)
    form = scene.form(op)
    if isinstance(form, Random):
        return [f"noise={_random(scene, f'{name}.noise', form)}"]
    if isinstance(form, g.Table):
        return [f"noise={_process(scene, f'{name}.noise', form)}"]
    scene.refuse(
        f"ensemble {name}: its noise, {type(obj.noise).__name__}, cannot be written",
        "add it by a node that is connected to the neurons with transform=1 / gain",
    )
    return []


def _random(scene: Scene, name: str, form: Random, dims: int = 1) -> str:
    """A process that draws; `dims` are written where there are several."""
    draws = form.draws
    dist = words.distribution(draws.distribution, lambda key, v: scene.files.text(f"{name}.{key}", v))
    given = [f"dist={dist}"] + [f"dims={dims}"] * (dims > 1) + ["scale=false"] * (not draws.scale)
    kind = "white_noise"
    if form.synapse is not None:
        kind, given = "filtered_noise", [f"synapse={words.synapse(form.synapse)}", *given]
    return f"{kind}({', '.join([*given, f'stream={words.stream(draws.seed)}'])})"


def _process(scene: Scene, name: str, table: g.Table) -> str:
    """A table of the time as a process."""
    dt = scene.model.dt
    if not table.period:
        if _short(table):
            return f"piecewise({', '.join(_pairs(table, dt))})"
        rows = np.searchsorted(table.starts, np.arange(1, int(table.starts[-1]) + 1), side="right") - 1
        once = scene.files.text(name, table.samples[rows])
        return f"present_input({once}, each={words.time(dt)}, repeat=false)"
    # Step n takes row n mod period: the first row is that of step `period`.
    rows = np.searchsorted(table.starts, np.arange(table.period), side="right") - 1
    shown = np.roll(table.samples[np.maximum(rows, 0)], -1, axis=0)
    return f"present_input({scene.files.text(name, shown)}, each={words.time(dt)})"


def _short(table: g.Table) -> bool:
    return len(table.starts) <= MOST_ROWS and table.samples.size <= 4 * MOST_ROWS


def node(scene: Scene, obj: nengo.Node) -> str:
    """A node as what it is: a relay, a constant, a function of time or of its input, a table."""
    name, signal = scene.labels[obj], scene.model.sig[obj]["out"]
    if obj.output is None:
        return f"relay {name}[{obj.size_in}]"
    if isinstance(obj.output, np.ndarray):
        return f"input {name} = {scene.files.text(name, np.atleast_1d(signal.initial_value))}"
    ops = [] if signal is None else scene.writers(signal)
    form = scene.form(ops[0] if ops else None)
    if isinstance(form, Traced):
        arguments = f"x[{obj.size_in}], t" if obj.size_in else ""
        return _function(scene, name, form, arguments)
    if isinstance(form, g.Table):
        return _table(scene, name, form)
    if isinstance(form, Synapse):
        return f"relay {name}[{obj.size_in}] synapse {words.synapse(form)}"
    if isinstance(form, Random):
        return f"input {name} = {_random(scene, name, form, form.draws.size)}"
    if isinstance(obj.output, nengo.Process):
        scene.refuse(f"node {name}: {type(obj.output).__name__} runs in Python", AS_IT_IS)
    else:
        scene.refuse_function(f"node {name}", obj.output, True, obj.size_in or None, obj.size_out)
    return ""


def _function(scene: Scene, name: str, form: Traced, arguments: str) -> str:
    value = scene.listed(name, form.expressions)
    return f"node {name}({arguments}) = {value}" if arguments else f"input {name}(t) = {value}"


# ---------------------------------------------------------------------------------------------- tables


def _table(scene: Scene, name: str, table: g.Table) -> str:
    """A table: `piecewise` where it is short, else a recording with a row for every step."""
    dt = scene.model.dt
    if not table.period and _short(table):
        return f"input {name} = piecewise({', '.join(_pairs(table, dt))})"
    steps = table.period or int(table.starts[-1]) + 1
    rows = np.searchsorted(table.starts, np.arange(steps), side="right") - 1
    file = scene.files.file(name, table.samples[np.maximum(rows, 0)])
    return f'input {name} from "{file}" every {words.time(dt)}' + " repeat" * bool(table.period)


def _pairs(table: g.Table, dt: float) -> Sequence[str]:
    values = [words.vector(row) if table.size > 1 else words.number(row[0]) for row in table.samples]
    times = [words.time(round(int(start) * dt, 12)) for start in table.starts]
    return [f"{at}: {value}" for at, value in zip(times, values, strict=True)]
