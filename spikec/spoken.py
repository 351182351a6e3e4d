"""Messages in the words of Python: options of the commands become arguments of functions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from spike_runtime.manifest import ManifestError
from spike_runtime.runfile import RunError, RunFailedError

from spikec.errors import ModelError, SpikeError

_TRUE = ("overwrite", "allow-outside")
_NAMES = {"n": "partitions", "o": "output", "param": "parameters"}
# Those that functions take too.  Others are of the user's own texts, as what functions of a model raise.
OPTIONS = (
    *("output", "param", "seed", "dt", "precision", "transport", "host-profile", "hosts", "jobs"),
    *("memory-limit", "allow-outside", "partitions", "time", "overwrite"),
    *("save-state", "save-every", "load-state", "load-weights"),
)
# An option with its value, where one is written; what follows the name of a command belongs to that.
_OPTION = re.compile(
    r"(?P<command>\b(?:python -m|spike-run|spikec|make) [^;,\n]*)"
    rf"|(?<![\w-])-(?P<name>n|o|-(?:{'|'.join(OPTIONS)}))(?![\w-])"
    r"(?: (?P<value>\d[\w.]*|auto|ring|reference|float\d\d))?"
)


def in_python(text: str) -> str:
    """A message with arguments of functions in place of options: `partitions=2` for `-n 2`."""
    return _OPTION.sub(_argument, text)


def _argument(found: re.Match[str]) -> str:
    if found["command"]:
        return found[0]
    name, value = found["name"].lstrip("-"), found["value"] or ""
    if name in _TRUE:
        value = "True"
    elif value and not value.isdecimal():
        value = f'"{value}"'
    return f"{_NAMES.get(name, name).replace('-', '_')}={value}"


@contextmanager
def arguments() -> Iterator[None]:
    """Errors of this block name arguments in place of options."""
    try:
        yield
    except ModelError as error:
        error.diagnostics = [
            replace(one, message=in_python(one.message), hint=in_python(one.hint))
            for one in error.diagnostics
        ]
        error.args = ("\n".join(one.render(error.sources) for one in error.diagnostics),)
        raise
    except (SpikeError, RunError, RunFailedError, ManifestError) as error:
        error.args = (in_python(str(error)),)
        raise
