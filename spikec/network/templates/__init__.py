"""Networks that models are made of; each module has a function `make`."""

from spikec.network.templates import basalganglia, gate, thalamus

__all__ = ["basalganglia", "gate", "thalamus"]
