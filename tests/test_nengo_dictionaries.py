"""Functions that read dictionaries and lists of classes of their own, and those that hold themselves."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from converted import Simulator, converted, nengo

from spikec.tracing.functions import trace, why


class Entries(dict[str, Any]):
    """Entries are attributes."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__  # type: ignore[assignment]


class Named(dict[str, Any]):
    """As `Entries`, by a function."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


class Both(dict[str, Any]):
    """Its entries are its attributes."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.__dict__ = self


class Growing(dict[str, float]):
    """Has an entry for every key that it is asked for."""

    def __missing__(self, key: str) -> float:
        self[key] = 1.0
        return 1.0


class Own(dict[str, float]):
    """Gives other entries than it holds."""

    def __iter__(self) -> Any:
        return iter(["gain"])


class Rates(list[float]):
    """A list with a method."""

    def first(self) -> float:
        return self[0]


ENTRIES = Entries(gain=2.0, inner=Entries(rate=3.0), unused=object())
NAMED, BOTH = Named(gain=2.0), Both(gain=2.0)
ORDERED, COUNTED = OrderedDict(gain=2.0, rate=3.0), defaultdict(float, gain=2.0)
RATES = Rates([2.0, 3.0])
CASES: dict[str, tuple[Callable[[float], Any], Any]] = {
    "attribute": (lambda t: ENTRIES.gain * t, lambda: ENTRIES.update(gain=7.0)),
    "inner": (lambda t: ENTRIES.inner.rate * t, lambda: ENTRIES.inner.update(rate=7.0)),
    "entry": (lambda t: ENTRIES["gain"] * t, lambda: ENTRIES.update(gain=8.0)),
    "function": (lambda t: NAMED.gain * t, lambda: NAMED.update(gain=7.0)),
    "get": (lambda t: NAMED.get("gain") * t, lambda: NAMED.update(gain=8.0)),
    "added": (lambda t: NAMED.get("other", 1.0) * t, lambda: NAMED.update(other=8.0)),
    "itself": (lambda t: BOTH.gain * t, lambda: BOTH.update(gain=7.0)),
    "ordered": (lambda t: sum(v for _, v in ORDERED.items()) * t, lambda: ORDERED.update(rate=7.0)),
    "counted": (lambda t: COUNTED["gain"] * t, lambda: COUNTED.update(gain=7.0)),
    "list": (lambda t: RATES[1] * t, lambda: RATES.__setitem__(1, 7.0)),
    "method": (lambda t: RATES.first() * t, lambda: RATES.__setitem__(0, 7.0)),
}


@pytest.mark.parametrize("name", CASES)
def test_entries_are_constants_whose_changes_are_noticed(name: str) -> None:
    read, change = CASES[name]
    before = read(0.5)
    found = trace(read, True, None, 1, held=True)
    assert found is not None
    assert found.objects
    assert all(captured.same() for captured in found.captured)
    change()
    assert read(0.5) != before
    assert not all(captured.same() for captured in found.captured)


GROWING, OWN = Growing(), Own(gain=2.0)
ROUND: list[Any] = [2.0]
ROUND.append(ROUND)
LOOP: dict[str, Any] = {"gain": 2.0}
LOOP["self"] = LOOP
REFUSED: dict[str, tuple[Callable[[float], Any], str]] = {
    "missing": (
        lambda t: COUNTED["none"] * t,
        "reads 'none' of an object of the class defaultdict, which it",
    ),
    "growing": (lambda t: GROWING["x"] * t, "reads 'x' of an object of the class Growing, which it does not"),
    "own": (lambda t: sum(v for v in OWN.values()) * t, "class Own, which gives its own entries"),
    "holds itself": (lambda t: ROUND[0] * t, "reads a list in others, too deep to follow"),
    "reads itself": (lambda t: LOOP["gain"] * t, "reads a dict in others, too deep to follow"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_entries_that_are_made_up_or_hold_themselves_stay_python(name: str) -> None:
    read, text = REFUSED[name]
    found = why(read, True, None, 1, held=True)
    assert found is not None
    assert text in found.text
    assert not GROWING
    assert "none" not in COUNTED


@pytest.mark.parametrize("partitions", [1, 2])
def test_a_list_between_runs_may_hold_itself(partitions: int) -> None:
    """What a function reads is then seen in Python, in one process or in several."""
    gains: list[Any] = [1.0]
    with nengo.Network(seed=1) as net:
        node = nengo.Node(lambda t: gains[0] * t)
        probe = nengo.Probe(node)
        for _ in range(2):
            nengo.Connection(node, nengo.Ensemble(20, 1))
    with Simulator(net, partitions=partitions, progress_bar=False, processes=partitions > 1) as simulator:
        simulator.run_steps(5)
        gains[0] = 2.0
        simulator.run_steps(5)
        gains.append(gains)
        gains[0] = 3.0
        simulator.run_steps(5)
        factors = simulator.data[probe][:, 0] / simulator.trange()
    np.testing.assert_allclose(factors, np.repeat([1.0, 2.0, 3.0], 5))


def test_what_python_beside_sets_in_a_dictionary_is_seen_in_the_step() -> None:
    given = Entries(gain=1.0)

    def change(t: float) -> None:
        given.gain = 1000 * t

    with nengo.Network(seed=1) as net:
        nengo.Node(change)
        probe = nengo.Probe(nengo.Node(lambda t: given.gain + 0 * t))
    assert converted(net).host_calls
    seen = []
    for kind in (nengo.Simulator, Simulator):
        given.gain = 1.0
        with kind(net, progress_bar=False) as simulator:
            simulator.run_steps(5)
            seen.append(np.array(simulator.data[probe][1:, 0]))
    assert seen[0][-1] > seen[0][0]
    assert np.array_equal(*seen)
