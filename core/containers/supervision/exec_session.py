"""The parent of one `exec`: its stdio, its exit code, its end when the front end goes.

A front end never parents what runs in a container; this small process does, and speaks
the monitor's protocol, so that both look the same to a front end.
"""

from __future__ import annotations

import _signal
import _socket
import marshal
import os

from core.containers.supervision import child, protocol
from core.containers.supervision.pump import Client, Loop, Pump
from core.linux import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


def run(job: dict[str, Any], forked: child.Forked, report: int, owner: int) -> NoReturn:
    """Run what `job["plan"]` says for the front end at the socket `owner`.

    Called in a fork of the spawner; `forked` becomes the program.

    `report` as for a monitor.  Without an owner (-1) the program runs on alone and its
    output goes nowhere.
    """
    try:
        _Session(job).main(forked, report, owner)
    except child.StartFailed as error:
        os.write(report, marshal.dumps(("error", *error.args)))
    except BaseException as error:  # noqa: BLE001 - a child must never return into its parent
        text = f"{type(error).__name__}: {error}"
        os.write(report, marshal.dumps(("error", "exec", 0, text, 126)))
    finally:
        os._exit(0)


class _Session:
    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job
        self._loop = Loop()
        self._pump = Pump(self._loop, lambda stream, data: None, self._order, self._gone)
        self._pid = 0
        self._status: int | None = None

    def main(self, forked: child.Forked, report: int, owner: int) -> None:
        made_of = self._job["plan"]
        started = child.start(forked, made_of, stdin=self._job["stdin"], tty=made_of["tty"])
        self._pid = started.pid
        self._pump.take(started, self._job["size"])
        self._loop.add(process.pidfd_open(self._pid), self._reap)
        os.write(report, marshal.dumps(("ok", self._pid)))
        os.close(report)
        if owner >= 0:
            self._pump.add_client(_socket.socket(fileno=owner), attached=True, owner=True)
        while self._status is None:
            self._loop.turn()
        self._pump.drain()
        self._pump.send_all(bytes((protocol.EXIT, child.exit_code(self._status))))
        while any(client.pending for client in self._pump.clients.values()):
            self._loop.turn()

    def _order(self, client: Client, message: bytes) -> None:
        if message[0] == protocol.SIGNAL and len(message) >= 2 and self._status is None:
            os.kill(self._pid, message[1])

    def _gone(self, client: Client) -> None:
        if not client.left and self._status is None:
            # The one between us and the program ends by this, and the program with it.
            os.kill(self._pid, _signal.SIGHUP)

    def _reap(self) -> None:
        self._status = os.waitpid(self._pid, 0)[1]
