"""Bad files, and models too large: one clear error each, before anything is allocated."""

from __future__ import annotations

import bisect
import re
import resource
from pathlib import Path

import numpy as np
import pytest
from language_helpers import load_mistakes, mistakes

from spikec.errors import ModelError
from spikec.frontend import load, loads

# ------------------------------------------------------------------------------------------------ files


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_missing_model(tmp_path: Path) -> None:
    (found,) = load_mistakes(tmp_path / "nothing.spk")
    assert "cannot read" in found[2]
    assert "nothing.spk" in found[2]


def test_missing_file(tmp_path: Path) -> None:
    write(tmp_path, "tone.csv", "1\n2\n")
    path = write(tmp_path, "m.spk", 'input a from "tune.csv" every 1ms')
    (found,) = load_mistakes(path)
    assert found == (1, 14, "there is no file 'tune.csv' beside the model", "did you mean 'tone.csv'?")


def test_missing_file_that_no_other_is_like(tmp_path: Path) -> None:
    """A suffix that all files share makes no two names alike."""
    (found,) = load_mistakes(write(tmp_path, "m.spk", 'import "nofile.spk"'))
    assert found[2] == "there is no file 'nofile.spk' beside the model"
    assert found[3] == "the folder holds no other .spk file"
    for name in ("i.spk", "b.spk", "tone.csv"):
        write(tmp_path, name, "")
    (found,) = load_mistakes(tmp_path / "m.spk")
    assert found[3] == "the folder holds b.spk, i.spk"


def test_file_outside_of_the_folder(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    write(tmp_path, "secret.csv", "1\n2\n")
    path = write(inside, "m.spk", 'input a from "../secret.csv" every 1ms')
    (found,) = load_mistakes(path)
    assert found[:2] == (1, 14)
    assert "outside of the model's folder" in found[2]
    assert "--allow-outside" in found[3]
    assert "a" in load(path, allow_outside=True).nx


def test_link_to_outside_of_the_folder(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    secret = write(tmp_path, "secret.csv", "1\n2\n")
    (inside / "link.csv").symlink_to(secret)
    (found,) = load_mistakes(write(inside, "m.spk", 'let w = load("link.csv")'))
    assert "outside of the model's folder" in found[2]


def test_import_circle(tmp_path: Path) -> None:
    write(tmp_path, "a.spk", 'import "b.spk"\n')
    write(tmp_path, "b.spk", 'import "a.spk"\n')
    path = write(tmp_path, "m.spk", '\nimport "a.spk"\n')
    (found,) = load_mistakes(path)
    assert found[:2] == (1, 1)
    assert found[2] == "the imports form a circle: a.spk -> b.spk -> a.spk"


def test_model_that_imports_itself(tmp_path: Path) -> None:
    (found,) = load_mistakes(write(tmp_path, "m.spk", 'import "m.spk"'))
    assert found[2] == "the imports form a circle: m.spk -> m.spk"


def test_mistake_in_an_import_shows_its_line(tmp_path: Path) -> None:
    write(tmp_path, "a.spk", "\nmodule m( {\n}\n")
    path = write(tmp_path, "m.spk", 'import "a.spk"\nuse m() as x')
    with pytest.raises(ModelError) as caught:
        load(path)
    assert "a.spk:2:11: error:" in str(caught.value)
    assert "2 | module m( {" in str(caught.value)


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "m.spk"
    path.write_bytes(b"model a\n# caf\xe9\n")
    (found,) = load_mistakes(path)
    assert found[:2] == (2, 6)
    assert "is not UTF-8 text" in found[2]
    assert found[3] == "save the file as UTF-8"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1\nx\n", "line 2 of 'd.csv' is not numbers"),
        ("1,2\n3\n", "line 2 of 'd.csv' has 1 columns, not 2"),
        ("1\nnan\n", "not finite"),
        ("", "holds no numbers"),
    ],
)
def test_bad_recordings(tmp_path: Path, content: str, message: str) -> None:
    write(tmp_path, "d.csv", content)
    (found,) = load_mistakes(write(tmp_path, "m.spk", 'input a from "d.csv" every 1ms'))
    assert found[:2] == (1, 14)
    assert message in found[2]


