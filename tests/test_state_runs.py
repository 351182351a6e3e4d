"""Runs that save their state, and runs that go on from it: the commands, files, transports, mistakes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_windows
from conftest import Tiny
from converted import nengo
from runs import refused
from spike_runtime import frames, launch, npz
from spike_runtime.manifest import ManifestError
from spike_runtime.results import Run, open_run
from spike_runtime.runfile import RunError

import spikec


def joined(runs: list[Run], name: str) -> list[np.ndarray]:
    """What several runs recorded of a probe: its times, then values or neurons."""
    found = [run.probe(name) for run in runs]
    if found[0].attrs["kind"] == "events":
        return [
            np.concatenate([f.values for f in found]),
            np.concatenate([f["neuron"].values for f in found]),
        ]
    return [np.concatenate([f["time"].values for f in found]), np.concatenate([f.values for f in found])]


def same(whole: Run, *parts: Run) -> None:
    """Runs one after the other recorded what one did."""
    for name in whole.names:
        for expected, found in zip(joined([whole], name), joined(list(parts), name), strict=True):
            assert found.dtype == expected.dtype
            assert found.tobytes() == expected.tobytes(), name


def test_a_run_goes_on_where_another_ended(tiny: Tiny, halves: tuple[Run, Path], tmp_path: Path) -> None:
    first, state = halves
    second = tiny.compiled.run("99ms", tmp_path / "b", load_state=state, save_state=tmp_path / "b.npz")
    third = tiny.compiled.run("200ms", tmp_path / "c", load_state=tmp_path / "b.npz", transport="tcp")
    same(tiny.run, first, second, third)
    assert (second.about.start, second.about.recorded, third.about.start) == (201, 99, 300)
    assert second.measured[0]["compute"] > 0
    assert "0.099 s of 0.099 s" in repr(second)


@pytest.mark.usefixtures("reference_host")
def test_other_partitions_and_transports_go_on_in_mid_window(tmp_path: Path) -> None:
    made = {n: spikec.compile_text(test_windows.MODEL, n, tmp_path / f"n{n}") for n in (1, 3)}
    whole = made[1].run("64ms", tmp_path / "whole", save_state=tmp_path / "whole.npz")
    expected = (tmp_path / "whole.npz").read_bytes()
    for before, after, transport in ((1, 3, "ipc"), (3, 1, "ring"), (3, 3, "ring")):
        name = tmp_path / f"{before}-{after}"
        state, end = name.with_suffix(".a.npz"), name.with_suffix(".b.npz")
        how = "ring" if before == 1 else "tcp"
        first = made[before].run("31ms", tmp_path / f"{name}-a", how, save_state=state)
        rest = made[after].run("33ms", tmp_path / f"{name}-b", transport, load_state=state, save_state=end)
        same(whole, first, rest)
        assert end.read_bytes() == expected


@pytest.mark.usefixtures("reference_host")
def test_a_run_over_two_hosts_goes_on(tmp_path: Path) -> None:
    """The second host is another process on this one: its workers are told their state by its agent."""
    entry = '[[host]]\nname = "{}"\naddress = "127.0.0.1"\ncores = 2\nlaunch = {}\n'
    hosts = tmp_path / "hosts.toml"
    hosts.write_text(entry.format("desk", "[]") + entry.format("other", '["env"]'))
    one = spikec.compile_text(test_windows.MODEL, 1, tmp_path / "one")
    spread = spikec.compile_text(test_windows.MODEL, 3, tmp_path / "spread", hosts=hosts)
    assert {p.host for p in spread.manifest.partitions} == {"desk", "other"}
    whole = one.run("64ms", tmp_path / "whole", save_state=tmp_path / "whole.npz")
    first = spread.run("31ms", tmp_path / "a", save_state=tmp_path / "a.npz")
    # Fewer steps than a message between partitions holds.
    second = spread.run("2ms", tmp_path / "b", load_state=tmp_path / "a.npz", save_state=tmp_path / "b.npz")
    third = one.run("31ms", tmp_path / "c", load_state=tmp_path / "b.npz", save_state=tmp_path / "c.npz")
    same(whole, first, second, third)
    assert (tmp_path / "c.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()


@pytest.mark.usefixtures("reference_host")
def test_noise_goes_on_with_the_seed_that_it_had(tmp_path: Path) -> None:
    text = "input noise = white_noise(std=0.05)\nensemble a(50)\nconnect noise -> a\nprobe a synapse 5ms as b"
    compiled = spikec.compile_text(text, 1, tmp_path / "built")
    state = tmp_path / "state.npz"
    whole = compiled.run("40ms", tmp_path / "whole", seed=7)
    first = compiled.run("15ms", tmp_path / "first", seed=7, save_state=state)
    rest = compiled.run("25ms", tmp_path / "rest", load_state=state)
    same(whole, first, rest)
    assert rest.about.seed == 7
    other = compiled.run("25ms", tmp_path / "other", load_state=state, seed=8)
    assert other.about.seed == 8
    assert not np.array_equal(other.probe("b").values, rest.probe("b").values)
    (tmp_path / "built" / "state.json").write_text("{}")
    with pytest.raises(ManifestError, match=r"state\.json was changed after it was compiled"):
        compiled.run("25ms", tmp_path / "more", load_state=state)


@pytest.mark.usefixtures("reference_host")
def test_streams_begin_anew_with_another_seed(tmp_path: Path) -> None:
    """As those of the first run with that seed, which a state after another run then tells."""
    text = "input noise = white_noise(stream=numpy(5))\nprobe noise as noise"
    compiled = spikec.compile_text(text, 1, tmp_path / "built")
    seven = tmp_path / "seven.npz"
    first = compiled.run("15ms", tmp_path / "first", seed=7, save_state=seven)
    eight, both = compiled.run("25ms", tmp_path / "eight", seed=8), tmp_path / "both.npz"
    other = compiled.run("20ms", tmp_path / "other", load_state=seven, seed=8, save_state=both)
    rest = compiled.run("5ms", tmp_path / "rest", load_state=both)
    found = np.concatenate([other.probe("noise").values, rest.probe("noise").values])
    np.testing.assert_array_equal(found, eight.probe("noise").values)
    assert rest.about.seed == 8
    again = compiled.run("25ms", tmp_path / "again", load_state=seven, seed=7)
    whole = compiled.run("40ms", tmp_path / "whole", seed=7)
    same(whole, first, again)


NENGO_LEARNER = """
import nengo

