"""Runs over several hosts: network namespaces that the tests make, or other processes on this host."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from fake_engine import ENGINE, model, write
from runs import PROMISE, check, digest, nothing_left, workers  # noqa: F401 (a fixture of every test here)
from spike_runtime import crew, frames, launch, remote, supervise
from spike_runtime.job import Task
from spike_runtime.manifest import Host, ManifestError, sha256
from spike_runtime.results import Run, open_run
from spike_runtime.runfile import RunError
from test_run_command import recording, wait_for
from test_run_faults import FAULTS, Watch

import spikec

MODELS = Path(__file__).resolve().parent.parent / "models"
# Another process on this host: an agent as on another host, but no network of its own.
BESIDE = (Host("desk", "127.0.0.1", 2), Host("other", "127.0.0.1", 2, ("env",)))


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def namespaces() -> Iterator[tuple[Host, Host]]:
    """Two hosts with a network of their own that joins them to each other and to nothing else."""
    names = [f"spike-{os.getpid()}-{k}" for k in range(2)]
    ends = [f"sp{os.getpid()}{end}" for end in "ab"]
    with ExitStack() as stack:
        try:
            for name in names:
                ip("netns", "add", name)
                stack.callback(ip, "netns", "del", name)
        except (OSError, subprocess.CalledProcessError) as error:
            # Making a network needs rights that containers may lack; where they are there, all tests run.
            pytest.skip(f"network namespaces are not permitted here: {error}")
        ip(
            "link",
            "add",
            ends[0],
            "netns",
            names[0],
            "type",
            "veth",
            "peer",
            "name",
            ends[1],
            "netns",
            names[1],
        )
        for k, (name, end) in enumerate(zip(names, ends, strict=True)):
            ip("-n", name, "address", "add", f"10.203.7.{k + 1}/30", "dev", end)
            for device in (end, "lo"):
                ip("-n", name, "link", "set", device, "up")
        yield tuple(
            Host(f"h{k}", f"10.203.7.{k + 1}", 2, ("ip", "netns", "exec", name))
            for k, name in enumerate(names)
        )


def spread(folder: Path, hosts: tuple[Host, ...], partitions: int, **options: Any) -> Path:
    """The fake model with its partitions dealt to the hosts, first half and second half."""
    made = model(partitions, **options)
    parts = [replace(p, host=hosts[p.index * len(hosts) // partitions].name) for p in made.partitions]
    return write(folder, replace(made, partitions=tuple(parts), hosts=hosts))


def go(folder: Path, on: tuple[Host, ...], partitions: int = 2, duration: float = 0.3, **options: Any) -> Run:
    path = spread(folder / "build", on, partitions)
    return launch.run(path, duration, folder / "run", engine=ENGINE, **options)


def agents() -> list[psutil.Process]:
    return [p for p in workers() if "spike_runtime.agent" in p.cmdline()]


class Breaks(Watch):
    """Breaks something once, when 1500 steps are done, and notes when."""

    def __init__(self, action: Callable[[], Any]) -> None:
        super().__init__()
        self.action: Callable[[], Any] | None = action
        self.broken = 0.0

    def __call__(self, progress: Any) -> None:
        super().__call__(progress)
        if progress.step > 1500 and self.action:
            self.broken = time.monotonic()
            self.action()
            self.action = None


@pytest.mark.parametrize("partitions", [2, 4])
def test_two_hosts_give_the_same_bytes(tmp_path: Path, namespaces: tuple[Host, ...], partitions: int) -> None:
    """Rings inside a host and TCP between them, TCP everywhere, or all on this host."""
    runs = [go(tmp_path / kind, namespaces, partitions, transport=kind) for kind in ("ring", "tcp")]
    here = go(tmp_path / "here", namespaces, partitions, hosts="here")
    check(here, partitions, 300)
    assert digest(runs[0]) == digest(runs[1]) == digest(here)
    assert [len(run.measured) for run in runs] == [partitions, partitions]


@pytest.mark.usefixtures("reference_host")
@pytest.mark.parametrize("partitions", [2, 4])
def test_a_real_model_over_two_hosts(tmp_path: Path, namespaces: tuple[Host, ...], partitions: int) -> None:
    file = tmp_path / "hosts.toml"
    for host in namespaces:
        with file.open("a") as text:
            text.write(f'[[host]]\nname = "{host.name}"\naddress = "{host.address}"\n')
            text.write(f"cores = 1\nlaunch = {json.dumps(host.launch)}\n")
    options = {"parameters": {"neurons": 300}, "precision": "float32"}
    one = spikec.compile(MODELS / "matrix_multiplication.spk", 1, tmp_path / "one", **options)
    many = spikec.compile(
        MODELS / "matrix_multiplication.spk", partitions, tmp_path / "many", hosts=file, **options
    )
    assert {p.host for p in many.manifest.partitions} == {"h0", "h1"}
    assert len(many.manifest.wires) > partitions - 2
    assert digest(many.run("200ms", tmp_path / "run-many")) == digest(one.run("200ms", tmp_path / "run-one"))


def test_several_partitions_for_each_core_of_two_hosts(tmp_path: Path, namespaces: tuple[Host, ...]) -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})  # of agents too
    try:
        run = go(tmp_path / "two", namespaces, 7)
    finally:
        os.sched_setaffinity(0, allowed)
    check(run, 7, 300)


def test_this_host_and_another_agent(tmp_path: Path) -> None:
    run = go(tmp_path, BESIDE, 5)
    check(run, 5, 300)
    assert (run.status, run.about.recorded) == ("complete", 300)


def test_what_a_login_shell_says_is_not_for_us(tmp_path: Path) -> None:
    chatty = ("sh", "-c", 'echo Welcome to the cluster; exec "$@"', "sh")
    run = go(tmp_path, (BESIDE[0], Host("other", "127.0.0.1", 2, chatty)))
    check(run, 2, 300)


# ------------------------------------------------------------------------------------------------ faults


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_on_another_host_is_named_and_results_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setenv("SPIKE_FAKE", f"{fault}:2:1500")
    watch = Watch()
    message = re.sub("WHO|partition 1", "partition 2 on host other", FAULTS[fault])
    with pytest.raises(launch.RunFailedError, match=message) as caught:
        go(tmp_path, BESIDE, 4, 60.0, progress=watch)
    assert time.monotonic() - watch.last < PROMISE
    run = open_run(tmp_path / "run")
    assert (run.status, run.about.partition) == ("failed", 2)
    assert 1400 < run.about.recorded < 1500
    check(run, 4, run.about.recorded)
    if fault == "raise":
        assert "in _misbehave" in caught.value.details


def test_a_worker_in_another_network_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, namespaces: tuple[Host, ...]
) -> None:
    monkeypatch.setenv("SPIKE_FAKE", "kill:0:1500")
    watch = Watch()
    message = r"partition 0 on host h0 was killed by signal 9 \(SIGKILL\)"
    with pytest.raises(launch.RunFailedError, match=message):
        go(tmp_path, namespaces, 4, 60.0, progress=watch)
    assert time.monotonic() - watch.last < PROMISE
    check(open_run(tmp_path / "run"), 4, open_run(tmp_path / "run").about.recorded)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (signal.SIGKILL, r"lost its host: what was started for it was killed by signal 9 \(SIGKILL\)"),
        (signal.SIGSTOP, r"lost its host: nothing was heard from there for 2 s"),
    ],
)
def test_the_agent_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    monkeypatch.setattr(remote, "SILENT_FOR", 2.0)
    breaks = Breaks(lambda: agents()[0].send_signal(number))
    with pytest.raises(launch.RunFailedError, match=f"partition 1 on host other {message}"):
        go(tmp_path, BESIDE, 2, 600.0, progress=breaks)
    assert 0 < time.monotonic() - breaks.broken < PROMISE + 2.0
    run = open_run(tmp_path / "run")
    assert run.about.recorded > 1000
    check(run, 2, run.about.recorded)


def test_the_network_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, namespaces: tuple[Host, ...]
) -> None:
    """The agents are still there, but nothing goes from host to host; no partition waits for the first."""
    monkeypatch.setattr(supervise, "STUCK_BETWEEN_HOSTS", 2.0)
    breaks = Breaks(lambda: ip("-n", namespaces[0].launch[-1], "link", "set", f"sp{os.getpid()}a", "down"))
    path = spread(tmp_path / "build", namespaces, 2, chain=True)
    message = r"partition 1 on host h1 waits for the message of step \d+ on wire 0 .* from host h0 to h1"
    with pytest.raises(launch.RunFailedError, match=message):
        launch.run(path, 600.0, tmp_path / "run", engine=ENGINE, progress=breaks)
    assert 0 < time.monotonic() - breaks.broken < 2.0 + PROMISE
    assert open_run(tmp_path / "run").about.recorded > 1000


def test_the_supervisor_is_killed(tmp_path: Path) -> None:
    path = spread(tmp_path / "build", BESIDE, 2)
    code = "import sys, spike_runtime.launch as launch; "
    code += f"launch.run(sys.argv[1], 600.0, sys.argv[2], engine={ENGINE!r})"
    process = subprocess.Popen([sys.executable, "-c", code, str(path), str(tmp_path / "run")])
    wait_for(recording(tmp_path))
    children = workers()
    assert len(children) == 5  # the agent, two nurseries, two workers
    process.kill()
    process.wait()
    psutil.wait_procs(children, timeout=PROMISE)
    assert not any(child.is_running() for child in children)


def test_the_agent_ends_when_it_hears_nothing(tmp_path: Path) -> None:
    """As when the network to the supervisor is gone: the pipe is open, and silent."""
    path = spread(tmp_path / "build", BESIDE, 2)
    task = Task(str(path), (1,), 1000, None, "ring", "00" * 16, "tcp://127.0.0.1:*", ENGINE)
    here, there = socket.socketpair()
    with here, there:
        agent = subprocess.Popen(
            [sys.executable, "-P", "-m", "spike_runtime.agent"], stdin=there.fileno(), stdout=there.fileno()
        )
        begin = {"task": asdict(task), "sha256": sha256(path), "spike": remote.spike()}
        frames.send(here, "begin", **begin, patience=2.0, credit=remote.CREDIT)
        wait_for(lambda: len(workers()) == 3)
        children = workers()
        assert agent.wait(timeout=10) == 0
        psutil.wait_procs(children, timeout=PROMISE)
        assert not any(child.is_running() for child in children)


def test_stopped_by_a_signal(tmp_path: Path) -> None:
    path = spread(tmp_path / "build", BESIDE, 2)
    interrupt = Breaks(lambda: os.kill(os.getpid(), signal.SIGINT))
    run = launch.run(path, 600.0, tmp_path / "run", engine=ENGINE, progress=interrupt)
    assert run.status == "stopped"
    assert run.about.recorded > 1000
    check(run, 2, run.about.recorded)


def test_memory_is_bounded_when_another_host_is_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker waits when so much of what it recorded is on its way."""
    monkeypatch.setenv("SPIKE_FAKE_SLOW", "0:0.05")
    monkeypatch.setattr(remote, "CREDIT", 1 << 18)
    unread = [0]
    take = remote.Link._take

    def spy(self: remote.Link, frame: Any) -> None:
        take(self, frame)
        unread.append(self.workers[0].unread)

    monkeypatch.setattr(remote.Link, "_take", spy)
    begin = time.monotonic()

    def progress(_: Any) -> None:
        assert time.monotonic() - begin < 60
        if max(unread) >= remote.CREDIT and len(unread) - unread.index(max(unread)) > 20:
            os.kill(os.getpid(), signal.SIGINT)

    path = spread(tmp_path / "build", BESIDE, 2, chain=False, wired=False)
    launch.run(path, 6000.0, tmp_path / "run", engine=ENGINE, progress=progress)
    assert remote.CREDIT <= max(unread) < remote.CREDIT + crew.PIECE