def test_pickles_are_not_read(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (found,) = load_mistakes(write(tmp_path, "m.spk", 'let w = load("w.npy")'))
    assert "cannot read 'w.npy'" in found[2]
    assert "without pickle" in found[3]


# ------------------------------------------------------------------------------------- what is too large


def test_line_of_ten_megabytes() -> None:
    (found,) = mistakes("x" * 10_000_000)
    assert found[:2] == (1, 1)
    assert "10000000 characters" in found[2]


def test_ten_thousand_brackets() -> None:
    (found,) = mistakes("param x = " + "(" * 10_000 + ")" * 10_000)
    assert found[:2] == (1, 75)
    assert "nested more than 64 deep" in found[2]


def test_chain_of_operators() -> None:
    (found,) = mistakes("param x = " + "1+" * 5000 + "1")
    assert found[:2] == (1, 11)
    assert "chains more than 150 operators" in found[2]


def test_loop_of_a_thousand_million() -> None:
    (found,) = mistakes("for i in 0..1000000000 { ensemble a[i](10) }")
    assert found[:2] == (1, 10)
    assert "1000000000 items" in found[2]


def test_nested_loops_are_refused_before_they_are_expanded() -> None:
    (found,) = mistakes("for i in 0..100000 { for j in 0..100000 { relay a[i][j][1] } }")
    assert found[:2] == (1, 10)
    assert "more than 1000000 statements" in found[2]


@pytest.mark.parametrize(
    "text", ["let m = zeros(100000, 100000)", "let m = [i for i in 0..1000000000]", "relay r[1000000000000]"]
)
def test_matrices_that_do_not_fit(text: str) -> None:
    (found,) = mistakes(text)
    assert "items" in found[2]
    assert "a model may" in found[2]


def test_functions_that_double_are_refused() -> None:
    nested = "f(" * 38 + "t" + ")" * 38
    (found,) = mistakes(f"function f(x) = x + x\ninput u(t) = {nested}")
    assert found[:2] == (2, 14)
    assert "549755813887 operations" in found[2]


def test_functions_nested_too_deeply() -> None:
    definitions = [f"function f{i}(x) = {'sin(' * 50}f{i + 1}(x){')' * 50}" for i in range(35)]
    (found,) = mistakes("\n".join([*definitions, "function f35(x) = x", "let y = f0(1)"]))
    assert "nested too deeply" in found[2]


@pytest.mark.parametrize(
    "text",
    [
        "relay r\nconnect r -> r delay 1e307s",
        "relay r[1000]\nconnect r -> r delay 100000000s",
        "dt 1e-300s",
        "input a = piecewise(1e300s: 1)",
        "ensemble a(1000, n_eval_points=1e9)",
        "ensemble a(1e300)",
        "ensemble a(1, dims=1e12)",
        "relay r[1e300]",
        "let a = [k for k in 0..1e300]",
        "let a = 2^2^2^2^2",
        "seed 1e300",
    ],
)
def test_absurd_numbers(text: str) -> None:
    assert len(mistakes(text)) == 1


def test_no_more_than_fifty_mistakes() -> None:
    text = "\n".join(f"connect a{i} -> b{i}" for i in range(5000))
    assert len(mistakes(text)) == 50


def test_model_too_large_for_memory_is_refused_with_its_size() -> None:
    (found,) = mistakes("ensemble a(1000000000, dims=1000)", memory_limit=8_000_000_000)
    assert found[:2] == (1, 1)
    assert re.fullmatch(
        r"the model needs about \d\d(\.\d)? TB of memory up to here; the limit is 8 GB", found[2]
    )


def test_array_too_large_for_memory() -> None:
    (found,) = mistakes("array a(100, count=1000000000)", memory_limit=8_000_000_000)
    assert re.fullmatch(
        r"the model needs about \d(\.\d+)? TB of memory up to here; the limit is 8 GB", found[2]
    )


def test_a_model_that_hardly_does_not_fit_says_by_how_much() -> None:
    def fits(limit: int) -> bool:
        try:
            loads("ensemble a(20000, dims=2)", "m.spk", memory_limit=limit)
        except ModelError:
            return False
        return True

    limits = range(1_000_000, 10_000_000)
    needed = limits[bisect.bisect_left(limits, True, key=fits)]
    (found,) = mistakes("ensemble a(20000, dims=2)", memory_limit=needed - 20)
    texts = re.fullmatch(r"the model needs about (.*) of memory up to here; the limit is (.*)", found[2])
    assert texts is not None
    assert texts[1] != texts[2]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("ensemble a(20000)\nconnect a.neurons -> a.neurons transform gaussian(0, 1)", (2, 42)),
        ("array a(20, count=20000)\nconnect a -> a transform uniform(-1, 1)", (2, 26)),
        ("ensemble a(100000, dims=200)\nconnect a -> a", (2, 1)),
        ("ensemble a(40000)\nprobe a", (2, 1)),
        ("ensemble a(1000)\nfor i in 0..1000 { probe a via [x^k + i for k in 0..100] as p[i] }", (2, 20)),
        ("input u = white_signal(period=40000s, high=5Hz)", (1, 11)),
        (
            "ensemble a(3000)\nrelay r[8000]\nconnect a -> r via zeros(8000) learning pes as c\n"
            "probe c.weights synapse 10ms",
            (4, 1),
        ),
    ],
)
def test_what_would_not_fit_is_refused_before_it_is_made(text: str, place: tuple[int, int]) -> None:
    """Matrices between neurons, decoders, solves, tables: each at its own place, and in little memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = mistakes(text, memory_limit=2_000_000_000)
    assert found[0][:2] == place
    assert "of memory up to here; the limit is 2 GB" in found[0][2]
    assert "--memory-limit" in found[0][3]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_a_matrix_of_zeros_takes_little() -> None:
    loads("relay r[4000]\nrelay s[4000]\nconnect r -> s transform diag(ones(4000))", memory_limit=300_000_000)


# ------------------------------------------------------------------------------------------- parameters


def test_parameter_that_is_not_there() -> None:
    (found,) = mistakes("param neurons = 5", parameters={"neuron": 3.0})
    assert found == (0, 0, "the model has no parameter 'neuron'", "did you mean 'neurons'?")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_parameter_that_is_no_number(value: float) -> None:
    (found,) = mistakes("param n = 5\nensemble a(n)", parameters={"n": value})
    assert "not a finite number" in found[2]
