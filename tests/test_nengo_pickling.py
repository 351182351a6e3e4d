"""Python that a compiled model keeps: what the file had, each class and module for itself, in fixed bytes."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner
from converted import nengo
from spike_runtime import manifest, python
from spike_runtime.manifest import ManifestError

import spikec
from spikec import cli
from spikec.errors import ModelError
from spikec.models import network
from spikec.nengo import files, pickling

assert nengo is not None
PROBED = "with nengo.Network(seed=1) as net:\n    p = nengo.Probe(nengo.Node(f, size_out=1))\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def write(text: str, name: str = "model.py") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def recorded(target: str = "model.py:net", remove: tuple[str, ...] = ()) -> dict[str, list[float]]:
    compiled = spikec.compile(target, 1, cache=False)
    for name in remove:
        Path(name).unlink()
        sys.modules.pop(Path(name).stem, None)
    run = compiled.run("3ms")
    return {name: run.probe(name).values.ravel().tolist() for name in run.names}


def kept(target: str, out: str) -> bytes:
    """The pickle of what is compiled, in this process."""
    spikec.compile(target, 1, out, cache=False)
    (path,) = Path(out).rglob("*.pickle")
    return path.read_bytes()


FACTORY = """
import nengo
def make(k):
    class Step:
        def __call__(self, t):
            self.n = getattr(self, "n", 0) + 1
            return float(k * self.n)
    return Step()
with nengo.Network(seed=1) as net:
    a = nengo.Node(make(1), size_out=1)
    b = nengo.Node(make(2), size_out=1)
    pa, pb = nengo.Probe(a), nengo.Probe(b)
"""


def test_classes_of_one_factory_stay_apart() -> None:
    write(FACTORY)
    assert recorded() == {"pa": [1.0, 2.0, 3.0], "pb": [2.0, 4.0, 6.0]}


def test_a_node_without_a_function_comes_back_without_a_warning() -> None:
    with nengo.Network():
        data = pickle.dumps(nengo.Node(size_in=2))
    with pytest.warns(UserWarning, match="size_out"):  # Nengo's
        pickle.loads(data)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert python.loads(data).size_out == 2
    assert not told


PACKAGE = {
    "lab/__init__.py": "from .network import build\nnet = build()\n",
    "lab/network.py": "import nengo\nfrom .parts.gains import gain\nfrom .util import Step\n\n\n"
    "def build():\n    with nengo.Network(seed=1) as net:\n"
    "        net.p = nengo.Probe(nengo.Node(Step(gain), size_out=1))\n    return net\n",
    "lab/util.py": "class Step:\n    def __init__(self, gain):\n        self.gain, self.n = gain, 0\n\n"
    "    def __call__(self, t):\n        self.n += 1\n        return self.gain * self.n\n",
    "lab/parts/__init__.py": "",
    "lab/parts/gains.py": "from ..util import Step\n\ngain = 2.0\nbuild = None\n",
    "main.py": "from lab import build\nnet = build()\n",
}


@pytest.mark.parametrize("target", ["lab/network.py:build", "lab/__init__.py:net", "main.py:net"])
def test_a_file_of_a_package_is_imported_from_the_folder_of_that(target: str) -> None:
    for name, text in PACKAGE.items():
        write(text, name)
    assert network(target).folder == Path.cwd()
    assert recorded(target, remove=("lab/util.py", "lab/network.py")) == {"p": [2.0, 4.0, 6.0]}


def test_a_model_is_called_as_the_package_that_its_file_begins() -> None:
    for name, text in PACKAGE.items():
        write(text, name)
    assert network("lab/__init__.py").model == "lab"
    assert spikec.compile("lab/__init__.py:net", 1, cache=False).manifest.model == "lab"


def test_what_a_file_of_a_package_raises_has_its_place() -> None:
    write("", "lab/__init__.py")
    write("from . import util\nutil.missing\n", "lab/network.py")
    write("", "lab/util.py")
    with pytest.raises(ModelError) as caught:
        network("lab/network.py:net")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.message == "network.py raised AttributeError, so there is no network to compile"
    assert diagnostic.span is not None
    assert diagnostic.span.line == 2


@pytest.mark.parametrize(
    ("target", "place", "file"),
    [
        ("lab:net", "lab", "lab/__init__.py"),
        ("lab/:net", "lab/", "lab/__init__.py"),
        ("lab.network:net", "lab.network", "lab/network.py"),
    ],
)
def test_what_python_calls_a_module_is_refused_with_its_file(target: str, place: str, file: str) -> None:
    for name, text in PACKAGE.items():
        write(text, name)
    with pytest.raises(ModelError) as caught:
        spikec.compile(target, 1)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.message == f"{place} is not a Python file"
    assert diagnostic.hint == f"name the file: {file}:net"


def test_classes_of_two_models_with_one_name_stay_apart() -> None:
    write(FACTORY)
    write(FACTORY.replace("k *", "10 * k *"), "other/model.py")
    both = [pickle.loads(kept(f"{of}model.py:net", f"{of}out")).begin().functions() for of in ("", "other/")]
    given = [[made[f"host.{k}"](1, np.zeros(0)).tolist() for k in range(2)] for made in both]
    assert given == [[[1.0], [2.0]], [[10.0], [20.0]]]


def test_a_module_of_the_folder_is_one_for_its_functions_and_whoever_names_it() -> None:
    write("count = 0\ndef bump():\n    global count\n    count += 1\n", "beside.py")
    write(
        "import nengo, beside\nfrom beside import bump\n"
        "def f(t):\n    beside.bump()\n    bump()\n    return float(beside.count)\n" + PROBED
    )
    assert recorded() == {"p": [2.0, 4.0, 6.0]}


def test_what_functions_import_when_they_are_called_is_kept() -> None:
    write(
        "from . import inner\nVALUE = 2 * inner.VALUE\ndef value():\n    return VALUE\n", "pack/__init__.py"
    )
    write("VALUE = 3.0\n", "pack/inner.py")
    write("def deeper():\n    from pack import value\n    return value()\n", "lazy.py")
    write("import nengo\ndef f(t):\n    import lazy\n    return lazy.deeper()\n" + PROBED)
    assert recorded(remove=("lazy.py", "pack/inner.py", "pack/__init__.py")) == {"p": [6.0, 6.0, 6.0]}


def test_values_may_be_nested_three_thousand_deep() -> None:
    write(
        "import nengo\nchain = None\nfor _ in range(3000):\n    chain = [chain]\n"
        "def f(t):\n    depth, one = 0, chain\n    while one:\n        depth, one = depth + 1, one[0]\n"
        "    return float(depth)\n" + PROBED
    )
    assert recorded() == {"p": [3000.0] * 3}


def test_the_folder_of_the_file_comes_last_where_the_model_runs(folder: Path) -> None:
    write(f"import nengo, sys\ndef f(t):\n    return float(sys.path[-1] == {str(folder)!r})\n" + PROBED)
    assert recorded() == {"p": [1.0, 1.0, 1.0]}


SETS = """
import nengo
WORDS = {"alpha", "beta", "gamma", "delta", "epsilon"}
class Seen:
    words = WORDS
    def __call__(self, t):
        self.words.add(str(t))
        return float(len(WORDS))
