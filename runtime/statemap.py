"""From the state of partitions to that of the model, and back, at the same or another cut.

The state of a model after step n is a set of arrays, named after its objects, in the precision of the model:

    weights     learned weights, rows x columns; inverse: of RLS, its inverse correlations
    neurons     each variable of a population
    filter      the state of a synapse, (order x) components
    delay       what a delay keeps, components x steps, the newest first
    signal      signals of step n that something reads later: exact sums over all partitions, and others
    spikes      of a population the spikes of the last steps, as rows (steps ago, neuron)
    stream      a stream of random numbers (see `spike_runtime.ops.streams`), whole numbers

None depends on the number of partitions.  Numbers that no partition needs are `unknown`, a NaN.

A partition gives its state, and takes it, as the arrays that its program changes (see `kept`), where `sums`
are those of the last W steps, the newest first: as many as a message between partitions holds (see `ring`).
What others had sent, and is on its way, is among these.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spike_runtime import manifest as mf
from spike_runtime.manifest import Manifest, ManifestError
from spike_runtime.unknown import unknown

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Entry:
    """An array of the model.  `exponent`: of an exact sum, its numbers are multiples of 2 ** -exponent, or
    those whose `BITS` it holds.
    """

    kind: str
    name: str
    shape: tuple[int, ...]
    exponent: int | str | None = None

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.name}"

    def type(self, precision: str) -> str:
        """The type of its numbers, for a model of this precision."""
        return "int64" if self.kind == "stream" else precision

    @property
    def summed(self) -> bool:
        """Whether it is added up over partitions."""
        return self.exponent is not None


@dataclass(frozen=True)
class Share:
    """What one partition holds.

    runs: by array of the partition, rows (entry, first there, first here, how many), counted through flat
    arrays; membranes: rows (entry of the voltage, entry of the rest, ...) of numbers that stand
    for both (see `spike_runtime.ops.lif`); own: rows (number of a list of spikes, first neuron, how many).
    """

    runs: Mapping[str, Sequence[tuple[int, int, int, int]]]
    membranes: Mapping[str, Sequence[tuple[int, int, int, int, int]]]
    own: Sequence[tuple[int, int, int]]


@dataclass(frozen=True)
class StateMap:
    """Where the state of a compiled model is.

    entries: its arrays; delays: (entry of a delay, entry of the exact sum that it reads, (start, stop) of the
    components); lists: entry and first place in a row of the history, of every list of spikes.
    """

    manifest: Manifest
    entries: tuple[Entry, ...]
    delays: Sequence[tuple[int, int, Sequence[tuple[int, int]]]]
    lists: Sequence[tuple[int, int]]
    shares: tuple[Share, ...]

    def window(self, listed: bool = False) -> int:
        """Steps that one message holds: of sums, or of lists of spikes."""
        return next((w.window for w in self.manifest.wires if w.listed == listed), 1)

    # ------------------------------------------------------------------------------- partitions to model

    def gather(self, parts: Sequence[Arrays]) -> Arrays:
        """The state of the model of that of all partitions, by the keys of its entries."""
        real = self.manifest.precision
        flat = {k: unknown(prod(e.shape), e.type(real)) for k, e in self._numbers()}
        totals = {k: np.zeros((self.window(), *e.shape), np.int64) for k, e in self._numbers() if e.summed}
        for share, arrays in zip(self.shares, parts, strict=True):
            for k, there, here, count in share.runs.get("sums", ()):
                totals[k][:, there : there + count] += arrays["sums"][:, here : here + count]
            _collect(flat, share, arrays)
        for k, total in totals.items():
            flat[k][:] = self._decoded(k, total[0])
        made = {self.entries[k].key: values.reshape(self.entries[k].shape) for k, values in flat.items()}
        for k, source, spans in self.delays:
            kept = made[self.entries[k].key]
            for start, stop in spans:
                for late in range(min(self.window() - 1, kept.shape[1])):
                    kept[start:stop, late] = self._decoded(source, totals[source][late + 1, start:stop])
        for number, (k, _) in enumerate(self.lists):
            made[self.entries[k].key] = self._spikes(number, parts)
        return made

    def _numbers(self) -> list[tuple[int, Entry]]:
        return [(k, entry) for k, entry in enumerate(self.entries) if entry.kind != "spikes"]

    def _decoded(self, entry: int, total: NDArray[np.int64]) -> NDArray[Any]:
        """As `spike_runtime.ops.signals.Decode` does."""
        exponent = self.entries[entry].exponent
        assert exponent is not None
        numbers = total.view(np.float64) if isinstance(exponent, str) else total * 2.0**-exponent
        return numbers.astype(self.manifest.precision)

    def _spikes(self, number: int, parts: Sequence[Arrays]) -> NDArray[np.int64]:
        """All spikes of a list: each partition knows those of its own neurons."""
        found = [np.zeros((0, 2), np.int64)]
        first = self.lists[number][1]
        for share, arrays in zip(self.shares, parts, strict=True):
            own = [(start, start + count) for k, start, count in share.own if k == number]
            for late, row in enumerate(arrays["spikes_history"] if own else ()):
                neurons = row[first : first + row[number]]
                mine = np.concatenate([neurons[(neurons >= a) & (neurons < b)] for a, b in own])
                found.append(np.stack([np.full(len(mine), late), mine], axis=1))
        spikes = np.concatenate(found)
        return spikes[np.lexsort(spikes.T[::-1])]

    # ------------------------------------------------------------------------------- model to partitions

    def scatter(self, state: Arrays, step: int) -> list[Arrays]:
        """The state of every partition after `step`; `unknown` stands for what the model's lacks."""
        past = self._past(state)
        given: set[int] = set()
        made = []
        for share, partition in zip(self.shares, self.manifest.partitions, strict=True):
            arrays = {
                a.name: unknown(a.shape, a.dtype)
                for a in partition.arrays
                if a.state and a.name in (*share.runs, *share.membranes) and a.name != "sums"
            }
            self._fill(arrays, share, state)
            sums = next((a for a in partition.arrays if a.name == "sums"), None)
            if sums:
                arrays["sums"] = np.zeros((self.window(), *sums.shape), np.int64)
            for k, there, here, count in share.runs.get("sums", ()):
                if k not in given:  # one partition has it all, the others nothing
                    arrays["sums"][:, here : here + count] = past[k][:, there : there + count]
            given |= {k for k, *_ in share.runs.get("sums", ())}
            if history := next((a for a in partition.arrays if a.name == "spikes_history"), None):
                arrays["spikes_history"] = self._history(state, step, share, history.shape)
            made.append(arrays)
        return made

    def _fill(self, arrays: Arrays, share: Share, state: Arrays) -> None:
        """Put what is known of a partition's numbers where they are."""
        for name, array in arrays.items():
            flat = array.reshape(-1)
            for k, there, here, count in share.runs.get(name, ()):
                if (key := self.entries[k].key) in state:
                    flat[here : here + count] = state[key].reshape(-1)[there : there + count]
            for voltage, rest, there, here, count in share.membranes.get(name, ()):
                if (key := self.entries[voltage].key) in state:
                    v, r = (state[self.entries[k].key][there : there + count] for k in (voltage, rest))
                    flat[here : here + count] = np.where(r > 0, -r, v)

    def _past(self, state: Arrays) -> dict[int, NDArray[np.int64]]:
        """The exact sums of the last W steps, as whole numbers that give the values in the state.

        Those before the last are known from delays: where several partitions exchange for several steps at
        once, nothing else reads them.
        """
        past = {}
        for k, entry in self._numbers():
            if entry.exponent is not None:
                past[k] = np.zeros((self.window(), *entry.shape), np.int64)
                if entry.key in state:
                    past[k][0] = _whole(state[entry.key], entry.exponent)
        for k, source, spans in self.delays:
            key, exponent = self.entries[k].key, self.entries[source].exponent
            assert exponent is not None
            for start, stop in spans if key in state else ():
                kept = state[key]
                for late in range(min(self.window() - 1, kept.shape[1])):
                    past[source][late + 1, start:stop] = _whole(kept[start:stop, late], exponent)
        return past

    def _history(self, state: Arrays, step: int, share: Share, shape: tuple[int, ...]) -> NDArray[np.int32]:
        """Lists of spikes as a partition has them: of steps that it has yet to send only those of its own."""
        history = np.zeros(shape, np.int32)
        window = self.window(listed=True)
        unsent = step % window or window
        for number, (k, first) in enumerate(self.lists):
            spikes = state.get(self.entries[k].key, np.zeros((0, 2), np.int64))
            own = np.zeros(self.entries[k].shape[1], bool)
            for _, start, count in (row for row in share.own if row[0] == number):
                own[start : start + count] = True
            for late, row in enumerate(history):
                neurons = spikes[spikes[:, 0] == late, 1]
                if late < unsent:
                    neurons = neurons[own[neurons]]
                row[number] = len(neurons)
                row[first : first + len(neurons)] = neurons
        return history


