"""Learning rules against Nengo: the same weights at every step, the same values, the same for every cut."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import oracle
import pytest
from oracle import nengo

STEPS = 300
PAIRS = np.round(0.003 * np.cos(np.arange(270 * 260)).reshape(270, 260), 7)
HEAD = """
input wave(t) = [sin(9*t), cos(5*t)]
input drive(t) = [0.7 * cos(4*t)]
input off(t) = -1 * (t > 0.15)
ensemble pre(260, dims=2, neuron=KIND)
ensemble post(270, dims=2, neuron=KIND)
connect wave -> pre
connect drive -> post[0] synapse 10ms
"""
# The text of each rule, and what the Nengo network has in its place.
CASES: dict[str, str] = {
    "pes": """
connect pre -> post via [0.2 * x[0], x[1]^2] transform [[1, 0.5], [0, 0.3]]
    synapse 7ms learning pes(rate=2e-3) as c
connect wave -> c.pes transform -1
connect pre -> c.pes
""",
    "pes_of_a_part": """
connect pre[1] -> post[0] learning pes(rate=1e-3, pre_synapse=none) as c
connect drive -> c.pes synapse none
""",
    "pes_to_neurons": """
connect pre.neurons -> post.neurons transform load("pairs.npy") synapse 3ms learning pes(rate=1e-6) as c
connect wave -> c.pes
""",
    "rls": """
connect pre -> post via [0, 0] learning rls(rate=2e-3, pre_synapse=8ms) as c
connect wave -> c.rls transform -0.5
""",
    "rls_to_neurons": """
connect pre.neurons -> post.neurons[5:7] transform load("pairs.npy")[0:2] learning rls(rate=2e-3) as c
connect wave -> c.rls
""",
    "bcm": """
connect pre.neurons -> post.neurons transform load("pairs.npy")
    learning bcm(rate=1e-9, theta_synapse=50ms) as c
""",
    "oja": """
connect pre.neurons -> post.neurons transform load("pairs.npy")
    learning oja(rate=2e-6, beta=0.5, post_synapse=10ms) as c
""",
    "several": """
connect pre -> post learning [pes(rate=1e-3), pes(rate=5e-4, pre_synapse=alpha(10ms)), rls] as c
connect wave -> c.pes
connect drive -> c.pes2[1] synapse none
connect drive -> c.rls[0]
""",
}
CASES |= {
    f"{rule}_of_weights": f"""
connect pre -> post transform [[1, 0.2], [0, 1]] solver lstsq_l2(weights=true)
    learning {rule}(rate={rate}) as c
