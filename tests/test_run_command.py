"""The command `spike-run`: summary, signals, exit codes, options."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from fake_engine import ENGINE, model, write
from runs import PROMISE, check, check_prefixes, nothing_left, workers  # noqa: F401 (a fixture of every test here)
from spike_runtime import housing, version
from spike_runtime.plot import check_file
from spike_runtime.results import open_run
from spike_runtime.runfile import RunError
from spike_runtime.statefile import check_place
from spike_runtime.wires import atomics


def command(folder: Path, *options: str) -> subprocess.Popen[str]:
    """`spike-run` with the fake engine, in a process of its own."""
    path = write(folder / "build", model(2))
    code = "import functools, spike_runtime.launch as launch, spike_runtime.cli as cli; "
    code += f"launch.run = functools.partial(launch.run, engine={ENGINE!r}); cli.main()"
    arguments = [sys.executable, "-c", code, str(path), "-o", str(folder / "run"), *options]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str], code: int) -> tuple[str, str]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    return out, err


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def recording(folder: Path) -> Callable[[], bool]:
    return lambda: (folder / "run" / "data.zarr" / "value" / "value" / "c").exists()


def test_command_sums_up(tmp_path: Path) -> None:
    out, err = finish(command(tmp_path, "--time", "200ms"), 0)
    assert out.startswith("fake: 0.2 s simulated in ")
    assert "compute   exchange    waiting  recording      total" in out
    assert "partition 1" in out
    assert "(value, sum, spikes)" in out
    assert err == ""
    out, err = finish(command(tmp_path, "--time", "0.2s", "--json", "--overwrite"), 0)
    summary = json.loads(out)
    assert (summary["status"], summary["simulated_s"], len(summary["us_per_step"])) == ("complete", 0.2, 2)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_stops_at_a_step_and_keeps_results(tmp_path: Path, number: int, code: int) -> None:
    process = command(tmp_path, "--time", "10min")
    wait_for(recording(tmp_path))
    process.send_signal(number)
    begin = time.monotonic()
    out, _ = finish(process, code)
    assert time.monotonic() - begin < PROMISE
    assert "stopped before 600 s" in out
    run = open_run(tmp_path / "run")
    assert run.status == "stopped"
    assert run.about.recorded >= 1000
    check(run, 2, run.about.recorded)


def test_killed_command_leaves_nothing_and_opens(tmp_path: Path) -> None:
    process = command(tmp_path, "--time", "10min", "--transport", "tcp")
    wait_for(recording(tmp_path))
    assert len(workers()) == 3  # and the process that forked them
    children = workers()
    process.kill()
    process.communicate()
    psutil.wait_procs(children, timeout=PROMISE)
    assert not any(child.is_running() for child in children)
    run = open_run(tmp_path / "run")
    assert run.status == "failed"
    assert "ended without a word" in run.about.cause
    assert check_prefixes(run, 2)[0] > 0
    for path in (tmp_path / "tmp").iterdir():
        path.rmdir() if path.is_dir() else path.unlink()
    finish(command(tmp_path, "--time", "0.2s", "--overwrite"), 0)
    assert sorted(path.name for path in run.path.iterdir()) == ["data.zarr", "run.json"]


@pytest.mark.parametrize(
    ("module", "imported", "arguments"),
    [
        ("spike_runtime.cli", "spike_runtime.launch", ["build", "-t", "1s", "-o", "out"]),
        ("spike_runtime.cli", "spike_runtime.record", ["build", "-t", "1s", "-o", "out"]),
        ("spikec.cli", "spikec.pipeline", ["compile", "m.spk", "-o", "out"]),
    ],
)
def test_ctrl_c_while_all_is_loaded(tmp_path: Path, module: str, imported: str, arguments: list[str]) -> None:
    write(tmp_path / "build", model(1))
    (tmp_path / "m.spk").write_text("model m\n")
    code = f"""
