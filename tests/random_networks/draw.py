"""What a random network is made of: neuron types, synapses, processes, distributions, functions, solvers,
transforms, each drawn with its parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from converted import nengo
from numpy.typing import NDArray

Array = NDArray[Any]
dists, solvers = nengo.dists, nengo.solvers

FUNCTIONS: tuple[Callable[[int], Callable[[Any], Any]], ...] = (
    lambda size: lambda x: np.sum(x) * np.ones(size),
    lambda size: lambda x: x[0] ** 2 * np.ones(size),
    lambda size: lambda x: np.sin(3 * x[-1] + np.arange(size)),
    lambda size: lambda x: [float(x[0] > 0)] * size,
    lambda size: lambda x: [abs(x[0])] * size,
    lambda size: lambda x: [x[0] * x[-1] + k for k in range(size)],
    lambda size: lambda x: np.maximum(np.mean(x) * np.ones(size), 0.2),
    lambda size: lambda x: np.array([np.where(x > 0, x, -0.5 * x)[0]] * size),
    lambda size: lambda x: [min(x[0], 0.3), *np.tanh(x[-1] * np.arange(1, size))],
    lambda size: lambda x: np.full(size, x[-1]) - 0.2 * x[0],
)
# Stays Python: it may divide by 0, for all that is known of x.
PYTHON = (lambda size: lambda x: [1 / (2 + x[0] ** 3)] * size,)


class Draw:
    """Random choices that a seed decides."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.RandomState(seed)

    def chance(self, probability: float) -> bool:
        return bool(self.random.rand() < probability)

    def below(self, end: int, start: int = 0) -> int:
        """A whole number from `start` on, below `end`."""
        return int(self.random.randint(start, end))

    def pick(self, *things: Any) -> Any:
        return things[self.below(len(things))]

    def made(self, *makers: Callable[[], Any]) -> Any:
        """What one of them makes."""
        return self.pick(*makers)()

    def normal(self, *shape: int, scale: float = 1.0) -> Array:
        return self.random.standard_normal(shape) * scale

    # ------------------------------------------------------------------------------------- distributions

    def scalars(self, size: float = 1.0, dims: int | None = None) -> Any:
        """A distribution of numbers, most of them between -size and size; or of vectors of `dims` of them."""
        options = np.array([-size, size / 3, size])
        return self.made(
            lambda: dists.Uniform(-size, size),
            lambda: dists.Gaussian(0, size / 2),
            lambda: dists.Exponential(size / 3, shift=-size / 4, high=size),
            lambda: dists.Choice(
                options if dims is None else np.outer(options, np.ones(dims)), weights=[0.3, 0.5, 0.2]
            ),
            lambda: dists.PDF(np.linspace(-size, size, 7), np.array([0, 1, 2, 4, 2, 1, 0]) / 10),
            lambda: dists.SqrtBeta(3, self.pick(1, 2)),
            lambda: dists.SubvectorLength(6, self.pick(1, 2)),
            lambda: dists.CosineSimilarity(self.pick(3, 8)),
        )

    def vectors(self, dims: int, count: int) -> Any:
        """A distribution of vectors, or as many of them as asked for."""
        axes = np.concatenate([np.eye(dims), -np.eye(dims)])
        return self.made(
            lambda: dists.UniformHypersphere(surface=True),
            lambda: dists.UniformHypersphere(min_magnitude=0.3),
            lambda: dists.ScatteredHypersphere(surface=True, method=self.pick("sct-approx", "sct", "tfww")),
            lambda: dists.ScatteredHypersphere(min_magnitude=0.2, base=dists.Uniform(0, 1)),
            lambda: dists.Choice(axes),
            lambda: dists.Samples(self.normal(count, dims) + 0.1),
            lambda: self.normal(count, dims) + 0.1,
            lambda: dists.QuasirandomSequence(),
            lambda: dists.Gaussian(0.1, 1),
        )

    # --------------------------------------------------------------------------------- parts of the field

    def neuron_type(self) -> Any:
        voltage = {"voltage": self.pick(dists.Choice([0]), dists.Uniform(0, 1), dists.Choice([0.25, 0.5]))}
        return self.made(
            nengo.LIF,
            nengo.LIF,
            lambda: nengo.LIF(0.03, 0.001, min_voltage=self.pick(0, -1), initial_state=voltage),
            lambda: nengo.LIF(amplitude=0.5),
            lambda: nengo.LIFRate(amplitude=self.pick(1, 2)),
            lambda: nengo.AdaptiveLIF(tau_n=0.2, inc_n=0.02, initial_state=self.pick(None, voltage)),
            lambda: nengo.AdaptiveLIFRate(inc_n=self.pick(0.01, 0.05)),
            nengo.RectifiedLinear,
            lambda: nengo.SpikingRectifiedLinear(amplitude=self.pick(1, 0.3)),
            lambda: nengo.Sigmoid(tau_ref=self.pick(0.0025, 0.002)),
            nengo.Tanh,
            lambda: nengo.Izhikevich(coupling=self.pick(0.2, 0.25), reset_recovery=self.pick(8.0, 2.0)),
            nengo.Direct,
            lambda: nengo.RegularSpiking(self.rates(), amplitude=self.pick(1, 0.5)),
            lambda: nengo.PoissonSpiking(self.rates(), amplitude=self.pick(1, 0.5)),
            lambda: nengo.StochasticSpiking(self.rates(), amplitude=self.pick(1, 0.5)),
        )

    def rates(self) -> Any:
        return self.pick(nengo.LIFRate(), nengo.RectifiedLinear(), nengo.Sigmoid(), nengo.Tanh())

    def synapse(self, delays: bool = False) -> Any:
        """One for a connection or a probe; `delays`: nothing arrives in the same step."""
        filters: tuple[Callable[[], Any], ...] = (
            lambda: 0.005,
            lambda: nengo.Lowpass(self.pick(0.002, 0.1)),
            lambda: nengo.Alpha(0.02),
            lambda: nengo.LinearFilter([1], [0.02, 1]),
            lambda: nengo.LinearFilter([0.003, 1], [0.0004, 0.03, 1]),
            lambda: nengo.LinearFilter([1], [0.0001, 0.03, 1], method=self.pick("zoh", "euler", "bilinear")
                                       if not delays else "zoh"),
            lambda: nengo.LinearFilter([0.0, 0.3], [1, -0.7], analog=False),
        )  # fmt: skip
        if delays:
            return self.made(*filters)
        at_once: tuple[Callable[[], Any], ...] = (
            lambda: None,
            lambda: nengo.Lowpass(0),
            lambda: nengo.Triangle(self.pick(0.004, 0.01)),
            lambda: nengo.LinearFilter([0.01, 0.5], [0.02, 1]),
        )
        return self.made(*filters, *at_once)

    def process(self, dims: int) -> Any:
        """A source of `dims` numbers."""
        seed = self.pick(None, 3)
        points = {
            0.005: list(self.normal(dims)),
            0.02: list(self.normal(dims)),
            0.033: list(self.normal(dims)),
        }
        return self.made(
            lambda: nengo.processes.WhiteSignal(0.1, high=80, rms=0.4, seed=seed, y0=self.pick(None, 0.1)),
            lambda: nengo.processes.WhiteNoise(self.scalars(0.02, dims), seed=seed, scale=self.chance(0.7)),
            lambda: nengo.processes.FilteredNoise(nengo.Alpha(0.01), self.scalars(1.0, dims), seed=seed),
            lambda: nengo.processes.FilteredNoise(
                0.004, dists.UniformHypersphere(), scale=False, default_dt=0.001
            ),
            lambda: nengo.processes.BrownNoise(self.scalars(1.0, dims), seed=seed),
            lambda: nengo.processes.PresentInput(self.normal(4, dims, scale=0.5), self.pick(0.007, 0.0105)),
            lambda: nengo.processes.Piecewise(points, self.pick("zero", "linear", "nearest", "quadratic")),
        )  # fmt: skip

    def function(self, size: int) -> Callable[[Any], Any]:
        return self.pick(*(PYTHON if self.chance(0.04) else FUNCTIONS))(size)

    def solver(self, weights: bool, neurons: int, size: int) -> Any:
        """One of all but LstsqL1, which needs a library that Spike does not."""
        if not weights and self.chance(0.1):
            return solvers.NoSolver(self.pick(None, self.normal(neurons, size, scale=0.003)))
        return self.made(
            lambda: solvers.LstsqL2(reg=0.05, weights=weights),
            lambda: solvers.LstsqL2nz(weights=weights),
            lambda: solvers.Lstsq(weights=weights),
            lambda: solvers.LstsqNoise(weights=weights),
            lambda: solvers.LstsqMultNoise(weights=weights),
            lambda: solvers.LstsqDrop(weights=weights),
            lambda: solvers.Nnls(weights=weights),
            lambda: solvers.NnlsL2(weights=weights),
            lambda: solvers.NnlsL2nz(weights=weights),
        )

    def rule(self, weights: bool) -> Any:
        """A learning rule of a connection with decoders, or with weights between neurons."""
        traced = self.pick(0.005, None, 0.02, nengo.Alpha(0.01))
        if not weights:
            return self.pick(nengo.PES(1e-4, pre_synapse=traced), nengo.RLS(1e-3, pre_synapse=traced))
        return self.made(
            lambda: nengo.BCM(1e-8, pre_synapse=traced, theta_synapse=0.05),
            lambda: nengo.Oja(1e-5, pre_synapse=traced, beta=0.5),
            lambda: nengo.PES(1e-4, pre_synapse=traced),
            lambda: [nengo.BCM(1e-8), nengo.Oja(1e-5)],
        )

    # ------------------------------------------------------------------------------------------- places

    def part(self, obj: Any, size: int) -> Any:
        """All of an object, or some components of it."""
        if size < 2 or self.chance(0.6):
            return obj
        key = self.made(
            lambda: slice(0, self.below(size, 1)),
            lambda: slice(None, None, -1),
            lambda: slice(None, None, 2),
            lambda: slice(-2, None),
            lambda: [int(k) for k in self.random.permutation(size)[: max(1, size // 2)]],
            lambda: -1,
            lambda: 0,
        )
        return obj[key]

    def transform(self, rows: int, columns: int, scale: float, sparse: bool) -> Any:
        """A transform of `columns` numbers to `rows`, of entries up to about `scale`."""
        kinds: list[Callable[[], Any]] = [
            lambda: self.normal(rows, columns, scale=scale),
            lambda: self.normal(rows, columns, scale=scale),
            lambda: nengo.Dense((rows, columns), init=self.scalars(scale, columns)),
        ]
        if rows == columns:
            kinds += [
                lambda: scale,
                lambda: self.normal(rows, scale=scale),
                lambda: nengo.transforms.NoTransform(columns),
            ]
        if sparse:
            kinds += [lambda: self.sparse(rows, columns, scale)]
        return self.made(*kinds)

    def sparse(self, rows: int, columns: int, scale: float) -> Any:
        places = np.stack([self.random.randint(rows, size=6), self.random.randint(columns, size=6)], 1)
        places = np.unique(places, axis=0)
        if self.chance(0.5):
            return nengo.Sparse((rows, columns), indices=places, init=dists.Uniform(-scale, scale))
        values = self.normal(len(places), scale=scale)
        return nengo.Sparse(
            (rows, columns), init=nengo.transforms.SparseMatrix(places, values, (rows, columns))
        )

    def convolution(self) -> Any:
        """A convolution, or its transpose, of 16 numbers."""
        kernels = dists.Uniform(-0.5, 0.5)
        image = nengo.transforms.ChannelShape(self.pick((4, 4, 1), (2, 4, 2)))
        return self.made(
            lambda: nengo.Convolution(2, image, kernel_size=(2, 2), init=kernels),
            lambda: nengo.Convolution(2, (1, 4, 4), kernel_size=(3, 3), strides=(2, 1), padding="same",
                                      channels_last=False, init=kernels),
            lambda: nengo.Convolution(4, (2, 4, 2), kernel_size=(1, 2), groups=2, init=kernels),
            lambda: nengo.Convolution(2, (8, 2), kernel_size=(3,), strides=(1,), init=kernels),
            lambda: nengo.ConvolutionTranspose(1, image, kernel_size=(2, 2), init=kernels),
            lambda: nengo.ConvolutionTranspose(2, (8, 2), kernel_size=(3,), strides=(2,), padding="same",
                                               init=kernels),
        )  # fmt: skip


__all__ = ["Draw"]
