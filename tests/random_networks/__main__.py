"""Compares the networks of some seeds: `make fuzz SEEDS=1062:1100`.

Prints a line for each seed; exits with 1 where one fails.
"""

# ruff: noqa: T201
from __future__ import annotations

import logging
import sys

from random_networks.compare import compared


def main(seeds: str) -> int:
    logging.disable(logging.WARNING)  # of how many partitions there can be
    start, _, end = seeds.partition(":")
    failed = 0
    for seed in range(int(start), int(end or int(start) + 1)):
        found = compared(seed)
        failed += bool(found.failures)
        print(found, flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
