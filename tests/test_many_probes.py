"""Many probes: what they record, and that programs do not grow with them."""

from __future__ import annotations

from pathlib import Path

import pytest

import spikec

MODEL = """
param n = 3
input u(t) = [sin(6 * t), cos(6 * t)]
for i in 0..n {
  ensemble a[i](20 + i, dims=2)
  connect u -> a[i]
  probe a[i] synapse 10ms as late[i]
  probe a[i] via x[0] * x[1] as product[i]
  probe a[i] voltage every 3ms as voltage[i]
  probe a[i] refractory_time as rest[i]
  probe a[i].spikes as spikes[i]
  if i % 2 == 1 { probe a[i] every 2.5ms as seldom[i] }
}
"""


def names(model: spikec.Compiled) -> list[str]:
    return [probe.name for probe in model.manifest.probes]


@pytest.mark.usefixtures("reference_host")
def test_programs_do_not_grow_with_probes(tmp_path: Path) -> None:
    programs = []
    for n in (4, 40):
        spikec.compile_text(MODEL, 1, tmp_path / str(n), parameters={"n": n})
        programs.append((tmp_path / str(n) / "partition_0.py").read_text().splitlines())
    assert len(programs[0]) == len(programs[1])
    assert sum("record" in line and "(s." in line for line in programs[1]) == 6  # spikes among them


@pytest.mark.usefixtures("reference_host")
@pytest.mark.parametrize("partitions", [1, 3])
def test_each_probe_records_what_it_records_alone(tmp_path: Path, partitions: int) -> None:
    model = spikec.compile_text(MODEL, partitions, tmp_path / "all")
    run = model.run("57ms", tmp_path / "run")
    assert len(names(model)) == 16
    statements = [line.strip() for line in MODEL.splitlines() if "probe" in line]
    for statement in statements:
        lines = [line for line in MODEL.splitlines() if "probe" not in line or line.strip() == statement]
        alone = spikec.compile_text("\n".join(lines), 1).run("57ms")
        for name in alone.names:
            one, other = alone.probe(name), run.probe(name)
            assert one.identical(other)
            assert one.size
