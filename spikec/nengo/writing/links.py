"""Connections as statements of the language, with the weights that Nengo's builder made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import nengo
import numpy as np
from nengo.builder import Operator, Signal
from nengo.builder.connection import get_eval_points, get_targets
from nengo.builder.operator import SimPyFunc
from nengo.ensemble import Neurons

from spikec import graph as g
from spikec.nengo.linear import Linear
from spikec.nengo.signals import Ints, places
from spikec.nengo.writing import words
from spikec.nengo.writing.rules import learning
from spikec.nengo.writing.scene import Scene
from spikec.tracing.functions import Traced, trace


def is_neural(obj: Any) -> bool:
    """Whether an object is an ensemble whose value is decoded from neurons."""
    return isinstance(obj, nengo.Ensemble) and not isinstance(obj.neuron_type, nengo.Direct)


def term(scene: Scene, conn: nengo.Connection) -> tuple[Signal, int]:
    """The signal that a connection adds to, and when: terms are added in this order."""
    sig = scene.model.sig[conn]
    target = sig["out"].base
    return target, scene.rank(sig["weighted"], target)


def connection(scene: Scene, conn: nengo.Connection) -> str:
    """`connect SOURCE -> TARGET ...`, with a relay before it where a list of components meets a function."""
    rules, after = learning(scene, conn)
    weights = scene.model.sig[conn]["weights"]
    learns = weights is not None and scene.converted.sides.learning(weights.base) is not None
    source, clauses, before = _computed(scene, conn, learns)
    clauses += words.synapse_clause(scene.filter(conn.synapse)) + rules
    target = _target(scene, conn)
    if _twice(conn) or (" transform " in clauses and not rules and _read_twice(scene, conn)):
        # What comes to one component twice is added by a relay's connection, as Nengo adds what it has made;
        # and what a probe reads too is rounded before it is added.
        relay = scene.labels.new(f"{_file(scene, conn)}_given")
        before += f"relay {relay}[{conn.size_out}]\n"
        return (
            f"{before}connect {source} -> {relay}{clauses}\nconnect {relay} -> {target} synapse none{after}"
        )
    return f"{before}connect {source} -> {target}{clauses}{after}"


def equal_decoders(scene: Scene, conn: nengo.Connection, other: nengo.Connection) -> bool:
    """Whether both decode by the same numbers, or do not decode at all."""
    neural = is_neural(conn.pre_obj)
    return not neural or np.array_equal(_weights(scene, conn), _weights(scene, other))


def several(
    scene: Scene, conns: Sequence[nengo.Connection], source: str, target: str, variable: str = ""
) -> str:
    """Connections that are alike as one: decoders are those of all, one after the other.

    `variable`: that of a loop, of which each round takes its own.
    """
    first, clauses = conns[0], ""
    if is_neural(first.pre_obj):
        file = re.sub(r"\[\d+\]", "", _file(scene, first))
        values = np.concatenate([_weights(scene, conn).T for conn in conns])
        given = scene.files.text(file, values)
        if variable:
            size = first.pre_obj.n_neurons
            given += f"[{size} * {variable}:{size} * ({variable} + 1)]"
        clauses = f"{_via(scene, first, file)} solver no_solver({given})"
    else:
        clauses = _transform(scene, first)
    return f"connect {source} -> {target}{clauses}{words.synapse_clause(scene.filter(first.synapse))}"


def _target(scene: Scene, conn: nengo.Connection) -> str:
    post = conn.post_obj
    brackets = words.part(conn.post_slice, post.size_in)
    if not isinstance(post, Neurons):
        return scene.told(post) + brackets
    return f"{scene.labels[post.ensemble]}.neurons{brackets}"


def _twice(conn: nengo.Connection) -> bool:
    """Whether the target of a connection names a component twice."""
    chosen = np.arange(conn.post_obj.size_in)[conn.post_slice].ravel()
    return len(np.unique(chosen)) < len(chosen)


def _read_twice(scene: Scene, conn: nengo.Connection) -> bool:
    """Whether others than the target read what a connection gives."""
    return len(scene.converted.sides.table.of[scene.model.sig[conn]["weighted"].base].reads) > 1


def _what(scene: Scene, conn: nengo.Connection) -> str:
    ends = [getattr(end, "ensemble", end) for end in (conn.pre_obj, conn.post_obj)]
    names = [scene.labels[end] if not isinstance(end, nengo.Probe) else "a probe" for end in ends]
    return f"connection from {names[0]} to {names[1]}"


def _computed(scene: Scene, conn: nengo.Connection, learns: bool) -> tuple[str, str, str]:
    """The source, the clauses that say what is computed of it, and statements before these."""
    pre = conn.pre_obj
    if is_neural(pre):
        source = scene.labels[pre] + words.part(conn.pre_slice, pre.size_out)
        return source, decoded(scene, conn, _file(scene, conn)), ""
    if isinstance(pre, Neurons):
        return _from_neurons(scene, conn, learns)
    source = scene.labels[pre] + words.part(conn.pre_slice, pre.size_out)
    if conn.function is None:
        return source, _transform(scene, conn), ""
    before = ""
    if "[[" in source:
        # A function of a list of components reads a copy of them.
        relay = scene.labels.new(f"{scene.labels[pre]}_part")
        before = f"relay {relay}[{conn.size_in}]\nconnect {source} -> {relay} synapse none\n"
        source = relay
    return source, _function(scene, conn) + _transform(scene, conn), before


def copied(scene: Scene, conn: nengo.Connection) -> tuple[str, str, str]:
    """What is computed, for a relay as the target: weights between neurons are decoders of as many rows."""
    if not (is_neural(conn.pre_obj) and conn.solver.weights and isinstance(conn.post_obj, nengo.Ensemble)):
        return _computed(scene, conn, False)
    values = scene.files.text(_file(scene, conn), _weights(scene, conn).T)
    return scene.labels[conn.pre_obj], f" via zeros({conn.post_obj.n_neurons}) solver no_solver({values})", ""


def _file(scene: Scene, conn: nengo.Connection) -> str:
    """What the weights of a connection are called."""
    ends = [getattr(end, "ensemble", end) for end in (conn.pre_obj, conn.post_obj)]
    if isinstance(ends[1], nengo.Probe):
        return f"{scene.labels[ends[0]]}.decoders"
    return f"{scene.labels[ends[0]]}_to_{scene.labels[ends[1]].replace('.', '_')}"


def _weights(scene: Scene, conn: nengo.Connection) -> g.Array:
    return np.asarray(scene.model.sig[conn]["weights"].initial_value, np.float64)


# ---------------------------------------------------------------------------------------- from neurons


def decoded(scene: Scene, conn: nengo.Connection, file: str) -> str:
    """` via ... solver no_solver(...)`: the transform is in the function and in the decoders."""
    weights = ", weights=true" if conn.solver.weights and isinstance(conn.post_obj, nengo.Ensemble) else ""
    values = scene.files.text(file, _weights(scene, conn).T)
    return f"{_via(scene, conn, file)} solver no_solver({values}{weights})"


def _via(scene: Scene, conn: nengo.Connection, file: str) -> str:
    """What is decoded, as a function of x; as a table where it cannot be written."""
    scale = factor(conn)
    if isinstance(scale, nengo.dists.Distribution):
        return f" via zeros({conn.size_out})" if conn.size_out > 1 else " via 0"
    if conn.function is None:
        inner = "x"
        if scale is None and not words.part(conn.pre_slice, conn.pre_obj.size_out):
            return ""
    elif callable(conn.function):
        found = trace(conn.function, False, conn.size_in, conn.size_mid, held=True)
        if found is None:
            return _tabled(scene, conn, scale, file)
        inner = scene.listed(file, found.expressions)
    else:
        return _tabled(scene, conn, scale, file)
    return f" via {_times(scene, scale, inner, conn, file)}"


def factor(conn: nengo.Connection) -> Any:
    """The transform of a connection: a number, a vector, a matrix, a distribution; None where it is 1."""
    made = conn.transform
    init = getattr(made, "init", None)
    if isinstance(made, nengo.transforms.NoTransform) or init is None:
        return None
    if isinstance(init, nengo.dists.Distribution):
        return init
    made_of = np.asarray(init, np.float64)
    return None if made_of.ndim == 0 and made_of == 1.0 else made_of


def _times(scene: Scene, factor: Any, inner: str, conn: nengo.Connection, file: str) -> str:
    """factor * f(x), as text."""
    if factor is None:
        return inner
    bracketed = inner if inner == "x" or inner.startswith("[") else f"({inner})"
    if factor.ndim == 0:
        return f"{words.number(float(factor))} * {bracketed}"
    matrix = np.diag(factor) if factor.ndim == 1 else factor
    if conn.size_mid == 1:
        rows = [f"{words.number(float(value))} * {bracketed}" for value in matrix[:, 0]]
        return rows[0] if len(rows) == 1 else f"[{', '.join(rows)}]"
    return f"{scene.files.text(f'{file}.transform', matrix)} @ {bracketed}"


def _tabled(scene: Scene, conn: nengo.Connection, factor: Any, file: str) -> str:
    """A function by its values at the evaluation points."""
    points = get_eval_points(scene.model, conn, np.random.RandomState(scene.model.seeds[conn]))
    values = np.asarray(get_targets(conn, points), np.float64)
    if isinstance(factor, np.ndarray):
        values = values * factor if factor.ndim < 2 else values @ factor.T
    given = scene.files.file(f"{file}.values", values)
    at = scene.files.file(f"{file}.points", points / conn.pre_obj.radius)
    return f' via load("{given}") eval_points load("{at}")'


def _from_neurons(scene: Scene, conn: nengo.Connection, learns: bool) -> tuple[str, str, str]:
    """From the activity of neurons: by weights in the place of decoders, where these are fewer rows."""
    ensemble = conn.pre_obj.ensemble
    name = scene.labels[ensemble]
    source = f"{name}.neurons{words.part(conn.pre_slice, conn.pre_obj.size_out)}"
    dense = isinstance(conn.transform, nengo.Dense) and _weights(scene, conn).ndim == 2
    run = isinstance(conn.pre_slice, slice) and conn.pre_slice.step in (None, 1)
    if learns or not dense or not run or len(_weights(scene, conn)) > ensemble.n_neurons:
        return source, _transform(scene, conn), ""
    weights = np.zeros((conn.size_out, ensemble.n_neurons))
    weights[:, np.arange(ensemble.n_neurons)[conn.pre_slice]] = _weights(scene, conn)
    values = scene.files.text(f"{_file(scene, conn)}.weights", weights.T)
    zeros = f"zeros({conn.size_out})" if conn.size_out > 1 else "0"
    return name, f" via {zeros} solver no_solver({values})", ""


# -------------------------------------------------------------------------------------- from all others


def _function(scene: Scene, conn: nengo.Connection) -> str:
    """The function of what has no neurons: ` via ...`."""
    read = scene.model.sig[conn]["in"].base
    for op in scene.converted.order:
        ours = isinstance(op, SimPyFunc) and op.fn is conn.function and not op.t_passed
        if ours and op.x is not None and _reads(scene, op.x.base, read):
            form = scene.form(op)
            if isinstance(form, Traced):
                return f" via {scene.listed(_file(scene, conn), form.expressions)}"
            break
    size = len(np.arange(conn.pre_obj.size_out)[conn.pre_slice])
    scene.refuse_function(_what(scene, conn), conn.function, False, size, conn.size_mid)
    return ""


def _reads(scene: Scene, signal: Signal, wanted: Signal) -> bool:
    """Whether a signal is another, or a copy of components of it."""
    copies = [op for op in scene.writers(signal) if any(r.base is wanted for r in op.reads)]
    return signal is wanted or bool(copies)


def _transform(scene: Scene, conn: nengo.Connection) -> str:
    """The transform of what is no sum over neurons."""
    if isinstance(conn.transform, nengo.transforms.NoTransform):
        return ""
    file = f"{_file(scene, conn)}.transform"
    if isinstance(conn.transform, nengo.Dense):
        weights = _weights(scene, conn)
        if weights.ndim == 2 and not weights.any():
            return f" transform sparse([[{weights.shape[0] - 1}, {weights.shape[1] - 1}, 0]])"
        if weights.ndim == 0:
            return "" if weights == 1.0 else f" transform {words.number(float(weights))}"
        return f" transform {scene.files.text(file, weights)}"
    op, form = _applied(scene, conn)
    if form is None:
        scene.refuse(
            f"{_what(scene, conn)}: a {type(conn.transform).__name__} of this size runs in Python",
            "divide it into several of fewer channels",
        )
        return ""
    return f" transform {_entries(scene, file, form, places(op.X).ravel())}"


def _applied(scene: Scene, conn: nengo.Connection) -> tuple[Any, Linear | None]:
    """The operator and the matrix of a sparse transform or a convolution."""
    weights = scene.model.sig[conn]["weights"]
    table = scene.converted.sides.table
    ops: list[Operator] = table.of[weights.base].reads
    form = scene.form(ops[0]) if ops else None
    return (ops[0], form) if isinstance(form, Linear) else (None, None)


def _entries(scene: Scene, file: str, form: Linear, read: Ints) -> str:
    """`sparse(...)` with rows of row, column and value, where the columns are places in `read`."""
    assert form.values is not None
    order = np.argsort(read, kind="stable")
    columns = order[np.searchsorted(read, form.columns, sorter=order)]
    rows = np.stack([form.rows, columns, form.values], axis=1)
    return f"sparse({scene.files.text(file, rows)})"
