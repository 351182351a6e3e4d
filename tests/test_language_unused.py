"""Warnings of what a model says in vain: told once, with place and remedy, and no reason to fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import spikec
from spikec.cli import main
from spikec.frontend import load, loads

ROOT = Path(__file__).resolve().parent.parent


def warnings(text: str) -> list[tuple[int, int, str, str]]:
    """(line, column, message, remedy) of every warning of a model."""
    return [(d.span.line, d.span.column, d.message, d.hint) for d in loads(text, "m.spk").warnings if d.span]


def messages(text: str) -> list[str]:
    return [message for _, _, message, _ in warnings(text)]


# An ensemble that is fed and recorded, to which the tests add.
GOOD = "input u(t) = [sin(t), cos(t)]\nensemble a(20, dims=2)\nconnect u -> a\nprobe a\n"


def test_names_that_nothing_uses() -> None:
    text = GOOD + (
        "param n = 3\nlet k = 2\nlet used = 4\nfunction f(x) = used * x\n"
        "module m(neurons) {\n  let inner = neurons\n  ensemble e(neurons)\n}\n"
    )
    assert warnings(text) == [
        (5, 1, "nothing uses the parameter 'n'", "use it, or remove the parameter"),
        (6, 1, "nothing uses the constant 'k'", "use it, or remove the constant"),
        (8, 1, "nothing uses the function 'f'", "use it, or remove the function"),
        (9, 1, "nothing uses the module 'm'", "use it, or remove the module"),
        (10, 3, "nothing uses the constant 'inner'", "use it, or remove the constant"),
    ]


def test_a_file_of_modules_is_for_those_who_import_it() -> None:
    assert warnings("let k = 2\nmodule m(n) { ensemble e(n) }\n") == []


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("input v = 1", "input 'v'"),
        ("relay r[2]\nconnect u -> r", "relay 'r'"),
        ("node g(x[2]) = x[0]\nconnect u -> g", "node 'g'"),
        ("array b(20, count=2)\nconnect u -> b", "array 'b'"),
        ("for i in 0..2 { ensemble c[i](9) }\nconnect u -> c[0]", "ensemble 'c'"),
    ],
)
def test_what_nothing_reads(line: str, what: str) -> None:
    text = GOOD + line.replace("u -> c[0]", "u[0] -> c[0]\nconnect c[0] -> c[1]")
    (found,) = warnings(text)
    assert found[:3] == (5, found[1], f"nothing reads the {what}, and no probe records it: it is left out")
    assert found[3].startswith("connect it to something, or record it: probe ")


def test_who_reads_only_itself_is_read_by_nobody() -> None:
    text = GOOD + "ensemble b(20)\nconnect a[0] -> b\nconnect b -> b\n"
    assert messages(text) == ["nothing reads the ensemble 'b', and no probe records it: it is left out"]
    assert messages(text + "connect b -> a[0]\n") == []
    assert messages(text + "probe b.neurons\n") == []


def test_without_a_probe_that_is_what_is_wrong() -> None:
    assert messages("input u = 1\nensemble a(20)\nconnect u -> a\n") == []


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ("ensemble b(20)\nprobe b", "b"),
        ("ensemble b(20, dims=3)\nconnect u[0] -> b[1]\nprobe b", "b[[0, 2]]"),
        ("ensemble b(20, dims=3)\nconnect u[0] -> b[0]\nprobe b", "b[1:3]"),
        ("array b(20, count=6)\nconnect u -> b[0:2]\nprobe b", "b[2], b[3], b[4] and 1 more"),
        ("relay b\nprobe b", "b"),
        ("node b(x[2], t) = x[0] + x[1]\nconnect u[0] -> b[0]\nprobe b", "b[1]"),
        ("for i in 0..2 { ensemble b[i](9) }\nconnect b[0] -> b[1]\nprobe b[1]", "b[0]"),
        ("population b(9)\nprobe b", "b"),
    ],
)
def test_what_nothing_feeds(more: str, part: str) -> None:
    ((line, _, message, hint),) = warnings(GOOD + more)
    assert (line, message) == (5, f"nothing is connected to {part}: what it takes stays 0")
    first = part.partition(", b")[0]
    assert hint == f"connect something to it: connect NAME -> {first}; or remove it"


@pytest.mark.parametrize(
    "more",
    [
        "ensemble b(20, dims=2)\nconnect u[0] -> b.neurons transform [[1] for i in 0..20]\nprobe b",
        "ensemble b(20, noise=white_noise(0.1))\nprobe b",
        "population b(9, current=30)\nprobe b",
        "population b(9, drive=poisson(rate=9Hz, weight=1))\nprobe b",
        "ensemble b(20)\nconnect b -> b\nprobe b",
    ],
)
def test_what_is_fed_or_drives_itself(more: str) -> None:
    assert messages(GOOD + more) == []


def test_modules_of_the_model_are_warned_of_where_every_use_is_alike() -> None:
    module = (
        "module m(n) {\n  port in\n  port out\n  ensemble e(n)\n  connect in -> e\n  connect e -> out\n}\n"
    )
    uses = "use m(9) as p\nuse m(9) as q\nconnect p.out -> a[0]\nconnect q.out -> a[0]\n"
    found = "nothing is connected to p.in, q.in: what it takes stays 0"
    assert messages(GOOD + module + uses) == [found]
    assert messages(GOOD + module + uses + "connect u[0] -> p.in") == []


def test_modules_of_the_library_are_warned_of_where_they_are_used() -> None:
    assert warnings(GOOD + "use product(20) as p\nconnect u[0] -> p.a") == [
        (
            5,
            20,
            "nothing reads 'p', and no probe records anything of it: it is left out",
            "connect one of its ports to something, or record one; or remove it",
        )
    ]
    assert warnings(GOOD + "use product(20) as p\nconnect p.out -> a[0]") == [
        (
            5,
            20,
            "nothing is connected to p.a, p.b: what they take stays 0",
            "connect something to it: connect NAME -> p.a",
        )
    ]


def test_a_part_of_a_port_of_the_library_that_nothing_is_connected_to() -> None:
    used = GOOD + "use product(20, dims=3) as p\nconnect p.out[0] -> a[0]\n"
    assert messages(used + "connect u[0] -> p.a[1]") == [
        "nothing is connected to p.a[[0, 2]]: what they take stays 0"
    ]
    # The other port may be for those who need it.
    assert messages(used + "for i in 0..3 { connect u[0] -> p.a[i] }") == []


def test_a_rule_without_an_error_changes_nothing() -> None:
    learns = "ensemble b(20)\nprobe b\nconnect a[0] -> b learning pes(rate=1e-4)"
    assert warnings(GOOD + learns) == [
        (
            7,
            1,
            "the connection a[0]->b has no name, so the rule is given no error and changes nothing",
            "name it: connect ... as NAME",
        )
    ]
    (found,) = messages(GOOD + learns + " as l")
    assert found == "nothing is connected to l.pes, so the rule is given no error and changes nothing"
    assert messages(GOOD + learns + " as l\nconnect a[0] -> l.pes") == []


def test_shipped_models_say_nothing_in_vain() -> None:
    found = {path.name: load(path).warnings for path in sorted((ROOT / "models").rglob("*.spk"))}
    assert len(found) > 15
    assert {name: told for name, told in found.items() if told} == {}


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "m.spk"
    path.write_text(GOOD + "let k = 2\n")
    return str(path)


@pytest.mark.usefixtures("reference_host")
@pytest.mark.parametrize("command", ["check", "compile"])
def test_commands_warn_and_go_on(command: str, model: str, tmp_path: Path) -> None:
    given = [command, model, *(["-o", str(tmp_path / "out")] if command == "compile" else [])]
    result = CliRunner().invoke(main, given)
    assert result.exit_code == 0, result.output
    assert result.stderr == (
        f"{model}:5:1: warning: nothing uses the constant 'k'\n"
        "  5 | let k = 2\n    | ^^^^^^^^^\n  help: use it, or remove the constant\n"
    )
    (told,) = json.loads(CliRunner().invoke(main, [*given, "--json"]).stdout)["warnings"]
    assert (told["line"], told["message"]) == (5, "nothing uses the constant 'k'")


@pytest.mark.usefixtures("reference_host")
def test_python_warns_at_the_line_that_compiles() -> None:
    with pytest.warns(spikec.ModelWarning, match="nothing uses the constant 'k'") as caught:
        spikec.compile_text(GOOD + "let k = 2")
    assert caught[0].filename == __file__


@pytest.mark.parametrize("others", ["", "ensemble b(9)\nconnect u[0] -> b\nprobe b\n"])
def test_a_default_that_no_neurons_have_the_state_for(others: str) -> None:
    text = "defaults ensemble { initial_adaptation = 0.1 }\n" + GOOD + others
    (found,) = warnings(text)
    assert found[:3] == (1, 42, "neurons of type lif have no adaptation to begin with")
    for neuron in ("adaptive_lif", "adaptive_lif_rate"):
        tired = f"ensemble c(9, neuron={neuron})\nconnect u[0] -> c\nprobe c\n"
        assert warnings(tired + text) == warnings(text + tired) == []
