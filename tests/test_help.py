"""`--help` and `--version` of the commands: what they say, and what they load."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from click.testing import Result
from spike_runtime import cli as run_cli
from test_cli import invoke

from spikec import cli

Command = Callable[..., Result]


@pytest.mark.parametrize(
    ("command", "arguments", "example"),
    [
        (cli.main, (), "spikec compile models/product.spk -n 2 -o build/product"),
        (cli.main, ("compile",), "spikec compile models/product.spk -n 2 -o build/product"),
        (cli.main, ("check",), "spikec check models/product.spk"),
        (cli.main, ("fmt",), "spikec fmt models/*.spk"),
        (cli.main, ("inspect",), "spikec inspect build/product/manifest.json runs/product --svg plan.svg"),
        (run_cli.main, (), "spike-run build/manifest.json --time 2s -o results --plot results.png"),
    ],
)
def test_help_has_an_example(command: object, arguments: tuple[str, ...], example: str) -> None:
    result = invoke(command, *arguments, "--help")
    assert result.exit_code == 0
    assert example in " ".join(result.stdout.split())


@pytest.mark.parametrize("module", ["spikec.cli", "spike_runtime.cli"])
def test_help_loads_nothing_large(module: str) -> None:
    """It answers at once because what takes long to import is not imported."""
    code = f"""
import sys
from {module} import main
main(["--help"], standalone_mode=False)
large = {{"numpy", "pytensor", "numba", "networkx", "zarr", "matplotlib"}}
print("imported:", *sorted(large & set(sys.modules)))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout.splitlines()[-1] == "imported:"


def test_version() -> None:
    assert invoke(cli.main, "--version").stdout.startswith("spikec 0.")
