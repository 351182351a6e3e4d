"""Nengo networks in Python files: `model.py:net` is the network `net` of the file `model.py`.

The file is executed, as Python does with a script, because the user named it: once, as a module that is not
`__main__`, with its folder first on the path.  A file of a package is imported, as `python -m` does from the
folder that the package is in.  What it prints goes to the standard error.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import sys
import tokenize
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import field
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

import nengo
from nengo.exceptions import NengoException

from spikec.errors import Diagnostic, ModelError, Span, model_error
from spikec.frontend import called
from spikec.keeping import is_of_folder
from spikec.records import dataclass
from spikec.tracing import purity


@dataclass(frozen=True)
class NetworkFile:
    """A network with the file that made it: `name` is how the file calls it, `model` what we call it."""

    path: Path
    name: str
    network: nengo.Network
    module: ModuleType = field(repr=False)

    @property
    def model(self) -> str:
        """The name of the file, without its suffix, or of its package."""
        return called(self.path)

    @property
    def folder(self) -> Path:
        """That of the file, or of its package."""
        return _folder(self.path)


def read_network(file: str, name: str = "") -> NetworkFile:
    """The network called `name` in a file: one of its attributes, dotted where it is deeper.

    A function is called without arguments, and so is a class of networks.  Where there is no name, the file
    must have only one network that is not part of another.  Raises `ModelError` with what is wrong: no
    such file or name, not a network, or what the file raised, with its traceback.
    """
    path = Path(file)
    source = text(path)
    module = _executed(path, source)
    if not name:
        name = _only(path, module)
    found: Any = module
    for k, part in enumerate(name.split(".")):
        with running(path, source):  # properties are code of the user
            try:
                found = getattr(found, part)
            except AttributeError:
                raise _unknown(path, module, found, name.split(".")[: k + 1]) from None
    return NetworkFile(path, name, _network(path, name, found), module)


# ------------------------------------------------------------------------------------------- executing

# The last file, and what it brought with it of its folder, by name.
_brought: dict[str, ModuleType] = {}


def text(path: Path) -> str:
    """The text of a Python file.  Raises `ModelError`."""
    try:
        with tokenize.open(path) as file:
            return file.read()
    except OSError as error:
        raise model_error(
            f"cannot read {path}: {error.strerror}",
            "give the path of a Python file, for example model.py:net",
        ) from None
    except (SyntaxError, UnicodeDecodeError) as error:
        raise model_error(f"{path} is not text that Python reads: {error}", "save it as UTF-8") from None


def _folder(path: Path) -> Path:
    """The folder that a file is in, or the outermost of its packages."""
    folder = path.resolve().parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def _executed(path: Path, source: str) -> ModuleType:
    """The file as a module, under its own name where no other module has that.

    What the file before brought with it is forgotten: the next may have another module of that name.
    """
    try:
        code = compile(source, str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise _not_python(path, source, error) from None
    for name, earlier in _brought.items():
        if sys.modules.get(name) is earlier:
            del sys.modules[name]
    _brought.clear()
    importlib.invalidate_caches()
    folder = _folder(path)
    # Stays: functions may import when they are called.
    sys.path[:] = [str(folder), *(entry for entry in sys.path if entry != str(folder))]
    if folder != path.resolve().parent and (module := _imported(path, source, folder)):
        return module
    name = path.stem if path.stem not in sys.modules else f"model {path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = _brought[name] = module
    try:
        with running(path, source):
            exec(code, module.__dict__)
    except BaseException:
        sys.modules.pop(name)
        raise
    return module


def _imported(path: Path, source: str, folder: Path) -> ModuleType | None:
    """A file of a package, as what imports it finds it; None where another module has that name."""
    parts = path.resolve().relative_to(folder).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    with running(path, source):
        try:
            __import__(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
    module = sys.modules.get(name)
    return module if module and Path(module.__file__ or "").resolve() == path.resolve() else None


@contextlib.contextmanager
def running(path: Path, source: str, so: str = "there is no network to compile") -> Iterator[None]:
    """Code of the user runs, with arguments of its own and its output apart; what it raises becomes a
    `ModelError` that says what follows from that.
    """
    arguments, sys.argv = sys.argv, [str(path)]
    before = set(sys.modules)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except ModelError:
        raise
    except (Exception, SystemExit) as error:
        raise _raised(path, source, error, so) from error
    finally:
        sys.argv = arguments
        new = {name: module for name, module in list(sys.modules.items()) if name not in before}
        folder = _folder(path)
        _brought.update((name, it) for name, it in new.items() if is_of_folder(vars(it), folder))


def _not_python(path: Path, source: str, error: SyntaxError | ValueError) -> ModelError:
    if not isinstance(error, SyntaxError) or not error.lineno:
        return model_error(f"{path} is not Python: {error}", "save it as text, in UTF-8")
    column = error.offset or 1
    span = Span(str(path), error.lineno, column, error.end_lineno or error.lineno, error.end_offset or column)
    return ModelError([Diagnostic(f"{path.name} is not Python: {error.msg}", span)], {str(path): source})


def _raised(path: Path, source: str, error: BaseException, so: str) -> ModelError:
    """What the user's code raised: its traceback from the file on, and one line with the place there.

    What Nengo itself finds wrong needs no traceback.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [k for k, frame in enumerate(frames) if frame.filename in (str(path), str(path.resolve()))]
    if not own and isinstance(error, NengoException):
        return model_error(f"{path.name}: {so}: {error}", "change the network where Nengo says what is wrong")
    theirs = [k for k, frame in enumerate(frames) if not _is_ours(frame)]
    shown = traceback.TracebackException.from_exception(error)
    shown.stack = traceback.StackSummary.from_list(frames[min([*own, *theirs[:1]], default=0) :])
    if isinstance(error, SystemExit):
        what = "ends the program"
        hint = (
            'put that under if __name__ == "__main__":, and give what the network takes of it a value before'
        )
    else:
        what, hint = f"raised {type(error).__name__}", "its traceback is above"
    span = _place(str(path), source, frames[own[-1]]) if own else None
    diagnostic = Diagnostic(f"{path.name} {what}, so {so}", span, hint, trace="".join(shown.format()))
    return ModelError([diagnostic], {str(path): source})


