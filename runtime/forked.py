"""Processes forked from this one, which answer requests until they are ended; and errors from there."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

from spike_runtime.nursery import die_with

# s that a process has to end by itself.
PATIENCE = 1.0


class GoneError(Exception):
    """A process ended before its time; the message says how."""


class RemoteError(Exception):
    """The cause of an error that came from another process: its traceback there."""


class Process:
    """A process that begins with all that is here: `answer(name, *arguments)` gives replies in it."""

    def __init__(self, answer: Callable[..., Any], core: int | None = None) -> None:
        """`core`: the one to stay on, if any."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, ValueError):  # it may be none, or closed
                stream.flush()  # else it says the same again
        self._channel, there = Pipe()
        self._parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                die_with(self._parent)
                if core is not None:
                    os.sched_setaffinity(0, {core})
                self._channel.close()
                _serve(there, answer)
            finally:
                os._exit(0)  # nothing of the caller's is to be cleaned up here
        there.close()

    def fileno(self) -> int:
        """What to wait for."""
        return self._channel.fileno()

    def send(self, name: str, *arguments: Any) -> None:
        """Ask for something."""
        with contextlib.suppress(OSError):  # `reply` says that it is gone
            self._channel.send((name, arguments))

    def reply(self) -> Any:
        """Wait for the answer; raises what it raised there, or `GoneError`."""
        try:
            well, given = self._channel.recv()
        except (EOFError, OSError):
            raise GoneError(self._how()) from None
        if not well:
            raise unpacked(given)
        return given

    def end(self) -> None:
        """End it: at once where it answers, else it is killed."""
        if os.getpid() != self._parent:
            return
        self._channel.close()
        end = time.monotonic() + PATIENCE
        while self._status() is None and time.monotonic() < end:
            time.sleep(1e-3)
        if self._status() is None:
            os.kill(self.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)

    _ended: int | None = None

    def _status(self) -> int | None:
        """Its exit code, or minus the number of a signal; None where it still runs."""
        if self._ended is None:
            try:
                found, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # the caller waits for all processes that end
                found, status = self.pid, 0
            self._ended = os.waitstatus_to_exitcode(status) if found else None
        return self._ended

    def _how(self) -> str:
        end = time.monotonic() + PATIENCE
        while (code := self._status()) is None and time.monotonic() < end:
            time.sleep(1e-3)
        if code is None:
            return "closed its connection"
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def ready(processes: Sequence[Process], timeout: float | None) -> list[Process]:
    """Those that have answered, or are gone, within `timeout` seconds."""
    return wait(processes, timeout)  # type: ignore[arg-type,return-value]


def end_all(processes: list[Process]) -> None:
    """End them, and forget them."""
    while processes:
        processes.pop().end()


def _serve(channel: Connection, answer: Callable[..., Any]) -> None:
    signal.signal(signal.SIGINT, lambda *_: None)  # the caller's alone
    before = {id(file) for file in _open_files()}
    while True:
        try:
            name, arguments = channel.recv()
        except (EOFError, OSError):
            break
        try:
            reply = True, answer(name, *arguments)
        except BaseException as error:  # whatever it is, the caller is to hear of it
            reply = False, packed(error)
        sys.stdout.flush()  # what functions printed
        channel.send(reply)
    for file in _open_files():
        if id(file) not in before:
            with contextlib.suppress(Exception):
                file.flush()


def _open_files() -> Iterator[io.IOBase]:
    return (item for item in gc.get_objects() if isinstance(item, io.IOBase) and not item.closed)


# ------------------------------------------------------------------------------------------------ errors


class _Pickler(pickle.Pickler):
    """Classes of errors go by their names, also where no module knows them."""

    def persistent_id(self, value: Any) -> tuple[str, str] | None:
        if isinstance(value, type) and issubclass(value, BaseException):
            return value.__module__, value.__qualname__
        return None


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, name: tuple[str, str]) -> type[BaseException]:
        return _found(*name)


def _found(module: str, name: str) -> type[BaseException]:
    """The class of errors of this name, the one that was made last."""
    work: list[type[BaseException]] = [BaseException]
    while work:
        kind = work.pop()
        if (kind.__module__, kind.__qualname__) == (module, name):
            return kind
        work += type.__subclasses__(kind)
    raise LookupError(f"there is no {module}.{name} here")


def packed(error: BaseException) -> tuple[Any, ...]:
    """An error for another process: all that can be sent of it, the most first, and its traceback."""
    kind = type(error)
    shapes = error, (kind, error.args, vars(error)), (kind, error.args), (kind, (str(error),))
    told = "".join(traceback.format_exception(error)).rstrip()
    return tuple(data for shape in shapes if (data := _bytes(shape))), kind.__qualname__, str(error), told


def _bytes(value: Any) -> bytes:
    buffer = io.BytesIO()
    try:
        _Pickler(buffer).dump(value)
    except Exception:  # whatever an object raises when it is asked for its state
        return b""
    return buffer.getvalue()


def unpacked(given: tuple[Any, ...]) -> BaseException:
    """The error, of its own class where that is one here; its cause tells where it was raised."""
    shapes, name, text, told = given
    error: BaseException = RuntimeError(f"{name}: {text}")
    for data in shapes:
        with contextlib.suppress(Exception):  # the class may want other arguments
            made = _Unpickler(io.BytesIO(data)).load()
            error = made if isinstance(made, BaseException) else _made(*made)
            break
    error.__cause__ = RemoteError(f"\n{told}")
    return error


def _made(kind: type[BaseException], args: tuple[Any, ...], more: dict[str, Any] | None = None) -> Any:
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(more or {})
    return error
