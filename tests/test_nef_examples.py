"""The examples of the first Spike, made with `spikec.nef.Network`, beside the same models in the language."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikec import frontend
from spikec.sessions import session

ROOT = Path(__file__).resolve().parent.parent
TIMES = {"matrix_multiplication": 0.5, "basal_ganglia": 0.6, "convolution": 0.5, "controlled_integrator": 1.0}


def example(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"example_{name}", ROOT / "models" / "nef" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def ours(name: str, partitions: int = 1) -> dict[str, np.ndarray]:
    """What the probes of an example recorded."""
    net = example(name).network(partitions)
    net.run(TIMES[name])
    return {probe: p.get_data() for probe, p in net.probes.items()}


def twins(name: str) -> dict[str, np.ndarray]:
    """The same of the model in the language."""
    graph = frontend.load(ROOT / "tests" / "nef_twins" / f"{name}.spk")
    running = session(graph, {}, 1, "float32")
    running.advance(round(TIMES[name] / graph.dt))
    return {probe: data.astype(np.float64) for probe, data in running.drain().items()}


def test_examples_of_the_guide(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    page = ROOT / "docs" / "nef.md"
    for example in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE):
        exec(compile(example, str(page), "exec"), names)
    printed = capsys.readouterr().out
    assert "(100, 1) (1000, 1, 200)" in printed
    assert "error: there is no node 'clok'\n" in printed
    assert "help: did you mean 'clock'?" in printed
    late = names["value"].get_data()
    assert abs(late[40:50].mean() - 1) < 0.1
    assert abs(late[90:].mean() - 0.25) < 0.1
    assert names["elapsed"].get_data()[-1, 0] == pytest.approx(0.04, abs=0.0015)


@pytest.mark.parametrize("name", ["matrix_multiplication", "basal_ganglia", "controlled_integrator"])
def test_an_example_equals_the_same_model_in_the_language(name: str) -> None:
    for probe, data in twins(name).items():
        assert np.abs(data).max() > 0.2
        np.testing.assert_array_equal(ours(name)[probe], data)


def test_the_model_of_the_guide_is_an_example() -> None:
    (text,) = re.findall(
        r"^```spk\n(.*?)^```$", (ROOT / "docs" / "nef.md").read_text(), re.DOTALL | re.MULTILINE
    )
    running = session(frontend.loads(text), {}, 1, "float32")
    running.advance(1000)
    np.testing.assert_array_equal(running.drain()["A"], ours("controlled_integrator")["A"])


@pytest.mark.parametrize("name", TIMES)
def test_the_cut_does_not_change_an_example(name: str) -> None:
    for probe, data in ours(name).items():
        assert ours(name, 2)[probe].tobytes() == data.tobytes()


def test_matrices_are_multiplied() -> None:
    product = np.array([[0.5, -0.5]]) @ np.array([[0.7, -0.2], [0.3, 0.9]])
    late = ours("matrix_multiplication")["D"][20:]
    assert np.sqrt(np.mean((late - product.ravel()) ** 2)) < 0.05


def test_the_most_salient_action_is_chosen() -> None:
    choice = ours("basal_ganglia")["choice"]
    assert choice.shape == (60, 5)
    for sample, action in ((29, 0), (59, 3)):
        others = np.delete(choice[sample], action)
        assert choice[sample, action] > 0.6
        assert others.max() < 0.4


def test_vectors_are_bound() -> None:
    model = example("convolution")
    bound = np.fft.ifft(np.fft.fft(model.A) * np.fft.fft(model.B)).real
    late, twin = ours("convolution")["C"][20:], twins("convolution")["C"][20:]
    assert np.sqrt(np.mean((late - bound) ** 2)) < 0.06
    # Its products are those of pairs of numbers, in the language of squares: equal but for noise.
    assert np.sqrt(np.mean((late.mean(axis=0) - twin.mean(axis=0)) ** 2)) < 0.06


def test_the_integrator_holds_its_value() -> None:
    value = ours("controlled_integrator")["A"][:, 0]
    assert abs(value[42] - 0.5) < 0.15
    assert abs(value[78] + 0.5) < 0.2
