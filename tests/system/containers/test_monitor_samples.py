"""What containers used: samples that their monitors keep."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path

import pytest

from core.containers.supervision.samples import Sample, Sampler, cpu_percent, read_samples
from core.engine import Engine
from tests.containers import shell, until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.containers.lifecycle import Containers


def test_a_sample_a_second_also_after_the_end(containers: Containers, engine: Engine) -> None:
    script = "dd if=/dev/zero of=/f bs=1M count=8 conv=fsync 2>/dev/null; while :; do :; done"
    container = containers.create(shell(script, memory_bytes=64 << 20))
    containers.start(container)
    until(lambda: len(containers.history(container, 60)) >= 3)
    containers.kill(container)
    found = containers.history(container, 60)
    assert all(0.9 < b.time - a.time < 2 for a, b in pairwise(found))
    # A busy machine gives it little; another unit would be off by a thousand.
    assert 2 < cpu_percent(found[0], found[1]) < 110
    assert found[0].memory_bytes > 0
    assert found[0].pids == 1
    assert found[-1].written_bytes >= 8 << 20 or found[-1].written_bytes == 0  # tmpfs writes none
    minutes = containers.history(container, 3600)
    assert 1 <= len(minutes) <= 2
    assert minutes[-1].memory_bytes >= found[-1].memory_bytes
    directory = engine.paths.container_run(container)
    assert os.listdir(directory) == ["stats"]
    containers.rm(container)
    assert not os.path.exists(directory)


def test_traffic_is_counted(containers: Containers) -> None:
    script = "while :; do ping -c 1 -s 1000 10.89.0.1 >/dev/null; sleep 0.05; done"
    container = containers.create(shell(script, network="bridge"))
    containers.start(container)
    until(lambda: len(containers.history(container, 60)) >= 2)
    last = containers.history(container, 60)[-1]
    assert last.sent_bytes > 1000
    assert last.received_bytes > 0
    containers.kill(container)
    containers._network.teardown()


def test_the_file_does_not_grow_and_the_old_falls_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_700_000_000.5
    sampler = Sampler(str(tmp_path / "stats"))
    sampler.begin(0, ())
    for step in range(2000):
        monkeypatch.setattr(time, "time", lambda: now + step)  # noqa: B023 - used at once
        sampler.take()
    end = now + 1999
    assert os.path.getsize(tmp_path / "stats") == 64 * 2040
    seconds = read_samples(str(tmp_path), end, 600)
    assert [sample.time for sample in seconds] == [end - 599 + n for n in range(600)]
    assert len(read_samples(str(tmp_path), end, 60)) == 60
    minutes = read_samples(str(tmp_path), end, 3600)
    assert len(minutes) == 2000 // 60 + 1
    assert all(b.time - a.time <= 60 for a, b in pairwise(minutes))
    assert read_samples(str(tmp_path), end + 100_000, 600) == []
    assert read_samples(str(tmp_path / "none"), end, 600) == []
    sampler.end()


def test_what_cannot_be_understood_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("a lot\n")
    monkeypatch.setattr("core.containers.supervision.samples._gauge_paths", lambda dirs: dirs)
    paths = (str(tmp_path / "memory" / "memory.usage_in_bytes"),)
    sampler = Sampler(str(tmp_path / "stats"))
    sampler.begin(0, paths)
    sampler.take()
    assert read_samples(str(tmp_path), time.time(), 600) == []
    sampler.end()


def test_a_file_of_the_kernels_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "memory"
    folder.mkdir()
    (folder / "memory.usage_in_bytes").write_text("500\n")
    lines = "".join(f"something_{number} 1\n" for number in range(500))
    (folder / "memory.stat").write_text(f"{lines}total_inactive_file 200\n")
    monkeypatch.setattr("core.containers.supervision.samples._gauge_paths", lambda dirs: dirs)
    sampler = Sampler(str(tmp_path / "stats"))
    sampler.begin(0, tuple(map(str, folder.iterdir())))
    sampler.take()
    assert read_samples(str(tmp_path), time.time(), 600)[0].memory_bytes == 300
    sampler.end()


def test_a_counter_that_begins_anew_is_no_negative_use() -> None:
    assert cpu_percent(Sample(10, 5_000_000_000, 0, 1), Sample(11, 500_000_000, 0, 1)) == 50
