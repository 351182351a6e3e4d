"""Mt-KaHyPar in a process of its own: run as `python kahypar.py FOLDER THREADS`, with its module in FOLDER.

Its library takes 28 MiB, more than all else that plans, and starts threads; here both end when it has
answered.  See `divider`, which asks.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from array import array
from itertools import islice
from typing import Any, BinaryIO

_PR_SET_PDEATHSIG = 1  # of Linux's prctl
EPSILON = 0.03
SEED = 1


def serve(folder: str, threads: int) -> None:
    """Answer the questions on standard input, until there are no more: the block of each vertex as int64.

    Where who asks is killed, this process is too: a large question may take a minute.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    questions, answers = os.fdopen(0, "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the library prints is no answer
    sys.path.append(folder)
    import mtkahypar

    engine = mtkahypar.initialize(threads, False)
    while line := questions.readline():
        blocks(mtkahypar, engine, [int(number) for number in line.split()], questions).tofile(answers)
        answers.flush()


def blocks(mtkahypar: Any, engine: Any, header: list[int], rest: BinaryIO) -> array[int]:
    """Which block each vertex is in: the same for any number of threads.

    header: the number of blocks, of vertices, of hyperedges, of pins, and the most that each block may weigh,
    where they are not to be alike.  rest: weights of vertices and prices of hyperedges as int64, how many
    pins each of these has and the pins as int32.
    """
    count, vertices, edges, ends, *largest = header
    mtkahypar.set_seed(SEED)
    context = engine.context_from_preset(mtkahypar.PresetType.DETERMINISTIC)
    context.set_partitioning_parameters(count, EPSILON, mtkahypar.Objective.KM1)
    context.logging = False
    if largest:
        context.set_individual_target_block_weights(largest)
    weights, prices = _read(rest, "q", vertices), _read(rest, "q", edges)
    sizes, pins = _read(rest, "i", edges), iter(_read(rest, "i", ends))
    nets = [tuple(islice(pins, size)) for size in sizes]
    made = engine.create_hypergraph(context, vertices, edges, nets, weights.tolist(), prices.tolist())
    return array("q", made.partition(context).get_partition())


def _read(source: BinaryIO, kind: str, size: int) -> array[int]:
    made: array[int] = array(kind)
    made.frombytes(source.read(made.itemsize * size))
    return made


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
