"""How a front end of many threads asks its spawner."""

from __future__ import annotations

import _socket
import _thread
import marshal
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from core.containers.supervision import launcher as launcher_module
from core.containers.supervision import request, surroundings
from core.containers.supervision.launcher import Launcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("monitor", "exec")
THREADS, LAUNCHES = 8, 25


class GivingWay:
    """A lock behind which another thread always goes first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        time.sleep(0.001)


class Spawner:
    """Answers every launch, and notes those that are not what was knocked for."""

    def __init__(self, directory: Path) -> None:
        self.wrong: list[tuple[bytes, str]] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(directory / surroundings.name()))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                channel, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(channel.detach(),), daemon=True).start()

    def _serve(self, door: int) -> None:
        channel = _socket.socket(fileno=door)
        knocked = channel.recv(32)
        received = request.receive(channel)
        channel.close()
        if received is None:
            return
        (job, _), (report,) = received
        if not knocked.startswith(job["kind"].encode()):
            self.wrong.append((knocked, job["kind"]))
        os.write(report, b"t" + marshal.dumps(("ok", 1)))
        os.close(report)

    def close(self) -> None:
        """Hear nobody any more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def spawner(tmp_path: Path) -> Iterator[Spawner]:
    serving = Spawner(tmp_path)
    yield serving
    serving.close()


def test_threads_that_start_and_exec_at_once_each_get_what_they_ask_for(
    spawner: Spawner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that one thread left ready for its kind is not asked for another's."""
    monkeypatch.setattr(_thread, "allocate_lock", GivingWay)
    launcher = Launcher(str(tmp_path))
    monkeypatch.undo()

    def launch(number: int) -> None:
        for turn in range(LAUNCHES):
            kind = KINDS[(number + turn) % 2]
            launcher.launch(kind, {"kind": kind}, -1)

    threads = [threading.Thread(target=launch, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    launcher.close()
    assert not spawner.wrong


class Leaving(Spawner):
    """Shuts each door once it has heard what will be wanted: its code is an earlier one."""

    def _serve(self, door: int) -> None:
        os.read(door, 32)
        os.close(door)


def test_who_meets_a_spawner_that_leaves_starts_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it leaves between the knock and the request."""
    leaving, started = Leaving(tmp_path), []

    def start(_: str, first: _socket.socket) -> int:
        started.append(door := os.dup(first.fileno()))
        threading.Thread(target=Spawner._serve, args=(leaving, door), daemon=True).start()
        return 0

    monkeypatch.setattr(launcher_module, "_start_spawner", start)
    launcher = Launcher(str(tmp_path))
    for _ in range(LAUNCHES):
        launcher.launch("exec", {"kind": "exec", "env": "x" * (1 << 20)}, -1)
    launcher.close()
    leaving.close()
    assert len(started) == LAUNCHES
