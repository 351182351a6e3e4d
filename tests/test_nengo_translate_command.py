"""`spikec translate model.py:net`: what it writes, says and refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import spikec
from spikec import cli

PAGE = (Path(__file__).parent.parent / "docs" / "nengo.md").read_text(encoding="utf-8")
SECTION = PAGE[PAGE.index("## In the language") :]
SOURCE = SECTION.split("```python\n")[1].split("```")[0]
SHOWN = SECTION.split("```spk\n")[1].split("```")[0]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that a command works in, with the model of the page."""
    (tmp_path / "model.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("model", None)


def command(*words: str) -> Result:
    return CliRunner().invoke(cli.main, words)


def test_the_page_shows_what_is_written(folder: Path) -> None:
    done = command("translate", "model.py:net", "-o", "squares.spk")
    assert done.exit_code == 0, done.output
    assert (folder / "squares.spk").read_text() == SHOWN
    assert "400 neurons in 2 ensembles, 2 connections, 1 probe; 10 arrays in squares" in done.output
    assert "spikec compile squares.spk --precision float64" in done.output


def test_the_next_command_can_be_copied_and_a_cause_is_told_once(folder: Path) -> None:
    done = command("translate", "model.py:net", "-o", "my squares.spk")
    assert done.exit_code == 0, done.output
    assert "Next:    spikec compile 'my squares.spk' --precision float64" in done.output
    own = "class Own(nengo.LIF):\n    def step(self, *given):\n        super().step(*given)\n"
    more = "with net:\n    c = nengo.Ensemble(9, 1, neuron_type=Own())\n" + 3 * "    nengo.Probe(c)\n"
    (folder / "own.py").write_text(SOURCE + own + more, encoding="utf-8")
    done = command("translate", "own.py:net")
    assert done.exit_code == 2
    lines = done.output.splitlines()
    assert len(lines) == len(set(lines))


def test_what_is_written_gives_what_the_python_file_gives(folder: Path, reference_host: Path) -> None:
    """Both compiled by commands, for other numbers of partitions, and run by workers."""
    assert reference_host.is_dir()
    assert command("translate", "model.py", "--overwrite", "--seed", "3").exit_code == 0
    recorded = []
    for target, partitions, options in (
        ("model.py:net", "2", ("--seed", "3")),
        ("model.spk", "1", ("--precision", "float64")),
    ):
        done = command(
            "compile", target, "-n", partitions, "-o", str(folder / "build" / partitions), "-q", *options
        )
        assert done.exit_code == 0, done.output
        run = spikec.open_manifest(folder / "build" / partitions).run("50ms")
        recorded.append(run.probe("b").values)
    assert recorded[0].shape == (50, 1)
    assert recorded[0].tobytes() == recorded[1].tobytes()


def test_mistakes_of_the_command(folder: Path) -> None:
    for given, text in (
        (("translate", "squares.spk"), "no Python file with a network"),
        (("translate", "model.py:nett"), "did you mean net?"),
        (("translate", "model.py:net", "-o", "x.txt"), "does not end in .spk"),
        (("translate", "model.py:net", "--seed", "-1"), "not a seed of Nengo"),
    ):
        done = command(*given)
        assert done.exit_code == 2
        assert text in done.output
    assert [p.name for p in folder.iterdir() if p.name != "__pycache__"] == ["model.py"]


def test_the_result_as_json(folder: Path) -> None:
    done = command("translate", "model.py:net", "--precision", "float32", "--json")
    made = json.loads(done.output)
    assert made["path"] == "model.spk"
    assert (made["neurons"], made["precision"], made["probes"]) == (400, "float32", ["b"])
    assert all((folder / name).is_file() for name in made["arrays"])


def test_a_network_without_a_seed_is_told(folder: Path) -> None:
    (folder / "model.py").write_text(SOURCE.replace("seed=1", ""), encoding="utf-8")
    done = command("translate", "model.py:net")
    assert "note: net has no seed, so 0 is taken; write seed=... in the file, or give --seed\n" in done.output
    first = (folder / "model" / "a.bias.npy").read_bytes()
    assert command("translate", "model.py:net", "--overwrite").exit_code == 0
    assert (folder / "model" / "a.bias.npy").read_bytes() == first
