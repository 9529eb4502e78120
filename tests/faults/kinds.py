"""The ways in which something goes wrong while a command runs."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

from core.record import Record
from tests.faults import clock
from tests.faults.trap import SYNCS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from tests.faults.host import Host
    from tests.faults.operations import Operation
    from tests.faults.trap import Call


class Learned(Record):
    """What an undisturbed run of an operation was seen to do."""

    seconds: float
    points: tuple[str, ...]
    """The calls it made, by name, in order."""
    disk_bytes: int
    wire_bytes: int


class Fault:
    """One way; `kills` says whether the command itself may end without a word."""

    kills = False

    def __init__(self, host: Host, learned: Learned, chance: random.Random) -> None:
        self.host = host
        self.learned = learned
        self.chance = chance
        self.what = type(self).__name__
        self.prepare()

    @staticmethod
    def applies(operation: Operation, learned: Learned) -> bool:
        """Tell whether it can happen to an operation."""
        return bool(learned.seconds)

    def prepare(self) -> None:
        """Choose what will happen, and make it ready."""

    def environment(self) -> dict[str, str]:
        """Return what is added to the command's environment."""
        return {}

    def strike(self, process: subprocess.Popen[bytes]) -> None:
        """Do it, while the command runs."""

    def end(self) -> None:
        """Have the world as it was."""

    def somewhen(self) -> float:
        """Return a moment of the time that the operation takes, in seconds."""
        return self.chance.uniform(0, self.learned.seconds)


class KillSomewhen(Fault):
    """The command is killed, or it and all that it has started, at any moment."""

    kills = True

    def strike(self, process: subprocess.Popen[bytes]) -> None:
        after, everyone = self.somewhen(), self.chance.random() < 0.5
        self.what = f"killed after {after:.3f} s" + ", with its children" * everyone
        time.sleep(after)
        kill([process.pid, *(descendants(process.pid) if everyone else ())])


class KillAtPoint(Fault):
    """The process that makes one certain call is killed there, alone or with everyone."""

    kills = True

    def prepare(self) -> None:
        self.name, self.nth = choose_point(self.learned.points, self.chance)
        self.everyone = self.chance.random() < 0.5
        self.what = f"killed at {self.name} #{self.nth}" + ", with everyone" * self.everyone
        self.command = 0
        self.host.trap.decide = self._decide

    def strike(self, process: subprocess.Popen[bytes]) -> None:
        self.command = process.pid

    def _decide(self, call: Call) -> int:
        if call.name == self.name:
            self.nth -= 1
            if not self.nth:
                everyone = self.everyone and self.command
                kill([call.pid, *([self.command, *descendants(self.command)] if everyone else ())])
        return 0


class SyncFails(Fault):
    """fsync, fdatasync or syncfs fails with EIO: once, or from then on."""

    @staticmethod
    def applies(operation: Operation, learned: Learned) -> bool:
        return bool(syncs(learned.points))

    def prepare(self) -> None:
        self.nth = self.chance.randint(1, len(syncs(self.learned.points)))
        self.lasts = self.chance.random() < 0.5
        self.what = f"sync #{self.nth} fails" + " and all after it" * self.lasts
        self.host.trap.decide = self._decide

    def _decide(self, call: Call) -> int:
        if call.name.split()[0] not in SYNCS:
            return 0
        self.nth -= 1
        return errno.EIO if self.nth == 0 or (self.lasts and self.nth < 0) else 0


class DiskFull(Fault):
    """The disk has room for a part of what the operation writes."""

    def prepare(self) -> None:
        room = self.chance.randint(0, int(self.learned.disk_bytes * 1.1) + (64 << 10))
        self.what = f"{room >> 10} KB are free"
        self.ballast = self.host.disk / "ballast"
        with self.ballast.open("wb") as file:
            fill(file.fileno(), max(self.host.free_bytes() - room, 1))

    def end(self) -> None:
        try:
            for words in (("ps", "-a"), ("images",)):
                self.host.limpet(*words)  # who looks what can be removed needs an answer
        finally:
            self.ballast.unlink()


class NetworkGone(Fault):
    """The wire to the registry is cut after some bytes, for good or for a moment."""

    @staticmethod
    def applies(operation: Operation, learned: Learned) -> bool:
        return operation.far

    def prepare(self) -> None:
        after = self.chance.randint(0, self.learned.wire_bytes)
        self.pause_s = self.chance.choice((0.0, 0.3, 2.0))
        self.what = f"cut after {after} bytes" + f", mended {self.pause_s} s later" * bool(
            self.pause_s
        )
        self.host.link.cut_after(after)
        self.timer = threading.Timer(self.learned.seconds + self.pause_s, self.host.link.mend)

    def strike(self, process: subprocess.Popen[bytes]) -> None:
        if self.pause_s:
            self.timer.start()

    def end(self) -> None:
        self.timer.cancel()
        self.host.link.mend()


class LoopbackDown(NetworkGone):
    """The network's device is down for a while: nobody answers, nobody refuses."""

    def prepare(self) -> None:
        self.timer = threading.Timer(0, lambda: None)
        self.pause_s = self.chance.uniform(0.1, 2)

    def strike(self, process: subprocess.Popen[bytes]) -> None:
        after = self.somewhen()
        self.what = f"no network after {after:.3f} s, for {self.pause_s:.1f} s"
        time.sleep(after)
        subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
        time.sleep(self.pause_s)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


class ClockTurns(Fault):
    """The clock is wrong from the start, and jumps in the middle, forwards or backwards."""

    @staticmethod
    def applies(operation: Operation, learned: Learned) -> bool:
        return clock.LIBRARY is not None

    def prepare(self) -> None:
        self.file = self.host.work / "faketime"
        self.turn()

    def turn(self) -> None:
        seconds = self.chance.choice((0, 90, 7200, 86400 * 400)) * self.chance.choice((1, -1))
        self.what += f" {seconds:+d} s"
        clock.turn(self.file, seconds)

    def environment(self) -> dict[str, str]:
        return clock.follow(self.file)

    def strike(self, process: subprocess.Popen[bytes]) -> None:
        time.sleep(self.somewhen())
        self.turn()

    def end(self) -> None:
        clock.turn(self.file, 0)


KINDS: dict[str, type[Fault]] = {
    "kill": KillSomewhen, "point": KillAtPoint, "sync": SyncFails, "full": DiskFull,
    "cut": NetworkGone, "down": LoopbackDown, "clock": ClockTurns,
}  # fmt: skip


def choose_point(points: Sequence[str], chance: random.Random) -> tuple[str, int]:
    """Choose a call of an operation: rare ones are as likely as those made for each file."""
    kind = chance.choice(sorted({name.split()[0] for name in points}))
    name = chance.choice(sorted({name for name in points if name.split()[0] == kind}))
    return name, chance.randint(1, points.count(name))


def syncs(points: Sequence[str]) -> list[str]:
    """Return those points that are syncs."""
    return [name for name in points if name.split()[0] in SYNCS]


def fill(fd: int, bytes_: int) -> None:
    """Take so much of the disk, or all that there is."""
    try:
        os.posix_fallocate(fd, 0, bytes_)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def kill(pids: Sequence[int]) -> None:
    """Kill processes, those that are still there."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def descendants(pid: int) -> list[int]:
    """Return the children of a process and theirs, but for those that have left for init."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [one for child in map(int, children) for one in (child, *descendants(child))]
