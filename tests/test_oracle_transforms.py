"""Sparse and convolutional transforms, and distributions, against Nengo."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from language_helpers import dense, mistakes
from oracle import nengo

from spikec import graph as g
from spikec.frontend import loads
from spikec.nef.distributions import sample
from spikec.nef.sampling import Streams

CASES = {
    "valid": (2, (5, 6, 3), (3, 2), (1, 1), "valid", True, 1),
    "strided": (2, (7, 8, 2), (3, 3), (2, 3), "valid", True, 1),
    "same": (3, (5, 7, 2), (3, 4), (2, 2), "same", True, 1),
    "channels first": (2, (3, 5, 4), (2, 3), (1, 2), "same", False, 1),
    "one dimension": (4, (9, 2), (3,), (2,), "same", True, 1),
    "groups": (4, (4, 4, 6), (2, 2), (1, 1), "valid", True, 2),
}


def _theirs(transform: nengo.transforms.Transform, x: oracle.Array) -> oracle.Array:
    with nengo.Network() as network:
        source, target = nengo.Node(x), nengo.Node(size_in=transform.size_out)
        nengo.Connection(source, target, transform=transform, synapse=None)
        nengo.Probe(target, label="y")
    return oracle.simulate(network, 1)["y"][0]


def _ours(text: str, size_in: int, size_out: int) -> oracle.Array:
    graph = loads(
        f"relay a[{size_in}]\nrelay b[{size_out}]\nconnect a -> b transform {text} synapse none\nprobe b"
    )
    (product,) = graph.nodes(g.Product)
    return dense(product[1].matrix)


# Nengo has no groups in transposed ones.
PAIRS = [
    (name, transposed)
    for name in CASES
    for transposed in (False, True)
    if not transposed or CASES[name][-1] == 1
]


@pytest.mark.parametrize(("name", "transposed"), PAIRS)
def test_convolutions_are_those_of_nengo(name: str, transposed: bool) -> None:
    filters, shape, kernel_size, strides, padding, last, groups = CASES[name]
    random = np.random.default_rng(1)
    channels = shape[-1] if last else shape[0]
    kernel = random.normal(size=(*kernel_size, channels // groups, filters))
    kind = nengo.ConvolutionTranspose if transposed else nengo.Convolution
    options = {} if transposed else {"groups": groups}
    theirs = kind(
        filters, shape, kernel_size=kernel_size, strides=strides, padding=padding, channels_last=last,
        init=kernel, **options,
    )  # fmt: skip
    x = random.normal(size=theirs.size_in)
    matrix = np.array2string(
        kernel.reshape(-1, filters), separator=",", threshold=10**9, floatmode="unique", max_line_width=10**9
    )
    text = (
        f"convolution{'_transpose' * transposed}({filters}, input_shape={list(shape)}, "
        f'kernel_size={list(kernel_size)}, strides={list(strides)}, padding="{padding}", '
        f"channels_last={str(last).lower()}, groups={groups}, kernel={matrix})"
    )
    ours = _ours(text, theirs.size_in, theirs.size_out) @ x
    np.testing.assert_allclose(ours, _theirs(theirs, x), rtol=1e-9, atol=1e-12)


def test_sparse_transforms_are_those_of_nengo() -> None:
    entries = np.array([[0, 2, 0.5], [3, 1, -2], [3, 1, 0.25], [1, 0, 1]])
    x = np.array([1.0, 2, 3])
    places = [(int(i), int(j)) for i, j in entries[:, :2]]
    theirs = nengo.Sparse((5, 3), indices=places, init=entries[:, 2])
    text = np.array2string(entries, separator=",", max_line_width=10**9)
    np.testing.assert_allclose(_ours(f"sparse({text})", 3, 5) @ x, _theirs(theirs, x))


def test_drawn_entries_and_vectors() -> None:
    drawn = _ours("sparse([[0, 1], [2, 2]], values=uniform(2, 3))", 3, 3)
    assert np.argwhere(drawn).tolist() == [[0, 1], [2, 2]]
    assert ((drawn[drawn != 0] >= 2) & (drawn[drawn != 0] < 3)).all()
    np.testing.assert_array_equal(_ours("[1, -2, 3]", 3, 3), np.diag([1.0, -2, 3]))
    random = _ours('convolution(2, input_shape=[4, 4, 1], padding="same")', 16, 32)
    assert 0 < (random != 0).mean() < 1
    assert np.abs(random).max() <= 1


def test_large_sparse_matrices_stay_sparse() -> None:
    text = (
        "relay a[40000]\nrelay b[40000]\nprobe b\nconnect a -> b synapse none transform "
        'convolution(1, input_shape=[200, 200, 1], padding="same")'
    )
    (product,) = loads(text).nodes(g.Product)
    assert product[1].matrix.nnz < 9 * 40000


MISTAKES = {
    "connect a -> b transform sparse([[0, 9, 1]])": "the transform has shape 1 x 10",
    "connect a -> b transform sparse([[0, 1]])": "entries of sparse have 2 column(s), not 3",
    "connect a -> b transform sparse([[0, -1, 1]])": "whole numbers from 0 on",
    "connect a -> b transform sparse([[0, 1], [1, 1]], values=[1, 2, 3])": "3 values for 2 entries",
    "connect a -> b transform [1, 2, 3]": "the transform has shape 3 x 3",
    "connect a -> b transform convolution(1, input_shape=[2, 2, 1], kernel_size=3)": "larger than the input",
    "connect a -> b transform convolution(1, input_shape=[2, 2, 1], kernel_size=1)": "shape 4 x 4; 'a' has 4",
    "connect a -> b transform convolution(1, input_shape=[4])": "input_shape holds sizes and channels",
    "connect a -> b transform convolution(3, input_shape=[4, 4, 2], groups=2)": "2 groups do not divide",
    'connect a -> b transform convolution(1, input_shape=[4, 1], padding="some")': "a word in quotes",
    "connect a -> b transform convolution(1, input_shape=[4, 1], kernel=[[1, 2]])": "kernel has shape 1 x 2",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes(text: str) -> None:
    (found,) = mistakes("relay a[4]\nrelay b[2]\n" + text)
    assert MISTAKES[text] in found[2]
    assert found[3]


DISTRIBUTIONS = {
    "pdf([0, 1, 3], [0.2, 0.5, 0.3])": nengo.dists.PDF(np.array([0.0, 1, 3]), np.array([0.2, 0.5, 0.3])),
    "subvector_length(8, subdims=3)": nengo.dists.SubvectorLength(8, 3),
    "subvector_length(5)": nengo.dists.SubvectorLength(5),
    "uniform(-2, 4, integer=true)": nengo.dists.Uniform(-2, 4, integer=True),
    "quasirandom": nengo.dists.QuasirandomSequence(),
}


@pytest.mark.parametrize("text", DISTRIBUTIONS)
def test_distributions_are_those_of_nengo(text: str) -> None:
    op = loads(f"ensemble a(9, intercepts={text})\nprobe a").op("a")
    ours = np.sort(
        sample(op.intercepts.kind, op.intercepts.parameters, 20_000, None, Streams([(1, "a", "x")]))[0]
    )
    theirs = np.sort(DISTRIBUTIONS[text].sample(20_000, d=1, rng=np.random.RandomState(1)).ravel())
    # Of 20,000 samples the distribution function is known to 0.007 (Kolmogorov), that of both to 0.014.
    values = np.unique(np.round(np.concatenate([ours, theirs]), 6))
    both = [np.searchsorted(x, values + 1e-6) / 20_000 for x in (ours, theirs)]
    assert np.abs(both[0] - both[1]).max() < 0.014


def test_quasirandom_points_are_even() -> None:
    points = sample("quasirandom", (), 4000, 2, Streams([(1, "a", "x")]))[0]
    assert points.min() >= 0
    assert points.max() < 1
    counts, *_ = np.histogram2d(*points.T, bins=20, range=[[0, 1], [0, 1]])
    assert counts.std() < 2  # of random points: 3.2
