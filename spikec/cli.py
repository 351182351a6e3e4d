"""`spikec`: the only place of the compiler that prints or exits.

Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted by Ctrl-C.
"""

from __future__ import annotations

import gc
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from spikec.console import Commands, errors, log_passes, note, progress_bar, say, time_step, warn

T = TypeVar("T")

MODEL = click.Path(exists=False, dir_okay=False, path_type=Path)
STAGES = ("lower", "drop", "share", "fold", "advance", "build", "narrow", "split", "plan", "program")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="spike-compiler", message="spikec %(version)s")
def main() -> None:
    """Compile spiking neural networks for many cores.

    \b
    spikec compile models/product.spk -n 2 -o build/product
    spike-run build/product/manifest.json --time 2s -o runs/product
    spikec inspect build/product/manifest.json runs/product
    """


def _model_options(command: Any) -> Any:
    for option in (
        click.option(
            "--param", "parameters", multiple=True, metavar="NAME=VALUE", help="Set a param, as tau=20ms."
        ),
        click.option("--seed", type=int, help="Replace the model's seed."),
        click.option("--dt", metavar="TIME", help="Replace the model's time step, for example 1ms."),
        click.option("--memory-limit", metavar="SIZE", help="Refuse a model that needs more [all there is]."),
        click.option("--allow-outside", is_flag=True, help="Let the model read files outside of its folder."),
    ):  # fmt: skip
        command = option(command)
    return command


