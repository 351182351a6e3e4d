"""Neuron types of the field: response curves, and gains and biases from tuning.

Equations follow Eliasmith and Anderson, Neural Engineering (2003), and the descriptions of the same names in
Nengo.  `J` is input current (dimensionless, threshold 1), rates are in Hz, times in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class NeuronType:
    """Base: a frozen set of parameters with a response curve.

    `kind` names the kernel; `spiking` says that the output is amplitude / dt at a spike and 0 otherwise;
    `state` names the state variables, one number per neuron each, in the order the kernel takes them.
    """

    kind: ClassVar[str]
    spiking: ClassVar[bool] = False
    state: ClassVar[tuple[str, ...]] = ()

    def rates(self, J: Array) -> Array:
        """Steady-state firing rate (Hz, or activity for rate neurons) for input current J."""
        raise NotImplementedError(type(self).__name__)

    def gain_bias(self, max_rates: Array, intercepts: Array) -> tuple[Array, Array]:
        """Gain and bias with rates(gain * 1 + bias) = max_rates and rates(gain * x + bias) = 0 at x = intercept."""
        raise NotImplementedError(type(self).__name__)