import importlib, os, signal, sys
class Interrupts:
    def find_spec(self, name, *_):
        if name == {imported!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
sys.argv = ["command", *{arguments!r}]
importlib.import_module({module!r}).main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr.startswith("interrupted")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_failed_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIKE_FAKE", "exit:0:1500")
    out, err = finish(command(tmp_path, "--time", "100s"), 1)
    assert out == ""
    assert err.startswith("error: partition 0 ended with exit code 7")
    assert "s were recorded in " + str(tmp_path / "run") in err
    out, err = finish(command(tmp_path, "--time", "100s", "--overwrite", "--json"), 1)
    summary = json.loads(out)
    assert (summary["status"], summary["path"]) == ("failed", str(tmp_path / "run"))
    assert summary["errors"][0]["message"] in err
    out, err = finish(command(tmp_path, "--time", "1s", "--json"), 2)
    assert json.loads(out) == {"errors": [{"message": err.removeprefix("error: ").rstrip()}]}


@pytest.mark.parametrize(
    ("closed", "code", "said"),
    [(">/dev/full", 1, "error: No space left on device\n"), ("2>&-", 0, ""), (">&-", 0, "")],
)
def test_output_that_cannot_be_written(tmp_path: Path, closed: str, code: int, said: str) -> None:
    """No traceback, and where it is closed from the start, no failure."""
    for module, options in (("spike_runtime.cli", ["--time", "1ms"]), ("spikec.cli", [])):
        write(tmp_path / "build", model(1))
        arguments = [*([] if options else ["inspect"]), "build", *options]
        code_of_engine = f"launch.run = functools.partial(launch.run, engine={ENGINE!r})"
        text = f"import functools, sys, spike_runtime.launch as launch\n{code_of_engine}\n"
        text += f"sys.argv = {['command', *arguments]!r}\nfrom {module} import main\nmain()"
        done = subprocess.run(
            f'exec "{sys.executable}" -c "$CODE" {closed}', shell=True, cwd=tmp_path, capture_output=True,
            text=True, env=os.environ | {"CODE": text}, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (code, said), (module, done.stderr)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--time", "2"], "the time 2 has no unit; write 2s or 2ms"),
        (["--time", "2 parsecs"], "'parsecs' is not a unit of time; use s, ms, us or min"),
        (["--time", "soon"], "'soon' is not a time; write for example 2s or 500ms"),
        (["--time", "0s"], "the time 0s is not positive"),
        (["--time", "1e999s"], "'1e999s' is not a time; write for example 2s or 500ms"),
        (["--time", "1us"], "less than one step"),
        (["--time", "10.5ms"], "0.0105 s is not a whole number of steps of 0.001 s; the nearest is 0.01 s"),
        ([], "Missing option '--time'"),
        (["--time", "1s", "--transport", "pigeon"], "'pigeon' is not one of"),
        (["--time", "1s", "--seed", "-1"], "the seed -1 is not in 0 .. 2^63 - 1"),
        (["--time", "1s", "--save-every", "1s"], "--save-every needs --save-state FILE"),
        (
            ["--time", "1s", "--load-state", "a", "--load-weights", "b"],
            "--load-weights takes what was learned, --load-state everything; give one of them",
        ),
    ],
)
def test_bad_options(tmp_path: Path, options: list[str], message: str) -> None:
    _, err = finish(command(tmp_path, *options), 2)
    assert message in err
    assert not (tmp_path / "run").exists()


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run goes on, and says what it costs."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    out, _ = finish(command(tmp_path, "--time", "1s"), 0)
    where = f"{tmp_path / 'file' / 'spike' / version.kernel_folder().name}: Not a directory"
    remedy = "set XDG_CACHE_HOME to a folder that can be written"
    assert f"note: every run compiles its programs anew: {where}; {remedy}\n" in out


def test_pytensor_has_a_folder_where_the_home_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setenv("PYTENSOR_FLAGS", "floatX=float32")
    housing.house_pytensor()
    own = version.kernel_folder().parent / "pytensor"
    assert os.environ["PYTENSOR_FLAGS"] == f"floatX=float32,base_compiledir={own}"
    housing.house_pytensor()
    assert os.environ["PYTENSOR_FLAGS"].count("base_compiledir") == 1


def test_files_that_cannot_be_written_are_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a file system that is read-only, also for root."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(RunError, match=r"cannot draw to .*/new/x.png: it cannot be written; name another"):
        check_file(tmp_path / "new" / "x.png")
    with pytest.raises(RunError, match=f"the folder {tmp_path} cannot be written; save the state elsewhere"):
        check_place(tmp_path / "a.npz", overwrite=False)


def test_a_cache_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that cannot be written: known before Numba, or PyTensor, fails to write what it has compiled."""

    def full(*_: int) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PYTENSOR_FLAGS", "")
    version.opened_kernel_folder.cache_clear()
    assert version.opened_kernel_folder() == version.kernel_folder()
    version.opened_kernel_folder.cache_clear()
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=re.escape(f"Disk quota exceeded: '{version.kernel_folder()}'")):
        version.opened_kernel_folder()
    housing.house_pytensor()
    own = Path(os.environ["PYTENSOR_FLAGS"].removeprefix("base_compiledir="))
    assert own.is_dir()
    assert own.name.startswith("spike-pytensor-")
    assert atomics.compiled(lambda x: x + 1)(3) == 4
    assert [path.name for path in version.kernel_folder().iterdir()] == ["used"]
    shutil.rmtree(own)  # as at the end of this process


def test_where_no_cache_can_be_written_pytensor_has_a_folder_for_a_while(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code = "import os; os.access = lambda *_: False; import spike_runtime.housing; "
    code += "print(os.environ['PYTENSOR_FLAGS'])"
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "file"), "TMPDIR": str(tmp_path)}
    environment.pop("PYTENSOR_FLAGS", None)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"base_compiledir={tmp_path}/spike-pytensor-")
    assert not list(tmp_path.glob("spike-pytensor-*"))


def test_a_manifest_that_cannot_be_looked_for(tmp_path: Path) -> None:
    """Whatever the system says of the path: one line, no traceback."""
    for module, options in (("spike_runtime.cli", ["--time", "1s"]), ("spikec.cli", [])):
        command = [*([] if options else ["inspect"]), str(tmp_path / ("x" * 300)), *options]
        done = subprocess.run(
            [sys.executable, "-m", module, *command], capture_output=True, text=True, check=False
        )
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert "File name too long; compile a model first" in done.stderr


def test_help_is_quick_and_has_an_example() -> None:
    begin = os.times().children_user
    done = subprocess.run(
        [sys.executable, "-m", "spike_runtime.cli", "--help"], capture_output=True, text=True, check=True
    )
    assert "Example: spike-run build/manifest.json --time 2s" in done.stdout
    assert os.times().children_user - begin < 0.5
    slow = "{'numpy', 'zarr', 'numba', 'rich', 'xarray'}"
    code = f"import sys, spike_runtime.cli; print(*{slow} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""