# ------------------------------------------------------------------------------------ before the first step


def refused(folder: Path, host: Host, match: str, error: type[Exception] = launch.RunFailedError) -> None:
    """A run with `host` as its second host ends before its first step, within seconds."""
    begin = time.monotonic()
    with pytest.raises(error, match=match):
        go(folder, (BESIDE[0], host))
    assert time.monotonic() - begin < 20
    assert not (folder / "run").exists()


def test_a_host_that_cannot_be_reached(tmp_path: Path) -> None:
    said = ("sh", "-c", "echo 'ssh: connect to host node2 port 22: No route to host' >&2; exit 255")
    route = r"partition 1 on host node2 could not be started: ssh: .* No route to host"
    refused(tmp_path, Host("node2", "127.0.0.1", 2, said), route)
    silent = r"partition 1 on host node2 could not be started: false \.\.\. ended with exit code 1"
    refused(tmp_path, Host("node2", "127.0.0.1", 2, ("false",)), silent)
    missing = r"host node2: cannot run no-such-command: No such file or directory"
    refused(tmp_path, Host("node2", "127.0.0.1", 2, ("no-such-command",)), missing)


def test_a_host_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "BEGIN_WITHIN", 2.0)
    silent = ("sh", "-c", "exec sleep 60")
    refused(tmp_path, Host("node2", "127.0.0.1", 2, silent), r"on host node2 .*nothing was heard .* for 2 s")