with nengo.Network(seed={seed}) as net:
    a = nengo.Ensemble(30, dimensions=1, label="a")
    wanted = nengo.Node({wanted})
    error = nengo.Node(size_in=1)
    link = nengo.Connection(a, error, learning_rule_type=nengo.PES(1e-3), label="link")
    nengo.Connection(wanted, error, transform=-1)
    nengo.Connection(error, link.learning_rule)
    nengo.Probe(link, "weights", label="weights")
"""


@pytest.mark.usefixtures("reference_host")
def test_learned_weights_alone_go_to_models_with_python_and_other_precisions(tmp_path: Path) -> None:
    def compiled(name: str, precision: str, seed: int, wanted: str) -> spikec.Compiled:
        (tmp_path / f"{name}.py").write_text(NENGO_LEARNER.format(seed=seed, wanted=wanted))
        made = tmp_path / f"{name}_{precision}"
        return spikec.compile(f"{tmp_path}/{name}.py:net", 1, made, precision=precision)

    state = tmp_path / "state.npz"
    native = compiled("native", "float64", 3, "[0.7]")
    trained = native.run("300ms", tmp_path / "trained", save_state=state)
    last = trained.probe("weights").values[-1]
    asking = compiled("asking", "float32", 3, "lambda t: len(str(t)) * 0.1")
    assert asking.manifest.calls
    first = asking.run("1ms", tmp_path / "asked", load_weights=state).probe("weights").values[0]
    begun = native.run("1ms", tmp_path / "begun").probe("weights").values[0]
    np.testing.assert_allclose(first, last, rtol=1e-3, atol=1e-6)
    assert np.abs(begun - last).max() > 10 * np.abs(first - last).max()
    # Neurons of another seed have other encoders: what these weights decode is nothing there.
    other = compiled("other", "float64", 4, "[0.7]")
    assert refused(other, tmp_path, load_state=state) == (
        "state.npz is of seed 3, the model was compiled with seed 4; compile it with seed=3"
    )


def test_large_arrays_come_in_pieces() -> None:
    """Even where a link takes a piece at a time, and pieces of several partitions between each other."""
    arrays = {(p, "x"): np.random.default_rng(p).random((700, 501)) for p in (0, 1)}
    arrays |= {(1, "none"): np.zeros((2, 0), np.int64), (0, "one"): np.array(7, np.int32)}
    told: list[tuple[int, frames.Frame]] = []

    def tell(kind: str, body: memoryview, **values: Any) -> None:
        told.append((values["start"], frames.Frame(kind, values, bytes(body))))

    for (partition, name), array in arrays.items():
        frames.send_array(tell, partition, name, array)
    assert max(len(frame.body) for _, frame in told) <= 1 << 20
    given = frames.Arrays()
    for _, frame in sorted(told, key=lambda pair: pair[0]):
        given.take(frame)
    for (partition, name), array in arrays.items():
        found = given.of[partition][name]
        assert (found.shape, found.dtype) == (array.shape, array.dtype)
        assert found.tobytes() == array.tobytes()


def test_arrays_can_be_read_with_numpy(halves: tuple[Run, Path]) -> None:
    with np.load(halves[1]) as arrays:
        about = json.loads(str(arrays["about"]))
        assert arrays["neurons/both.voltage"].shape == (120,)
        assert arrays["neurons/both.voltage"].dtype == np.float32
        assert (about["model"], about["step"], about["dt"]) == ("tiny", 201, 0.001)


def test_numpy_reads_what_is_written_and_what_it_writes_is_read(tmp_path: Path) -> None:
    arrays = {
        f"a/{k}->\u00b5": np.full(k % 5, k, np.float32) for k in range(70_000)
    }  # more than 16 bits tell
    arrays |= {"text": np.array("about"), "file": np.zeros((2, 0, 3)), "one": np.array(7, np.int64)}
    arrays |= {"turned": np.arange(6.0).reshape(2, 3).T, "bytes": np.arange(5, dtype=np.uint8)}
    with (tmp_path / "ours.npz").open("wb") as file:
        npz.write(file, arrays.items())
    some = {name: arrays[name] for name in (*list(arrays)[-7:], "a/3->\u00b5")}
    with np.load(tmp_path / "ours.npz") as found:
        assert found.files == list(arrays)
        theirs = {name: found[name] for name in some}
    np.savez(tmp_path / "theirs.npz", **{f"{name}_": array for name, array in some.items()})
    np.savez_compressed(tmp_path / "small.npz", **{f"{name}_": array for name, array in some.items()})
    ours = dict(npz.read(tmp_path / "ours.npz"))
    assert list(ours) == list(arrays)
    read = [dict(npz.read(tmp_path / f"{name}.npz")) for name in ("theirs", "small")]
    for name, array in some.items():
        for made in (theirs[name], ours[name], *(these[f"{name}_"] for these in read)):
            assert (made.dtype, made.shape, made.tolist()) == (array.dtype, array.shape, array.tolist())
    np.savez(tmp_path / "objects.npz", x=np.array([{}]))
    with pytest.raises(ValueError, match="objects"):
        list(npz.read(tmp_path / "objects.npz"))


def test_inspect_shows_what_a_state_holds(halves: tuple[Run, Path], commands: dict[str, str]) -> None:
    def inspect(*options: str) -> str:
        command = ["spikec", "inspect", str(halves[1]), *options]
        return subprocess.run(command, env=commands, check=True, capture_output=True, text=True).stdout

    lines = [line.split() for line in inspect().splitlines() if line]
    first = "tiny: the state after 0.201 s (201 steps of 1 ms), float32, seed 0"
    assert " ".join(lines[0]) == first
    shown = json.loads(inspect("--json"))
    (voltage,) = (array for array in shown["arrays"] if array["name"] == "both.voltage")
    with np.load(halves[1]) as arrays:
        values = arrays["neurons/both.voltage"]
    assert voltage["shape"] == [120]
    assert (voltage["least"], voltage["most"]) == (values.min(), values.max())
    row = [
        "neurons",
        "both.voltage",
        "120",
        f"{values.min():.4g}",
        f"{values.mean():.4g}",
        f"{values.max():.4g}",
    ]
    assert row in lines
    assert (shown["time_s"], shown["seed_of_noise"]) == (0.201, 0)


def test_the_commands(tiny: Tiny, commands: dict[str, str], tmp_path: Path) -> None:
    def spike_run(*arguments: str) -> Any:
        command = ["spike-run", str(tiny.compiled.path), *arguments]
        done = subprocess.run(command, env=commands, cwd=tmp_path, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    code, _, err = spike_run("-t", "200ms", "--save-state", "states/a.npz", "--load-state", "missing.npz")
    assert code == 2
    assert "cannot read missing.npz" in err
    assert not (tmp_path / "states").exists()
    code, out, _ = spike_run("-t", "200ms", "-o", "a", "--save-state", "states/a.npz")
    assert code == 0
    assert out.splitlines()[-1] == "state: states/a.npz"
    arguments = ("-t", "300ms", "-o", "b", "--load-state", "states/a.npz", "--save-state", "states/a.npz")
    code, out, err = spike_run(*arguments, "--json")
    said = "states/a.npz exists; give another file with --save-state, or --overwrite"
    assert (code, json.loads(out), err) == (2, {"errors": [{"message": said}]}, f"error: {said}\n")
    (tmp_path / "text").write_text("mine")
    code, _, err = spike_run("-t", "1ms", "-o", "a", "--save-state", "text", "--overwrite")
    said = "text exists and is not a saved state; give another file with --save-state"
    assert (code, err, (tmp_path / "text").read_text()) == (2, f"error: {said}\n", "mine")
    code, out, _ = spike_run(*arguments, "--json", "--overwrite")
    summary = json.loads(out)
    assert code == 0
    assert (summary["start_s"], summary["simulated_s"], summary["state"]) == (0.2, 0.3, "states/a.npz")
    same(tiny.run, open_run(tmp_path / "a"), open_run(tmp_path / "b"))
    code, out, _ = spike_run("-t", "1ms", "-o", "c", "--load-state", "states/a.npz")
    assert "; went on after 0.5 s" in out


def test_a_disk_that_refuses_the_state_leaves_the_results(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "old.npz").write_bytes(b"old")
    monkeypatch.setattr(npz, "write", refuse)
    with pytest.raises(launch.RunFailedError) as caught:
        tiny.compiled.run("5ms", tmp_path / "run", save_state=tmp_path / "old.npz", overwrite=True)
    cause = f"the run is complete, but its state could not be saved to {tmp_path / 'old.npz'}"
    assert str(caught.value) == f"{cause}: No space left on device"
    assert open_run(tmp_path / "run").status == "complete"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.npz", "run"]
    assert (tmp_path / "old.npz").read_bytes() == b"old"


# ------------------------------------------------------------------------------------------- learned weights

assert nengo.rc.get("decoder_cache", "enabled") == "False"
LEARNER = """
model learner
param n = 100
input wave(t) = sin(30 * t)
ensemble pre(n)
ensemble post(50)
connect wave -> pre
connect pre -> post via 0 learning pes(rate=1e-3) as learned
connect post -> learned.pes
connect wave -> learned.pes transform -1 synapse none
probe learned.weights as weights
"""
OTHERS = """
ensemble more(40)
connect post -> more
connect pre -> more via 0 learning pes as another
connect wave -> another.pes
probe more synapse 7ms as more
probe post synapse 7ms as later
probe another.weights
"""


@pytest.mark.usefixtures("reference_host")
def test_what_was_learned_begins_another_run(tmp_path: Path) -> None:
    state = tmp_path / "learned.npz"
    first = spikec.compile_text(LEARNER, 1).run("50ms", tmp_path / "a", save_state=state)
    larger = spikec.compile_text(LEARNER + OTHERS, 1)
    with pytest.raises(RunError, match=r"filter pre->another\.filter: not in the file"):
        larger.run("3ms", load_state=state)
    begun = larger.run("3ms", tmp_path / "b", load_weights=state)
    assert begun.about.start == 0
    assert begun.probe("weights").values[0].tobytes() == first.probe("weights").values[-1].tobytes()
    assert not begun.probe("another.weights").values[0].any()
    name = str(state)
    assert begun.about.notes == (
        f"{name} has no another.weights: what is learned there begins as the model says",
    )
    with np.load(state) as arrays:
        assert arrays["weights/learned.weights"].any()
    larger.run("2ms", tmp_path / "c", save_state=state, overwrite=True)
    again = spikec.compile_text(LEARNER, 1).run("1ms", tmp_path / "d", load_weights=state)
    assert again.about.notes == (f"the model has no another.weights: what {name} holds of it is not taken",)
    fewer = spikec.compile_text(LEARNER, 1, parameters={"n": 80})
    with pytest.raises(
        RunError, match=r"\n  weights learned.weights: 1 x 100 in the file, 1 x 80 in the model$"
    ):
        fewer.run("3ms", load_weights=state)
    renamed = spikec.compile_text(LEARNER.replace("learned", "taught"), 1)
    message = refused(renamed, tmp_path, load_weights=state)
    assert message == (
        "learned.npz holds nothing that this model learns; call the connection alike in both, with `as`\n"
        "  in the file: another.weights, learned.weights\n  in the model: taught.weights"
    )
