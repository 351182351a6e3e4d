"""The hosts file: what it says, and one message with its place for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from spike_runtime import hosts
from spike_runtime.manifest import Host

GOOD = """\
# Two hosts.
[[host]]
name = "desk"
address = "192.168.1.10"
cores = 8

[[host]]
name = "node2"
address = "node2.lan"
cores = 16
profile = "profiles/node2.json"
launch = ["ssh", "node2"]
folder = "/home/me/product"
python = "/opt/spike/bin/python"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "hosts.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_two_hosts(tmp_path: Path) -> None:
    desk, node2 = hosts.load(written(tmp_path, GOOD))
    assert desk == hosts.Entry(Host("desk", "192.168.1.10", 8))
    assert node2.host == Host(
        "node2", "node2.lan", 16, ("ssh", "node2"), "/home/me/product", "/opt/spike/bin/python"
    )
    assert node2.profile == tmp_path / "profiles" / "node2.json"


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("cores = 8", "cores = 0", 5, "cores = 0: give a whole number from 1 to 4096"),
        ("cores = 8", "cores = true", 5, "cores = True: give a whole number from 1 to 4096"),
        ("cores = 8", "", 2, "the host has no cores; write [[host]], and below it name"),
        ("cores = 16", "core = 16", 10, "a host has no 'core'; did you mean 'cores'?"),
        ("cores = 16", "cores = 16\ncolour = 1", 11, "a host has no 'colour'; there are name, address"),
        ('"node2"\naddress', '"desk"\naddress', 8, "two hosts are called 'desk'; give each a name"),
        ('name = "desk"', 'name = "my desk"', 3, "name = 'my desk': a name has letters, digits"),
        ('"192.168.1.10"', '"192.168.1.10:80"', 4, "by which the other hosts reach it, without a port"),
        ('launch = ["ssh", "node2"]', 'launch = "ssh node2"', 12, "give a command as a list of words"),
        ('"/home/me/product"', '"product"', 13, "folder = 'product': give an absolute path on that host"),
        ("cores = 8", 'cores = 8\nfolder = "/home"', 6, "folder is for hosts that are reached with launch"),
        ('"profiles/node2.json"', "7", 11, "profile = 7: give a file, relative to this one"),
        ("# Two hosts.", "cpu = 3", 1, "there is no 'cpu' outside of [[host]]"),
    ],
)
def test_mistakes_have_a_place_and_a_remedy(
    tmp_path: Path, old: str, new: str, line: int, message: str
) -> None:
    assert GOOD.count(old) == 1
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(hosts.HostsError) as caught:
        hosts.load(path)
    found = [text for text in str(caught.value).splitlines() if message in text]
    assert len(found) == 1
    assert found[0].startswith(f"{path}:{line}: ")


def test_all_mistakes_are_told_together(tmp_path: Path) -> None:
    text = GOOD.replace("cores = 8", "cores = -1").replace('["ssh", "node2"]', "[]").replace("16", "1.5")
    with pytest.raises(hosts.HostsError) as caught:
        hosts.load(written(tmp_path, text))
    places = [line.split(": ")[0].rpartition(":")[2] for line in str(caught.value).splitlines()]
    assert sorted(places) == ["10", "13", "14", "5"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no hosts"),
        ("[host]\nname = 'a'\n", "names no hosts; write [[host]]"),
        ("host = 3\n", "names no hosts"),
        ("[[host]]\nname = \n", "is not a hosts file: Invalid value (at line 2, column 8)"),
    ],
)
def test_what_is_no_hosts_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(hosts.HostsError) as caught:
        hosts.load(written(tmp_path, text))
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(hosts.HostsError, match=r"cannot read the hosts file .*none.toml: No such file"):
        hosts.load(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9\n")
    with pytest.raises(hosts.HostsError, match=r"is not a hosts file: .*utf-8"):
        hosts.load(tmp_path / "latin.toml")
