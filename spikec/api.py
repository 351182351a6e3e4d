"""From Python what the commands do: compile, inspect, run, and get each probe as an xarray `DataArray`."""

from __future__ import annotations

import atexit
import errno
import os
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypedDict, Unpack

from spike_runtime.manifest import NAME, STATE, Manifest, find, load

from spikec import frontend, models, spoken
from spikec.errors import ModelWarning, model_error, writing
from spikec.graph import Graph
from spikec.pipeline import Options, Progress, compile_graph
from spikec.records import dataclass


@dataclass(frozen=True, repr=False)
class Compiled:
    """A compiled model in the folder `folder`; in a notebook it draws itself."""

    folder: Path
    manifest: Manifest

    def __repr__(self) -> str:
        about = self.manifest
        return (
            f"Compiled({str(self.folder)!r}: {about.model}, {about.neurons:,} neurons in "
            f"{len(about.partitions)} partition{'s' * (len(about.partitions) > 1)}, {about.precision})"
        )

    @property
    def path(self) -> Path:
        """The manifest's file."""
        return self.folder / NAME

    def inspect(self, run: Any = None) -> Any:
        """The plan, and with a run, or its directory, what that took: `to_text()` and `to_json()` of it."""
        from spikec.views.report import report

        if isinstance(run, (str, Path)):
            from spike_runtime.results import open_run

            run = open_run(run)
        made = report(self.manifest, run)
        return replace(made, advice=spoken.in_python(made.advice))

    def draw(self, path: Path | str) -> None:
        """Write an SVG picture of the graph, coloured by partition."""
        from spikec.views.draw import draw

        draw(self.manifest, Path(path))

    @spoken.arguments()
    def run(
        self, time: float | str, output: Path | str | None = None, transport: str = "ring", **options: Any
    ) -> Any:
        """Run for `time` (seconds, or text such as "500ms") and return the `Run` with every probe.

        Without `output` the results are kept in a temporary folder as long as the `Run` lives.
        `options` are those of `spike_runtime.launch.run`.  Raises `RunError` where the input is bad,
        `RunFailedError` where the run fails.  Values that are no finite numbers are warned of by
        `ModelWarning`.
        """
        from spike_runtime.runfile import RunError
        from spike_runtime.units import UnitError, seconds

        try:
            duration = seconds(time)
            if options.get("save_every") is not None:
                options["save_every"] = seconds(options["save_every"])
        except UnitError as error:
            raise RunError(str(error)) from None
        made = self._run(duration, output, transport=transport, **options)
        for warning in made.warnings:
            warnings.warn(warning, ModelWarning, stacklevel=3)
        return made

    def _run(self, duration: float, output: Path | str | None, **options: Any) -> Any:
        from spike_runtime.launch import run

        if output is not None:
            return run(self.path, duration, output, **options)
        home = Path(tempfile.mkdtemp(prefix="spike-run-"))
        # Not before: arrays that are read lazily may outlive the run's object.
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        try:
            return run(self.path, duration, home / "run", **options)
        except BaseException as error:
            if getattr(error, "run", None) is None:  # a run that failed holds what it recorded
                shutil.rmtree(home, ignore_errors=True)
            raise

    def _repr_html_(self) -> str:
        from spikec.views.draw import svg

        return svg(self.manifest)


class Compiling(TypedDict, total=False):
    """How to compile (`spikec.pipeline.Options`), and what to set in the model.

    `parameters` are numbers (plain, or in s and Hz) or text such as "20ms"; `dt` is in s or text; a model is
    refused that needs more than `memory_limit`: bytes, or text such as "8GB"; else this machine's memory.
    `hosts` is a file that names several hosts (docs/hosts.md); `progress(stage, done, total)` is called.
    """

    precision: str
    transport: str
    host_profile: str | Path | None
    jobs: int | None
    cache: bool
    hosts: Path | str | None
    progress: Progress | None
    parameters: Mapping[str, float | str] | None
    seed: int | None
    dt: float | str | None
    allow_outside: bool
    memory_limit: float | str | None


