"""When probes are sampled: the k-th sample, k = 1, 2, ..., is of the first step n with n >= k * every.

These are the steps n with n % every < 1, as Nengo takes them; `every` may be no whole number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def count(step: int, every: float) -> int:
    """Samples taken up to a step."""
    return int(step // every)


def steps(samples: Any, every: float) -> NDArray[np.int64]:
    """The steps of samples, given by their numbers k, exact for the number that `every` is."""
    k: NDArray[np.int64] = np.asarray(samples, np.int64)
    # Where a product was rounded to beyond a whole number, it is the step beside.
    found: NDArray[np.int64] = np.ceil(k * every).astype(np.int64)
    found += found // every < k
    found -= (found - 1) // every >= k
    return found
