"""What is waited for before a container is put right whose monitor was killed."""

from __future__ import annotations

import os
import signal
import time

from core.containers.repair import LAST_MOMENT_S, await_group
from core.containers.state import start_ticks


def test_what_a_dead_monitor_has_forked_is_waited_for() -> None:
    told, tell = os.pipe()
    monitor = os.fork()
    if monitor == 0:
        os.setsid()
        if os.fork() == 0:
            os.close(tell)
            os.read(told, 1)  # until no other has the pipe
            time.sleep(0.2)
            os._exit(0)
        signal.pause()
    ticks = start_ticks(monitor)
    while os.getpgid(monitor) != monitor or not _others(monitor):
        time.sleep(0.001)
    os.kill(monitor, signal.SIGKILL)
    os.waitpid(monitor, 0)
    os.close(tell)
    begun = time.monotonic()
    await_group(monitor, ticks)
    assert not _others(monitor)
    assert time.monotonic() - begun < LAST_MOMENT_S
    os.close(told)


def test_another_process_of_its_number_is_not_waited_for() -> None:
    other = os.fork()
    if other == 0:
        os.setsid()
        signal.pause()
    try:
        while os.getpgid(other) != other:
            time.sleep(0.001)
        begun = time.monotonic()
        await_group(other, start_ticks(other) + 1)
        await_group(0, 0)
        assert time.monotonic() - begun < LAST_MOMENT_S
    finally:
        os.kill(other, signal.SIGKILL)
        os.waitpid(other, 0)


def _others(group: int) -> list[int]:
    """Return the processes of a group, but its first, that have not ended."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group != int(name) and fields[0] not in "ZX":
            found.append(int(name))
    return found
