"""Classes of `spikec.records` behave as those of the standard library."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import field
from typing import Any, ClassVar

import pytest

from spikec.records import dataclass as lazy

# The types are those of the standard library; what runs is not.
standard: Any = dataclasses.dataclass


def _classes(dataclass: Any) -> tuple[Any, Any, Any]:
    @dataclass(frozen=True)
    class Base:
        first: int
        hidden: list[int] = field(default_factory=list, compare=False, repr=False)
        kind: ClassVar[str] = "base"

    @dataclass(frozen=True, eq=False, kw_only=True)
    class Same(Base):
        """Compared as its base."""

        last: str = "z"

        def __post_init__(self) -> None:
            if self.first < 0:
                raise ValueError(f"{self.first} is below 0")

    @dataclass(frozen=True, repr=False)
    class Quiet(Base):
        """With its own text."""

        other: float = 1.5

        def __repr__(self) -> str:
            return "quiet"

    return Base, Same, Quiet


def _described(dataclass: Any) -> list[object]:
    base, same, quiet = _classes(dataclass)
    made = [base(1), base(1, [2]), base(first=2), same(first=1, last="a"), same(first=1, last="b"), quiet(1)]
    facts: list[object] = [repr(m).replace("_classes.<locals>.", "") for m in made]
    facts += [[a == b for a in made] for b in made]
    facts += [len({base(1), base(1, [2]), base(2)}), base.__match_args__, same.__match_args__]
    facts += [[(f.name, f.compare, f.kw_only) for f in dataclasses.fields(c)] for c in (base, same, quiet)]
    facts += [dataclasses.astuple(dataclasses.replace(made[3], last="q")), dataclasses.asdict(made[1])]
    facts += [made[0].hidden is not base(1).hidden, base.kind, dataclasses.is_dataclass(same)]
    return facts


def test_they_are_what_the_standard_library_makes() -> None:
    assert _described(lazy) == _described(standard)


@pytest.mark.parametrize("dataclass", [lazy, standard])
def test_mistakes(dataclass: Any) -> None:
    base, same, _ = _classes(dataclass)
    value = base(1)
    for change in (lambda: setattr(value, "first", 2), lambda: delattr(value, "first")):
        with pytest.raises(dataclasses.FrozenInstanceError, match="first"):
            change()
    with pytest.raises(TypeError, match=r"__init__\(\) missing 1 required positional argument: 'first'"):
        base()
    with pytest.raises(TypeError, match="unexpected keyword argument 'there'"):
        base(1, there=2)
    with pytest.raises(TypeError, match="positional"):
        same(1, [], "a")
    with pytest.raises(ValueError, match="-1 is below 0"):
        same(first=-1)


def _slotted(dataclass: Any) -> list[object]:
    @dataclass(frozen=True, kw_only=True, slots=True)
    class Base:
        first: int
        span: str | None = None

        @property
        def twice(self) -> int:
            return 2 * self.first

    @dataclass(frozen=True, kw_only=True, slots=True)
    class More(Base):
        last: tuple[int, ...] = ()

        @property
        def twice(self) -> int:
            return 2 * self.first + len(self.last)

    @dataclass(frozen=True, kw_only=True)
    class Open(More):
        """With a dictionary again."""

        other: float = 1.5

    made = [Base(first=1), More(first=2), More(first=2, last=(3,)), Open(first=1, other=2.5)]
    facts: list[object] = [repr(m).replace("_slotted.<locals>.", "") for m in made]
    facts += [[a == b for a in made] for b in made] + [m.twice for m in made]
    facts += [hasattr(m, "__dict__") for m in made] + [Base.__slots__, More.__slots__]
    facts += [dataclasses.replace(made[2], span="here") == More(first=2, last=(3,), span="here")]
    with pytest.raises(dataclasses.FrozenInstanceError):
        made[1].first = 3
    return facts


def test_slots_are_those_of_the_standard_library() -> None:
    assert _slotted(lazy) == _slotted(standard)


def test_only_frozen_ones() -> None:
    with pytest.raises(TypeError, match="of the standard library"):
        lazy(eq=False)


@lazy(frozen=True)
class Kept:
    """At the top of a module, for pickle."""

    number: int
    more: tuple[int, ...] = ()


@lazy(frozen=True, slots=True)
class Small(Kept):
    """With slots for its own fields."""

    last: str = ""


def test_copies_and_pickles() -> None:
    small = Small(3, (4,), "end")
    assert copy.copy(small) == pickle.loads(pickle.dumps(small)) == small
    kept = Kept(3, (4,))
    assert copy.copy(kept) == pickle.loads(pickle.dumps(kept)) == kept
    assert "signature" not in Kept.__dict__
    assert Kept.__init__.__qualname__ == "Kept.__init__"