f = Seen()
def g(t):
    return float("beta" in {"alpha", "beta", "gamma", "delta"}) + len(WORDS)
with nengo.Network(seed=1) as net:
    p = nengo.Probe(nengo.Node(f, size_out=1))
    q = nengo.Probe(nengo.Node(g, size_out=1))
"""


def test_sets_and_a_second_time_give_the_same_bytes() -> None:
    write(SETS)
    here = kept("model.py:net", "one")
    assert kept("model.py:net", "two") == here
    for seed in ("1", "2"):
        code = f"import spikec; spikec.compile('model.py:net', 1, 'of{seed}', cache=False)"
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, check=True)
        (path,) = Path(f"of{seed}").rglob("*.pickle")
        assert path.read_bytes() == here


def test_a_set_is_one_for_all_that_hold_it() -> None:
    write(SETS)
    assert recorded() == {"p": [6.0, 7.0, 8.0], "q": [7.0, 8.0, 9.0]}


ARRAYS = """
import nengo, numpy as np
class Plant:
    def __init__(self):
        self.kept = [np.array([3], "u1"), np.array([3], "u1"), np.zeros(0), np.zeros(0)]
    def __call__(self, t):
        self.kept[0] += 1
        return float(self.kept[0][0] + 10 * self.kept[1][0] + sum(map(len, self.kept[2:])))
f = Plant()
with nengo.Network(seed=1) as net:
    p = nengo.Probe(nengo.Node(f, size_out=1))
"""


def test_arrays_of_no_byte_or_of_one_stay_apart() -> None:
    """Python's pickler in Python fails at the second of them: their bytes are one object."""
    write(ARRAYS)
    assert recorded() == {"p": [34.0, 35.0, 36.0]}


SILENT = """
import nengo
class Shy:
    def __getstate__(self):
        raise AssertionError
    def __call__(self, t):
        return print(end="") or t
f = Shy()
with nengo.Network(seed=1) as net:
    fine = nengo.Node(lambda t: print() or t, size_out=1)
    bad = nengo.Node(f, size_out=1)
    p, q = nengo.Probe(fine), nengo.Probe(bad)
"""


def test_what_cannot_be_kept_is_named_with_its_cause() -> None:
    write(SILENT)
    with pytest.raises(ModelError, match=r"the function Shy cannot be kept in .*: AssertionError\n"):
        spikec.compile("model.py:net", 1, "out", cache=False)


