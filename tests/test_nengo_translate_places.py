"""What `spikec.nengo.translate` replaces and says: files that are there, names, and places of mistakes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from continued import named
from converted import Simulator, convert, nengo
from translated_networks import WHOLE
from translated_parts import PARTS
from translated_signals import SIGNALS

import spikec
from spikec import frontend
from spikec import graph as g
from spikec.errors import ModelError
from spikec.nengo.compiling import built, compilable
from spikec.nengo.files import read_network
from spikec.nengo.naming import called
from spikec.nengo.writing.translate import translate


def tiny(seed: int | None = 1) -> nengo.Network:
    with nengo.Network(seed=seed) as net:
        nengo.Probe(nengo.Ensemble(20, 1, label="a"))
    return net


def files(folder: Path) -> dict[str, bytes]:
    """All that a folder holds."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(path: Path, match: str, overwrite: bool = True) -> None:
    """A translation to `path` is refused, with a remedy, and changes nothing."""
    before = files(path.parent)
    with pytest.raises(ModelError, match=match) as raised:
        translate(tiny(), path, overwrite=overwrite)
    assert all(d.hint for d in raised.value.diagnostics)
    assert files(path.parent) == before


def test_what_is_there_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "model.spk"
    with tiny() as larger:
        nengo.Probe(nengo.Ensemble(30, 1, label="b"))
    translate(larger, path)
    refused(path, "exist", overwrite=False)
    assert (tmp_path / "model" / "b.bias.npy").is_file()
    translate(tiny(), path, overwrite=True)
    assert not (tmp_path / "model" / "b.bias.npy").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "model.spk"]
    refused(tmp_path / "model.py", r"does not end in \.spk")


@pytest.mark.parametrize("name", ["notes.txt", "mine.npy"])
def test_what_the_old_text_does_not_name_is_never_deleted(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.spk"
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / name).write_bytes(b"mine")
    refused(path, f"holds {name}, and there is no ")
    path.write_text("model another\n", encoding="utf-8")
    refused(path, f"holds {name}, which .*model.spk does not name")


def test_only_plain_files_and_folders_are_replaced(tmp_path: Path) -> None:
    path, folder = tmp_path / "model.spk", tmp_path / "model"
    folder.write_text("a file")
    refused(path, "model is in the way: it is no plain folder")
    folder.unlink()
    (tmp_path / "elsewhere").mkdir()
    for target in ("elsewhere", "nowhere"):
        folder.symlink_to(tmp_path / target)
        refused(path, "model is in the way: it is no plain folder")
        folder.unlink()
    path.mkdir()
    refused(path, "model.spk is in the way: it is no plain file")
    path.rmdir()
    path.symlink_to(tmp_path / "elsewhere.spk")
    refused(path, "model.spk is in the way: it is no plain file")


@pytest.mark.parametrize("failing", range(4))
@pytest.mark.parametrize("done", [False, True])
def test_both_are_replaced_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int, done: bool
) -> None:
    """Where one of the four moves fails, or where an interrupt follows it."""
    path = tmp_path / "model.spk"
    translate(tiny(), path)
    before = files(tmp_path)
    move, count = os.replace, 0

    def fails(source: Path, target: Path) -> None:
        nonlocal count
        count += 1
        if done or count != failing + 1:
            move(source, target)
        if count == failing + 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(KeyboardInterrupt):
        translate(tiny(2), path, overwrite=True)
    assert count > failing
    assert files(tmp_path) == before
    monkeypatch.undo()
    translate(tiny(2), path, overwrite=True)
    assert files(tmp_path) != before


def test_a_seed_that_is_taken_is_told_in_words_of_the_program(tmp_path: Path) -> None:
    made = translate(tiny(None), tmp_path / "model.spk")
    (note,) = made.notes
    assert note == "the network has no seed, so 0 is taken; give seed=... to nengo.Network or to translate"
    assert translate(tiny(None), tmp_path / "other.spk", seed=3).notes == ()


