"""The floor: the same pairs as a bare compiled loop with running sums, one after the other in one thread.

    python floor_sweep_job.py CLOSE.npy
"""

from __future__ import annotations

import json
import sys
import time
from itertools import product
from pathlib import Path

import numba
import numpy as np
from clock import CASH, FEE, megabytes
from floor_job import cross

sys.path.insert(0, str(Path(__file__).parents[1]))
from pairs import FASTS, SLOWS


def main(path: str) -> None:
    close = np.load(path)[0]
    cross(close, 10, 20, FEE, CASH)  # compiles
    begin, processor = time.perf_counter(), time.process_time()
    results = [cross(close, fast, slow, FEE, CASH) for fast, slow in product(FASTS, SLOWS)]
    wall, cpu = time.perf_counter() - begin, time.process_time() - processor
    figures = {"wall_s": wall, "cpu_s": cpu, "peak_mb": megabytes(), "pairs": len(results), "orders": sum(row[1] for row in results)}
    print(json.dumps({**figures, "version": f"numba {numba.__version__}"}))


main(sys.argv[1])
