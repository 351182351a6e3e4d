"""The profile of this host: measured in parts, each once, when a model first needs it."""

from __future__ import annotations

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from spike_runtime import calibrate, speed, version

from spikec.errors import WriteError
from spikec.frontend import loads
from spikec.planning import measuring, profile

SHIPPED = Path(profile.__file__).parent / "reference_profile.json"
FLOAT32 = measuring.Needs("float32", frozenset({"lif"}))


def _measured(calls: list[measuring.Needs], seconds: float = 0.0) -> Any:
    """In place of `calibrate`: the costs of the reference, of what is asked for."""

    def calibrate(path: Path, needed: measuring.Needs, *_: bool) -> profile.HostProfile:
        calls.append(needed)
        time.sleep(seconds)  # another compiler asks meanwhile
        body = json.loads(SHIPPED.read_text(encoding="utf-8"))
        old = json.loads(path.read_text(encoding="utf-8"))["kernels"] if path.exists() else {}
        part = body["kernels"][needed.precision]
        neurons = {k: part["neurons"][k] for k in needed.kinds} | old.get(needed.precision, {}).get(
            "neurons", {}
        )
        body["kernels"] = old | {needed.precision: part | {"neurons": neurons}}
        body["wires"] = {name: body["wires"][name] for name in needed.wires}
        path.write_text(json.dumps(body), encoding="utf-8")
        return profile.read(path, ())

    return calibrate


def test_the_host_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKE_CACHE_DIR", str(tmp_path))
    calls: list[measuring.Needs] = []
    monkeypatch.setattr(measuring, "calibrate", _measured(calls))
    told: list[tuple[str, int, int]] = []
    first = measuring.of_this_host(FLOAT32, lambda *args: told.append(args))
    assert measuring.of_this_host(FLOAT32) == first
    assert calls == [FLOAT32]
    assert told == [("calibrate", 0, 1), ("calibrate", 1, 1)]


def test_a_profile_belongs_to_the_version_of_the_kernels_that_were_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = tmp_path / "sources"
    shutil.copytree(Path(calibrate.__file__).parent, sources, ignore=shutil.ignore_patterns("__pycache__"))
    assert version.profile_name(sources) == measuring.FILE
    names = [measuring.FILE]
    for k, changed in enumerate(("ops/lif.py", "wires/ring.py", "loop.py", "calibrate_neurons.py", "cli.py")):
        other = tmp_path / str(k)
        shutil.copytree(sources, other)
        (other / changed).write_text((other / changed).read_text() + "# changed\n")
        names.append(version.profile_name(other))
    assert names.pop() == measuring.FILE  # the command measures nothing
    assert len(set(names)) == len(names)

    monkeypatch.setenv("SPIKE_CACHE_DIR", str(tmp_path))
    calls: list[measuring.Needs] = []
    monkeypatch.setattr(measuring, "calibrate", _measured(calls))
    _host(tmp_path / names[1], 100.0)
    old = (tmp_path / names[1]).read_text(encoding="utf-8")
    measuring.of_this_host(FLOAT32)
    assert calls == [FLOAT32]
    assert (tmp_path / names[1]).read_text(encoding="utf-8") == old


def test_what_was_measured_for_other_models_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPIKE_CACHE_DIR", str(tmp_path))
    calls: list[measuring.Needs] = []
    monkeypatch.setattr(measuring, "calibrate", _measured(calls))
    first = measuring.of_this_host(FLOAT32)
    assert set(first.kernels) == {"float32"}
    assert set(first.kernels["float32"].neurons) == {"lif"}
    wide = measuring.Needs("float64", frozenset({"lif", "tanh"}))
    tanh = measuring.Needs("float32", frozenset({"lif", "tanh"}))
    assert set(measuring.of_this_host(wide).kernels) == {"float64"}
    assert set(measuring.of_this_host(tanh).kernels["float32"].neurons) == {"lif", "tanh"}
    assert calls == [FLOAT32, wide, tanh]
    assert measuring.of_this_host(FLOAT32).digest == first.digest
    assert calls[3:] == []


def test_wires_are_measured_that_a_plan_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKE_CACHE_DIR", str(tmp_path))
    calls: list[measuring.Needs] = []
    monkeypatch.setattr(measuring, "calibrate", _measured(calls))
    graph = loads("ensemble a(10)\nprobe a synapse 10ms")
    alone, hosts = (measuring.needs(graph, "float32", names) for names in (["ring"], ["ring", "tcp"]))
    assert (alone.wires, hosts.wires) == ({"ring"}, {"ring", "tcp"})
    assert set(measuring.of_this_host(alone).wires) == {"ring"}
    assert set(measuring.of_this_host(hosts).wires) == {"ring", "tcp"}
    first = measuring.of_this_host(alone)
    assert calls == [alone, hosts]
    assert set(first.wires) == {"ring"}


