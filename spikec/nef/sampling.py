"""Random generators keyed by what they are for, never by the order in which objects are created.

The key (seed, path, purpose) is hashed with SHA-256 into the key of a Philox counter generator, so two
objects or two purposes never share a stream, and adding an object to a model changes no other object.
"""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, path: str, purpose: str) -> np.random.Generator:
    """The generator of the random numbers for `purpose` ("encoders", ...) of the object at `path`."""
    digest = hashlib.sha256(f"{seed}\0{path}\0{purpose}".encode()).digest()
    key = np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64)
    return np.random.Generator(np.random.Philox(key=key))
