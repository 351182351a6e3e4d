"""Mistakes that are told once, and probes of which nothing is dropped."""

from __future__ import annotations

from pathlib import Path

import pytest
from language_helpers import mistakes

from spikec.errors import ModelError
from spikec.frontend import load, loads

CELLS = "ensemble b(20)\nensemble a(30, dims=2)\n"


def test_a_mistake_in_every_round_of_a_loop_is_told_once() -> None:
    text = "relay u[2]\nfor i in 0..60 {\n  ensemble e[i](9)\n  connect u -> e[i]\n}\nconnect u -> e[1]"
    with pytest.raises(ModelError) as raised:
        loads(text, "m.spk")
    first, second = raised.value.diagnostics
    assert first.message == "'u' has 2 dimensions, but 'e[0]' takes 1 (and 59 more like this)"
    assert second.message == "'u' has 2 dimensions, but 'e[1]' takes 1"


def test_no_argument_of_several_is_blamed(tmp_path: Path) -> None:
    """Of a module in another file: which of the arguments in one clause is wrong, nobody knows."""
    (tmp_path / "part.spk").write_text(
        "module part(tau, gain) {\n  port in\n  ensemble x(9)\n  connect in -> x transform tau * gain / 1s\n}"
    )
    (tmp_path / "m.spk").write_text('import "part.spk"\nuse part(\n  tau=1s,\n  gain=[1, 2]) as p\nprobe p.x')
    with pytest.raises(ModelError) as raised:
        load(tmp_path / "m.spk")
    (found,) = raised.value.diagnostics
    assert found.span is not None
    assert (found.span.line, found.span.column) == (2, 1)
    assert found.notes[0][0] == "part uses tau and gain here"


@pytest.mark.parametrize(
    ("probe", "column", "message", "hint"),
    [
        ("b voltage spikes", 17, "a probe records one of voltage and spikes",
         "write another probe: probe b spikes"),
        ("b spikes every 10ms", 16, "every spike is recorded, at its own time; there is no `every`",
         "leave it out, or record rates: probe b.neurons synapse 20ms every 10ms"),
    ],
)  # fmt: skip
def test_nothing_of_a_probe_is_dropped(probe: str, column: int, message: str, hint: str) -> None:
    assert mistakes(f"{CELLS}probe {probe}") == [(3, column, message, hint)]


def test_an_interval_by_default_leaves_spikes_alone() -> None:
    graph = loads(f"defaults probe {{ every=10ms }}\n{CELLS}probe b spikes\nprobe a")
    assert [graph.op(name).every for name in ("probe b.spikes", "probe a")] == [1, 10]
