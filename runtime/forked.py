"""Processes forked from this one, which answer requests until they are ended; and errors from there."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import pickle
import select
import signal
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, NoReturn

# s that a process has to end by itself.
PATIENCE = 1.0


class GoneError(Exception):
    """A process ended before its time; the message says how."""


class RemoteError(Exception):
    """The cause of an error that came from another process: its traceback there."""


# The caller's ends of all connections.  A forked process closes those that it inherits, of others too: a
# process learns from its connection that its caller is done, or gone, once nobody else has the other end.
_channels: weakref.WeakSet[Connection] = weakref.WeakSet()
_forking = threading.Lock()


class Process:
    """A process that begins with all that is here: `answer(name, *arguments)` gives replies in it.

    It ends when it is ended, or this process is, in whichever thread it was made.
    """

    def __init__(self, answer: Callable[..., Any], core: int | None = None, flushed: bool = False) -> None:
        """`core`: the one to stay on, if any.  `flushed`: all open files are, as another was just made."""
        if not flushed:
            _flush()  # else it writes the same again
        with _forking:
            self._channel, there = Pipe()
            _channels.add(self._channel)
            self._parent = os.getpid()
            self.pid = os.fork()
            if self.pid == 0:
                _forking.release()  # functions may fork too
                _live(there, answer, core)
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

    def close(self) -> None:
        """Have it end once it has answered."""
        self._channel.close()

    def end(self, latest: float) -> None:
        """Wait until it has ended, or kill it, at this time of `time.monotonic`."""
        if os.getpid() != self._parent:
            return
        while self._status() is None and time.monotonic() < latest:
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
    """End them, and forget them: those that answer end by themselves, others are killed."""
    for process in processes:
        process.close()
    latest = time.monotonic() + PATIENCE
    while processes:
        processes.pop().end(latest)


def _live(channel: Connection, answer: Callable[..., Any], core: int | None) -> NoReturn:
    """The life of a process that was forked."""
    code = 1
    try:
        for other in _channels:
            other.close()
        _channels.clear()
        threading.Thread(target=_watch, args=(channel.fileno(),), daemon=True).start()
        if core is not None:
            os.sched_setaffinity(0, {core})
        _serve(channel, answer)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            _flush()
        os._exit(code)  # nothing of the caller's is to be cleaned up here


def _watch(descriptor: int) -> None:
    """End this process where the caller is gone, and what is asked for does not come to an end."""
    poll = select.poll()
    poll.register(descriptor, 0)  # whatever it is told, it tells of the end
    poll.poll()
    time.sleep(PATIENCE)
    os._exit(1)


def _serve(channel: Connection, answer: Callable[..., Any]) -> None:
    signal.signal(signal.SIGINT, lambda *_: None)  # the caller's alone
    while True:
        try:
            name, arguments = channel.recv()
        except (EOFError, OSError):
            return
        try:
            reply = True, answer(name, *arguments)
        except BaseException as error:  # whatever it is, the caller is to hear of it
            reply = False, packed(error)
        _flush_streams()  # what functions printed
        with contextlib.suppress(OSError):  # the caller is gone: nothing is received then
            channel.send(reply)


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # it may be none, or closed
            stream.flush()


def _flush() -> None:
    """Have all that was written to open files in them."""
    _flush_streams()
    for item in gc.get_objects():
        if issubclass(type(item), io.IOBase):  # unlike `isinstance`, it asks no objects for their class
            with contextlib.suppress(Exception):  # whatever files of the caller's raise
                if not item.closed and item.writable():
                    item.flush()


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
