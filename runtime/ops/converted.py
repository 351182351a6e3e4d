"""Rates to spikes: what follows the update of a rate neuron in those types that send spikes of its rate.

A random number is a pure function of (key of the atom, step, neuron), so that the cut does not matter.  Kinds
with "numpy" in their names take them from a stream of their population, which passes from atom to atom.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba.extending import register_jitable
from spike_runtime.ops.sources import GOLDEN, mix
from spike_runtime.ops.streams import LENGTH, begin, poisson, skip, unit

# Types around a rate type that draw random numbers, by what their kinds begin with.
RANDOM = ("stochastic_spiking", "poisson_spiking")
STREAMED = tuple(f"{kind}_numpy" for kind in RANDOM)
# Mean from which a Poisson number is a normal one, rounded: of a rate of 500 kHz in steps of 1 ms.
_NORMAL = 500.0


def regular_spiking(base: Callable[..., Any], rows: int) -> Callable[..., Any]:
    """The factory of `base` followed by: voltage += rate * dt, and its whole part is sent as spikes.

    p: as `base`.  state: `rows` variables of the base, voltage.
    """

    def factory(real: Any) -> Callable[..., None]:
        rates = register_jitable(base(real))

        def update(J, A, state, n, p):  # type: ignore[no-untyped-def]
            rates(J, A, state, n, p)
            m = J.shape[0]
            voltage, dt = state[rows, n : n + m], p[1]
            for i in range(m):
                v = voltage[i] + A[i] * dt
                spikes = np.floor(v)
                voltage[i] = v - spikes
                A[i] = spikes

        return update

    return factory


def is_random(kind: str) -> bool:
    """Whether neurons of a kind need a key for each atom, and the number of the step."""
    return kind.startswith(RANDOM)


def is_streamed(kind: str) -> bool:
    """Whether the random numbers of a kind come from a stream for each population."""
    return kind.startswith(STREAMED)


def finisher(kind: str, real: Any) -> Any:
    """finish(A, a, dt, random): rates A of atom a to spikes, with random = (n, keys), or (n, (keys, drawn,
    streams)) for kinds that are `is_streamed`; nothing for most kinds.
    """
    if is_streamed(kind):
        return _streamed(kind.startswith("poisson"), real)
    if not is_random(kind):

        @register_jitable
        def nothing(A, a, dt, random):  # type: ignore[no-untyped-def]
            pass

        return nothing
    count = _rounded if kind.startswith("stochastic") else _poisson
    size = np.float64(2.0**-53)

    @register_jitable
    def finish(A, a, dt, random):  # type: ignore[no-untyped-def]
        n, keys = random
        base = mix(keys[a] + GOLDEN * np.uint64(n))
        for i in range(A.shape[0]):
            z = mix(base + GOLDEN * np.uint64(i + 1))
            u, v = np.float64(z >> np.uint64(11)) * size, np.float64(mix(z) >> np.uint64(11)) * size
            mean = np.float64(A[i]) * np.float64(dt)
            spikes = count(abs(mean), u, v)
            A[i] = real(spikes if mean >= 0.0 else -spikes)

    return finish


def _streamed(counted: bool, real: Any) -> Any:
    """finish() with numbers of NumPy's: one for each neuron, or where they are `counted` as many as each
    takes.

    drawn: rows of (where the stream of the atom is, numbers of 32 bits to skip before it and after it): those
    of neurons that other partitions have.
    """

    @register_jitable
    def finish(A, a, dt, random):  # type: ignore[no-untyped-def]
        n, (keys, drawn, streams) = random
        stream = streams[drawn[a, 0] : drawn[a, 0] + LENGTH]
        begin(stream, keys[a], False, n)
        skip(stream, drawn[a, 1])
        for i in range(A.shape[0]):
            mean = np.float64(A[i]) * np.float64(dt)
            if counted:
                spikes = poisson(stream, abs(mean))
            else:
                whole = np.floor(abs(mean))
                spikes = whole + (1.0 if unit(stream) < abs(mean) - whole else 0.0)
            A[i] = real(spikes if mean >= 0.0 else -spikes)
        skip(stream, drawn[a, 2])

    return finish


@register_jitable
def _rounded(mean, u, v):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """`mean` rounded up with the probability of its fractional part."""
    whole = np.floor(mean)
    return whole + (1.0 if u < mean - whole else 0.0)


@register_jitable
def _poisson(mean, u, v):  # type: ignore[no-untyped-def]
    """The Poisson number with the cumulative probability u; a normal one where the mean is large."""
    if not mean < _NORMAL:
        normal = np.sqrt(-2.0 * np.log(1.0 - u)) * np.cos(2.0 * np.pi * v)
        return max(np.floor(mean + np.sqrt(mean) * normal + 0.5), 0.0)
    k, p = 0.0, np.exp(-mean)
    total = p
    # Beyond the mean, what is too small to be seen in the sum ends it.
    while u >= total and (k < mean or p > 1e-18):
        k += 1.0
        p *= mean / k
        total += p
    return k
