"""From the description of ensembles to their neurons: encoders, gains, biases, evaluation points.

Each is drawn from a stream of its own, keyed by the ensemble's seed and path.  Ensembles that differ in
nothing but those are tuned together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from spikec.graph import Array, Distribution, Ensemble, Neurons
from spikec.nef.distributions import DistributionError, sample
from spikec.nef.izhikevich import Izhikevich
from spikec.nef.neurons import TuningError
from spikec.nef.sampling import Streams

_ZERO_ENCODER = "give every encoder a length above 0, or set normalize_encoders = false"


def tune(ops: Sequence[Ensemble]) -> list[Neurons]:
    """The built populations of ensembles of one description, but for seed and path.

    Raises `TuningError` or `DistributionError` where one of them cannot exist.
    """
    made = populations(ops)
    _ = made[0].encoders, made[0].gain
    return made


def populations(ops: Sequence[Ensemble]) -> list[Neurons]:
    """As `tune`, for ensembles that are known to exist: their arrays are drawn when one is asked for."""
    run = _Run(ops)
    return [
        Neurons(
            size=op.size,
            span=op.span,
            path=op.path,
            dims=op.dims,
            neuron=op.neuron,
            radius=op.radius,
            tuning=_Member(run, place),
            seed=op.seed,
            initial_state=state,
        )
        for place, (op, state) in enumerate(zip(ops, _initial_states(ops), strict=True))
    ]


class _Run:
    """Ensembles that are drawn together: twenty cost little more than one.

    Arrays stay until the last of the populations is gone, so that nothing is drawn more than once.
    """

    def __init__(self, ops: Sequence[Ensemble]) -> None:
        self.ops = tuple(ops)

    @cached_property
    def encoders(self) -> Array:
        return _encoders(self.ops)

    @cached_property
    def gain_bias(self) -> tuple[Array, Array]:
        return _gain_bias(self.ops)


class _Member:
    """The tuning of one of a run."""

    __slots__ = ("_place", "_run")

    def __init__(self, run: _Run, place: int) -> None:
        self._run, self._place = run, place

    @property
    def encoders(self) -> Array:
        return np.asarray(self._run.encoders[self._place])

    @property
    def gain(self) -> Array:
        return np.asarray(self._run.gain_bias[0][self._place])

    @property
    def bias(self) -> Array:
        return np.asarray(self._run.gain_bias[1][self._place])

    @property
    def points(self) -> Callable[[], Array]:
        return self._points

    def _points(self) -> Array:
        op = self._run.ops[self._place]
        (points,) = eval_points([op], op.eval_points, "eval_points")
        return np.asarray(points)


def default_point_count(neurons: int, dims: int) -> int:
    """Evaluation points by default: 500 per dimension within 750 .. 2500, and at least 2 per neuron."""
    return max(min(max(500 * dims, 750), 2500), 2 * neurons)


def point_count(op: Ensemble, distribution: Distribution) -> int:
    """How many evaluation points an ensemble takes from a distribution; explicit samples are taken all."""
    if distribution.kind == "samples":
        values = np.asarray(distribution.parameters[0])
        return values.size if values.ndim < 2 and op.dims == 1 else len(np.atleast_2d(values))
    return default_point_count(op.size, op.dims) if op.n_eval_points is None else op.n_eval_points


def eval_points(ops: Sequence[Ensemble], distribution: Distribution, purpose: str) -> Array:
    """Points (ensembles x points x dims) at which decoders are fitted: samples of the distribution times the
    radius.
    """
    op = ops[0]
    return op.radius * _draw(ops, distribution, point_count(op, distribution), op.dims, purpose)


def _initial_states(ops: Sequence[Ensemble]) -> list[dict[str, Array]]:
    """State before the first step, where it is not 0, by variable, for every ensemble.

    Raises `DistributionError` for a voltage that is beyond the threshold already.
    """
    if not ops[0].initial_state:
        return [{}] * len(ops)
    neuron, states = ops[0].neuron, [dict[str, Array]() for _ in ops]
    for variable, distribution in ops[0].initial_state:
        values = _draw(ops, distribution, ops[0].size, None, f"initial_{variable}")
        if variable == "voltage" and not isinstance(neuron, Izhikevich) and not (values < 1).all():
            raise DistributionError(
                f"an initial voltage of {values.max():g} is not below the threshold of 1",
                "choose initial voltages below 1, such as uniform(0, 1)",
            )
        for state, row in zip(states, values, strict=True):
            state[variable] = row
    return states


def _draw(
    ops: Sequence[Ensemble], distribution: Distribution, n: int, dims: int | None, purpose: str
) -> Array:
    streams = Streams([(op.seed, op.path, purpose) for op in ops])
    return sample(distribution.kind, distribution.parameters, n, dims, streams)


def _encoders(ops: Sequence[Ensemble]) -> Array:
    """Encoders (ensembles x neurons x dims), of length 1 unless the model says otherwise."""
    op = ops[0]
    encoders = _draw(ops, op.encoders, op.size, op.dims, "encoders")
    if not op.normalize_encoders:
        return encoders
    lengths = np.linalg.norm(encoders, axis=-1, keepdims=True)
    if not (lengths > 0).all():
        raise DistributionError(f"encoder {int(np.argmin(lengths)) % op.size} has length 0", _ZERO_ENCODER)
    return np.asarray(encoders / lengths)


def _gain_bias(ops: Sequence[Ensemble]) -> tuple[Array, Array]:
    """Gains and biases (ensembles x neurons): those given, otherwise from maximum rates and intercepts."""
    op = ops[0]
    if (op.gain is None) != (op.bias is None):
        given, missing = ("gain", "bias") if op.bias is None else ("bias", "gain")
        raise TuningError(f"{given} is given without {missing}", f"give {missing} too, or neither of them")
    if op.gain is not None and op.bias is not None:
        return _draw(ops, op.gain, op.size, None, "gain"), _draw(ops, op.bias, op.size, None, "bias")
    max_rates = _draw(ops, op.max_rates, op.size, None, "max_rates")
    intercepts = _draw(ops, op.intercepts, op.size, None, "intercepts")
    return op.neuron.gain_bias(max_rates, intercepts)
