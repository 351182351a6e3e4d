"""Runs Nengo's own test suite on Spike, with one and with two partitions, and on Nengo's simulator beside it.

Prints how many tests pass; exits with 1 where one fails here that passes there.  `make nengo-suite` runs it
with the Python of an environment of its own, since the suite needs an older pytest.  With `--translate`:
whether what `spikec translate` writes of each network gives the same bytes; exits with 1 where it does not.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = {"nengo": "Nengo's simulator", "1": "Spike, 1 partition", "2": "Spike, 2 partitions"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="nengo-suite", description=__doc__)
    parser.add_argument("--third", choices=["0", "1", "2"], default="", help="run this third of the tests")
    parser.add_argument("--jobs", default="2", help="processes")
    parser.add_argument(
        "--only", default="nengo", help="a package of tests, for example nengo.tests.test_node"
    )
    parser.add_argument("--output", type=Path, default=Path("out/nengo-suite"), help="folder of the reports")
    parser.add_argument("--translate", action="store_true", help="translate their networks instead")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    if given.translate:
        return translated(given)
    outcomes = {}
    for which, name in NAMES.items():
        start = time.monotonic()
        outcomes[which] = run(which, given)
        print(f"{name:20} {counts(outcomes[which])}   {time.monotonic() - start:.0f} s", flush=True)
    worse = [
        (test, NAMES[which])
        for which in ("1", "2")
        for test, outcome in sorted(outcomes["nengo"].items())
        if outcome == "passed" and outcomes[which].get(test) != "passed"
    ]
    for test, name in worse:
        print(f"{name} fails {test}")
    print(
        "Every test that passes on Nengo's simulator passes on Spike." if not worse else f"{len(worse)} fail."
    )
    return int(bool(worse) or "passed" not in outcomes["nengo"].values())


def translated(given: argparse.Namespace) -> int:
    """Every network of the tests as text: how many are the same, and why the others are not."""
    found = given.output.resolve() / "translate.jsonl"
    found.unlink(missing_ok=True)
    os.environ["NENGO_SUITE_FOUND"] = str(found)
    run("translate", given)
    kinds: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for test, kind, why in map(json.loads, found.read_text().splitlines()):
        kinds[kind] += 1
        if kind != "same":
            alike = re.sub(r"\d+(\.\d+)?", "#", why)  # but for numbers
            reasons[f"{kind} ({test.rpartition('::')[2].partition('[')[0]}): {alike}"] += 1
    print(", ".join(f"{kinds[kind]} networks {kind}" for kind in ("same", "refused", "differs")))
    for reason, count in reasons.most_common():
        print(f"{count:4} {reason}")
    return int(kinds["differs"] > 0 or not kinds["same"])


def run(which: str, given: argparse.Namespace) -> dict[str, str]:
    """Outcome of every test with one simulator."""
    report = given.output.resolve() / f"{which}.xml"
    report.unlink(missing_ok=True)
    paths = [str(HERE), os.environ.get("PYTHONPATH", "")]
    settings = {
        "NENGO_SUITE": which,
        "NENGO_SUITE_THIRD": given.third,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    command = [sys.executable, "-m", "pytest", "-c", str(HERE / "pytest.ini"), "--pyargs", given.only]
    command += ["-n", given.jobs, f"--junitxml={report}"]
    with report.with_suffix(".log").open("w") as log:
        subprocess.run(command, env=os.environ | settings, stdout=log, stderr=log, check=False)
    if not report.exists():
        sys.exit(f"the tests did not run; see {report.with_suffix('.log')}")
    return {f"{c.get('classname')}.{c.get('name')}": outcome(c) for c in ET.parse(report).iter("testcase")}


def outcome(case: ET.Element) -> str:
    """How a test ended."""
    kinds = {child.tag for child in case}
    for kind, name in (("error", "failed"), ("failure", "failed"), ("skipped", "skipped")):
        if kind in kinds:
            return name
    return "passed"


def counts(outcomes: dict[str, str]) -> str:
    """So many tests ended so."""
    values = list(outcomes.values())
    return ", ".join(f"{values.count(name):4} {name}" for name in ("passed", "skipped", "failed"))


if __name__ == "__main__":
    sys.exit(main())