def test_networks_in_a_list_are_called_by_it(tmp_path: Path) -> None:
    with tiny() as net:
        parts = []
        for _ in range(2):
            with nengo.Network() as part:
                nengo.Ensemble(20, 1, label="inner")
            parts.append(part)
    text = translate(net, tmp_path / "model.spk", names={"parts": parts}).path.read_text()
    assert "ensemble parts_0_inner(" in text
    assert "ensemble parts_1_inner(" in text


class Counter:
    """What is called, and has a state."""

    def __init__(self) -> None:
        self.count = 0.0

    def __call__(self, t: float) -> float:
        self.count += 1
        return self.count + t

    def method(self, t: float) -> float:
        return self(t)


@pytest.mark.parametrize("chosen", ["__call__", "method"])
def test_objects_and_methods_are_told_with_their_place(tmp_path: Path, chosen: str) -> None:
    """The place is the line that cannot be said, also where the method only calls it."""
    counter: Any = Counter()
    with tiny() as net:
        nengo.Probe(nengo.Node(counter if chosen == "__call__" else counter.method))
    with pytest.raises(ModelError) as raised:
        translate(net, tmp_path / "model.spk")
    span = raised.value.diagnostics[0].span
    assert span is not None
    assert span.file == __file__
    assert Path(__file__).read_text("utf-8").splitlines()[span.line - 1].strip() == "self.count += 1"


MODEL = """
import nengo
import numpy as np

with nengo.Network(seed=2) as net:
    stimulus = nengo.Node(lambda t: [np.sin(9 * t), 0.3], label="another name")
    a = nengo.Ensemble(20, 2, label="labelled")
    ensembles = [nengo.Ensemble(20, 1) for _ in range(2)]
    with nengo.Network(label="part") as part:
        part.inner = nengo.Ensemble(20, 1)
        inside = nengo.Probe(part.inner, "input")
    nengo.Connection(stimulus, a)
    taught = nengo.Connection(a, ensembles[1], function=lambda x: 0, learning_rule_type=nengo.PES())
    plain = nengo.Connection(a[0], part.inner)
    nengo.Connection(stimulus[0], taught.learning_rule)
    unnamed = [nengo.Connection(a[1], ensembles[0], learning_rule_type=nengo.PES(1e-3))][0]
    for obj in (stimulus, a, ensembles[0], ensembles[1], part.inner):
        nengo.Probe(obj)
    for obj, attribute in (
        (a.neurons, "output"), (a.neurons[:3], "output"), (a.neurons, "voltage"), (a.neurons, "input"),
        (a, "input"), (a, "scaled_encoders"), (taught, "weights"), (taught.learning_rule, "error"),
        (plain, "weights"),
    ):
        nengo.Probe(obj, attribute)
    del unnamed
    shown = nengo.Probe(a, synapse=0.01)
    every = nengo.Probe(a, label="what is shown")
    nengo.Probe(a, label="what-is-shown")
    nengo.Probe(a, label="?")
"""
NAMES = """
part_inside stimulus a ensembles_0 ensembles_1 part_inner a.neurons a.neurons_2 a.voltage a.neurons.input
a.input a.scaled_encoders taught.weights taught.pes.error plain.weights shown what_is_shown what_is_shown_2
a_2
"""