@main.command("compile")
@click.argument("model", type=MODEL)
@click.option(
    "-n",
    "--partitions",
    default="1",
    metavar="N",
    help="Number of partitions, or auto (the fastest predicted).",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder to write [build/NAME].")
@click.option(
    "--precision",
    type=click.Choice(["float32", "float64"]),
    help="Of all that is computed [float32; of a Nengo network what nengo.rc says].",
)
@click.option(
    "--transport",
    type=click.Choice(["ring", "ipc", "tcp"]),
    default="ring",
    show_default=True,
    help="What the plan assumes.",
)
@click.option(
    "--host-profile",
    metavar="FILE",
    help="Costs of a host measured before; reference: those shipped with Spike.",
)
@click.option(
    "--hosts", metavar="FILE", help="Spread the model over the hosts of this file (see docs/hosts.md)."
)
@click.option("--jobs", type=click.IntRange(min=1), help="Cores to use for solving decoders [all].")
@click.option("--no-cache", is_flag=True, help="Solve and cut again what was before.")
@click.option(
    "--dump",
    type=click.Choice(STAGES),
    metavar="STAGE",
    help=f"Print what a stage made and stop: {', '.join(STAGES)}.",
)
@click.option("--verbose", is_flag=True, help="Say what the passes did and declined.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@_model_options
def compile_command(model: Path, output: Path | None, **options: Any) -> None:
    """Compile MODEL into programs and a manifest.

    MODEL is a .spk file, or a Nengo network in a Python file.

    \b
    spikec compile models/product.spk -n 2 -o build/product
    spikec compile model.py:net -n 2 -o build/model
    """
    # Known before BLAS is loaded, so that it starts no threads: the compiler has processes of its own.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with errors(options["as_json"]), _collector_off():
        from spikec.api import check_output
        from spikec.models import name_of

        folder = output or Path("build") / name_of(str(model))
        if not options["dump"]:
            check_output(folder)
        _compile(str(model), folder, options)


@contextmanager
def _collector_off() -> Iterator[None]:
    """No search for garbage while modules are loaded and a model is compiled, nor at the end for what the end
    of the process frees anyway: together they take as long as many a model.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _compile(target: str, folder: Path, given: dict[str, Any]) -> None:
    from spikec import models, pipeline
    from spikec.dump import dump
    from spikec.passes.drop import unobserved

    if given["verbose"]:
        log_passes()
    options = pipeline.Options(
        partitions=_partitions(given["partitions"]),
        transport=given["transport"],
        host_profile=given["host_profile"],
        jobs=given["jobs"],
        cache=not given["no_cache"],
        hosts=given["hosts"],
    )

    def look(stage: str, made: Any) -> bool:
        if stage == given["dump"]:
            click.echo(dump(stage, made), nl=False)
        return bool(stage != given["dump"])

    with progress_bar(given["quiet"] or given["as_json"] or bool(given["dump"])) as progress:
        settings = _model_arguments(given)
        model = models.load(target, settings, given["precision"], options.cache, options.jobs)
        options = replace(options, precision=model.precision)
        left_out = [] if given["quiet"] else unobserved(model.graph)
        manifest = pipeline.compile_graph(model.graph, folder, options, progress, look, model.python, False)
    if manifest is None or (given["quiet"] and not given["as_json"]):
        return
    from spikec.views.report import report

    if not given["quiet"]:
        warn(model.graph)
        note(model.notes, left_out)
    made = report(manifest)
    if given["as_json"]:
        click.echo(made.to_json(warnings=[warning.as_data() for warning in model.graph.warnings]))
        return
    path = folder / "manifest.json"
    click.echo(f"{made.to_text()}\nWritten: {path}\nNext:    spike-run {shlex.quote(str(path))} --time 1s")


def _partitions(text: str) -> int | str:
    from spikec.errors import model_error

    if text == "auto":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise model_error(f"-n {text} is not a number of partitions", "give 1 or more, or auto")
    return int(text)


def _model_arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Settings of a model from the command line: texts are read where those from Python are."""
    from spikec.errors import model_error
    from spikec.language.settings import quantity
    from spikec.language.values import Mistake

    parameters: dict[str, str] = {}
    for text in given["parameters"]:
        name, _, value = (part.strip() for part in text.partition("="))
        try:
            quantity(value)
        except Mistake as mistake:
            hint = mistake.diagnostic.hint if "unit" in mistake.diagnostic.message else ""
            example = "for example --param n=200 --param tau=20ms"
            raise model_error(
                f"--param {text} is not NAME=VALUE with a number", "; ".join(filter(None, (hint, example)))
            ) from None
        parameters[name] = value
    return {
        "parameters": parameters,
        "seed": given["seed"],
        "dt": time_step(given["dt"]),
        "allow_outside": given["allow_outside"],
        "memory_limit": given["memory_limit"],
    }


@main.command()
@click.argument("models", nargs=-1, required=True, type=MODEL)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@_model_options
def check(models: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    """Check MODELS and say what is in them.

    Populations are drawn, nothing is solved, and nothing written.

    \b
    spikec check models/product.spk
    """
    with errors(as_json):
        import json

        from spikec.models import contents, load
        from spikec.nef.build import check_populations

        given = _model_arguments(options)

        def look(path: Path) -> dict[str, Any]:
            model = load(str(path), given, solved=False)
            check_populations(model.graph)
            made = contents(model)
            if not as_json:
                say(made, model.graph)
            return made

        found = _each(models, look)
        if as_json:
            click.echo(json.dumps(found[0] if len(models) == 1 else found))


def _each(files: tuple[Path, ...], action: Callable[[Path], T]) -> list[T]:
    """What `action` gives for every file; mistakes in all of them are raised together."""
    from spikec.errors import Diagnostic, ModelError

    made: list[T] = []
    diagnostics: list[Diagnostic] = []
    sources: dict[str, str] = {}
    for path in files:
        try:
            made.append(action(path))
        except ModelError as error:
            diagnostics += error.diagnostics
            sources |= error.sources
    if diagnostics:
        raise ModelError(diagnostics, sources)
    return made


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--check", "only_check", is_flag=True, help="Change nothing; exit with 1 where a file is not formatted."
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON which files were changed.")
def fmt(files: tuple[Path, ...], only_check: bool, as_json: bool) -> None:
    """Format FILES in the canonical style.

    - stands for the standard input, and is printed.

    \b
    spikec fmt models/*.spk
    """
    with errors(as_json):
        import json

        from spikec.formatting import formatted, written

        # All are formatted before any is written: a mistake in one leaves all as they are.
        texts = dict(zip(files, _each(files, formatted), strict=True))
        made = [written(path, *text, only_check) for path, text in texts.items()]
        if as_json:
            click.echo(json.dumps(made))
        for one in () if as_json else made:
            if "text" in one:
                click.echo(one["text"], nl=False)
            elif one["changed"]:
                click.echo(f"{'would format' if only_check else 'formatted'} {one['file']}")
        if only_check and any(one["changed"] for one in made):
            sys.exit(1)


@main.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.option(
    "--svg",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a picture of the graph, coloured by partition.",
)
def inspect(manifest: Path, run: Path | None, as_json: bool, svg: Path | None) -> None:
    """Show a plan, a run of it, or a saved state.

    MANIFEST is a compiled model, a run, or a file of --save-state.

    \b
    spikec inspect build/product/manifest.json runs/product --svg plan.svg
    spikec inspect runs/product
    """
    with errors(as_json):
        from spike_runtime.manifest import find, is_run, is_saved_state, load

        if run is None and is_run(manifest):
            from spikec.views.report import run_from

            manifest, run = run_from(manifest), manifest
        if run is svg is None and (is_saved_state(manifest) or manifest.suffix == ".npz"):
            from spikec.views import saved

            click.echo(saved.as_json(manifest) if as_json else saved.as_text(manifest))
            return
        from spikec.views.report import report

        loaded = load(find(manifest))
        results = None
        if run is not None:
            from spike_runtime.results import open_run

            results = open_run(run)
        made = report(loaded, results)
        click.echo(made.to_json() if as_json else made.to_text())
        if svg is not None:
            from spikec.errors import writing
            from spikec.views.draw import draw

            with writing(svg, "name another file with --svg"):
                draw(loaded, svg)
            click.echo(f"Written: {svg}", err=as_json)


@main.command()
@click.option("--clear", is_flag=True, help="Remove it all; it is made again when it is needed.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def cache(clear: bool, as_json: bool) -> None:
    """Show what Spike keeps on this machine, and how large that is.

    It lies in ~/.cache/spike, or where XDG_CACHE_HOME says.

    \b
    spikec cache --clear
    """
    with errors(as_json):
        from spikec import housekeeping

        found = housekeeping.found()
        if clear:
            housekeeping.clear(found)
        click.echo(housekeeping.as_json(found, clear) if as_json else housekeeping.as_text(found, clear))


@main.command()
@click.argument("network", metavar="FILE.py:NAME")
@click.option(
    "-o", "--output", type=MODEL, metavar="FILE", help="File to write [NAME of the Python file.spk]."
)
@click.option("--overwrite", is_flag=True, help="Replace the file, and the arrays that it names.")
@click.option(
    "--precision", type=click.Choice(["float32", "float64"]), help="To build in [what nengo.rc says]."
)
@click.option("--seed", type=int, help="Replace the network's seed.")
@click.option("--dt", metavar="TIME", help="The time step [1ms].")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def translate(network: str, as_json: bool, **options: Any) -> None:
    """Write a Nengo network as a .spk file.

    It compiles to the same results, byte for byte.  The Python file is executed.  The arrays that Nengo made
    lie in a folder beside the .spk file.

    \b
    spikec translate model.py:net -o model.spk
    """
    # As for compiling, so that what Nengo solves is the same.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with errors(as_json):
        from spikec.models import translated

        dt = options.pop("dt")
        made = translated(network, dt=time_step(dt), **options)
        click.echo(made.to_json() if as_json else made.to_text())


if __name__ == "__main__":
    main()
