"""Random numbers keyed by what they are for, never by the order in which objects are created.

The key (seed, path, purpose) is hashed with SHA-256, so two objects or two purposes never share a stream, and
adding an object to a model changes no other object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Words = NDArray[np.uint64]
Key = tuple[int, str, str]  # seed, path, purpose

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def generator(seed: int, path: str, purpose: str) -> np.random.Generator:
    """A Philox generator of the random numbers for `purpose` ("transform", ...) of the object at `path`."""
    return np.random.Generator(np.random.Philox(key=_words([(seed, path, purpose)])[0]))


def _words(keys: Sequence[Key]) -> Words:
    """Two words for every key."""
    texts = (f"{seed}\0{path}\0{purpose}".encode() for seed, path, purpose in keys)
    digests = b"".join(hashlib.sha256(text).digest()[:16] for text in texts)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64).reshape(-1, 2)


class Streams:
    """Random streams of many objects, one for each key, drawn from together.

    Number c of the stream with the key words (a, b) is mix(mix(c g + a) + b), with the constant g and the
    mixing function of SplitMix64 (Steele, Lea and Flood, 2014): a pure function, so that what one object gets
    does not depend on who is drawn beside it, and thousands of objects cost a few passes over an array.
    Every method gives keys x shape.
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        self.keys = tuple(keys)
        self._words = _words(keys)
        self._drawn = 0

    def uniform(self, shape: tuple[int, ...]) -> Array:
        """Uniform on [0, 1)."""
        count = int(np.prod(shape))
        numbers = np.arange(self._drawn + 1, self._drawn + 1 + count, dtype=np.uint64) * _STEP
        self._drawn += count
        x = _mixed(numbers + self._words[:, :1])
        x += self._words[:, 1:]
        x = _mixed(x)
        x >>= np.uint64(11)
        return np.asarray(x * 2.0**-53, np.float64).reshape(len(self.keys), *shape)

    def normal(self, shape: tuple[int, ...]) -> Array:
        """Standard normal, in pairs (Box and Muller, 1958)."""
        count = int(np.prod(shape))
        pairs = (count + 1) // 2
        radius = np.sqrt(-2.0 * np.log1p(-self.uniform((pairs,))))
        angle = (2.0 * np.pi) * self.uniform((pairs,))
        both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return np.ascontiguousarray(both[:, :count]).reshape(len(self.keys), *shape)

    def signs(self, shape: tuple[int, ...]) -> Array:
        """The signs (1 or -1) of what `normal` would give, without its lengths."""
        count = int(np.prod(shape))
        pairs = (count + 1) // 2
        self._drawn += pairs
        turn = self.uniform((pairs,))
        positive = np.concatenate([(turn <= 0.25) | (turn > 0.75), turn <= 0.5], axis=1)
        return np.where(positive[:, :count], 1.0, -1.0).reshape(len(self.keys), *shape)

    def exponential(self, shape: tuple[int, ...]) -> Array:
        """Exponential with mean 1."""
        return -np.log1p(-self.uniform(shape))

    def each(self, draw: Callable[[np.random.Generator], Array]) -> Array:
        """What `draw` takes from a Philox generator for each key: for distributions that are seldom drawn."""
        return np.stack([draw(generator(*key)) for key in self.keys])


def _mixed(x: Words) -> Words:
    """The mixing function of SplitMix64, in place."""
    x ^= x >> np.uint64(30)
    x *= _MIX[0]
    x ^= x >> np.uint64(27)
    x *= _MIX[1]
    x ^= x >> np.uint64(31)
    return x
