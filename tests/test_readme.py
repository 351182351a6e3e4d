"""The README and the guides: every command and every example is run, and prints what the page shows.

Numbers differ from run to run, so output is compared by its words.  A line `...` stands for lines left out.
`pytest tests/test_readme.py --update-golden` pastes what the commands print now.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
MODEL = "multiply"
ELLIPSIS = "..."


@dataclass(frozen=True)
class Shown:
    """A command of a page and the lines that it prints there."""

    command: str
    output: tuple[str, ...]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def shown(page: Path) -> list[Shown]:
    """Commands in the `console` blocks of a page."""
    found = []
    for block in blocks(page, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *output = part.splitlines()
            found.append(Shown(command, tuple(output)))
    return found


def words(line: str) -> str:
    """A line without what differs between runs and machines: numbers, and the widths of tables."""
    line = re.sub(r"─+", "─", line)
    line = re.sub(r"[-+]?\d[\d.,]*(e[-+]?\d+)?", "#", line)
    # Which partition was slower, and so the order of what it is predicted to do, differs between runs.
    head, most, shares = line.partition("most of its predicted time goes to ")
    line = head + most + ", ".join(sorted(shares.split(", "))) if most else line
    return " ".join(line.split())


def cut_like(output: list[str], shape: tuple[str, ...]) -> list[str]:
    """`output` with the lines left out that `shape` leaves out."""
    if ELLIPSIS not in shape:
        return output
    head = shape.index(ELLIPSIS)
    tail = len(shape) - head - 1
    return [*output[:head], ELLIPSIS, *output[len(output) - tail :]]


@dataclass(frozen=True)
class Ran:
    """The commands of the README, run in `folder`: what each of them printed."""

    folder: Path
    printed: dict[str, list[str]]
    environment: dict[str, str]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, measured_host: Path, commands: dict[str, str]) -> Ran:
    folder = tmp_path_factory.mktemp("readme")
    (folder / f"{MODEL}.spk").write_text(blocks(README, "spk")[0], encoding="utf-8")
    environment = commands | {"SPIKE_CACHE_DIR": str(measured_host), "MPLBACKEND": "agg"}
    printed = {}
    for entry in shown(README):
        ended = subprocess.run(
            entry.command,
            shell=True,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert ended.returncode == 0, f"$ {entry.command}\n{ended.stderr}"
        printed[entry.command] = [line.rstrip() for line in ended.stdout.rstrip().splitlines()]
    return Ran(folder, printed, environment)


# -------------------------------------------------------------------------------------------------- README


def test_the_readme_begins_with_one_sentence_a_model_and_two_commands() -> None:
    text = README.read_text(encoding="utf-8")
    sentence = text.split("\n\n")[1]
    assert sentence.count(".") == 1
    assert sentence.endswith(".")
    assert len(blocks(README, "spk")[0].strip().splitlines()) <= 12
    assert [entry.command.split()[0] for entry in shown(README)][:2] == ["spikec", "spike-run"]


def test_commands_print_what_the_readme_shows(ran: Ran, update_golden: bool) -> None:
    assert len(ran.printed) == 3
    if update_golden:
        paste(ran)
    for entry in shown(README):
        printed, wanted = as_on_a_busy_machine(ran.printed[entry.command], entry.output)
        printed, wanted = of_the_same_slowest(printed, wanted)
        output = cut_like(printed, wanted)
        assert [words(line) for line in output] == [words(line) for line in wanted], entry.command


def as_on_a_busy_machine(printed: list[str], wanted: tuple[str, ...]) -> tuple[list[str], tuple[str, ...]]:
    """Both without what `inspect` changes where steps take more than twice as long as predicted: it says so
    and gives no advice.  The README shows a machine that does nothing else.
    """
    first = next((k for k, line in enumerate(printed) if line.startswith("A step took ")), None)
    if first is None:
        return printed, wanted
    end = printed.index("", first)
    advice = next((k for k, line in enumerate(wanted) if line.startswith("Advice: ")), len(wanted))
    return printed[:first] + printed[end:], wanted[:advice]


def of_the_same_slowest(printed: list[str], wanted: tuple[str, ...]) -> tuple[list[str], tuple[str, ...]]:
    """Both without what is said of the slowest partition, where it is not the same: in a run of 20 ms either
    of two may have been.
    """
    slowest = [[line for line in lines if line.endswith(" is the slowest:")] for lines in (printed, wanted)]
    if slowest[0] == slowest[1] or not all(slowest):
        return printed, wanted
    kept = [
        [line for line in lines if line != said[0]]
        for lines, said in zip((printed, wanted), slowest, strict=True)
    ]
    kept = [[line for line in lines if not line.startswith("  - ")] for lines in kept]
    return kept[0], tuple(kept[1])


def paste(ran: Ran) -> None:
    """Replace the output in the README, and the picture, by those of this run."""
    text = README.read_text(encoding="utf-8")
    for entry in shown(README):
        before = "\n".join([f"$ {entry.command}", *entry.output])
        after = "\n".join([f"$ {entry.command}", *cut_like(ran.printed[entry.command], entry.output)])
        assert before in text
        text = text.replace(before, after)
    README.write_text(text, encoding="utf-8")
    shutil.copy(ran.folder / f"{MODEL}.png", ROOT / "docs" / f"{MODEL}.png")


def test_the_picture_of_the_readme_is_drawn_and_small(ran: Ran) -> None:
    for path in (ran.folder / f"{MODEL}.png", ROOT / "docs" / f"{MODEL}.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size < 200_000


def test_the_model_of_the_readme_is_formatted(ran: Ran) -> None:
    subprocess.run(
        ["spikec", "fmt", "--check", f"{MODEL}.spk"], cwd=ran.folder, env=ran.environment, check=True
    )


def test_the_targets_of_make_exist(commands: dict[str, str]) -> None:
    targets = set(re.findall(r"^make ([a-z]+)", README.read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test"} <= targets
    for target in sorted(targets):
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, env=commands, check=True, capture_output=True)


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def headings(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(
        r"^```.*?^```$|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith("https://"):
            continue
        file, _, heading = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not heading or heading in headings(target), link


def test_the_readme_leads_to_every_guide() -> None:
    text = README.read_text(encoding="utf-8")
    assert [page.name for page in PAGES[2:] if f"(docs/{page.name})" not in text] == []


def test_the_program_in_the_guide_to_the_architecture_is_a_real_one(update_golden: bool) -> None:
    page = ROOT / "docs" / "architecture.md"
    golden = ROOT / "tests" / "golden" / "communication_channel" / "program_0.txt"
    program = golden.read_text(encoding="utf-8")
    (excerpt,) = blocks(page, "python")
    if update_golden:
        text = page.read_text(encoding="utf-8")
        page.write_text(
            text.replace(f"```python\n{excerpt}```", f"```python\n{program}```"), encoding="utf-8"
        )
        (excerpt,) = blocks(page, "python")
    assert excerpt == program


def test_every_file_stands_in_the_guide_to_the_architecture() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`(?:[a-z]+/)*([a-z_*]+)(?:\.py)?`", text)
    files = [*(ROOT / "spikec").rglob("*.py"), *(ROOT / "runtime").glob("*.py")]
    assert len(files) > 90
    missing = [str(p) for p in files if "__" not in p.name and not any(fnmatch(p.stem, n) for n in named)]
    assert missing == []


def test_the_tests_that_the_guide_for_contributors_names_exist() -> None:
    named = re.findall(r"`(test_[a-z_*]+\.py)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert named
    for pattern in named:
        assert list((ROOT / "tests").glob(pattern)), pattern


# ---------------------------------------------------------------------------------------------- examples


def run_examples(page: str, ran: Ran, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the Python blocks of a page one after the other; gives the names that they define."""
    monkeypatch.chdir(ran.folder)
    for name in ("SPIKE_CACHE_DIR", "MPLBACKEND"):
        monkeypatch.setenv(name, ran.environment[name])
    names: dict[str, Any] = {}
    examples = blocks(ROOT / page, "python")
    assert examples
    for example in examples:
        exec(compile(example, page, "exec"), names)
    return names


