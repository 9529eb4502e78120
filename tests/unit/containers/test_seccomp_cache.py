"""Compiled filters are cached whole, however many ask for one at once."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from core.containers.configuration.seccomp_profile import load_filter
from core.containers.configuration.spec import DEFAULT_CAPABILITIES
from core.paths import Paths

THREADS = 8


def test_threads_that_miss_the_cache_together_all_get_the_same_filter(paths: Paths) -> None:
    gate = Barrier(THREADS)

    def load(_: int) -> bytes:
        gate.wait()
        return load_filter(paths, "", DEFAULT_CAPABILITIES)

    with ThreadPoolExecutor(THREADS) as pool:
        programs = set(pool.map(load, range(THREADS)))
    assert len(programs) == 1
    assert len(programs.pop()) % 8 == 0
    assert [name for name in os.listdir(paths.cache) if not name.endswith(".bpf")] == []