def test_a_model_needs_the_kinds_of_its_neurons() -> None:
    def kinds(text: str) -> set[str]:
        return set(measuring.needs(loads(text + "\nprobe a synapse 10ms"), "float32").kinds)

    assert kinds("ensemble a(10)") == {"lif"}
    assert kinds("ensemble a(10, neuron=tanh())\nensemble b(10, neuron=adaptive_lif())") == {
        "lif", "tanh", "adaptive_lif",
    }  # fmt: skip
    assert kinds("ensemble a(10, neuron=regular_spiking(lif_rate()))") == {"lif", "regular_spiking_lif_rate"}
    # What has no costs of its own: those around a LIF rate stand for it.
    assert kinds("ensemble a(10, neuron=regular_spiking(tanh()))") == {"lif", "regular_spiking_lif_rate"}


def test_of_two_compilers_one_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKE_CACHE_DIR", str(tmp_path))
    calls: list[measuring.Needs] = []
    monkeypatch.setattr(measuring, "calibrate", _measured(calls, 0.2))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: measuring.of_this_host(FLOAT32), range(2))
    assert first == second
    assert len(calls) == 1


@pytest.mark.parametrize("quiet", [False, True])
def test_a_failed_measurement_says_what_to_do(
    quiet: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    failing = tmp_path / "python"
    failing.write_text("#!/bin/sh\necho no such thing >&2; exit 3\n", encoding="ascii")
    failing.chmod(0o755)
    monkeypatch.setattr(measuring.sys, "executable", str(failing))
    with pytest.raises(measuring.CalibrationError, match="--host-profile reference") as error:
        measuring.calibrate(tmp_path / "cache" / "host.json", FLOAT32, quiet)
    assert ("no such thing" in str(error.value)) == quiet
    assert ("no such thing" in capfd.readouterr().err) != quiet
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_calibrate_cannot_use_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(calibrate, "profile", None)  # nothing is measured
    (tmp_path / "text").write_text("no profile", encoding="utf-8")
    for arguments, said in (
        (["--output", tmp_path], f"cannot write {tmp_path}: give a file in a folder that can be written"),
        (["--output", tmp_path / "none" / "x.json"], f"cannot write {tmp_path}/none/x.json: "),
        (["--output", tmp_path / "x.json", "--known", tmp_path / "text"], f"cannot use {tmp_path}/text: "),
    ):
        with pytest.raises(SystemExit) as ended:
            calibrate.main([str(a) for a in arguments])
        assert ended.value.code == 2
        assert said in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPIKE_CACHE_DIR", str(tmp_path / "file" / "spike"))
    with pytest.raises(WriteError) as error:
        measuring.of_this_host(FLOAT32)
    assert str(error.value) == (
        f"error: cannot write {tmp_path}/file/spike: Not a directory\n"
        "  help: set XDG_CACHE_HOME to a folder that can be written, or give --host-profile reference"
    )


def test_only_what_a_profile_lacks_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.loads(SHIPPED.read_text(encoding="utf-8"))
    del body["kernels"]["float64"], body["kernels"]["float32"]["neurons"]["tanh"]
    asked: list[tuple[str, str, list[str]]] = []

    def in_processes(parts: Any, known: Any, meanwhile: Any) -> list[dict[str, Any]]:
        assert known is body
        meanwhile(Path())
        asked.extend(parts)
        return [
            {"pace": 7.0 - k} | ({"neurons": {kind: {} for kind in kinds}} if kinds else {"stages": {}})
            for k, (_, _, kinds) in enumerate(parts)
        ]

    monkeypatch.setattr(calibrate, "_in_processes", in_processes)
    made = calibrate.profile(["float32", "float64"], ["lif", "tanh"], body)
    assert asked == [
        ("neurons", "float32", ["tanh"]),
        ("stages", "float64", []),
        ("neurons", "float64", ["lif", "tanh"]),
    ]
    assert (made["wires"], made["recording"]) == (body["wires"], body["recording"])
    assert calibrate.profile(["float32"], ["lif"], body, ["ring"])["wires"] == body["wires"]
    old = body["kernels"]["float32"]
    assert made["pace"] == 7.0
    assert made["kernels"]["float32"] == old | {"neurons": old["neurons"] | {"tanh": {}}}


def _host(path: Path, pace: float, **more: Any) -> str:
    """A profile that was measured while standard work took so many ns."""
    path.write_text(json.dumps(json.loads(SHIPPED.read_text()) | {"pace": pace} | more), encoding="utf-8")
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("pace", "now", "more", "told", "again"),
    [
        (100.0, 80.0, {}, True, True),
        (100.0, 90.0, {}, True, False),
        (100.0, 80.0, {}, False, False),  # nobody would hear of it
        (100.0, 80.0, {"again": 3}, True, False),
        (100.0, 80.0, {"again": 2}, True, True),
    ],
)
def test_what_was_measured_on_a_slower_processor_is_measured_again(
    pace: float,
    now: float,
    more: Any,
    told: bool,
    again: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SPIKE_CACHE_DIR", str(tmp_path))
    _host(tmp_path / measuring.FILE, pace, **more)
    monkeypatch.setattr(measuring.speed, "now", lambda: now)
    calls: list[tuple[bool, bool]] = []

    def calibrate(path: Path, _: measuring.Needs, quiet: bool, again: bool) -> profile.HostProfile:
        calls.append((quiet, again))
        return profile.read(path)

    monkeypatch.setattr(measuring, "calibrate", calibrate)
    measuring.of_this_host(FLOAT32, (lambda *_: None) if told else None)
    assert calls == ([(False, True)] if again else [])


@pytest.mark.parametrize("damage", [{"pace": "fast"}, {"pace": None}, {"again": [1]}])
def test_what_is_damaged_is_measured_from_the_beginning(
    damage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPIKE_CACHE_DIR", str(tmp_path))
    body = json.loads(SHIPPED.read_text(encoding="utf-8")) | {"pace": 100.0} | damage
    (tmp_path / measuring.FILE).write_text(json.dumps(body), encoding="utf-8")
    calls: list[bool] = []

    def calibrate(*given: Any) -> profile.HostProfile:
        calls.append(given[-1])
        return profile.load(profile.REFERENCE)

    monkeypatch.setattr(measuring, "calibrate", calibrate)
    measuring.of_this_host(FLOAT32, lambda *_: None)
    assert calls == [False]


def test_a_profile_that_is_cleared_meanwhile_is_as_good_as_it_was(tmp_path: Path) -> None:
    assert not measuring.was_slow(tmp_path / "host.json")


def test_a_profile_without_a_pace_is_never_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "host.json").write_bytes(SHIPPED.read_bytes())
    monkeypatch.setattr(measuring.speed, "now", lambda: 0.0)
    assert not measuring.was_slow(tmp_path / "host.json")


@pytest.mark.parametrize(
    ("pace", "kept", "said"),
    [(80.0, False, "0.80 times what it did then: predictions change"), (99.0, True, "nothing changes")],
)
def test_of_two_measurements_that_of_the_faster_processor_counts(
    pace: float, kept: bool, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    _host(tmp_path / "old.json", 100.0, name="old")
    asked = []

    def measured(precisions: Any, kinds: Any, known: Any, wires: Any) -> Any:
        asked.append((precisions, kinds, known, wires))
        return {"pace": pace, "name": "new"}

    monkeypatch.setattr(calibrate, "profile", measured)
    arguments = ["--output", tmp_path / "new.json", "--known", tmp_path / "old.json", "--again"]
    assert calibrate.main([*map(str, arguments), "--precision", "float32"]) == 0
    # All that is needed, not what is lacking.
    assert asked == [(("float32",), None, {}, None)]
    made = json.loads((tmp_path / "new.json").read_text(encoding="utf-8"))
    assert (made["name"], made["pace"], made.get("again")) == (
        ("old", 100.0, 1) if kept else ("new", pace, None)
    )
    assert "the processor is faster now than when it was measured" in (err := capsys.readouterr().err)
    assert said in err


def test_a_host_is_measured_again_by_a_process_that_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = _host(tmp_path / "host.json", 100.0)
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/asked; cp {tmp_path}/host.json "$4"\n', encoding="ascii"
    )
    python.chmod(0o755)
    monkeypatch.setattr(measuring.sys, "executable", str(python))
    measuring.calibrate(tmp_path / "host.json", FLOAT32, quiet=False, again=True)
    asked = (tmp_path / "asked").read_text(encoding="ascii").split()
    assert asked[-3:] == ["--known", str(tmp_path / "host.json"), "--again"]
    assert (tmp_path / "host.json").read_text(encoding="utf-8") == old


def test_standard_work_takes_some_time() -> None:
    assert 100.0 < speed.now() < 1e6
