"""Golden files: what the compiler makes of every shipped model, for two partitions of the reference host.

    make golden        writes them again; the difference is then reviewed like code

Each model has a folder in tests/golden with the graph before it is planned, the plan, both programs and the
manifest.  Large benchmarks are compiled with fewer neurons, and only their programs and a summary are kept.
Checksums of arrays are left out, and numbers are rounded: decoders differ in the last place from one
processor to another.  The tables of the parser, which lie beside the grammar, are of the same kind.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from spike_runtime.manifest import Manifest, saved

from spikec import frontend
from spikec.dump import dump
from spikec.language import parser_tables
from spikec.pipeline import Options, compile_graph

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = Path(__file__).resolve().parent / "golden"
MODELS = sorted(str(path.relative_to(ROOT / "models")) for path in (ROOT / "models").rglob("*.spk"))
# Parameters that make the large ones small without changing their structure.
SMALLER = {
    "brunel.spk": {"order": 200},
    "delay_network.spk": {"neurons": 300},
    "bench/big_ensembles.spk": {"neurons": 300},
    "bench/circular_convolution.spk": {"neurons": 20},
    "bench/random_graph.spk": {"neurons": 20},
    "bench/small_ensembles.spk": {"count": 20},
    "bench/stream.spk": {"neurons": 50},
}
KEPT_LINES, KEPT_COLUMNS = 200, 400
DIGITS = 6


def compiled(model: str, folder: Path) -> dict[str, str]:
    """Text of each stage by the name of its golden file."""
    made: dict[str, Any] = {}
    graph = frontend.load(ROOT / "models" / model, parameters=SMALLER.get(model))
    manifest = compile_graph(
        graph,
        folder / "build",
        Options(partitions=2, host_profile="reference"),
        inspect=lambda stage, result: made.setdefault(stage, result) is not None,
    )
    assert manifest is not None
    texts = {
        "graph.txt": rounded(dump("split", made["split"])),
        "plan.json": as_json(made["plan"].summary()),
        "manifest.json": as_json(without_checksums(manifest)),
    }
    texts = {name: shortened(text) for name, text in texts.items()}
    for partition in manifest.partitions:
        source = (folder / "build" / partition.program).read_text(encoding="utf-8")
        texts[f"program_{partition.index}.txt"] = source
    return texts


def without_checksums(manifest: Manifest) -> dict[str, Any]:
    """The manifest as it is saved; the plan has a golden file of its own."""
    body = saved(manifest)
    del body["plan"], body["state"]
    for partition in body["partitions"]:
        del partition["sha256"]
        partition["arrays"] = [
            " ".join([a["name"], a["dtype"], "x".join(map(str, a["shape"])) or "scalar"])
            + (" state" if a["state"] else "")
            for a in partition["arrays"]
        ]
    return body


def as_json(value: Any) -> str:
    text = rounded(json.dumps(value, indent=1, sort_keys=True)) + "\n"
    for _ in range(2):  # short lists on one line
        text = re.sub(r"\[\s+([^\[\]{}]{1,80}?)\s+\]", lambda inner: f"[{' '.join(inner[1].split())}]", text)
    return text


def rounded(text: str) -> str:
    """Decimal fractions with few digits."""
    return re.sub(r"-?\d+\.\d+(e[-+]?\d+)?", lambda number: f"{float(number[0]):.{DIGITS}g}", text)


def shortened(text: str) -> str:
    """The first lines of a long text, and how many lines there are; the beginning of long lines."""
    lines = [
        line if len(line) <= KEPT_COLUMNS else line[:KEPT_COLUMNS] + " ..." for line in text.splitlines()
    ]
    if len(lines) <= KEPT_LINES:
        return "\n".join(lines) + "\n"
    return "\n".join([*lines[:KEPT_LINES], f"... {len(lines)} lines"]) + "\n"


@pytest.mark.parametrize("model", MODELS)
def test_the_compiler_makes_the_same_of_every_model(model: str, tmp_path: Path, update_golden: bool) -> None:
    folder = GOLDEN / model.removesuffix(".spk").replace("/", "_")
    texts = compiled(model, tmp_path)
    if update_golden:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        return
    assert folder.is_dir(), f"{model} has no golden files: make golden"
    assert {path.name for path in folder.iterdir()} == set(texts)
    for name, text in texts.items():
        assert (folder / name).read_text(encoding="utf-8") == text, f"{folder.name}/{name}: make golden?"


def test_every_golden_folder_has_a_model(update_golden: bool) -> None:
    names = {model.removesuffix(".spk").replace("/", "_") for model in MODELS}
    assert len(names) >= 15
    if not update_golden:
        assert {path.name for path in GOLDEN.iterdir()} == names


def test_the_tables_of_the_grammar_are_those_of_its_file(update_golden: bool) -> None:
    """By the checksum of what they were made of: Lark numbers the states in another order each time."""
    path = ROOT / "grammar" / parser_tables.TABLES
    made_of = json.loads(parser_tables.dumps())["made_of"]
    if update_golden and made_of not in path.read_text(encoding="utf-8"):
        path.write_text(parser_tables.dumps(), encoding="utf-8")
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert kept["made_of"] == made_of, "the grammar has changed: make golden"


def test_rounding_and_shortening_keep_what_matters() -> None:
    assert rounded("x[0] * -0.123456789e-3, 2.0, 17") == "x[0] * -0.000123457, 2, 17"
    assert shortened("a\nb\n") == "a\nb\n"
    text = "".join(f"{k}\n" for k in range(KEPT_LINES + 1))
    assert shortened(text).splitlines()[-1] == f"... {KEPT_LINES + 1} lines"
