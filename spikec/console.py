"""What commands show while they work and where they fail; `spikec.cli` says what they do."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, NoReturn

import click
from spike_runtime.usage import Telling

# Seconds between two lines of progress, where there is no terminal to draw on.
LINE_EVERY = 5.0


class Commands(Telling, click.Group):
    """Commands that Ctrl-C ends with 130, as shells have it."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115 (closed by who started this process)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _fail("interrupted; what is not complete was not written", 130)


@contextmanager
def errors(as_json: bool = False) -> Iterator[None]:
    """Mistakes of the user are printed and end with 2; failures of the machine with 1.

    `as_json`: also as JSON on the standard output, where a program reads the result:
    `{"errors": [{"message", "hint", "file", "line", "column", "end_line", "end_column", "notes"}]}`.
    """
    from spike_runtime.manifest import ManifestError
    from spike_runtime.runfile import RunError
    from spike_runtime.units import UnitError

    try:
        yield
    except (ManifestError, RunError, UnitError) as error:
        _fail(f"error: {error}", 2, [{"message": str(error)}] if as_json else None)
    except BrokenPipeError:
        # Who reads the output has had enough: nothing to say, and nowhere to say it.
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        _fail(f"error: {f'{error.filename}: ' * bool(error.filename)}{error.strerror or error}", 1)
    except MemoryError:
        _fail("error: out of memory; make the model smaller, or use float32", 1)
    except Exception as error:  # `spikec` is imported only where something is wrong: commands start faster
        from spikec.errors import SpikeError

        if not isinstance(error, SpikeError):
            raise
        _fail(str(error), error.exit_code, _described(error) if as_json else None)


def _described(error: Any) -> list[dict[str, Any]]:
    """Mistakes as data."""
    from spikec.errors import Diagnostic

    return [one.as_data() for one in getattr(error, "diagnostics", None) or [Diagnostic(str(error))]]


def _fail(message: str, code: int, described: list[dict[str, Any]] | None = None) -> NoReturn:
    if described is not None:
        import json

        click.echo(json.dumps({"errors": described}))
    click.echo(message, err=True)
    sys.exit(code)


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Any]:
    """A progress callback (stage, done, of all) drawn on stderr; a line every few seconds where that is no
    terminal.  None where `quiet`.
    """
    if quiet:
        yield None
    elif not sys.stderr.isatty():
        with _lines() as told:
            yield told
    else:
        from rich.console import Console
        from rich.progress import Progress, TimeElapsedColumn

        columns = *Progress.get_default_columns(), TimeElapsedColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("compiling", total=1)
            yield lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total)


@contextmanager
def _lines() -> Iterator[Any]:
    """A progress callback; a thread writes what it was last told, with the time since the start."""
    try:
        file = sys.stderr.fileno()
    except OSError:  # a stream that is no file
        yield lambda *_: None
        return
    last: list[Any] = ["reading", 0, 1]
    start, over = time.monotonic(), Event()

    def write() -> None:
        while not over.wait(LINE_EVERY):
            stage, done, total = last
            count = f" {done:,} of {total:,}" if total > 1 else ""
            # Not through `sys.stderr`, whose lock a process that is forked meanwhile would inherit.
            os.write(file, f"compiling: {stage}{count}, {time.monotonic() - start:.0f} s\n".encode())

    writer = Thread(target=write, daemon=True)
    writer.start()
    try:
        yield lambda *now: last.__setitem__(slice(None), now)
    finally:
        over.set()
        writer.join()


def log_passes() -> None:
    """Print what the passes did and declined."""
    import logging

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("spikec").setLevel(logging.INFO)


def warn(graph: Any) -> None:
    """Print the warnings of a model's front end; they change no exit code."""
    for one in graph.warnings:
        click.echo(one.render(graph.sources, "warning"), err=True)


def note(notes: Iterable[str], left_out: list[str]) -> None:
    """Print what the user should know of a compiled model; `left_out`: ensembles that it does without."""
    for text in notes:
        click.echo(f"note: {text}", err=True)
    if left_out:
        names = ", ".join(left_out[:5]) + (f" and {len(left_out) - 5} more" if len(left_out) > 5 else "")
        click.echo(f"note: no probe depends on {names}; left out", err=True)


def say(one: dict[str, Any], graph: Any) -> None:
    """What is in a model, with what its users should know."""
    count, probes = one["ensembles"], one["probes"]
    click.echo(
        f"{one['model']}: {one['neurons']:,} neurons in {count} ensemble{'s' * (count != 1)}, "
        f"{probes} probe{'s' * (probes != 1)}, dt {one['dt_s']:g} s; no mistakes"
    )
    for call in one.get("python", ()):
        click.echo(f"{one['model']}: runs in Python: {', '.join(call)}")
    if one.get("python") == []:
        click.echo(f"{one['model']}: nothing runs in Python")
    for what, reason in one.get("because", {}).items():
        click.echo(f"{one['model']}: {what} runs in Python because it {reason}")
    if not probes:
        probe = "nengo.Probe(a, synapse=0.01)" if "python" in one else "probe NAME synapse 10ms"
        hint = f"add one to compile it, for example: {probe}"
        click.echo(f"{one['model']}: warning: it records nothing: it has no probe\n  help: {hint}", err=True)
    warn(graph)


def time_step(text: str | None) -> float | None:
    """The time step that is asked for, in seconds."""
    from spike_runtime.units import UnitError, seconds

    try:
        return seconds(text) if text else None
    except UnitError as error:
        raise UnitError(f"--dt: {error}") from None
