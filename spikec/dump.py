"""Text of what a stage made, for `spikec compile --dump STAGE` and for golden files: sorted and stable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np

from spikec import graph as g
from spikec.expressions import Expression, to_text
from spikec.planning.plan import Plan
from spikec.program.codegen import program
from spikec.projections import Cells

_NEURONS = ("path", "dims", "neuron", "radius", "encoders", "gain", "bias", "seed", "initial_state")
# What is shown of operators whose fields are not what they say.
_SHOWN: dict[type[g.Operator], tuple[str, ...]] = {
    g.Neurons: _NEURONS,
    Cells: (*_NEURONS, "drive"),
    g.Atom: ("start", "targets", "decoders"),
}


def dump(stage: str, made: Any) -> str:
    """Text of the graph after a pass, of the plan, or of the programs."""
    if isinstance(made, g.Graph):
        return graph_text(made)
    assert isinstance(made, Plan)
    return programs_text(made) if stage == "program" else plan_text(made)


def graph_text(graph: g.Graph) -> str:
    """One line for each operator, in the order of the graph: name, kind, size, parameters, inputs."""
    lines = [f"# {graph.name}: dt {graph.dt:g} s, seed {graph.seed}, {len(graph)} operators"]
    for name, op in graph.nodes():
        inputs = [f"{port}: {source}" for source, port in graph.input_ports(name)]
        parameters = ", ".join(_parameters(op))
        lines.append(f"{name} = {type(op).__name__}[{op.size}]({parameters}) <- {'; '.join(inputs) or '-'}")
    return "\n".join(lines) + "\n"


def plan_text(plan: Plan) -> str:
    """The plan's summary, a line for every entry."""
    import json

    return json.dumps(plan.summary(), indent=1, sort_keys=True) + "\n"


def programs_text(plan: Plan) -> str:
    """Source of every partition's program."""
    name, count = plan.graph.name, len(plan.layouts)
    return "\n\n".join(program(layout, name, count) for layout in plan.layouts)


def _parameters(op: g.Operator) -> Iterator[str]:
    for name in _SHOWN.get(type(op)) or [field.name for field in fields(op)]:
        value = getattr(op, name)
        given = value is not None and not (isinstance(value, tuple) and not value)
        given &= name != "ahead" or value  # few are
        if given and name not in ("size", "span"):
            yield f"{name}={_text(value)}"


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{'x'.join(map(str, value.shape))} array"
    if hasattr(value, "indptr"):
        return f"{value.shape[0]}x{value.shape[1]} sparse, {value.nnz} entries"
    if isinstance(value, Expression):
        return to_text(value)
    if isinstance(value, g.Pick):
        return f"{len(value.columns)} columns"
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, tuple):
        return "(" + ", ".join(_text(v) for v in value) + ")"
    return str(value)