def _is_ours(frame: traceback.FrameSummary) -> bool:
    return Path(frame.filename).parent == Path(__file__).parent


def _place(file: str, source: str, frame: traceback.FrameSummary) -> Span:
    """Where a frame is; Python counts columns in bytes, from 0."""
    first = frame.lineno or 1
    last = frame.end_lineno or first
    lines = source.splitlines()

    def column(line: int, count: int | None) -> int:
        text = lines[line - 1] if line <= len(lines) else ""
        return len(text.encode()[: count or 0].decode(errors="ignore")) + 1

    return Span(file, first, column(first, frame.colno), last, column(last, frame.end_colno))


# --------------------------------------------------------------------------------------------- finding


def _only(path: Path, module: ModuleType) -> str:
    """The name of the only network of a file."""
    names = list(_networks(vars(module)))
    if len(names) == 1:
        return names[0]
    if names:
        listed = ", ".join(f"{path}:{name}" for name in names)
        raise model_error(f"{path} has {len(names)} networks", f"name one of them: {listed}")
    makers = [name for name, value in vars(module).items() if _makes_networks(value, module)]
    hint = f"where a function makes it, name that: {path}:{makers[0] if makers else 'make_network'}"
    raise model_error(f"{path} has no network outside of its functions", hint)


def _networks(names: Mapping[str, Any]) -> dict[str, nengo.Network]:
    """Networks by their first name, without those that are part of another."""
    found: dict[int, tuple[str, nengo.Network]] = {}
    for name, value in names.items():
        if isinstance(value, nengo.Network) and not name.startswith("__"):
            found.setdefault(id(value), (name, value))
    parts = {id(part) for _, network in found.values() for part in network.all_networks}
    return {name: network for key, (name, network) in found.items() if key not in parts}


def _makes_networks(value: Any, module: ModuleType) -> bool:
    """Whether something of the file itself may make a network when it is called."""
    own = purity.attribute(value, "__module__") == module.__name__
    return own and (inspect.isfunction(value) or _is_class(value)) and not _needed(value)


def _is_class(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, nengo.Network)


def _needed(function: Any) -> list[str]:
    """The arguments without which a function cannot be called."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some that are compiled do not tell
        return []
    return [
        p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]


def _leads_on(value: Any, name: str) -> bool:
    """Whether a network may be named by a name of the file: lists and numbers hold none that could."""
    return not name.startswith("_") and (callable(value) or hasattr(value, "__dict__"))


def _unknown(path: Path, module: ModuleType, inside: Any, parts: list[str]) -> ModelError:
    where = path if inside is module else ".".join(parts[:-1])
    names = [name for name in dir(inside) if _leads_on(getattr(inside, name, None), name)]
    near = get_close_matches(parts[-1], names, n=1)
    networks = list(_networks(vars(module)))
    hint = "name a network, or a function without arguments that returns one"
    if networks:
        hint = "networks there: " + ", ".join(networks)
    if near:
        hint = f"did you mean {'.'.join([*parts[:-1], near[0]])}?"
    return model_error(f"{where} has no {parts[-1]!r}", hint)


def _network(path: Path, name: str, found: Any) -> nengo.Network:
    """What was found, or what it gives when it is called."""
    if isinstance(found, nengo.Network):
        return found
    if not callable(found):
        raise _not_a_network(path, name, found)
    needed = _needed(found)
    if needed:
        raise model_error(
            f"{name} in {path} needs arguments: {', '.join(needed)}",
            "name a network, or a function without arguments that returns one",
        )
    with running(path, text(path)):
        made = found()
    if not isinstance(made, nengo.Network):
        raise _not_a_network(path, f"{name}()", made)
    return made


def _not_a_network(path: Path, name: str, found: Any) -> ModelError:
    return model_error(
        f"{name} in {path} is not a nengo.Network but of the type {type(found).__name__}",
        "name a network, or a function without arguments that returns one",
    )