"""
    for rule, rate in (("pes", 1e-3), ("oja", 1e-6))
}
CASES["pes_of_weights"] += "connect drive -> c.pes[1]\n"
NAMES = [*CASES, "voja"]
VOJA = """
connect pre -> post learning voja(rate=0.05) as c
connect off -> c.voja synapse none
"""


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    np.save(folder / "pairs.npy", PAIRS)
    return folder


@cache
def model(name: str, kind: str) -> oracle.Model:
    record = "encoders" if name == "voja" else "weights"
    text = HEAD + (VOJA if name == "voja" else CASES[name]) + f"probe c.{record} every 20ms as w\n"
    text += "probe post synapse 10ms as value\nprobe pre synapse 10ms\n"
    return oracle.Model(text.replace("KIND", kind), _folder())


@cache
def ours(name: str, kind: str, partitions: int) -> dict[str, oracle.Array]:
    return model(name, kind).run(STEPS, partitions=partitions)


def _learned(name: str, kind: str, e: dict[str, nengo.Ensemble], wave: nengo.Node, drive: nengo.Node) -> None:
    """The learned connection of a case in Nengo, and what leads to its rules."""
    m, connect = model(name, kind), nengo.Connection
    pre, post = e["pre"], e["post"]

    def decoded(target: nengo.Ensemble, rule: object, **kwargs: object) -> nengo.Connection:
        first = nengo.solvers.NoSolver(m.built.op("c.weights").initial.T)
        return connect(pre, target, solver=first, learning_rule_type=rule, **kwargs)

    def neural(rule: object, start: int = 0, end: int = 270, **kwargs: object) -> nengo.Connection:
        given = {"transform": PAIRS[: end - start], "learning_rule_type": rule}
        return connect(pre.neurons, post.neurons[start:end], **given, **kwargs)

    if name == "pes":
        c = decoded(post, nengo.PES(2e-3), synapse=0.007)
        connect(wave, c.learning_rule, transform=-1)
        connect(pre, c.learning_rule, solver=m.solver("pre->c.pes"))
    elif name == "pes_of_a_part":
        c = decoded(post[0], nengo.PES(1e-3, pre_synapse=None), function=lambda _: [0.0])
        connect(drive, c.learning_rule, synapse=None)
    elif name.endswith("_to_neurons"):
        # RLS has an error for each of two neurons, which Nengo takes where there are two dimensions.
        pes = name.startswith("pes")
        c = neural(nengo.PES(1e-6), synapse=0.003) if pes else neural(nengo.RLS(2e-3), 5, 7)
        connect(wave, c.learning_rule)
    elif name == "rls":
        c = decoded(post, nengo.RLS(2e-3, pre_synapse=0.008))
        connect(wave, c.learning_rule, transform=-0.5)
    elif name in ("bcm", "oja"):
        rules = {"bcm": nengo.BCM(1e-9, theta_synapse=0.05), "oja": nengo.Oja(2e-6, 0.005, 0.01, beta=0.5)}
        c = neural(rules[name])
    elif name.endswith("_of_weights"):
        rule = nengo.PES(1e-3) if name.startswith("pes") else nengo.Oja(1e-6)
        c = _weights(m, pre, post, rule)
        if name.startswith("pes"):
            connect(drive, c.learning_rule[1])
    else:
        rules = [nengo.PES(1e-3), nengo.PES(5e-4, pre_synapse=nengo.Alpha(0.01)), nengo.RLS()]
        c = decoded(post, rules)
        connect(wave, c.learning_rule[0])
        connect(drive, c.learning_rule[1][1], synapse=None)
        connect(drive, c.learning_rule[2][0])
    nengo.Probe(c, "weights", sample_every=0.02, label="w")


def _weights(m: oracle.Model, pre: nengo.Ensemble, post: nengo.Ensemble, rule: object) -> nengo.Connection:
    """Nengo makes weights of decoders as well: those of the value of `pre`, which a probe has."""
    solver = nengo.solvers.NoSolver(m.built.op("probe pre.decode").matrix.T, weights=True)
    return nengo.Connection(pre, post, transform=[[1, 0.2], [0, 1]], solver=solver, learning_rule_type=rule)


def _voja(kind: str, e: dict[str, nengo.Ensemble]) -> None:
    decoders = model("voja", kind).solver("pre->post")
    rule = nengo.Voja(learning_rate=0.05, post_synapse=0.005)
    c = nengo.Connection(e["pre"], e["post"], solver=decoders, learning_rule_type=rule)
    off = nengo.Node(lambda t: -1.0 * (t > 0.15))
    nengo.Connection(off, c.learning_rule, synapse=None)
    nengo.Probe(c.learning_rule, "scaled_encoders", sample_every=0.02, label="w")


@cache
def nengos(name: str, kind: str) -> dict[str, oracle.Array]:
    m = model(name, kind)
    with nengo.Network() as network:
        wave = nengo.Node(lambda t: [np.sin(9 * t), np.cos(5 * t)])
        drive = nengo.Node(lambda t: 0.7 * np.cos(4 * t))
        e = {path: m.ensemble(path) for path in ("pre", "post")}
        nengo.Connection(wave, e["pre"])
        nengo.Connection(drive, e["post"][0], synapse=0.01)
        if name == "voja":
            _voja(kind, e)
        else:
            _learned(name, kind, e, wave, drive)
        value = nengo.Node(size_in=2)
        nengo.Connection(e["post"], value, solver=m.solver("probe value"), synapse=0.01)
        nengo.Probe(value, label="value")
    return oracle.simulate(network, STEPS)


@pytest.mark.parametrize("kind", ["lif_rate", "lif"])
@pytest.mark.parametrize("name", NAMES)
def test_weights_and_values_are_the_same(name: str, kind: str) -> None:
    weights = nengos(name, kind)["w"].reshape(STEPS // 20, -1)
    largest = np.abs(weights).max()
    changed = np.abs(weights[-1] - weights[0]).max()
    assert changed > 0.01 * largest, "nothing was learned"
    np.testing.assert_allclose(ours(name, kind, 1)["w"], weights, rtol=0, atol=1e-9 * largest)
    oracle.assert_equal(ours(name, kind, 1)["value"], nengos(name, kind)["value"])


@pytest.mark.parametrize("name", NAMES)
def test_the_cut_does_not_change_what_is_learned(name: str) -> None:
    assert {"w", "value"} <= set(ours(name, "lif", 1))
    for probe, data in ours(name, "lif", 1).items():
        assert data.tobytes() == ours(name, "lif", 2)[probe].tobytes(), probe


def test_learning_that_is_switched_off_stops() -> None:
    encoders = ours("voja", "lif_rate", 1)["w"]
    assert np.abs(encoders[6] - encoders[0]).max() > 0.01
    np.testing.assert_array_equal(encoders[8], encoders[-1])