def test_a_state_of_one_is_loaded_into_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compiled goes on from a run of the text, and the text from one of what is compiled."""
    (tmp_path / "model.py").write_text(MODEL, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    network = read_network("model.py", "net")
    translate(network.network, "model.spk", file=network)
    made = {
        "python": spikec.compile("model.py:net", 2, "python", cache=False),
        "text": spikec.compile("model.spk", 1, "text", precision="float64", cache=False),
    }
    whole = made["python"].run("30ms", "whole")
    for first, second in (("python", "text"), ("text", "python")):
        made[first].run("20ms", f"first_{first}", save_state=f"{first}.npz")
        more = made[second].run("10ms", f"second_{first}", load_state=f"{first}.npz")
        for name in ("shown", "a.voltage", "taught.weights"):
            assert more.probe(name).values.tobytes() == whole.probe(name).values[20:].tobytes()
    with Simulator(network.network, progress_bar=False, names=vars(network.module)) as simulator:
        simulator.load_state("text.npz")
        simulator.run_steps(10)
        shown = simulator.data[network.module.shown]
        assert shown.tobytes() == whole.probe("shown").values[20:].tobytes()
        simulator.save_state("simulator.npz")
    made["text"].run("1ms", "last", load_state="simulator.npz")
    sys.modules.pop("model", None)


@pytest.mark.parametrize(
    "name", ["pes", "unsupervised", "subnetworks", "product", "synapse_nodes", "currents"]
)
def test_the_state_has_the_same_names(name: str, tmp_path: Path) -> None:
    net = (PARTS | WHOLE | SIGNALS)[name]()
    path = translate(net, tmp_path / "model.spk").path
    made = convert(built(net, "model", None), 6, "model", called(net, {})).graph
    assert named(made) == named(frontend.load(path))


def test_probes_are_called_the_same_in_what_is_compiled_and_in_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.py").write_text(MODEL, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    network = read_network("model.py", "net")
    compiled = compilable(network).graph
    written = translate(network.network, "model.spk", file=network)
    text = frontend.load(Path("model.spk"))
    names = [[op.name for _, op in graph.nodes(g.Probe)] for graph in (compiled, text)]
    assert sorted(names[0]) == sorted(names[1]) == sorted(written.probes) == sorted(NAMES.split())
    ensembles = {op.path for _, op in compiled.nodes(g.Neurons)}
    assert ensembles == {name for name, _ in text.nodes(g.Ensemble)}
    sys.modules.pop("model", None)


def test_a_rule_of_ones_own_is_refused_with_what_it_is_told(tmp_path: Path) -> None:
    class Own(nengo.learning_rules.LearningRuleType):
        modifies = "decoders"

        def __init__(self) -> None:
            super().__init__(1.0, size_in=1)

    def build(model: Any, _: Any, rule: Any) -> None:
        model.sig[rule]["in"] = nengo.builder.Signal(np.zeros(1))
        model.add_op(nengo.builder.operator.Reset(model.sig[rule]["in"]))
        model.add_op(nengo.builder.operator.Reset(model.sig[rule]["delta"]))

    nengo.builder.Builder.register(Own)(build)
    with nengo.Network(seed=1) as net:
        a = nengo.Ensemble(10, 1)
        taught = nengo.Connection(a, a, learning_rule_type=Own(), label="taught")
        nengo.Connection(nengo.Node([1]), taught.learning_rule, synapse=None)
        nengo.Probe(a)
    with pytest.raises(ModelError) as raised:
        translate(net, tmp_path / "model.spk")
    assert [d.message for d in raised.value.diagnostics] == ["connection taught: the rule Own runs in Python"]


def test_rls_for_which_nengo_fails_is_refused_with_its_connection(tmp_path: Path) -> None:
    with nengo.Network(seed=1) as net:
        a, b = (nengo.Ensemble(10, 2, label=label) for label in "ab")
        options = {"transform": np.full((10, 2), 0.1), "learning_rule_type": nengo.RLS()}
        nengo.Connection(a, b.neurons, **options)
        nengo.Connection(a.neurons[:2], b.neurons, **options)
        nengo.Probe(b)
    with pytest.raises(ValueError, match=r"could not broadcast"), nengo.Simulator(net) as simulator:
        simulator.step()
    with pytest.raises(
        ModelError, match=r"Nengo's own simulator fails\n.*connect from all neurons"
    ) as raised:
        translate(net, tmp_path / "model.spk")
    assert [d.message.partition(",")[0] for d in raised.value.diagnostics] == [
        "a_to_b.rls: RLS follows 10 neurons and is told 2 numbers for weights of 10 x 10",
        "a_to_b_2.rls: RLS follows 10 neurons and is told 2 numbers for weights of 10 x 2",
    ]
