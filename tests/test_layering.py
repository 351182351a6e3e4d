"""The rules of the layout: who may import whom, who may print, and how long files and functions are."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"spikec": "spikec", "spike_runtime": "runtime"}

# The compiler in the order in which data passes it.  A file imports from its own layer and those above.
LAYERS = {
    "words": "records store errors expressions cache nef.neurons nef.izhikevich nef.converted",
    "graph": "dataflow edges sparse populations graph plasticity",
    "tracing": "tracing.*",
    "neural engineering": "nef.*",
    "synapse level": "projections program.synapses changes",
    "syntax": "language.syntax language.parser* language.format*",
    "values": "language.values language.context language.outputs language.scope language.signatures "
    "language.files language.settings language.builtins language.evaluate language.vocabulary "
    "language.transforms",
    "checking": "language.elements language.frame language.references language.learning language.memory "
    "language.populate language.inputs language.processes language.noise language.cells "
    "language.solving language.sizes language.links language.imports language.probes language.expand "
    "language.check",
    "lowering": "language.lower* language.loops language.unused frontend",
    "passes": "verify passes.*",
    "layout": "program.layout program.streams program.forms program.demand program.panels program.stages "
    "program.atoms program.places program.membranes program.shown program.calls program.cells "
    "program.learned program.rates program.recordings program.wires program.schedule",
    "planning": "planning.*",
    "output": "program.codegen program.state_names program.state program.emit dump",
    "whole": "pipeline spoken keeping sharing sessions going_on",
    "Nengo": "nengo.*",
    "networks": "network.*",
    "people": "models views.* api formatting housekeeping console cli",
}
# Third-party packages that few files may import: patterns of their modules.
ONLY_IN = {
    "lark": "spikec.language.parser*",
    "networkx": "spikec.dataflow spikec.verify spikec.language.loops",
    "mtkahypar": "spikec.planning.kahypar",
    "zmq": "spike_runtime.wires.*",
    "numcodecs": "spike_runtime.chunks",
    "xarray": "spike_runtime.results",
    "matplotlib": "spike_runtime.plot",
    "click": "spikec.cli spikec.console spike_runtime.cli spike_runtime.usage",
    "rich": "spikec.console spikec.views.* spike_runtime.cli",
    "numba": "spike_runtime.loop spike_runtime.eager spike_runtime.addresses spike_runtime.ops.* "
    "spike_runtime.wires.* spike_runtime.calibrate_*",
    "pytensor": "spike_runtime.loop spike_runtime.ops spike_runtime.ops.* spike_runtime.calibrate_* "
    "spike_runtime.eager",
    "nengo": "spikec.nengo spikec.nengo.*",
    "cloudpickle": "spikec.keeping",
}
# The compiler knows the manifest; its thin layers for people also know runs.
EDGES = {
    "spike_runtime.manifest": "spikec.*",
    "spike_runtime.hosts": "spikec.planning.sites",
    "spike_runtime.session": "spikec.sessions",
    "spike_runtime.apart": "spikec.sessions",
    "spike_runtime.engine": "spikec.network.network",
    "spike_runtime.interrupt": "spikec.nengo.simulator spikec.network.network",
    "spike_runtime.calls": "spikec.sessions spikec.nengo.* spikec.network.*",
    "spike_runtime.python": "spikec.going_on spikec.nengo.recipes spikec.network.python",
    "spike_runtime.launch": "spikec.api",
    "spike_runtime.usage": "spikec.console",
    "spike_runtime.parsing": "spikec.planning.cost",
    "spike_runtime.speed": "spikec.planning.measuring",
    "spike_runtime.version": "spikec.housekeeping spikec.planning.measuring",
    "spike_runtime.units": "spikec.api spikec.cli spikec.console",
    "spike_runtime.results": "spikec.api spikec.cli spikec.views.*",
    "spike_runtime.runfile": "spikec.api spikec.spoken spikec.console spikec.sessions spikec.going_on "
    "spikec.views.* spikec.network.network",
    "spike_runtime.statefile": "spikec.sessions spikec.going_on spikec.views.saved",
}
# Commands, and the workers and who starts them, which are processes of their own.
MAY_PRINT_OR_EXIT = (
    "spikec.cli spikec.console spikec.nef.pool spike_runtime.cli spike_runtime.usage "
    "spike_runtime.calibrate spike_runtime.nursery spike_runtime.forked spike_runtime.worker"
)
MAY_EXECUTE = "spike_runtime.programs spike_runtime.eager spike_runtime.ops.join spikec.nengo.files"
# Python of the user's own model, whose checksum was compared; what a process says that was forked from this.
MAY_UNPICKLE = "spike_runtime.python spike_runtime.forked"
# Writes that pickle, and loads none: all that it may name of the module `pickle` is the class that writes.
MAY_PICKLE = "spikec.keeping"
PROGRAMS_IMPORT = ("import numpy as np", "import pytensor.tensor as pt", "from spike_runtime.ops import ")
MOST_FILE_LINES, MOST_FUNCTION_LINES = 400, 60


def among(name: str, patterns: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns.split())


@cache
def modules() -> dict[str, Path]:
    """Every module of the project by its name."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = [package, *path.relative_to(ROOT / folder).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def folders() -> set[str]:
    """The compiler's packages, which hold nothing of their own."""
    return {m for m, path in modules().items() if path.name == "__init__.py" and m.startswith("spikec.")}


