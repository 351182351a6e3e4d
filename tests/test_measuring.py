"""The profile of this host: measured in parts, each once, when a model first needs it."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from spike_runtime import calibrate

from spikec.errors import WriteError
from spikec.frontend import loads
from spikec.planning import measuring, profile

SHIPPED = Path(profile.__file__).parent / "reference_profile.json"
FLOAT32 = measuring.Needs("float32", frozenset({"lif"}))


def _measured(calls: list[measuring.Needs], seconds: float = 0.0) -> Any:
    """In place of `calibrate`: the costs of the reference, of what is asked for."""

    def calibrate(path: Path, needed: measuring.Needs, quiet: bool = False) -> profile.HostProfile:  # noqa: ARG001
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
            {"neurons": {kind: {} for kind in kinds}} if kinds else {"stages": {}} for _, _, kinds in parts
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
    assert made["kernels"]["float32"] == old | {"neurons": old["neurons"] | {"tanh": {}}}
