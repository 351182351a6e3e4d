"""What commands show while they work and where they fail; `spikec.cli` says what they do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click


class Commands(click.Group):
    """Commands that Ctrl-C ends with 130, as shells have it."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _fail("interrupted; what is not complete was not written", 130)


@contextmanager
def errors() -> Iterator[None]:
    """Mistakes of the user are printed and end with 2; failures of the machine with 1."""
    from spike_runtime.manifest import ManifestError
    from spike_runtime.runfile import RunError
    from spike_runtime.units import UnitError

    try:
        yield
    except (ManifestError, RunError, UnitError) as error:
        _fail(f"error: {error}", 2)
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
        _fail(str(error), error.exit_code)


def _fail(message: str, code: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Any]:
    """A progress callback (stage, done, of all) drawn on stderr, where that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("compiling", total=1)
        yield lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total)


def log_passes() -> None:
    """Print what the passes did and declined."""
    import logging

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("spikec").setLevel(logging.INFO)
