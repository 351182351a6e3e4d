"""Content-addressed cache on disk."""

from __future__ import annotations


class Cache:
    """Placeholder until the end of the hour."""
