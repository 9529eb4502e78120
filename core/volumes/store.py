"""Named volumes: directories of their own, `volumes/<name>`, that outlive containers.

A row says that a volume is there.  Its directory is made by the first container that uses
it, filled with what the image has at that place, or here, when somebody asks for it.
"""

from __future__ import annotations

import fcntl
import os
import time

from core.errors import Conflict, InUse, NotFound, UsageError
from core.lean_json import dumps, loads
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from core.database import Database
    from core.paths import Paths


class Volume(Record):
    """One named volume."""

    name: str
    created: float
    labels: dict[str, str]
    path: str
    """Its directory on the host; may not be there yet."""


class VolumeStore:
    """The volumes of this host; safe to share between threads and processes."""

    def __init__(self, paths: Paths, database: Database) -> None:
        self._paths = paths
        self._database = database

    def list(self) -> list[Volume]:
        """Return all volumes by name."""
        rows = self._database.query("SELECT name, created, labels FROM volumes ORDER BY name")
        return [self._volume(*row) for row in rows]

    def find(self, name: str) -> Volume:
        """Return one volume; NotFound with names like it."""
        rows = self._database.query(
            "SELECT name, created, labels FROM volumes WHERE name=?", (name,)
        )
        if not rows:
            import difflib

            near = difflib.get_close_matches(name, [volume.name for volume in self.list()], 3)
            hint = f"did you mean {' or '.join(near)}?" if near else "limpet volume ls lists them"
            raise NotFound(f"there is no volume {name!r}", hint=hint, subject=name)
        return self._volume(*rows[0])

    def create(self, name: str, labels: Mapping[str, str]) -> Volume:
        """Make an empty volume, under a random name when it is ""; idempotent without labels.

        Raises UsageError for a bad name, Conflict when a volume of this name has other labels.
        """
        name = name or os.urandom(32).hex()
        check_name(name)
        with self._database.write() as sql:
            sql.execute(
                "INSERT OR IGNORE INTO volumes VALUES (?,?,?)",
                (name, time.time(), dumps(dict(labels))),
            )
        found = self.find(name)
        if labels and found.labels != dict(labels):
            raise Conflict(
                f"volume {name} is there already, with other labels",
                hint=f"limpet volume inspect {name}",
                subject=name,
            )
        self.make_directory(found)
        return found

    def make_directory(self, volume: Volume) -> None:
        """Make a volume's directory, if it is missing, as an image without the place has it."""
        os.makedirs(self._paths.volumes, 0o711, exist_ok=True)
        try:
            os.mkdir(volume.path, 0o755)
            os.chmod(volume.path, 0o755)  # noqa: S103 - the umask may be anything
        except FileExistsError:
            pass

    def remove(self, name: str, users: Callable[[str], Sequence[str]]) -> None:
        """Remove a volume and all in it; InUse while a container is made with it.

        `users(name)` returns the names of those containers; it is asked when nobody can make one
        any more.  The directory is renamed before the row goes, so that no later volume of
        the name finds what a removal cut short has left.
        """
        volume = self.find(name)
        with self._database.write() as sql:
            if held := users(name):
                raise in_use(name, held)
            if os.path.exists(volume.path):
                os.rename(volume.path, f"{self._paths.volumes}/.{name}.{os.urandom(4).hex()}")
            sql.execute("DELETE FROM volumes WHERE name=?", (name,))
        self.sweep()

    def sweep(self) -> None:
        """Remove what removals, and first uses that were interrupted, have left."""
        from core.trees import remove_tree

        try:
            names = [name for name in os.listdir(self._paths.volumes) if name.startswith(".")]
        except FileNotFoundError:
            return
        for name in names:
            path = f"{self._paths.volumes}/{name}"
            try:
                fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # another limpet sweeps as well
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_tree(path)
            except BlockingIOError:
                continue  # a container that starts is filling it
            finally:
                os.close(fd)

    def size(self, volume: Volume) -> int:
        """Return the bytes a volume's files take on disk, a hard link counted once."""
        total, seen, todo = 0, set(), [volume.path]
        while todo:
            try:
                with os.scandir(todo.pop()) as entries:
                    for entry in entries:
                        facts = entry.stat(follow_symlinks=False)
                        if entry.is_dir(follow_symlinks=False):
                            todo.append(entry.path)
                        if facts.st_nlink > 1 and (facts.st_dev, facts.st_ino) in seen:
                            continue
                        seen.add((facts.st_dev, facts.st_ino))
                        total += facts.st_blocks * 512
            except OSError:
                continue  # it is being changed while we look
        return total

    def _volume(self, name: str, created: float, labels: str) -> Volume:
        return Volume(name, created, loads(labels), f"{self._paths.volumes}/{name}")


def in_use(name: str, users: Sequence[str]) -> InUse:
    """Return the error for a volume that containers are made with."""
    return InUse(
        f"volume {name} is used by {', '.join(users)}",
        hint=f"limpet rm {' '.join(users)} first",
        subject=name,
    )


def check_name(name: str) -> None:
    """Raise UsageError unless a volume may be called so: [a-zA-Z0-9][a-zA-Z0-9_.-]+."""
    rest = name.replace("_", "").replace(".", "").replace("-", "")
    if not (2 <= len(name) <= 200 and name.isascii() and name[0].isalnum() and rest.isalnum()):
        raise UsageError(
            f"{name!r} is no volume name",
            hint="letters, digits, _ . - and a letter or digit in front, at least two",
            subject=name,
        )
