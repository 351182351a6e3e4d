"""Nengo models on Spike: `spikec.nengo.Simulator` takes the place of `nengo.Simulator`.

Nengo is an optional dependency, and imported only here: the extra `nengo` of this package.
"""

from __future__ import annotations

import warnings

try:
    with warnings.catch_warnings():  # Nengo 4.1 imports names that NumPy 2 deprecates
        warnings.simplefilter("ignore", DeprecationWarning)
        import nengo as _nengo  # noqa: F401
except ImportError as error:
    raise ImportError(
        "spikec.nengo runs models of Nengo, which is not installed: "
        "pip install 'nengo>=4.1' 'cloudpickle>=3.1,<3.2'"
    ) from error

from spikec.nengo.simulator import Simulator
from spikec.nengo.writing.translate import translate

__all__ = ["Simulator", "translate"]
