"""What commands take as a model: a file in the language, or a Nengo network in a Python file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikec.errors import model_error

if TYPE_CHECKING:
    from spikec.nengo.files import NetworkFile


def divided(target: str) -> tuple[str, str]:
    """File and name of a network: what follows the last colon, where a Python file is before it."""
    file, colon, name = target.rpartition(":")
    return (file, name) if colon and file.endswith(".py") else (target, "")


def is_network(target: str) -> bool:
    """Whether a text names a Python file, or a network in one: `model.py`, `model.py:net`."""
    return divided(target)[0].endswith(".py")


def network(target: str) -> NetworkFile:
    """The network that such a text names; the file is executed.

    Raises `ModelError`, also where Nengo is not installed; see `spikec.nengo.files.read_network`.
    """
    try:
        from spikec.nengo.files import read_network
    except ImportError as error:
        raise model_error(
            f"{target} is a Nengo network, and Nengo is not installed", "pip install 'spike-compiler[nengo]'"
        ) from error
    return read_network(*divided(target))
