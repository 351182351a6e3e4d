"""The command `spike-run`: runs a compiled model, shows how far it is, and sums up where the time went."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from spike_runtime.usage import Telling

# Everything else is imported where it is needed: `--help` must answer at once.
if TYPE_CHECKING:
    from spike_runtime.manifest import Manifest
    from spike_runtime.progress import Progress
    from spike_runtime.results import Run

# Seconds between two lines of progress, where there is no terminal to draw on.
LINE_EVERY = 3.0

_MOST_NAMES = 20
_KINDS = ("compute", "exchange", "waiting", "recording")


class Time(click.ParamType):  # type: ignore[type-arg]  # generic in new versions of click only
    """A time with its unit, in seconds: 2s, 500ms."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from spike_runtime.units import UnitError, seconds

        try:
            return seconds(value)
        except UnitError as error:
            self.fail(str(error), param, ctx)


class _Command(Telling):
    """Ends well where no run sees to that: Ctrl-C before the first step, output that cannot be written."""

    def invoke(self, ctx: click.Context) -> Any:
        sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115 (closed by who started this process)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _exit(130, "interrupted before the first step; nothing was recorded")
        except BrokenPipeError:  # click ends with 1, without a word
            raise
        except OSError as error:
            _exit(1, f"error: {f'{error.filename}: ' * bool(error.filename)}{error.strerror or error}")


