"""What matrices of a graph share in memory."""

from __future__ import annotations

import numpy as np
import pytest

from spikec.sparse import single


def test_matrices_of_one_entry_share_their_numbers() -> None:
    picked = [single(1, 132, place, 0.5) for place in (0, 7, 131)]
    for place, made in zip((0, 7, 131), picked, strict=True):
        assert made.shape == (1, 132)
        assert np.flatnonzero(made).tolist() == [place]
        assert made[0, place] == 0.5
    put = single(132, 1, 7, 0.5)
    assert (put == picked[1].T).all()
    assert all(np.shares_memory(made, picked[0]) for made in (*picked[1:], put))
    with pytest.raises(ValueError, match="read-only"):
        put[0, 0] = 1.0
