"""The hosts file: over which hosts a model is spread, where they are reached, how a command is started there.

[[host]]
name = "desk"                        # what messages call it
address = "192.168.1.10"             # where its partitions receive, as the other hosts reach it
cores = 8

[[host]]
name = "node2"
address = "192.168.1.11"
cores = 16
profile = "node2.json"               # its costs, as measured there; default: those of this host
launch = ["ssh", "node2"]            # what starts a command there; default: nothing, it is this host
folder = "/home/me/product"          # where the compiled model lies there; default: the same path
python = "/home/me/spike/bin/python" # which Python runs Spike there; default: the same path
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spike_runtime.manifest import Host, ManifestError

MOST_CORES = 4096
_KEYS = ("name", "address", "cores", "profile", "launch", "folder", "python")
_EXAMPLE = 'write [[host]], and below it name = "...", address = "..." and cores = ...'


class HostsError(ManifestError):
    """The hosts file cannot be used; one line for each mistake, with its place and what to do."""


@dataclass(frozen=True)
class Entry:
    """One host of a hosts file; `profile` is the file with its costs, if one is named."""

    host: Host
    profile: Path | None = None


def load(path: Path) -> tuple[Entry, ...]:
    """The hosts of a file, in its order.  Raises `HostsError` with all mistakes."""
    try:
        text = path.read_text(encoding="utf-8")
        body = tomllib.loads(text)
    except OSError as error:
        raise HostsError(f"cannot read the hosts file {path}: {error.strerror}") from None
    except ValueError as error:
        raise HostsError(f"{path} is not a hosts file: {error}; {_EXAMPLE}") from None
    tables = body.pop("host", [])
    places = _Places(path, text)
    if not isinstance(tables, list) or not tables or not all(isinstance(t, dict) for t in tables):
        raise HostsError(f"{path} names no hosts; {_EXAMPLE}")
    mistakes = [f"{places.of_key(k)}: there is no {k!r} outside of [[host]]; {_EXAMPLE}" for k in body]
    for number, table in enumerate(tables):
        mistakes += [f"{places.of(number, key)}: {what}" for key, what in _mistakes(table, tables[:number])]
    if mistakes:
        raise HostsError("\n".join(mistakes))
    return tuple(_entry(table, path.parent) for table in tables)


def _entry(table: dict[str, Any], folder: Path) -> Entry:
    host = Host(
        table["name"],
        table["address"],
        table["cores"],
        tuple(table.get("launch", ())),
        table.get("folder", ""),
        table.get("python", ""),
    )
    return Entry(host, folder / table["profile"] if "profile" in table else None)


def _mistakes(table: dict[str, Any], before: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """(key, what is wrong) of one host; `before` are the hosts above it."""
    for key in table:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, 1)
            advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_KEYS)}"
            yield key, f"a host has no {key!r}; {advice}"
    for key, check in _CHECKS.items():
        if key in table and (wrong := check(table[key])):
            yield key, f"{key} = {table[key]!r}: {wrong}"
        elif key not in table and key in ("name", "address", "cores"):
            yield "", f"the host has no {key}; {_EXAMPLE}"
    name = table.get("name")
    if name in [other.get("name") for other in before]:
        yield "name", f"two hosts are called {name!r}; give each a name of its own"
    if not table.get("launch"):
        for key in {"folder", "python"} & set(table):
            yield key, f'{key} is for hosts that are reached with launch = ["ssh", "..."]; remove it'


def _name(value: Any) -> str:
    right = isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._-]+", value)
    return "" if right else "a name has letters, digits, '.', '_' and '-'"


def _address(value: Any) -> str:
    right = isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._-]+", value)
    return "" if right else "give the name or IPv4 address by which the other hosts reach it, without a port"


def _cores(value: Any) -> str:
    right = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_CORES
    return "" if right else f"give a whole number from 1 to {MOST_CORES}"


def _launch(value: Any) -> str:
    right = isinstance(value, list) and all(isinstance(word, str) and word for word in value)
    return "" if right else 'give a command as a list of words, for example ["ssh", "node2"]'


def _absolute(value: Any) -> str:
    right = isinstance(value, str) and value.startswith("/")
    return "" if right else "give an absolute path on that host"


def _file(value: Any) -> str:
    return "" if isinstance(value, str) and value else "give a file, relative to this one"


_CHECKS = {
    "name": _name, "address": _address, "cores": _cores, "profile": _file, "launch": _launch,
    "folder": _absolute, "python": _absolute,
}  # fmt: skip


class _Places:
    """Where in the file a key of a host stands, for messages: TOML's parser does not say."""

    def __init__(self, path: Path, text: str) -> None:
        self._path, self._lines = path, text.splitlines()
        header = re.compile(r"\s*\[\[\s*host\s*\]\]")
        self._headers = [k for k, line in enumerate(self._lines) if header.match(line)]

    def of(self, host: int, key: str) -> str:
        """Place of a key of a host, or of the host where it has no such line."""
        if host >= len(self._headers):  # written as inline tables
            return str(self._path)
        ends = [*self._headers, len(self._lines)]
        return self._find(key, ends[host], ends[host + 1], default=ends[host])

    def of_key(self, key: str) -> str:
        """Place of a key outside of the hosts."""
        return self._find(key, 0, len(self._lines), default=0)

    def _find(self, key: str, first: int, stop: int, default: int) -> str:
        pattern = re.compile(rf"\s*\[*\s*[\"']?{re.escape(key)}[\"']?\s*[=\].]")
        found = (k for k in range(first, stop) if key and pattern.match(self._lines[k]))
        return f"{self._path}:{next(found, default) + 1}"
