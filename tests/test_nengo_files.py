"""`model.py:net`: the file is executed, the network found; each mistake has its place and a remedy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spikec.errors import ModelError
from spikec.models import is_network, network

pytest.importorskip("nengo")

HEAD = "import nengo\n"
ONE = HEAD + "with nengo.Network(label='one') as net:\n    part = nengo.networks.EnsembleArray(10, 2)\n"
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes model.py into a folder and goes there; what it imports is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def made(text: str, name: str = "model.py") -> Path:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    yield made
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def mistake(target: str) -> str:
    with pytest.raises(ModelError) as caught:
        network(target)
    return str(caught.value)


@pytest.mark.parametrize(
    ("target", "is_one"),
    [
        ("model.py", True),
        ("a/model.py:net", True),
        ("model.spk", False),
        ("model.spk:net", False),
        ("m:a.py:b", True),
    ],
)
def test_python_files_are_told_by_their_suffix(target: str, is_one: bool) -> None:
    assert is_network(target) is is_one


@pytest.mark.parametrize(
    "target", ["model.py:net", "model.py", "model.py:make", "model.py:Model", "model.py:holder.inner"]
)
def test_a_network_is_found_by_name_call_and_alone(write: Write, target: str) -> None:
    write(
        ONE
        + "def make():\n    return nengo.Network(label='one')\n"
        + "class Model(nengo.Network):\n    def __init__(self):\n        super().__init__(label='one')\n"
        + "class holder:\n    inner = net\n"
    )
    found = network(target)
    assert found.network.label == "one"
    assert found.model == "model"
    assert found.name == (target.partition(":")[2] or "net")


def test_the_file_runs_as_a_script_does_but_is_not_main(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    write("import nengo\nlabel = 'of a file beside it'\n", "beside.py")
    write(
        HEAD
        + "import sys\nfrom beside import label\nprint('hello', sys.argv, __name__)\n"
        + "net = nengo.Network(label=label)\nif __name__ == '__main__':\n    raise ValueError\n"
    )
    assert network("model.py").network.label == "of a file beside it"
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "hello ['model.py'] model\n"


def test_a_file_with_the_name_of_a_known_module_takes_its_place_nowhere(write: Write) -> None:
    path = write(ONE, "json.py")
    import json

    assert network("json.py:net").module.__file__ == str(path)
    assert sys.modules["json"] is json


def test_what_a_file_raises_is_told_with_its_traceback_and_place(write: Write) -> None:
    write(HEAD + "def worse():\n    return 1 / 0\n\n\nnet = nengo.Network(seed=worse())\n")
    assert mistake("model.py:net") == (
        "Traceback (most recent call last):\n"
        '  File "model.py", line 6, in <module>\n'
        "    net = nengo.Network(seed=worse())\n"
        "                             ^^^^^^^\n"
        '  File "model.py", line 3, in worse\n'
        "    return 1 / 0\n"
        "           ~~^~~\n"
        "ZeroDivisionError: division by zero\n"
        "model.py:3:12: error: model.py raised ZeroDivisionError, so there is no network to compile\n"
        "  3 |     return 1 / 0\n"
        "    |            ^^^^^\n"
        "  help: its traceback is above"
    )
    assert "model" not in sys.modules


def test_a_function_that_raises_is_told_alike(write: Write) -> None:
    write(HEAD + "def make():\n    raise KeyError('q')\n")
    told = mistake("model.py:make")
    assert told.startswith('Traceback (most recent call last):\n  File "model.py", line 3, in make\n')
    assert "model.py:3:5: error: model.py raised KeyError" in told


TOLD = {
    "model.py:stack[0]": (
        ONE + "stack = [net]\n",
        "error: model.py has no 'stack[0]'\n  help: networks there: net",
    ),
    "model.py:nat": (ONE, "error: model.py has no 'nat'\n  help: did you mean net?"),
    "model.py:quux": (ONE, "error: model.py has no 'quux'\n  help: networks there: net"),
    "model.py:net.quux": (ONE, "error: net has no 'quux'\n  help: networks there: net"),
    "model.py:nengo": (
        ONE,
        "error: nengo in model.py is not a nengo.Network but of the type module\n"
        "  help: name a network, or a function without arguments that returns one",
    ),
    "model.py:make": (
        HEAD + "def make():\n    return nengo.Network(), 1\n",
        "error: make() in model.py is not a nengo.Network but of the type tuple\n"
        "  help: name a network, or a function without arguments that returns one",
    ),
    "model.py:sized": (
        HEAD + "def sized(neurons, dims=2):\n    return nengo.Network()\n",
        "error: sized in model.py needs arguments: neurons\n"
        "  help: name a network, or a function without arguments that returns one",
    ),
    "./model.py": (
        ONE + "two = nengo.Network()\nagain = net\n",
        "error: model.py has 2 networks\n  help: name one of them: model.py:net, model.py:two",
    ),
    "model.py": (
        HEAD + "def build():\n    return nengo.Network()\n",
        "error: model.py has no network outside of its functions\n"
        "  help: where a function makes it, name that: model.py:build",
    ),
    "model.py:": (
        HEAD + "net = nengo.Network(\n",
        "model.py:2:20: error: model.py is not Python: '(' was never closed\n"
        "  2 | net = nengo.Network(\n    |                    ^",
    ),
    "gone.py:net": (
        ONE,
        "error: cannot read gone.py: No such file or directory\n"
        "  help: give the path of a Python file, for example model.py:net",
    ),
    "model.py:net2": (
        HEAD + "import sys\nsys.exit(3)\n",
        "SystemExit: 3\nmodel.py:3:1: error: model.py ends the program, so there is no network to compile\n"
        "  3 | sys.exit(3)\n    | ^^^^^^^^^^^\n  help: put that under if __name__ == \"__main__\":, and give "
        "what the network takes of it a value before",
    ),
}  # fmt: skip


@pytest.mark.parametrize("target", TOLD)
def test_each_mistake_is_told_with_a_remedy(write: Write, target: str) -> None:
    text, message = TOLD[target]
    write(text)
    assert mistake(target).endswith(message)


def test_without_nengo_it_is_said_how_to_get_it(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(ONE)
    monkeypatch.delitem(sys.modules, "spikec.nengo.files", raising=False)
    monkeypatch.setitem(sys.modules, "nengo", None)
    assert mistake("model.py:net") == (
        "error: model.py:net is a Nengo network, and nengo is not installed\n"
        "  help: pip install 'nengo>=4.1' 'cloudpickle>=3.1,<3.2'"
    )
