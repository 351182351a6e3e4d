"""From the description of an ensemble to its neurons: encoders, gains, biases, evaluation points.

Each is drawn from a generator of its own, keyed by the ensemble's seed and path.
"""

from __future__ import annotations

import numpy as np

from spikec.graph import Array, Distribution, Ensemble, Neurons
from spikec.nef.distributions import DistributionError, sample
from spikec.nef.neurons import TuningError
from spikec.nef.sampling import generator

_ZERO_ENCODER = "give every encoder a length above 0, or set normalize_encoders = false"


def tune(op: Ensemble) -> Neurons:
    """The built population.  Raises `TuningError` or `DistributionError` where it cannot exist."""
    gain, bias = _gain_bias(op)
    return Neurons(
        size=op.size,
        span=op.span,
        path=op.path,
        dims=op.dims,
        neuron=op.neuron,
        radius=op.radius,
        encoders=_encoders(op),
        gain=gain,
        bias=bias,
        eval_points=eval_points(op, op.eval_points, "eval_points"),
        seed=op.seed,
        initial_voltage=initial_voltage(op),
    )


def default_point_count(neurons: int, dims: int) -> int:
    """Evaluation points by default: 500 per dimension within 750 .. 2500, and at least 2 per neuron."""
    return max(min(max(500 * dims, 750), 2500), 2 * neurons)


def point_count(op: Ensemble, distribution: Distribution) -> int:
    """How many evaluation points an ensemble takes from a distribution; explicit samples are taken all."""
    if distribution.kind == "samples":
        values = np.asarray(distribution.parameters[0])
        return values.size if values.ndim < 2 and op.dims == 1 else len(np.atleast_2d(values))
    return default_point_count(op.size, op.dims) if op.n_eval_points is None else op.n_eval_points


def eval_points(op: Ensemble, distribution: Distribution, purpose: str) -> Array:
    """Points (points x dims) at which decoders are fitted: samples of the distribution times the radius."""
    count = point_count(op, distribution)
    return op.radius * _draw(op, distribution, count, op.dims, purpose)


def initial_voltage(op: Ensemble) -> Array | None:
    """Voltage (neurons) before the first step, None where it is 0.  Raises `DistributionError` from 1 on."""
    if op.initial_voltage is None:
        return None
    voltage = _draw(op, op.initial_voltage, op.size, None, "initial_voltage")
    if not (voltage < 1).all():
        raise DistributionError(
            f"an initial voltage of {voltage.max():g} is not below the threshold of 1",
            "choose initial voltages below 1, such as uniform(0, 1)",
        )
    return voltage


def _draw(op: Ensemble, distribution: Distribution, n: int, dims: int | None, purpose: str) -> Array:
    rng = generator(op.seed, op.path, purpose)
    return sample(distribution.kind, distribution.parameters, n, dims, rng)


def _encoders(op: Ensemble) -> Array:
    """Encoders (neurons x dims), of length 1 unless the model says otherwise."""
    encoders = _draw(op, op.encoders, op.size, op.dims, "encoders")
    if not op.normalize_encoders:
        return encoders
    lengths = np.linalg.norm(encoders, axis=1, keepdims=True)
    if not (lengths > 0).all():
        raise DistributionError(f"encoder {int(np.argmin(lengths))} has length 0", _ZERO_ENCODER)
    return np.asarray(encoders / lengths)


def _gain_bias(op: Ensemble) -> tuple[Array, Array]:
    """Gains and biases (neurons): those given, otherwise from maximum rates and intercepts."""
    if (op.gain is None) != (op.bias is None):
        given, missing = ("gain", "bias") if op.bias is None else ("bias", "gain")
        raise TuningError(f"{given} is given without {missing}", f"give {missing} too, or neither of them")
    if op.gain is not None and op.bias is not None:
        return _draw(op, op.gain, op.size, None, "gain"), _draw(op, op.bias, op.size, None, "bias")
    max_rates = _draw(op, op.max_rates, op.size, None, "max_rates")
    intercepts = _draw(op, op.intercepts, op.size, None, "intercepts")
    return op.neuron.gain_bias(max_rates, intercepts)
