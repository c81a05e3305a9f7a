"""The cluster: workers that play a sweep's tasks, in this process or on other machines through dask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from simcore.domain.errors import ConfigError

CONNECT_S = 30


@dataclass(frozen=True)
class Workers:
    """Whoever plays tasks: an executor, how many tasks it plays at a time, points a task, and whether it shares our memory."""

    executor: Executor
    count: int
    points: int
    local: bool


LOCAL_POINTS = 8
CLUSTER_POINTS = 32


@contextmanager
def workers(threads: int | None, address: str | None) -> Iterator[Workers]:
    """Give threads of this process, one a processor unless said otherwise, or the workers of the dask cluster at `address`.

    A task that was under way on a worker that died is played again on another. Raises ConfigError where dask is not installed,
    nobody answers, or the cluster has no worker.
    """
    if address is None:
        count = threads if threads is not None else len(os.sched_getaffinity(0))
        if count < 1:
            raise ConfigError(f"sweep: {count} threads cannot play anything. Choose at least 1.")
        executor = ThreadPoolExecutor(count, "sweep")
        try:
            yield Workers(executor, count, LOCAL_POINTS, local=True)
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
        return
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError("sweep: --cluster needs dask, which is not installed. pip install 'simcore[cluster]'.") from None
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as trouble:
        raise ConfigError(f"sweep: no dask scheduler answers at {address} ({trouble}). Start one with 'dask scheduler'.") from None
    with client:
        slots = sum(client.nthreads().values())
        if not slots:
            raise ConfigError(f"sweep: the cluster at {address} has no worker. Start some with 'dask worker {address}'.")
        # Every worker that lets a task down is one failure of the task; a task is not to blame for workers that die.
        with client.get_executor(pure=False, retries=3) as executor:
            yield Workers(executor, slots, CLUSTER_POINTS, local=False)
