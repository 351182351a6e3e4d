"""What a compilation takes in memory, beside what is said before it begins: within a factor of 2."""

from __future__ import annotations

import subprocess
import sys

import pytest

MEASURE = """
import re, sys, tempfile
from pathlib import Path
import scipy.sparse  # which large models alone take
from spikec import frontend, pipeline

def peak():
    # Not ru_maxrss: that begins with what the process had that started this one.
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

def compile(text, folder):
    graph = frontend.loads(text, "m.spk")
    options = pipeline.Options(cache=False, jobs=1, host_profile="reference")
    pipeline.compile_graph(graph, folder, options, keep=False)
    return graph.memory

with tempfile.TemporaryDirectory() as folder:
    # What a compiler takes for a model of nothing: the rest of libraries, and pages that it uses again.
    compile("ensemble a(20)\\nconnect a -> a\\nprobe a", Path(folder) / "nothing")
    before = peak()
    estimate = compile(sys.argv[1], Path(folder) / "model")
    print(estimate, peak() - before)
"""

MODELS = {
    "many ensembles": "array a(100, count=5000)\nconnect a -> a\nprobe a",
    "many connections": (
        "array a(20, count=400)\nprobe a[0]\n"
        "for j in 0..200 { connect a -> a[[(k + j) % 400 for k in 0..400]] transform 0.1 synapse 5ms }"
    ),
    "many connections, no two alike": (
        "array a(10, count=150)\nprobe a[0]\n"
        "for i in 0..150 { for j in 0..150 { connect a[i] -> a[j] transform 0.1 + 0.001*i*j } }"
    ),
    "a matrix over an array": "array a(50, count=700)\nconnect a -> a transform gaussian(0, 1)\nprobe a",
    "a matrix between neurons": (
        "ensemble a(2000)\nconnect a.neurons -> a.neurons transform gaussian(0, 1)\nprobe a"
    ),
    "a large solve": "ensemble a(3000, dims=16)\nconnect a -> a\nprobe a",
    "many neurons": "ensemble a(40000, n_eval_points=400)\nconnect a -> a\nprobe a",
    "noise of an array": "array a(100, count=12, noise=white_signal(10s, high=5Hz))\nprobe a",
    "a long signal": "input u = white_signal(period=800s, high=5Hz)\nprobe u",
}


@pytest.mark.parametrize("name", MODELS)
def test_the_estimate_is_within_a_factor_of_two_of_the_peak(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, MODELS[name]], capture_output=True, text=True, check=True
    )
    estimate, measured = map(float, done.stdout.split())
    assert measured > 20e6, "nothing that could be told from the compiler's own memory"
    assert measured / 2 <= estimate <= 2 * measured, (
        f"{estimate / 1e6:.0f} MB said, {measured / 1e6:.0f} taken"
    )