@cache
def syntax(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


def executed(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING`."""
    yield tree
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from executed(node)


def imported(tree: ast.Module) -> set[str]:
    """Modules that a tree imports, wherever it runs them: `from spikec import graph` is `spikec.graph`."""
    names: set[str] = set()
    for node in executed(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            children = {f"{node.module}.{alias.name}" for alias in node.names} & set(modules())
            names |= children or {str(node.module)}
    return names


@cache
def imports() -> dict[str, set[str]]:
    return {module: imported(syntax(module)) for module in modules()}


def importers(package: str) -> set[str]:
    return {
        module
        for module, names in imports().items()
        if any(name == package or name.startswith(package + ".") for name in names)
    }


def rank(module: str) -> int:
    """Number of the first layer that lists a module of the compiler."""
    for number, patterns in enumerate(LAYERS.values()):
        if among(module.removeprefix("spikec."), patterns):
            return number
    pytest.fail(f"{module} has no place in LAYERS: give it one")


def compiler() -> list[str]:
    return [module for module in modules() if module.startswith("spikec.") and "__" not in module]


def test_every_file_is_in_a_layer_and_every_layer_has_files() -> None:
    packages = folders()
    ranks = {rank(module) for module in compiler() if module not in packages}
    assert ranks == set(range(len(LAYERS)))


@pytest.mark.parametrize("module", [m for m in compiler() if m not in folders()])
def test_later_stages_import_earlier_ones(module: str) -> None:
    names = list(LAYERS)
    for name in imports()[module]:
        if name in modules() and name.startswith("spikec."):
            assert rank(name) <= rank(module), (
                f"{module} ({names[rank(module)]}) imports {name} ({names[rank(name)]})"
            )


@pytest.mark.parametrize("package", PACKAGES)
def test_no_two_files_import_each_other(package: str) -> None:
    graph = nx.DiGraph()
    for module, names in imports().items():
        graph.add_edges_from((module, name) for name in names if name in modules() and name != package)
    inside = graph.subgraph([m for m in graph if m.startswith(package + ".")])
    assert inside.number_of_edges() > 20
    # A package's __init__ that names its files, which import one another through it, is no circle of files.
    without = inside.subgraph([m for m in inside if modules()[m].name != "__init__.py"])
    assert list(nx.simple_cycles(without)) == []


def test_passes_do_not_import_each_other() -> None:
    passes = [m for m in modules() if m.startswith("spikec.passes.")]
    assert len(passes) >= 5
    for module in passes:
        assert not {name for name in imports()[module] if name.startswith("spikec.passes")}, module


def test_the_runtime_does_not_know_the_compiler() -> None:
    assert {m.split(".")[0] for m in importers("spikec")} == {"spikec"}


def test_the_compiler_knows_little_of_the_runtime() -> None:
    found = 0
    for module in compiler():
        for name in imports()[module]:
            if name.startswith("spike_runtime"):
                assert among(module, EDGES.get(name, "")), f"{module} imports {name}"
                found += 1
    assert found >= 5


@pytest.mark.parametrize("package", ONLY_IN)
def test_libraries_stay_in_their_corner(package: str) -> None:
    found = importers(package)
    assert found, f"nobody imports {package}: take it off the list"
    assert {m for m in found if not among(m, ONLY_IN[package])} == set()


def test_the_manifest_needs_the_standard_library_only() -> None:
    names = {name.split(".")[0] for name in imports()["spike_runtime.manifest"]}
    assert names
    assert names <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("module", sorted(modules()))
def test_only_commands_print_or_exit(module: str) -> None:
    calls = {
        ast.unparse(node.func)
        for node in ast.walk(syntax(module))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    }
    found = calls & {"print", "exit", "quit", "sys.exit", "os._exit", "click.echo", "sys.stdout.write"}
    assert not found or among(module, MAY_PRINT_OR_EXIT)


@pytest.mark.parametrize("module", sorted(modules()))
def test_nothing_is_evaluated_or_unpickled(module: str) -> None:
    """`exec` stands where a program is loaded whose checksum was compared, where a kernel is written for a
    number of vectors, and where a Python file is executed that the user named.
    """
    calls = {
        node.func.id
        for node in ast.walk(syntax(module))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert "eval" not in calls
    assert "exec" not in calls or among(module, MAY_EXECUTE)
    found = {name for name in imports()[module] if name.split(".")[0] in ("pickle", "shelve", "marshal")}
    if found == {"pickle"} and among(module, MAY_PICKLE):
        nodes = [node for node in ast.walk(syntax(module)) if isinstance(node, ast.Attribute)]
        used = {node.attr for node in nodes if isinstance(node.value, ast.Name) and node.value.id == "pickle"}
        assert used == {"_Pickler"}
    else:
        assert not found or among(module, MAY_UNPICKLE)


@pytest.mark.parametrize("module", sorted(modules()))
def test_files_and_functions_are_short(module: str) -> None:
    lines = modules()[module].read_text(encoding="utf-8").count("\n")
    assert lines <= MOST_FILE_LINES
    for node in ast.walk(syntax(module)):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= MOST_FUNCTION_LINES, f"{node.name} has {length} lines"


def test_programs_import_pytensor_and_the_operations_only() -> None:
    programs = sorted((ROOT / "tests" / "golden").glob("*/program_*.txt"))
    assert len(programs) >= 10
    for path in programs:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        lines = [ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
        assert lines
        for line in lines:
            assert line.startswith(PROGRAMS_IMPORT), f"{path}: {line}"


def test_every_package_is_installed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    found = {
        ".".join((name, *path.parent.relative_to(ROOT / folder).parts))
        for name, folder in settings["package-dir"].items()
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert found == set(settings["packages"])
