"""What models mean: the graph that each statement of the language lowers to."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from language_helpers import dense, path_from, response

from spikec import graph as g
from spikec.expressions import Call, Component, Number, Time, evaluate
from spikec.frontend import load, loads
from spikec.verify import verify

# ------------------------------------------------------------------------------------------- connections


def test_decoded_connection_is_a_chain() -> None:
    graph = loads(
        "ensemble a(50, dims=2)\nensemble b(40)\n"
        "connect a -> b via x[0]*x[1] synapse alpha(10ms) delay 3ms transform 0.5 solver lstsq_l2(reg=0.2)"
    )
    verify(graph)
    assert path_from(graph, "a", "b") == [
        "Ensemble",
        "Decoding",
        "Delay",
        "Filter",
        "Product",
        "Sum",
        "Ensemble",
    ]
    decoding = graph.op("a->b.decode")
    assert isinstance(decoding, g.Decoding)
    assert decoding.expressions == (Call("*", (Component(0), Component(1))),)
    assert decoding.solver == g.Solver("lstsq_l2", 0.2)
    synapse = graph.op("a->b.filter")
    assert isinstance(synapse, g.Filter)
    assert synapse.num == (1.0,)
    assert synapse.den == pytest.approx((1e-4, 0.02, 1.0))
    assert graph.op("a->b.delay").delay == 3
    assert graph.inputs("a", "x") == ["a.in"]
    assert graph.inputs("a->b.decode", "activity") == ["a"]


def test_default_synapse_is_five_milliseconds() -> None:
    graph = loads("input u = 1\nensemble a(50)\nconnect u -> a")
    synapse = graph.op("u->a.filter")
    assert isinstance(synapse, g.Filter)
    assert synapse.den == (0.005, 1.0)
    assert path_from(graph, "u", "a") == ["Constant", "Filter", "Sum", "Ensemble"]


@pytest.mark.parametrize(
    ("written", "num", "den", "analog"),
    [
        ("20ms", (1.0,), (0.02, 1.0), True),
        ("lowpass(20ms)", (1.0,), (0.02, 1.0), True),
        ("alpha(0.02s)", (1.0,), (0.0004, 0.04, 1.0), True),
        ("double_exp(10ms, 20ms)", (1.0,), (0.0002, 0.03, 1.0), True),
        ("linear_filter(num=[1, 2], den=[3, 4, 5])", (1.0, 2.0), (3.0, 4.0, 5.0), True),
        ("linear_filter([0.5], [1, -0.5], analog=false)", (0.5,), (1.0, -0.5), False),
    ],
)
def test_synapses(written: str, num: tuple[float, ...], den: tuple[float, ...], analog: bool) -> None:
    graph = loads(f"relay a\nrelay b\nconnect a -> b synapse {written}")
    synapse = graph.op("a->b.filter")
    assert isinstance(synapse, g.Filter)
    assert synapse.num == pytest.approx(num)
    assert synapse.den == pytest.approx(den)
    assert synapse.analog == analog


def test_slices_and_transform_are_one_matrix() -> None:
    graph = loads(
        "relay a[4]\nrelay b[3]\nconnect a[[3, 0]] -> b[0:3:2] transform [[1, 2], [3, 4]]\n"
        "connect a[::-2] -> b[1:3] synapse none"
    )
    verify(graph)
    expected = np.zeros((3, 4))
    expected[0, 3], expected[0, 0], expected[2, 3], expected[2, 0] = 1, 2, 3, 4
    np.testing.assert_array_equal(dense(graph.op("a[3,0]->b[0:3:2].product").matrix), expected)
    expected = np.zeros((3, 4))
    expected[1, 3], expected[2, 1] = 1, 1
    assert response(graph, "a", "b")[1:, 1].tolist() == [0, 1]
    (other,) = [op for name, op in graph.nodes(g.Product) if name.startswith("a[3:")]
    np.testing.assert_array_equal(dense(other.matrix), expected)


def test_a_slice_without_a_function_decodes_all_and_slices_after() -> None:
    graph = loads("ensemble a(50, dims=3)\nrelay b\nconnect a[1] -> b")
    decoding = graph.op("a[1]->b.decode")
    assert isinstance(decoding, g.Decoding)
    assert decoding.expressions == (Component(0), Component(1), Component(2))
    np.testing.assert_array_equal(dense(graph.op("a[1]->b.product").matrix), [[0, 1, 0]])


def test_a_function_sees_the_slice() -> None:
    graph = loads("ensemble a(50, dims=4)\nrelay b\nconnect a[[3, 1]] -> b via x[0] - x[1]")
    (decoding,) = [op for _, op in graph.nodes(g.Decoding)]
    assert decoding.expressions == (Call("-", (Component(3), Component(1))),)


def test_functions_by_name_and_by_component() -> None:
    graph = loads(
        "function square(x) = x*x\nfunction mix(p, q) = p + 2*q\nensemble a(50, dims=2)\n"
        "relay b[2]\nrelay c\n"
        "connect a -> b via square\nconnect a -> c via mix\nconnect a -> c via mix(x[1], x[0])"
    )
    x = np.array([[3.0, 5.0]])
    values = [[float(evaluate(e, x)[0]) for e in op.expressions] for _, op in graph.nodes(g.Decoding)]
    assert values == [[9, 25], [13], [11]]


def test_function_of_a_node_is_a_function_of_its_signal() -> None:
    graph = loads("input u(t) = [t, 2*t]\nrelay b\nconnect u[1] -> b via x^2 synapse none")
    function = graph.op("u[1]->b.function")
    assert isinstance(function, g.Function)
    assert function.arguments == 2
    assert function.expressions == (Call("^", (Component(1), Number(2.0))),)


def test_connections_from_and_to_neurons() -> None:
    graph = loads(
        "ensemble a(3)\nensemble b(2)\nconnect a.neurons -> b.neurons transform [[1, 2, 3], [4, 5, 6]]\n"
        "input u = [1, 1]\nconnect u -> b.neurons synapse none"
    )
    verify(graph)
    decoding = graph.op("a.neurons->b.neurons.activity")
    assert isinstance(decoding, g.Decoding)
    assert decoding.expressions == ()
    assert decoding.size == 3
    assert graph.inputs("b", "J") == ["b.neurons.in"]
    assert graph.inputs("b.neurons.in") == ["a.neurons->b.neurons.product", "u"]
    np.testing.assert_array_equal(
        dense(graph.op("a.neurons->b.neurons.product").matrix), [[1, 2, 3], [4, 5, 6]]
    )


def test_random_transforms_depend_on_the_seed_only() -> None:
    text = "seed {}\nensemble a(20)\nrelay b[3]\nconnect a.neurons -> b transform gaussian(0, 0.1)\n{}"
    name = "a.neurons->b.product"
    one = dense(loads(text.format(1, "")).op(name).matrix)
    same = dense(loads(text.format(1, "relay other")).op(name).matrix)
    other = dense(loads(text.format(2, "")).op(name).matrix)
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert 0.05 < one.std() < 0.15


def test_many_connections_between_the_same_two_have_names_of_their_own() -> None:
    graph = loads("relay a\nrelay b\nconnect a -> b\nconnect a -> b synapse 9ms")
    assert {"a->b.filter", "a->b#2.filter"} <= set(graph.nx)


# ------------------------------------------------------------------------------------------------ arrays


def test_array_is_its_elements_side_by_side() -> None:
    graph = loads(
        "input u = [1, 2, 3, 4]\narray m(20, dims=2, count=2)\nrelay r[4]\nconnect u -> m\nconnect m -> r"
    )
    verify(graph)
    assert [graph.op(f"m[{i}]").path for i in range(2)] == ["m[0]", "m[1]"]
    np.testing.assert_array_equal(response(graph, "u", "m[1].in"), [[0, 0, 1, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(response(graph, "m->r.1.decode", "r"), [[0, 0], [0, 0], [1, 0], [0, 1]])


def test_elements_and_components_of_an_array() -> None:
    graph = loads(
        "array m(20, dims=2, count=3)\nrelay r\nconnect m[2][1] -> r synapse none\nconnect m[0:2] -> m[1:3]"
    )
    np.testing.assert_array_equal(response(graph, "m[2][1]->r.decode", "r"), [[0, 1]])
    assert path_from(graph, "m[0]", "m[1]") == ["Ensemble", "Decoding", "Filter", "Sum", "Ensemble"]


def test_a_function_applies_to_each_element() -> None:
    graph = loads("array m(20, count=3)\nrelay r[3]\nconnect m -> r via x*x")
    assert [op.expressions for _, op in graph.nodes(g.Decoding)] == [
        (Call("*", (Component(0), Component(0))),)
    ] * 3


@pytest.mark.parametrize("count", [2, 5, 50])
def test_matrix_between_arrays(count: int) -> None:
    text = (
        f"array a(5, count={count})\narray b(5, count={count})\n"
        f"connect a -> b transform [[i + {count}*j + 1 for j in 0..{count}] for i in 0..{count}] synapse none"
    )
    graph = loads(text)
    verify(graph)
    for i in (0, count - 1):
        source = f"a->b.{i}.decode"
        assert response(graph, source, "b[1].in")[0, 0] == 1 + count * i + 1
    # Factored: no more sums of products than elements, rather than their square.
    assert len(graph.nx) < 20 * count


def test_large_array_is_gathered_in_a_tree() -> None:
    graph = loads("array a(5, count=1000)\nprobe a")
    verify(graph)
    assert graph.op("probe a").size == 1000
    entries = sum(
        op.matrix.indptr.size for _, op in graph.nodes(g.Product) if not isinstance(op.matrix, np.ndarray)
    )
    assert entries < 1000 * 400
    np.testing.assert_array_equal(
        np.flatnonzero(response(graph, "probe a.777.decode", "probe a.join")), [777]
    )


# ---------------------------------------------------------------------------------------- nodes, probes


def test_function_node_with_several_arguments_and_time() -> None:
    graph = loads(
        "input u = [1, 2, 3]\nnode f(a[2], b, t) = [a[1]*b, t, sum(a)]\nconnect u -> f synapse none"
    )
    verify(graph)
    f = graph.op("f")
    assert isinstance(f, g.Function)
    assert f.arguments == 3
    assert f.expressions[0] == Call("*", (Component(1), Component(2)))
    assert f.expressions[1] == Time()
    assert graph.inputs("f") == ["f.in"]


def test_probes() -> None:
    graph = loads(
        "ensemble a(10, dims=2)\nprobe a synapse 30ms every 5ms ideal [sin(t), 0] as value\n"
        "probe a.neurons spikes\n"
        "probe a voltage\nprobe a.input\nprobe a[1] via x^2 as square\n"
    )
    verify(graph)
    found = {op.name: op for _, op in graph.nodes(g.Probe)}
    assert set(found) == {"value", "a.spikes", "a.voltage", "a.input", "square"}
    assert found["value"].every == 5
    assert found["value"].ideal == (Call("sin", (Time(),)), Number(0.0))
    assert found["a.spikes"].attribute == "spikes"
    assert graph.inputs("probe a.spikes", "neurons") == ["a"]
    assert graph.inputs("probe a.input", "x") == ["a.in"]
    assert path_from(graph, "a", "probe value") == ["Ensemble", "Decoding", "Filter", "Probe"]
    (square,) = [op for name, op in graph.nodes(g.Decoding) if "square" in name]
    assert square.expressions == (Call("^", (Component(1), Number(2.0))),)


def test_activity_of_rate_neurons() -> None:
    graph = loads("ensemble a(10, neuron=lif_rate)\nprobe a.neurons")
    (probe,) = [op for _, op in graph.nodes(g.Probe)]
    assert (probe.attribute, probe.size, probe.unit) == ("value", 10, "Hz")


def test_spikes_of_an_array_are_a_probe_for_each_element() -> None:
    graph = loads("array a(10, count=3)\nprobe a.neurons spikes as s")
    assert [op.name for _, op in graph.nodes(g.Probe)] == ["s[0]", "s[1]", "s[2]"]


# ------------------------------------------------------------------------------------- modules and loops


def test_modules_nest_and_take_parameters() -> None:
    graph = loads(
        "module inner(n, tau=10ms) { port in; port out; ensemble x(n); connect in -> x synapse tau\n"
        " connect x -> out synapse none }\n"
        "module outer(n) { port in\n use inner(2*n, tau=20ms) as i\n connect in -> i.in synapse none }\n"
        "use outer(30) as o\ninput u = 1\nconnect u -> o.in\nprobe o.i.out"
    )
    verify(graph)
    assert graph.op("o.i.x").size == 60
    assert graph.op("o.i.in->o.i.x.filter").den == (0.02, 1.0)


def test_modules_in_loops() -> None:
    graph = loads(
        "module m(n) { port in[n]\nport out\narray a(5, count=n)\nconnect in -> a\n"
        "connect a[1] -> out synapse none }\n"
        "for i in 0..3 { use m(2 + i) as c[i]\n if i > 0 { connect c[i-1].out -> c[i].in[i] } }\n"
        "connect c[2].a[3] -> c[0].in[1]\nprobe c[1].a[0].neurons spikes as s"
    )
    verify(graph)
    assert graph.op("c[2].a[3]").path == "c[2].a[3]"
    np.testing.assert_array_equal(response(graph, "c[0].out", "c[1].in"), [[0], [1], [0]])


def test_seed_of_a_module() -> None:
    graph = loads(
        "seed 1\nmodule m() { ensemble a(5) }\nmodule s() { seed 7\n ensemble a(5) }\n"
        "use m() as x\nuse m(seed=3) as y\nuse s() as z"
    )
    assert [graph.op(f"{n}.a").seed for n in "xyz"] == [1, 3, 7]


def test_loops_and_conditions() -> None:
    graph = loads(
        "param n = 4\nfor i in 0..n { ensemble e[i](10 + i)\n"
        " if i > 0 { connect e[i-1] -> e[i] } else { probe e[i] } }\n"
        "for i in 0..2 { for j in 0..2 { relay r[i][j][3] } }\nconnect r[0][1][2] -> r[1][0][0]"
    )
    verify(graph)
    assert [graph.op(f"e[{i}]").size for i in range(4)] == [10, 11, 12, 13]
    assert sum(isinstance(op, g.Filter) for _, op in graph.nodes()) == 3 + 1  # and that of the relays
    # Of e[0], a connection and a probe read the same.
    assert sum(isinstance(op, g.Decoding) for _, op in graph.nodes()) == 3
    assert response(graph, "r[0][1]", "r[1][0]")[0, 2] == 1


def test_statements_stand_in_any_order() -> None:
    graph = loads("connect a -> b\nensemble a(n)\nlet n = 2*m\nrelay b\nparam m = 5")
    assert graph.op("a").size == 10


def test_imports_give_modules_and_functions(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.spk").write_text(
        'import "b.spk"\nlet k = 3\nmodule m(n) { ensemble x(k*twice(n)) }', encoding="utf-8"
    )
    (tmp_path / "lib" / "b.spk").write_text("function twice(x) = 2*x\nensemble unused(5)", encoding="utf-8")
    path = tmp_path / "m.spk"
    path.write_text('import "lib/a.spk"\nuse m(5) as y\nensemble z(twice(k))', encoding="utf-8")
    graph = load(path)
    assert graph.op("y.x").size == 30
    assert graph.op("z").size == 6
    assert "unused" not in graph.nx


# ------------------------------------------------------------------------------------ settings, parameters


def test_settings_and_what_overrides_them() -> None:
    text = (
        "model m\nparam f = 2\nseed 3*f\ndt 0.5ms\nparam tau = 10ms\n"
        "ensemble a(10*f)\nconnect a -> a synapse tau"
    )
    graph = loads(text)
    assert (graph.name, graph.seed, graph.dt) == ("m", 6, 0.0005)
    graph = loads(text, seed=11, dt=0.002, parameters={"f": 5, "tau": 0.3})
    assert (graph.seed, graph.dt) == (11, 0.002)
    assert graph.op("a").size == 50
    assert graph.op("a->a.filter").den == (0.3, 1.0)


def test_units() -> None:
    graph = loads(
        "param r = 1/10ms\nrelay a[3ms*2kHz]\nensemble e(10, max_rates=uniform(r, 2*r))\n"
        "let s = sqrt(4s*1s) + 5us"
    )
    assert graph.op("a").size == 6
    assert graph.op("e").max_rates.parameters == (100.0, 200.0)


def test_literals_are_rounded_once() -> None:
    graph = loads("relay a\nrelay b\nconnect a -> b synapse 0.3ms\nconnect a -> b synapse 7us")
    assert graph.op("a->b.filter").den[0] == 0.0003
    assert graph.op("a->b#2.filter").den[0] == 7e-6


def test_matrix_functions() -> None:
    graph = loads(
        "let m = [[1, 2], [3, 4]]\nrelay a[2]\nrelay b[2]\n"
        "connect a -> b transform transpose(m) @ diag([1, 10]) + 2*identity(2) - ones(2, 2) synapse none"
    )
    np.testing.assert_array_equal(
        response(graph, "a", "b"), np.array([[1, 3], [2, 4]]) @ np.diag([1, 10]) + 2 * np.eye(2) - 1
    )


def test_equal_text_gives_an_equal_graph() -> None:
    text = (
        "array a(5, count=9)\nconnect a -> a transform gaussian(0, 1)\n"
        "use product(20, dims=3) as p\nprobe p.out"
    )
    one, two = loads(text), loads(text)
    assert list(one.nx.edges(data="port")) == list(two.nx.edges(data="port"))
    assert [(n, type(op)) for n, op in one.nodes()] == [(n, type(op)) for n, op in two.nodes()]


def test_a_ring_of_a_thousand_lowers_in_under_a_second() -> None:
    text = (
        "param n = 1000\ninput u(t) = sin(6*t)\nfor i in 0..n { ensemble e[i](100) }\nconnect u -> e[0]\n"
        "for i in 0..n { connect e[i] -> e[(i+1) % n] transform 0.5 }\nprobe e[n-1] synapse 30ms"
    )
    loads("relay warm")
    start = time.perf_counter()
    graph = loads(text)
    assert time.perf_counter() - start < 2.0
    assert len(graph.nx) == 5004
