"""What programs are written in: Spike's Ops under the names that programs use, and a few helpers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytensor.tensor as pt
from spike_runtime.ops.cells import Cells
from spike_runtime.ops.draws import Draws
from spike_runtime.ops.exchange import Collect, Late, Publish
from spike_runtime.ops.filters import Delay, StateSpace
from spike_runtime.ops.host import Host
from spike_runtime.ops.join import Join
from spike_runtime.ops.learning import Change, Learn, LearnedProduct
from spike_runtime.ops.linear import AppendProducts
from spike_runtime.ops.neurons import Neurons
from spike_runtime.ops.record import Record, RecordEvents, RecordRest, RecordState
from spike_runtime.ops.signals import Clear, Decode, FirstOrder, FirstOrderRuns, Keep
from spike_runtime.ops.sources import Noise, Tables
from spike_runtime.ops.spikes import CollectSpikes, Deliver, PublishSpikes, RecordSpikes
from spike_runtime.ops.states import ShowState

__all__ = [
    "append_products",
    "cells",
    "change",
    "clear",
    "collect",
    "collect_spikes",
    "decode",
    "delay",
    "deliver",
    "draws",
    "first_order",
    "first_order_runs",
    "host",
    "join",
    "keep",
    "late",
    "learn",
    "learned_product",
    "lookup",
    "neurons",
    "noise",
    "outputs",
    "publish",
    "publish_spikes",
    "record",
    "record_events",
    "record_rest",
    "record_spikes",
    "record_state",
    "show_state",
    "state_space",
]

append_products = AppendProducts()
change = Change()
clear = Clear()
collect = Collect()
collect_spikes = CollectSpikes()
delay = Delay()
deliver = Deliver()
first_order = FirstOrder()
first_order_runs = FirstOrderRuns()
host = Host()
keep = Keep()
late = Late()
learn = Learn()
learned_product = LearnedProduct()
lookup = Tables()
noise = Noise()
publish = Publish()
publish_spikes = PublishSpikes()
record = Record()
record_events = RecordEvents()
record_spikes = RecordSpikes()
record_rest = RecordRest()
record_state = RecordState()
show_state = ShowState()
state_space = StateSpace()
_decode, _join = cache(Decode), cache(Join)


@cache
def neurons(kind: str, dtype: str) -> Neurons:
    """The Op of all neurons of one kind: see `Neurons`."""
    return Neurons(kind, dtype)


@cache
def cells(kind: str, dtype: str) -> Cells:
    """The Op of all populations of one kind of neuron: see `Cells`."""
    return Cells(kind, dtype)


@cache
def draws(kind: str, dtype: str) -> Draws:
    """The Op of all random vectors of one distribution: see `Draws`."""
    return Draws(kind, dtype)


def decode(sums: Any, rows: Any, scale: Any, dtype: str) -> Any:
    """Exact sums as numbers: see `Decode`."""
    return _decode(dtype)(sums, rows, scale)


def join(*vectors: Any) -> Any:
    """Vectors one after the other."""
    return vectors[0] if len(vectors) == 1 else _join(len(vectors))(*vectors)


def outputs(expressions: Sequence[Any], like: Any, dtype: str) -> Any:
    """Outputs of functions of one form, one after the other: each a vector as long as `like`, or a number."""
    return pt.concatenate([pt.zeros_like(like, dtype="float64") + e for e in expressions]).astype(dtype)