@click.command(
    cls=_Command,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""Example: spike-run build/manifest.json --time 2s -o results --plot results.png

    Learn for 10 s, then go on for another 5 s:

    \b
    spike-run build/manifest.json --time 10s --save-state learned.npz
    spike-run build/manifest.json --time 5s --load-state learned.npz

    Exit code: 0 complete, 1 failed, 2 bad input, 130 stopped by Ctrl-C (143 by SIGTERM); what was recorded
    until then is kept.""",
)
@click.version_option(package_name="spike-compiler", message="spike-run %(version)s")
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "--time", "-t", "time", type=Time(), required=True, help="Simulated time, with its unit: 2s, 500ms."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Directory for the results.  [default: MODEL-run-1, MODEL-run-2, ... beside the compiled MODEL]",
)
@click.option(
    "--transport",
    type=click.Choice(["ring", "ipc", "tcp"]),
    default="ring",
    show_default=True,
    help="How partitions of one host exchange: shared memory, or ZeroMQ (local sockets, TCP).  Same results.",
)
@click.option(
    "--hosts",
    metavar="FILE|here",
    help="Where the hosts of the model are, instead of what it was compiled with; here: all on this host.",
)
@click.option("--seed", type=int, help="Seed of the noise, instead of the model's.")
@click.option(
    "--save-state",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Save to this file the state of the model after the last step, what it learned included; also where "
    "Ctrl-C or SIGTERM stops the run (a second one ends it at once, without).",
)
@click.option(
    "--save-every",
    type=Time(),
    help="Save the state to that file also after every so much simulated time, each in place of the last.",
)
@click.option(
    "--load-state",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Go on from a saved state, as if that run had not ended, in any number of partitions.",
)
@click.option(
    "--load-weights",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Begin anew, but with what was learned according to a saved state.",
)
@click.option(
    "--overwrite", is_flag=True, help="Replace the run in the output directory, and the saved state."
)
@click.option(
    "--plot", type=click.Path(path_type=Path), help="Draw the probes to this file (.png, .svg, .pdf)."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option("--quiet", "-q", is_flag=True, help="Print errors only.")
def main(
    manifest: Path,
    time: float,
    output: Path | None,
    transport: str,
    hosts: str | None,
    seed: int | None,
    save_state: Path | None,
    save_every: float | None,
    load_state: Path | None,
    load_weights: Path | None,
    overwrite: bool,
    plot: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run the compiled model of MANIFEST (a file, or the directory it is in) and record its probes."""
    from spike_runtime import launch
    from spike_runtime.manifest import ManifestError, find, load
    from spike_runtime.runfile import RunError

    _check_files(save_every, save_state, load_state, load_weights)
    try:
        path = find(manifest)
        _check_picture(plot)
        model = load(path)
        if not quiet:
            _announce(model)
        with _bar(show=not quiet, lines=not as_json) as progress:
            run = launch.run(
                path, time, output, transport, seed, progress, overwrite, hosts=hosts,
                save_state=save_state, save_every=save_every, load_state=load_state,
                load_weights=load_weights, loaded=model,
            )  # fmt: skip
    except (ManifestError, RunError) as error:
        _exit(2, f"error: {error}", _described(error) if as_json else None)
    except launch.RunFailedError as error:
        lines = [_failure(error), *_drawn(error.run, plot)]
        _exit(1, "\n".join(lines), _described(error, error.run) if as_json else None)
    if plot:
        _draw(run, plot, as_json)
    if as_json:
        click.echo(json.dumps(summary(run), indent=1))
    elif not quiet:
        click.echo(describe(run, plot, save_state is not None))
    if run.status == "stopped":
        sys.exit(128 + int(run.about.cause.removeprefix("signal ")))


def _check_files(
    every: float | None, save_state: Path | None, load_state: Path | None, load_weights: Path | None
) -> None:
    """Refuse options that do not go together, by their names here."""
    if every is not None and save_state is None:
        raise click.UsageError("--save-every needs --save-state FILE, the file to save the state to")
    if load_state and load_weights:
        raise click.UsageError(
            "--load-weights takes what was learned, --load-state everything; give one of them"
        )


def _announce(model: Manifest) -> None:
    """Say what Python of the user's own a run will execute."""
    for part in model.partitions:
        if part.python:
            calls = [what for call in part.python.calls for what in call]
            more = f" and {len(calls) - 3} more" if len(calls) > 3 else ""
            click.echo(
                f"note: partition {part.index} runs Python of the model: {', '.join(calls[:3])}{more}",
                err=True,
            )


def _check_picture(plot: Path | None) -> None:
    """Refuse before the run what could not be drawn after it."""
    if plot:
        from spike_runtime.plot import check_file

        check_file(plot)


def _draw(run: Run, plot: Path, as_json: bool) -> None:
    from spike_runtime.runfile import RunError

    try:
        from spike_runtime.plot import plot_run

        plot_run(run, plot)
    except RunError as error:
        told = _described(error, run) if as_json else None
        _exit(1, f"error: {error}\n  the results are in {run.path}", told)
    except KeyboardInterrupt:
        text = "interrupted before the picture was drawn"
        told = _described(KeyboardInterrupt(text), run) if as_json else None
        _exit(130, f"{text}; the results are in {run.path}", told)


def _drawn(run: Run | None, plot: Path | None) -> list[str]:
    """Draw what a run recorded that failed; what there is to say of that."""
    from spike_runtime.runfile import RunError

    if run is None or plot is None:
        return []
    if not run.about.recorded:
        return [f"  {plot} was not drawn: nothing was recorded"]
    try:
        from spike_runtime.plot import plot_run

        plot_run(run, plot)
    except RunError as error:
        return [f"  {plot} was not drawn: {error}"]
    return [f"  picture of what was recorded: {plot}"]


def summary(run: Run) -> dict[str, Any]:
    """The run in numbers: us per step of each partition, real-time factor, where results and state are."""
    about = run.about
    return {
        "model": about.model,
        "status": about.status,
        "path": str(run.path),
        "probes": list(run.names),
        "state": about.state or None,
        "state_s": about.state_step * about.dt if about.state else None,
        "start_s": about.start * about.dt,
        "simulated_s": about.recorded * about.dt,
        "wall_s": about.wall,
        "notes": list(about.notes),
        "not_finite_s": {name: step * about.dt for name, step in about.not_finite.items()},
        "real_time_factor": about.recorded * about.dt / about.wall if about.wall else None,
        "transport": about.transport,
        "us_per_step": list(run.measured),
    }


def describe(run: Run, plot: Path | None = None, saves: bool = False) -> str:
    """The summary as text for people; `saves`: the state was to be saved."""
    about = run.about
    simulated = about.recorded * about.dt
    speed = f", {simulated / about.wall:.3g} times real time" if about.wall else ""
    lines = [f"{about.model}: {simulated:g} s simulated in {about.wall:.3g} s{speed}"]
    if about.start:
        lines[0] += f"; went on after {about.start * about.dt:g} s"
    if about.status == "stopped":
        lines[0] += f"; stopped before {(about.start + about.steps) * about.dt:g} s"
    lines.append(f"{'us per step':<12}" + "".join(f"{kind:>11}" for kind in _KINDS) + f"{'total':>11}")
    for number, kinds in enumerate(run.measured):
        numbers = [*(kinds[kind] for kind in _KINDS), sum(kinds.values())]
        lines.append(f"partition {number:<2}" + "".join(f"{value:11.2f}" for value in numbers))
    lines.append(f"results: {run.path} ({_listed(run.names) or 'no probes'})")
    lines += [f"warning: {warning}" for warning in run.warnings]
    lines += [f"note: {note}" for note in about.notes]
    if plot:
        lines.append(f"picture: {plot}")
    if saves:
        lines.append(f"state: {_state(run)}")
    return "\n".join(lines)


def _listed(names: Sequence[str]) -> str:
    """Names of probes: the first of many."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:_MOST_NAMES])} and {more:,} more"


def _state(run: Run) -> str:
    """Where the state is, and where that is not the last of the run: after which time, and how to go on."""
    about = run.about
    if not about.state:
        return "not saved, the run was stopped twice"
    rest = about.start + about.steps - about.state_step
    if not rest:
        return about.state
    more = f"--load-state {shlex.quote(about.state)} --time {rest * about.dt:.12g}s"
    return f"{about.state}, after {about.state_step * about.dt:.12g} s; to go on: {more}"


def _failure(error: Any) -> str:
    """What failed, the last lines of the partition's own output, and what is left of the results."""
    lines = [f"error: {error}"]
    if error.run is not None and error.run.about.recorded:
        about = error.run.about
        lines.append(f"  the first {about.recorded * about.dt:g} s were recorded in {error.run.path}")
        lines += [f"  {warning}" for warning in error.run.warnings]
    if error.run is not None and error.run.about.state:
        lines.append(f"  the last state that was saved: {_state(error.run)}")
    lines += [f"  | {line}" for line in error.details.splitlines()[-3:]]
    return "\n".join(lines)


def _described(error: BaseException, run: Run | None = None) -> dict[str, Any]:
    """What went wrong as data, beside the summary of what was run."""
    return (summary(run) if run else {}) | {"errors": [{"message": str(error)}]}


def _exit(code: int, message: str, described: dict[str, Any] | None = None) -> NoReturn:
    """End with a message, also as data where a program reads that."""
    if described is not None:
        click.echo(json.dumps(described, indent=1))
    click.echo(message, err=True)
    sys.exit(code)


class _bar:  # noqa: N801 (used like a function)
    """A progress bar on standard error: what is compiled; simulated time, real-time factor, remaining time.

    Where that is no terminal, a line every few seconds while programs are compiled, if `lines`.
    """

    def __init__(self, show: bool, lines: bool) -> None:
        self._show, self._lines = show, lines
        self._progress: Any = None
        self._next = LINE_EVERY

    def __enter__(self) -> Callable[[Progress], None] | None:
        if not self._show:
            return None
        if not sys.stderr.isatty():
            return self._print if self._lines else None
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}")
        self._progress = Bar(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
        self._progress.start()
        self._task = self._progress.add_task("starting", total=None, text="")
        self._progress.refresh()
        return self._update

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()

    def _print(self, now: Progress) -> None:
        if now.compiling and now.elapsed > self._next:
            self._next = now.elapsed + LINE_EVERY
            click.echo(f"compiling {now.compiling}, {now.elapsed:.0f} s", err=True)

    def _update(self, now: Progress) -> None:
        if now.compiling:
            text = f"{now.compiling}, {now.elapsed:.0f} s"
            self._progress.update(self._task, description="compiling", text=text, refresh=True)
            return
        text = (
            f"{now.step * now.dt:.3f} / {now.steps * now.dt:g} s, "
            f"{now.real_time_factor:.3g} times real time, {now.remaining:.0f} s left"
        )
        self._progress.update(
            self._task, description="running", completed=now.step, total=now.steps, text=text, refresh=True
        )


if __name__ == "__main__":
    main()