def test_models_of_two_folders_have_their_own_helpers() -> None:
    text = "import nengo, helpers\nnet = nengo.Network(label=helpers.NAME)\n"
    for name in "ab":
        write(text, f"{name}/model.py")
        write(f"NAME = 'of {name}'\n", f"{name}/helpers.py")
    for name in "aba":
        found = network(f"{name}/model.py:net")
        assert (found.network.label, found.module.__name__) == (f"of {name}", "model")


def test_modules_that_the_caller_imported_stay_where_they_are() -> None:
    write("import nengo, helpers\nnet = nengo.Network(label=helpers.NAME)\n")
    write("NAME = 'mine'\n", "helpers.py")
    sys.path.insert(0, "")
    import helpers  # type: ignore[import-not-found]

    network("model.py:net")
    network("model.py:net")
    assert sys.modules["helpers"] is helpers


def test_python_itself_is_not_of_the_folder_above_it() -> None:
    import json
    import logging

    write("import nengo\nnet = nengo.Network()\n")
    found = network("model.py:net")
    above = replace(found, path=Path(json.__file__).resolve().parents[3] / "model.py")
    assert not pickling.is_beside(json, above)
    assert not pickling.is_beside(logging, above)
    packaged = ModuleType("packaged")
    packaged.__file__ = str(found.path.resolve().parent / "dist-packages" / "packaged.py")
    assert not pickling.is_beside(packaged, found)
    own = ModuleType("json")
    own.__file__ = str(found.path.resolve().parent / "json.py")
    assert pickling.is_beside(own, found)


def test_two_modules_of_one_name_are_registered_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("twin", "twin_again"):
        module = ModuleType("twin")
        module.__file__ = str(folder / "twin.py")
        monkeypatch.setitem(sys.modules, key, module)
    write("import nengo\ndef f(t):\n    return float(str(t)[0] == '0')\n" + PROBED)
    assert recorded() == {"p": [1.0, 1.0, 1.0]}


def test_what_is_loaded_is_what_was_checked() -> None:
    """The bytes themselves, not what the file held when its checksum was asked for."""
    write("import nengo\ndef f(t):\n    return float(str(t))\n" + PROBED)
    compiled = spikec.compile("model.py:net", 1, "out", cache=False)
    loaded = manifest.load(compiled.path)
    (part,) = [part for part in loaded.partitions if part.python]
    assert part.python is not None
    path = compiled.folder / part.python.file
    assert len(python.Loaded(loaded, compiled.folder, part.python).functions) == 1
    path.write_bytes(path.read_bytes() + b".")
    with pytest.raises(ManifestError, match="was changed after it was compiled"):
        python.Loaded(loaded, compiled.folder, part.python)


LAB = "class Lab:\n    @property\n    def net(self):\n        raise ValueError('no')\nlab = Lab()\n"


@pytest.mark.parametrize(
    ("text", "target", "told"),
    [
        ("x = 1\n", "net", "model.py has no 'net'\n  help: name a network, or a function without arguments"),
        ("x = 1\0\n", "net", "contain null bytes\n  help: save it as text, in UTF-8"),
        (LAB, "lab.net", "model.py raised ValueError, so there is no network to compile"),
        ("import nengo\n", "nengo.Probe.x", "nengo.Probe has no 'x'\n  help: "),
    ],
)
def test_each_mistake_is_told_with_a_remedy(text: str, target: str, told: str) -> None:
    write(text)
    with pytest.raises(ModelError) as caught:
        network(f"model.py:{target}")
    assert told in str(caught.value)


def test_what_nengo_says_has_a_remedy() -> None:
    path = write("import nengo\n")
    with pytest.raises(ModelError) as caught, files.running(path, "", "net cannot be built"):
        raise nengo.exceptions.BuildError("no")
    assert "help: change the network where Nengo says what is wrong" in str(caught.value)


def test_check_reads_each_model_with_its_own_helpers() -> None:
    for name, size in (("a", 10), ("b", 20)):
        text = "import nengo, helpers\nwith nengo.Network(seed=1) as net:\n"
        write(text + "    p = nengo.Probe(nengo.Ensemble(helpers.N, 1))\n", f"{name}/model.py")
        write(f"N = {size}\n", f"{name}/helpers.py")
    done = CliRunner().invoke(cli.main, ["check", "a/model.py:net", "b/model.py:net"])
    assert done.exit_code == 0
    assert "20 neurons" in done.output


@pytest.mark.filterwarnings("ignore:.*already been built")
def test_check_counts_an_ensemble_once_that_two_networks_hold() -> None:
    text = "import nengo\nwith nengo.Network(seed=1) as net:\n    with nengo.Network() as part:\n"
    write(text + "        a = nengo.Ensemble(20, 1)\n    p = nengo.Probe(a)\nnet.networks.append(part)\n")
    done = CliRunner().invoke(cli.main, ["check", "model.py:net"])
    assert "20 neurons in 1 ensemble," in done.output