@pytest.mark.parametrize(
    "said", [f"printf '{remote.MAGIC.decode().strip()}\\nGET / HTTP/1.1\\n'; exec sleep 60", "exec yes"]
)
def test_a_host_that_says_something_else(tmp_path: Path, said: str) -> None:
    message = r"partition 1 on host node2 lost its host: what came is no message of Spike: b'.*'; the launch"
    refused(tmp_path, Host("node2", "127.0.0.1", 2, ("sh", "-c", said)), message)


def test_the_model_must_be_there(tmp_path: Path) -> None:
    there = tmp_path / "there"
    host = Host("node2", "127.0.0.1", 2, ("env",), str(there))
    copy = rf"copy the folder {tmp_path / 'build'} there"
    refused(tmp_path, host, rf"on host node2: {there}/manifest.json is missing; {copy}", ManifestError)
    write(there, model(3))
    refused(tmp_path, host, rf"{there}/manifest.json is of another compilation; {copy}", ManifestError)
    shutil.rmtree(there)
    shutil.copytree(tmp_path / "build", there)
    (there / "program_1.py").unlink()
    refused(tmp_path, host, r"on host node2: .*program_1.py is missing.*; copy the folder", ManifestError)


@pytest.mark.usefixtures("reference_host")
def test_a_file_that_differs_there(tmp_path: Path, tiny: Any) -> None:
    file = tmp_path / "hosts.toml"
    file.write_text(
        '[[host]]\nname = "desk"\naddress = "127.0.0.1"\ncores = 1\n'
        '[[host]]\nname = "node2"\naddress = "127.0.0.1"\ncores = 1\nlaunch = ["env"]\n'
        f'folder = "{tmp_path}/there"\n'
    )
    made = spikec.compile(tiny.source, 2, tmp_path / "build", hosts=file)
    shutil.copytree(tmp_path / "build", tmp_path / "there")
    with (tmp_path / "there" / "partition_1.py").open("a") as program:
        program.write("# mine\n")
    message = r"on host node2: .*/there/partition_1.py was changed .*; copy its folder there"
    with pytest.raises(ManifestError, match=message):
        made.run("100ms", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    shutil.copy(tmp_path / "build" / "partition_1.py", tmp_path / "there")
    assert made.run("100ms", tmp_path / "run").about.recorded == 100


def test_another_spike_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = remote.spike() | {"numpy": "0.1"}
    monkeypatch.setattr(remote, "spike", lambda: other)
    match = r"on host node2: .*python.* has numpy \d.* instead of 0.1; install the same versions"
    refused(tmp_path, Host("node2", "127.0.0.1", 2, ("env",)), match, ManifestError)


def test_another_processor_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = remote.spike() | {"processor": "pentium"}
    monkeypatch.setattr(remote, "spike", lambda: other)
    match = r"on host node2: .* has processor .* instead of pentium; name what all .* NUMBA_CPU_NAME"
    refused(tmp_path, Host("node2", "127.0.0.1", 2, ("env",)), match, ManifestError)


def test_addresses(tmp_path: Path) -> None:
    elsewhere = (
        r"partition 1 on host node2 lost a connection: cannot receive at tcp://203.0.113.1:\*: .*address"
    )
    refused(tmp_path, Host("node2", "203.0.113.1", 2, ("env",)), elsewhere)
    unknown = r"the address no.such.host.invalid of host node2 is not known"
    refused(tmp_path, Host("node2", "no.such.host.invalid", 2, ("env",)), unknown, RunError)


def test_a_hosts_file_says_anew_where_hosts_are(tmp_path: Path) -> None:
    nowhere = tuple(replace(host, address="203.0.113.1", launch=("false",)) for host in BESIDE)
    file = tmp_path / "hosts.toml"
    one = '[[host]]\nname = "desk"\naddress = "127.0.0.1"\ncores = 1\n'
    file.write_text(one)
    with pytest.raises(RunError, match="has no host other, which the model was compiled for; add it"):
        go(tmp_path, nowhere, hosts=file)
    file.write_text(one + one.replace("desk", "other"))
    check(go(tmp_path, nowhere, hosts=file), 2, 300)
    with pytest.raises(RunError, match="transport ipc joins partitions of one host only"):
        go(tmp_path, nowhere, hosts=file, transport="ipc")
    with pytest.raises(RunError, match="was compiled for one host; compile it again with --hosts"):
        launch.run(write(tmp_path / "plain", model(2)), 0.1, tmp_path / "run2", engine=ENGINE, hosts=file)