def _collect(flat: dict[int, NDArray[Any]], share: Share, arrays: Arrays) -> None:
    """Take what a partition holds of the arrays of the model, but for sums and spikes."""
    for name, runs in share.runs.items():
        for k, there, here, count in runs if name != "sums" else ():
            flat[k][there : there + count] = arrays[name].reshape(-1)[here : here + count]
    for name, rows in share.membranes.items():
        for voltage, rest, there, here, count in rows:
            membrane = arrays[name].reshape(-1)[here : here + count]
            flat[voltage][there : there + count] = np.maximum(membrane, 0)
            flat[rest][there : there + count] = np.maximum(-membrane, 0)


def _whole(values: NDArray[Any], exponent: int | str) -> NDArray[np.int64]:
    """The whole numbers that are decoded to `values`; 0 where these are NaN, and are no bits."""
    if isinstance(exponent, str):
        return values.astype(np.float64).view(np.int64)
    return np.rint(np.ldexp(np.nan_to_num(values.astype(np.float64)), exponent)).astype(np.int64)


def load(manifest: Manifest, folder: Path) -> StateMap:
    """The map of a compiled model.  Raises `ManifestError` where it is damaged."""
    path = folder / mf.STATE
    if not path.is_file():
        raise ManifestError(f"{path} is missing; compile the model again")
    if mf.sha256(path) != manifest.state:
        raise ManifestError(f"{path} was changed after it was compiled (checksum); compile the model again")
    body = json.loads(path.read_text(encoding="utf-8"))
    return StateMap(
        manifest,
        tuple(Entry(kind, name, tuple(shape), exponent) for kind, name, shape, exponent in body["arrays"]),
        body["delays"],
        body["lists"],
        tuple(Share(share["runs"], share["membranes"], share["own"]) for share in body["partitions"]),
    )
