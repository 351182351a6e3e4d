"""Python code of a network as part of its state: inputs, functions in direct mode, `SimpleNode`s."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from spike_runtime.calls import Call
from spike_runtime.python import UnsavedError, loads

from spikec.network.nodes import Node
from spikec.network.simplenode import SimpleNode


class Functions:
    """The calls of a network, and its nodes, of which some are what these run."""

    def __init__(self, calls: dict[str, Call], nodes: dict[str, Node]) -> None:
        """Both are changed where a state is loaded."""
        self._calls, self._nodes = calls, nodes

    def state(self) -> bytes:
        """All that the functions hold, with their code; raises `UnsavedError`."""
        try:
            from spikec.keeping import bytes_of, is_of_user, why
        except ImportError as error:
            raise UnsavedError(f"{error}; install cloudpickle, which the extra nengo has") from None
        nodes = {name: node for name, node in self._nodes.items() if isinstance(node, SimpleNode)}
        try:
            return self._kind() + bytes_of((self._calls, nodes), is_of_user, modules=False)
        except Exception as error:  # whatever an object raises when it is asked for its state
            for name, call in self._calls.items():
                try:
                    bytes_of(call, is_of_user, modules=False)
                except Exception as found:  # as above
                    raise UnsavedError(f"the Python of {name!r} cannot be kept: {why(found)}") from found
            raise UnsavedError(f"what the network runs in Python cannot be kept: {why(error)}") from error

    def restore(self, data: bytes) -> None:
        """Go on from a state.  Raises `ValueError` where it is of other nodes."""
        kind = self._kind()
        if data[: len(kind)] != kind:
            raise ValueError("it is of other nodes")
        calls: Mapping[str, Call]
        nodes: Mapping[str, Node]
        calls, nodes = loads(data[len(kind) :])
        self._calls.update(calls)
        self._nodes.update(nodes)

    def _kind(self) -> bytes:
        """What tells these calls from others."""
        return hashlib.sha256(repr(sorted(self._calls)).encode()).digest()