def test_examples_of_the_readme(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    names = run_examples("README.md", ran, monkeypatch)
    assert names["value"].shape == (2000, 1)
    assert names["spikes"].size > 10_000
    assert names["run"].status == "complete"


def test_examples_of_the_guide_to_results(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(ran.folder)
    names = run_examples("docs/results.md", ran, monkeypatch)
    run = names["run"]
    value, spikes = run.probe("value"), run.probe("spikes")
    np.testing.assert_array_equal(names["stored"]["value"].values, value.values)
    np.testing.assert_array_equal(names["raw"], value.values)
    assert len(names["table"]) == len(spikes)
    assert names["rate"].sum() / 1000 == pytest.approx(len(spikes) / 1000 / 2)
    assert 0.01 < names["rmse"] < 0.1
    assert names["broken"].status == "failed"
    assert names["rest"].shape == (1024, 1)
    assert (ran.folder / "value.csv").read_text().startswith("time,")


def interrupted(folder: Path) -> None:
    """A run whose processes were killed when 1024 samples were on disk."""
    shutil.copytree(folder / "runs" / MODEL, folder / "runs" / "interrupted")
    about = folder / "runs" / "interrupted" / "run.json"
    ended = subprocess.Popen(["true"])
    ended.wait()
    body = json.loads(about.read_text()) | {"status": "running", "pid": ended.pid, "times": []}
    about.write_text(json.dumps(body))
    stored = zarr.open_array(folder / "runs" / "interrupted" / "data.zarr" / "value" / "value", mode="r+")
    stored[1024:] = np.nan  # as what was not written yet


def test_examples_of_the_guide_to_nengo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import spikec.nengo  # before Nengo, whose imports warn

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(spikec.nengo._nengo.rc["decoder_cache"], "enabled", "False")
    names: dict[str, Any] = {}
    for example in blocks(ROOT / "docs" / "nengo.md", "python"):
        exec(compile(example, "docs/nengo.md", "exec"), names)
    data = names["sim"].data[names["probe"]]
    assert names["second"].n_steps == 200
    assert data.shape == (1000, 1)
    assert 0.7 < data.max() < 1.3


def test_examples_of_the_guide_to_python(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    names = run_examples("docs/python.md", ran, monkeypatch)
    assert names["model"].manifest.neurons == 1500
    assert "<svg" in names["model"]._repr_html_()
    assert len(names["errors"]) == 3
    assert "unknown name 'b'" in names["mistakes"]
    assert (ran.folder / "plan.svg").is_file()
