"""Circular convolution of two vectors: products of their Fourier coefficients (Plate 1995).

c[i] = sum over j of a[j] b[i - j], indices modulo the number of dimensions
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spikec.graph import Array
from spikec.network.mistakes import mistake
from spikec.network.network import Network
from spikec.network.nodes import Ensemble
from spikec.network.subnetwork import SubNetwork

DIAGONALS = ((1, 1), (1, -1), (-1, 1), (-1, -1))


def make_convolution(
    net: Network | SubNetwork,
    name: str,
    A: str | None,
    B: str | None,
    C: str,
    N_per_D: int,
    quick: bool = False,  # noqa: ARG001 - upstream took the neurons from a file
    encoders: Any = DIAGONALS,
    radius: float = 3,
    pstc_out: float = 0.01,
    pstc_in: float = 0.01,
    pstc_gate: float | None = None,
    invert_first: bool = False,
    invert_second: bool = False,
    mode: str = "default",
    output_scale: float = 1,
    **description: Any,
) -> Ensemble:
    """Make the array `name` of N_per_D neurons for each product, and connect A and B to it and it to C.

    A, B: what is convolved; None leaves it to the caller, who finds the transforms in `input_transform`.
    invert_first, invert_second: reverse the components 1, 2, ... (the approximate inverse).  output_scale:
    factor of the result.  mode "direct": without neurons.  pstc_in, pstc_out: of the connections (s).
    """
    if pstc_gate is not None:
        mistake("make_convolution makes no gate", "add one with spikec.nef.templates.gate.make")
    target = net.get_object(C)
    if not isinstance(target, Ensemble):
        mistake(f"{C!r} is no ensemble", "give the name of one")
    dims = target.dimensions * target.array_size
    made = net.make_array(
        name, N_per_D, 4 * (dims // 2 + 1), dimensions=2, radius=radius, encoders=encoders,
        mode="direct" if mode == "direct" else "spiking", **description,
    )  # fmt: skip
    for source, first, invert in ((A, True, invert_first), (B, False, invert_second)):
        if source is not None:
            net.connect(source, name, transform=input_transform(dims, first, invert), pstc=pstc_in)
    back = float(output_scale) * output_transform(dims)
    net.connect(name, C, func=product, transform=back, pstc=pstc_out)
    return made


def product(x: Any) -> Any:
    """What each ensemble of the array computes."""
    return x[0] * x[1]


def input_transform(dimensions: int, first: bool, invert: bool = False) -> Array:
    """Rows of the Fourier transform for the first factor, or the second one, of every product.

    The products of the frequency k = 0 .. dimensions / 2 are re re, im im, re im and im re.
    """
    k = np.arange(dimensions // 2 + 1)
    angles = 2 * np.pi * np.outer(k, np.arange(dimensions)) / dimensions
    real, imaginary = np.cos(angles), (np.sin(angles) if invert else -np.sin(angles))
    parts = (real, imaginary, real, imaginary) if first else (real, imaginary, imaginary, real)
    rows = np.stack(parts, axis=1).reshape(-1, dimensions)
    both = np.zeros((2 * len(rows), dimensions))
    both[0 if first else 1 :: 2] = rows
    return both


def output_transform(dimensions: int) -> Array:
    """The inverse transform, from the products: (re re - im im) + i (re im + im re) of every frequency.

    Frequencies that have a conjugate count twice.
    """
    k = np.arange(dimensions // 2 + 1)
    angles = 2 * np.pi * np.outer(np.arange(dimensions), k) / dimensions
    weights = np.where((k == 0) | (2 * k == dimensions), 1.0, 2.0) / dimensions
    real, imaginary = weights * np.cos(angles), weights * np.sin(angles)
    columns = np.stack([real, -real, -imaginary, -imaginary], axis=2)
    return np.ascontiguousarray(columns.reshape(dimensions, -1))
