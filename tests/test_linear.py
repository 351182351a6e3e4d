"""The work of the compiler grows in proportion to a model: no line of it runs for each pair of objects."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import spikec

# Of everything n: ensembles, inputs, edges, probes of all kinds, learned connections, modules, and nodes that
# each read the one before in the same step.
MODEL = """
param n = 3
input u(t) = [sin(6 * t), cos(6 * t)]
module copy(neurons) {
  port in
  port out
  ensemble x(neurons)
  connect in -> x
  connect x -> out synapse 5ms
}
ensemble whole(300)
connect u[0] -> whole
node step[0](x) = x
connect whole -> step[0] synapse 5ms
for i in 0..n {
  input own[i](t) = sin(t * i)
  ensemble a[i](10 + i % 3, dims=2)
  ensemble error[i](10)
  use copy(10) as part[i]
  node step[i + 1](x) = x + sin(x)
  connect step[i] -> step[i + 1] synapse none
  connect own[i] -> a[i][0]
  connect u -> a[i]
  connect a[i][0] -> part[i].in via x^2 + i
  connect a[i] -> error[i] via 0 learning pes as learned[i]
  connect error[i] -> learned[i].pes
  probe a[i] synapse 10ms as value[i]
  probe a[i].spikes as spikes[i]
  probe a[i] voltage every 3ms as voltage[i]
  probe part[i].out as copied[i]
  probe whole.neurons[2 * i : 2 * i + 2] spikes as some[i]
}
for i in 0..n { connect a[i] -> a[(7 * i + 1) % n] transform 0.1 delay 1ms * (i % 3 + 1) }
probe step[n] as last
"""


def lines(n: int, partitions: int, folder: Path) -> Counter[tuple[str, int]]:
    """How often each line runs while the model is compiled."""
    ran: Counter[tuple[str, int]] = Counter()

    def line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            ran[frame.f_code.co_filename, frame.f_lineno] += 1
        return line

    before = sys.gettrace()
    sys.settrace(lambda *_: line)
    try:
        spikec.compile_text(MODEL, partitions, folder, parameters={"n": n}, jobs=1)
    finally:
        sys.settrace(before)
    return ran


@pytest.mark.usefixtures("reference_host")
@pytest.mark.parametrize("partitions", [1, 2])
def test_no_line_of_the_compiler_runs_for_each_pair_of_objects(tmp_path: Path, partitions: int) -> None:
    # The first compilation of a process makes what all others share.
    _, less, more = (lines(n, partitions, tmp_path / str(n)) for n in (3, 20, 40))
    # Twice as much where it is linear, four times where there is a pair; some steps of planning vary.
    worse = {place: (less[place], count) for place, count in more.items() if count > 2.5 * less[place] + 200}
    assert not worse
    assert max(more.values()) > 1000