@spoken.arguments()
def compile(
    path: Path | str,
    partitions: int | str = 1,
    output: Path | str | None = None,
    **given: Unpack[Compiling],
) -> Compiled:
    """Compile a `.spk` file, or a Nengo network in a Python file (`model.py:net`), for `partitions` (a number
    or "auto").

    `output` is the folder to write (a temporary one where it is not given, kept as long as the result lives).
    What the model says in vain is warned of by `ModelWarning`.
    Raises `ModelError` with all mistakes, those in the arguments included.
    """
    if not isinstance(path, (str, Path)):
        raise model_error(f"the path of a model is text, not {type(path).__name__}", 'write "model.spk"')
    how, settings = _divided(given, partitions)
    model = models.load(str(path), settings, given.get("precision"), how.cache, how.jobs)
    _warn(model.graph)
    return _compiled(model, output, replace(how, precision=model.precision), given.get("progress"))


@spoken.arguments()
def compile_text(
    text: str,
    partitions: int | str = 1,
    output: Path | str | None = None,
    *,
    name: str = "<string>",
    folder: Path | str | None = None,
    **given: Unpack[Compiling],
) -> Compiled:
    """As `compile`, for a model given as text; the files that it names are in `folder`."""
    how, settings = _divided(given, partitions)
    model = models.Model(frontend.loads(text, name, folder, **settings), how.precision)
    _warn(model.graph)
    return _compiled(model, output, how, given.get("progress"))


def _warn(graph: Graph) -> None:
    """Warn of what the front end found, at the line that compiles."""
    for one in graph.warnings:
        warnings.warn(one.render(graph.sources, "warning"), ModelWarning, stacklevel=4)


def _divided(given: Compiling, partitions: int | str) -> tuple[Options, dict[str, Any]]:
    """How to compile, and what is set in the model.  Raises `ModelError` for what there is not."""
    names = {f.name for f in fields(Options)}
    unknown = [name for name in given if name not in Compiling.__annotations__]
    if unknown:
        known = ("partitions", "output", *Compiling.__annotations__)
        near = get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "options: " + ", ".join(known)
        raise model_error(f"there is no option {unknown[0]!r}", hint)
    how = {name: value for name, value in given.items() if name in names}
    model = {name: value for name, value in given.items() if name not in names and name != "progress"}
    return Options(partitions, **how), model  # type: ignore[arg-type]


@spoken.arguments()
def open_manifest(path: Path | str) -> Compiled:
    """A model that was compiled before, by its manifest or its folder.  Raises `ManifestError`."""
    path = find(Path(path))
    return Compiled(path.parent, load(path))


def _compiled(
    model: models.Model, output: Path | str | None, options: Options, progress: Progress | None
) -> Compiled:
    if output is not None:
        check_output(Path(output))
        return _written(model, Path(output), options, progress)
    home = Path(tempfile.mkdtemp(prefix="spikec-"))
    try:
        made = _written(model, home / "model", options, progress)
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    weakref.finalize(made, shutil.rmtree, home, ignore_errors=True)
    return made


def _written(model: models.Model, home: Path, options: Options, progress: Progress | None) -> Compiled:
    manifest = compile_graph(model.graph, home, options, progress, python=model.python, keep=False)
    assert manifest is not None
    return Compiled(home, manifest)


def check_output(folder: Path) -> None:
    """Refuse to replace a folder that holds something else than a compiled model, and places where none can
    be made: better before decoders are solved than after.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / NAME).is_file():
        raise model_error(
            f"the folder {folder} exists and holds no compiled model",
            "name another folder with -o, or empty it first",
        )
    others = [
        p.name
        for p in sorted(folder.glob("*"))
        if p.name not in (NAME, STATE) and not p.name.startswith("partition_")
    ]
    if others:
        raise model_error(
            f"the folder {folder} also holds {', '.join(others[:3])}, which compiling into it would remove",
            "move that away, or name another folder with -o",
        )
    if folder.exists() and not folder.is_dir():
        raise model_error(f"{folder} is a file", "name a folder with -o")
    if Path.cwd().is_relative_to(folder.resolve()):
        raise model_error(
            f"the folder {folder} would be replaced as a whole, and you are in it",
            "name another folder with -o",
        )
    above = next(path for path in folder.absolute().parents if path.exists())
    with writing(folder, "name another folder with -o"):
        if not above.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{above} is a file")
        if not os.access(above, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, f"{above} is read-only")
