"""The standard library: what each module computes, in direct mode where that makes it exact."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import scipy.linalg
from inprocess import run
from language_helpers import mistakes

from spikec import graph as g
from spikec.expressions import evaluate_all
from spikec.frontend import loads
from spikec.language.imports import standard_texts

DIRECT = "defaults ensemble { neuron = direct }\ndefaults connection { synapse = none }\n"


def final(text: str, name: str) -> np.ndarray:
    """What a probe records of a model of constants and functions, without memory and neurons."""
    graph = loads(DIRECT + text)
    values: dict[str, np.ndarray] = {}
    for node in nx.topological_sort(graph.nx):
        op = graph.op(node)
        x = sum((values[source] for source in graph.inputs(node)), np.zeros(1))
        match op:
            case g.Constant():
                values[node] = np.array(op.value)
            case g.Product():
                values[node] = op.matrix @ x
            case g.Function():
                values[node] = evaluate_all(op.expressions, x[None])[0]
            case g.Sum() | g.Probe():
                values[node] = np.zeros(op.size) + x
            case _:
                raise AssertionError(f"{node} has memory or neurons")
    return values[f"probe {name}"]


def vector(values: np.ndarray) -> str:
    return "[" + ", ".join(repr(float(v)) for v in values) + "]"


def test_every_module_is_found_without_an_import() -> None:
    assert set(standard_texts()) == {
        "associative_memory",
        "basal_ganglia",
        "circular_convolution",
        "input_gated_memory",
        "integrator",
        "legendre_delay",
        "oscillator",
        "product",
        "thalamus",
    }
    for name, text in standard_texts().items():
        assert f"module {name}(" in text


def test_product() -> None:
    text = (
        "input a = [0.5, -0.8]\ninput b = [0.7, 0.4]\nuse product(40, dims=2) as p\n"
        "connect a -> p.a\nconnect b -> p.b\nprobe p.out"
    )
    np.testing.assert_allclose(final(text, "p.out"), [0.35, -0.32], atol=1e-12)


@pytest.mark.parametrize("dims", [1, 2, 3, 4, 7, 8])
@pytest.mark.parametrize("invert", ["", ", invert_b=1", ", invert_a=1"])
def test_circular_convolution(dims: int, invert: str) -> None:
    rng = np.random.default_rng(dims)
    a, b = rng.standard_normal((2, dims)) / np.sqrt(dims)
    text = (
        f"input a = {vector(a)}\ninput b = {vector(b)}\n"
        f"use circular_convolution(40, dims={dims}{invert}) as c\n"
        "connect a -> c.a\nconnect b -> c.b\nprobe c.out"
    )
    flip = -np.arange(dims) % dims
    a, b = (a[flip] if "invert_a" in invert else a), (b[flip] if "invert_b" in invert else b)
    expected = [sum(a[j] * b[(i - j) % dims] for j in range(dims)) for i in range(dims)]
    np.testing.assert_allclose(final(text, "c.out"), expected, atol=1e-12)


def test_integrator() -> None:
    text = "input u = [1, -2]\nuse integrator(40, dims=2, tau=20ms) as i\nconnect u -> i.in\nprobe i.out"
    data = run(loads(DIRECT + text), 1, "float64", 501)["i.out"]
    np.testing.assert_allclose(data[-1], [0.5, -1.0], rtol=0.06)


def test_oscillator_turns_at_its_frequency() -> None:
    text = (
        "input u = piecewise(0s: [1, 0], 100ms: [0, 0])\nuse oscillator(40, frequency=2Hz, tau=100ms) as o\n"
        "connect u -> o.in\nprobe o.out"
    )
    data = run(loads(DIRECT + text), 1, "float64", 2100)["o.out"][100:]
    angle = np.unwrap(np.arctan2(data[:, 1], data[:, 0]))
    assert (angle[-1] - angle[0]) / (2 * np.pi) / (len(angle) * 0.001) == pytest.approx(2.0, rel=0.03)


def test_legendre_delay() -> None:
    text = (
        "input u(t) = sin(2*pi*2*t)\nuse legendre_delay(40, order=6, theta=100ms, tau=20ms) as d\n"
        "connect u -> d.in\nprobe d.out"
    )
    data = run(loads(DIRECT + text), 1, "float64", 1500)["d.out"][:, 0]
    t = (np.arange(1500) + 1) * 0.001
    expected = np.sin(2 * np.pi * 2 * (t - 0.1))
    assert np.sqrt(np.mean((data - expected)[500:] ** 2)) < 0.1


@pytest.mark.parametrize(("order", "theta", "dt"), [(6, 0.1, 0.001), (12, 0.094, 0.001), (20, 0.05, 0.002)])
def test_legendre_delay_steps_exactly(order: int, theta: float, dt: float) -> None:
    """x(n + 1) = F x(n) + G u(n), [F G; 0 1] = exp([A B; 0 0] dt / theta) of Voelker and Eliasmith (2018)."""
    text = f"dt {dt}s\ninput u(t) = sin(30*t)\nuse legendre_delay(9, order={order}, theta={theta}s) as d\n"
    found = run(loads(DIRECT + text + "connect u -> d.in\nprobe d.state as state"), 1, "float64", 400)[
        "state"
    ]
    i, j = np.indices((order, order))
    whole = np.zeros((order + 1, order + 1))
    whole[:order, :order] = (2 * i + 1) * np.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    whole[:order, order] = (2 * i[:, 0] + 1) * (-1.0) ** i[:, 0]
    step = scipy.linalg.expm(whole * dt / theta)
    x = np.zeros(order)
    wanted = []
    for n in range(1, 401):
        # The synapse adds a step: what arrives at step n shows at n + 1.
        wanted.append(x)
        x = step[:order, :order] @ x + step[:order, order] * np.sin(30 * n * dt)
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_the_step_and_the_exponential_are_known_to_models() -> None:
    graph = loads(
        "dt 2ms\nlet m = expm([[0, dt / 1ms], [0, 0]])\nrelay a[2]\nrelay b[2]\nconnect a -> b transform m"
    )
    assert graph.op("a->b.product").matrix.tolist() == [[1.0, 2.0], [0.0, 1.0]]
    assert mistakes("dt dt")[0][:3] == (1, 4, "unknown name 'dt'")
    assert "not an array of shape 1 x 2" in mistakes("let m = expm([[1, 2]])")[0][2]
    assert "not a finite number" in mistakes("let m = expm([[1000]])")[0][2]


def test_thalamus_passes_on_what_is_not_inhibited() -> None:
    text = (
        "use thalamus(40, dims=2, inhibition=0) as t\ninput u = [-0.5, -1.5]\nconnect u -> t.in\nprobe t.out"
    )
    np.testing.assert_allclose(final(text, "t.out"), [0.5, -0.5])


def test_basal_ganglia_and_thalamus_choose_the_largest() -> None:
    text = (
        "seed 2\ninput u = [0.4, 0.9, 0.5]\nuse basal_ganglia(100, dims=3) as bg\n"
        "use thalamus(60, dims=3) as th\n"
        "connect u -> bg.in\nconnect bg.out -> th.in\nprobe th.out synapse 20ms as chosen"
    )
    data = run(loads(text), 1, "float64", 500)["chosen"][-150:].mean(axis=0)
    assert data[1] > 0.75
    assert data[0] < 0.25
    assert data[2] < 0.25


def test_associative_memory_recalls_the_nearest() -> None:
    text = (
        "seed 3\ninput u = [0.1, 0.95, 0]\n"
        "let values = [[1, 0], [0, 1], [-1, -1]]\n"
        "use associative_memory(80, keys=identity(3), values=values, inhibition=0.5) as m\n"
        "connect u -> m.in synapse none\nprobe m.out synapse 20ms"
    )
    data = run(loads(text), 1, "float64", 400)["m.out"][-150:].mean(axis=0)
    np.testing.assert_allclose(data, [0, 1], atol=0.15)


def test_modules_take_the_defaults_of_the_model() -> None:
    graph = loads("defaults ensemble { neuron = lif_rate }\nuse integrator(40) as i")
    assert [op.neuron.kind for _, op in graph.nodes(g.Ensemble)] == ["lif_rate"]


def _recalled(arguments: str, u: str, inhibit: float = 0, probe: str = "m.out") -> np.ndarray:
    text = (
        f"seed 3\ninput u = {u}\ninput stop = {inhibit}\nlet values = [[1, 0], [0, 1], [-1, -1]]\n"
        f"use associative_memory(80, keys=identity(3), values=values{arguments}) as m\n"
        f"connect u -> m.in synapse none\nconnect stop -> m.inhibit synapse none\nprobe {probe} synapse 20ms"
    )
    return run(loads(text), 1, "float64", 400)[probe][-150:].mean(axis=0)


def test_associative_memory_has_a_default_and_can_be_silenced() -> None:
    default = ", default=[[0.5, -0.5]]"
    np.testing.assert_allclose(_recalled(default, "[0.1, 0, 0.1]"), [0.5, -0.5], atol=0.1)
    np.testing.assert_allclose(_recalled(default, "[1, 0, 0]"), [1, 0], atol=0.15)
    np.testing.assert_allclose(_recalled(default, "[1, 0, 0]", inhibit=1), [0, 0], atol=0.05)


def test_associative_memory_cleans_up() -> None:
    # The dot product is barely above the threshold: without cleaning up, the match is below 1.
    found = _recalled(", clean=1, threshold=[0.3, 0.2, 0.9]", "[0.1, 0.4, 0.8]", probe="m.match")
    np.testing.assert_allclose(found, [0, 1, 0], atol=0.1)
    found = _recalled(", clean=1, scale=[1, 1, 0.1]", "[0.1, 0.1, 1]", probe="m.match")
    np.testing.assert_allclose(found, [0, 0, 0], atol=0.1)


def test_input_gated_memory_holds_while_its_gate_is_closed() -> None:
    text = (
        "seed 2\ninput u(t) = [select(t < 1, 0.7, -0.5), -0.3]\n"
        "input gate(t) = t > 0.8\ninput reset(t) = t > 1.6\n"
        "use input_gated_memory(100, dims=2) as m\nconnect u -> m.in synapse none\n"
        "connect gate -> m.gate synapse none\nconnect reset -> m.reset synapse none\nprobe m.out synapse 20ms"
    )
    data = run(loads(text), 1, "float64", 2000)["m.out"]
    np.testing.assert_allclose(data[700:800].mean(axis=0), [0.7, -0.3], atol=0.1)
    np.testing.assert_allclose(data[1500:1600].mean(axis=0), [0.7, -0.3], atol=0.2)
    np.testing.assert_allclose(data[1900:].mean(axis=0), [0, 0], atol=0.02)
