"""The unpacked layers: one directory and one index each, shared by all images.

A layer's row is committed after its directory has its name, and says that its content is on its
way to the disk (`core.images.settling`): a crash leaves a whole layer, or what the next limpet
sweeps away or unpacks again.
"""

from __future__ import annotations

import fcntl
import os
import time

from core.errors import NotFound
from core.images.blobs import is_file_at
from core.images.digest import begun_by
from core.privileges import require_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.config import Config
    from core.database import Database
    from core.images.file_table import FileTable
    from core.images.manifest import Descriptor
    from core.images.unpacking.unpack import Unpacker
    from core.paths import Paths

ROOT_MODE = 0o755
"""Of a layer's root, unless the layer says otherwise."""


class LayerStore:
    """The layers of this host; safe to share between threads and processes."""

    def __init__(self, paths: Paths, database: Database, config: Config) -> None:
        self._paths = paths
        self._database = database
        self._config = config

    def files(self, diff_id: str) -> FileTable:
        """Return what a layer holds; NotFound for one that is not here."""
        from core.images.index import index_path, read_index

        row = self._database.query("SELECT id FROM layers WHERE diff_id=?", (diff_id,))
        if not row:
            raise NotFound(f"there is no layer {diff_id} here", subject=diff_id)
        return read_index(index_path(self._paths, row[0][0]))

    @property
    def max_bytes(self) -> int:
        """Bytes of files that one layer may hold."""
        limit: int = self._config["image", "max_layer_bytes"]
        return limit

    def has(self, diff_id: str) -> bool:
        """Return whether a layer is unpacked here."""
        return bool(self._database.query("SELECT 1 FROM layers WHERE diff_id=?", (diff_id,)))

    def by_id(self, start: str) -> str:
        """Return the diff ID of the layer here that starts like this, "" for none or several."""
        if self.has(start):
            return start
        bounds = begun_by(start)
        if bounds is None:
            return ""
        found = self._database.query(
            "SELECT diff_id FROM layers WHERE diff_id>=? AND diff_id<?", bounds
        )
        return found[0][0] if len(found) == 1 else ""

    def add(
        self,
        blob: str,
        descriptor: Descriptor,
        diff_id: str,
        progress: Callable[[int], None],
        check: Callable[[], None],
        unpacker: Unpacker | None = None,
        arriving: str = "",
    ) -> int:
        """Unpack the blob in a file, unless the layer is here already; returns the layer's ID.

        Several processes that want the same layer share the work.  Raises what
        `core.images.unpacking.unpack.Unpacker` raises, which also tells what `arriving` is; nothing
        half-done stays.
        """
        from core.images.unpacking.unpack import Unpacker

        require_root("unpacking an image")
        self._make_home()
        with _Lock(self._home(diff_id) + ".lock", check):
            rows = self._database.query("SELECT id FROM layers WHERE diff_id=?", (diff_id,))
            if rows:
                return int(rows[0][0])
            if unpacker:
                return self._unpack(unpacker, blob, descriptor, diff_id, progress, check, arriving)
            with Unpacker() as own:
                return self._unpack(own, blob, descriptor, diff_id, progress, check)

    def replace(
        self,
        blob: str,
        descriptor: Descriptor,
        diff_id: str,
        progress: Callable[[int], None],
        check: Callable[[], None],
    ) -> None:
        """Unpack a layer again over what is there; containers that run keep what they have.

        Raises as `add`, and then the layer is as it was.
        """
        from core.images.unpacking.unpack import Unpacker

        self._make_home()
        with _Lock(self._home(diff_id) + ".lock", check), Unpacker() as unpacker:
            self._unpack(unpacker, blob, descriptor, diff_id, progress, check)

    def _unpack(
        self,
        unpacker: Unpacker,
        blob: str,
        descriptor: Descriptor,
        diff_id: str,
        progress: Callable[[int], None],
        check: Callable[[], None],
        arriving: str = "",
    ) -> int:
        from core.trees import remove_tree

        home = self._home(diff_id)
        self._sweep()
        remove_tree(home)
        os.mkdir(home, ROOT_MODE)
        os.chmod(home, ROOT_MODE)  # whatever the umask: it is the root that programs see
        index = home + ".index"
        try:
            size, files = unpacker.unpack(
                blob, home, index, media_type=descriptor.media_type,
                digest=descriptor.digest, diff_id=diff_id,
                max_bytes=self.max_bytes,
                max_files=self._config["image", "max_layer_files"],
                progress=progress, check=check, arriving=arriving, size=descriptor.size,
            )  # fmt: skip
            return self._publish(home, index, diff_id, size, files, descriptor)
        except BaseException:
            _clear(home)
            raise

    def _make_home(self) -> None:
        """Make the directory of all layers, each of which is a tree that goes as a whole."""
        from core.linux.filesystem import spread_subdirectories

        self._paths.make()
        spread_subdirectories(self._paths.layers)

    def staging(self, check: Callable[[], None]) -> Staging:
        """Return a place for a layer in the making, swept up if its maker is killed; a context."""
        self._make_home()
        self._sweep()
        return Staging(self._paths, check)

    def adopt(
        self,
        home: str,
        index: str,
        diff_id: str,
        size: int,
        files: int,
        blob: Descriptor,
        check: Callable[[], None],
    ) -> int:
        """Make a whole directory and its index a layer; returns the layer's ID.

        If the layer is here already, the directory is removed instead.
        """
        with _Lock(self._home(diff_id) + ".lock", check):
            rows = self._database.query("SELECT id FROM layers WHERE diff_id=?", (diff_id,))
            if rows:
                _clear(home)
                return int(rows[0][0])
            return self._publish(home, index, diff_id, size, files, blob)

    def _publish(
        self,
        home: str,
        index: str,
        diff_id: str,
        size: int,
        files: int,
        blob: Descriptor,
    ) -> int:
        from core.images.settling import note_unsettled
        from core.trees import remove_tree

        gone = ""
        with self._database.write() as sql:
            row = sql.execute("SELECT id FROM layers WHERE diff_id=?", (diff_id,)).fetchone()
            if row:
                number = int(row[0])
            else:
                made = sql.execute(
                    "INSERT INTO layers (diff_id, size, files) VALUES (?,?,?)",
                    (diff_id, size, files),
                )
                number = int(made.lastrowid or 0)
            note_unsettled(sql, number, blob)
            gone = self.set_aside(number)
            os.rename(index, f"{self._paths.layers}/{number}.index")
            # The last thing before the end of the transaction: whoever is killed in between
            # leaves a directory that nothing names, and an adopted one is its owner's.
            os.rename(home, f"{self._paths.layers}/{number}")
        remove_tree(gone)
        return number

    def _sweep(self) -> None:
        """Remove what unpacks that were killed have left: their lock is there, and free."""
        from core.trees import remove_tree

        for name in os.listdir(self._paths.layers):
            path = f"{self._paths.layers}/{name}"
            if not name.endswith(".lock"):
                continue
            try:
                fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not is_file_at(fd, path):
                    continue  # its holder has ended, and the next one has begun
                home = path.removesuffix(".lock")
                remove_tree(home)
                for leftover in (home + ".index", path):
                    if os.path.exists(leftover):
                        os.unlink(leftover)
            except BlockingIOError:
                continue  # it is being unpacked
            finally:
                os.close(fd)

    def _home(self, diff_id: str) -> str:
        """Return where a layer is unpacked before it has a number."""
        return f"{self._paths.layers}/.{diff_id.partition(':')[2]}"

    def set_aside(self, number: int) -> str:
        """Rename a layer's directory, and return its new name; the caller removes it.

        A removal that is cut short must not leave half a layer.
        """
        gone = f"{self._paths.layers}/.gone-{number}-{time.time_ns()}"
        if os.path.exists(f"{self._paths.layers}/{number}"):
            os.rename(f"{self._paths.layers}/{number}", gone)
        index = f"{self._paths.layers}/{number}.index"
        if os.path.exists(index):
            os.unlink(index)
        return gone


def _clear(home: str) -> None:
    from core.trees import remove_tree

    remove_tree(home)
    if os.path.exists(home + ".index"):
        os.unlink(home + ".index")


class Staging:
    """A place among the layers that is its maker's: enters as a path where nothing is yet."""

    def __init__(self, paths: Paths, check: Callable[[], None]) -> None:
        self._home = f"{paths.layers}/.new-{os.urandom(8).hex()}"
        self._lock = _Lock(self._home + ".lock", check)

    def __enter__(self) -> str:
        self._lock.__enter__()
        return self._home

    def __exit__(self, *error: object) -> None:
        _clear(self._home)
        self._lock.__exit__(*error)


class _Lock:
    """An exclusive lock on a file, waited for in small steps so that `check` can stop it."""

    def __init__(self, path: str, check: Callable[[], None]) -> None:
        self._path = path
        self._check = check

    def __enter__(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not self._take():
                self._check()
                time.sleep(0.05)
        except BaseException:
            os.close(self._fd)
            raise

    def _take(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if is_file_at(self._fd, self._path):
            return True
        # Whoever held it has removed the file: what is locked now is nobody's any more.
        os.close(self._fd)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return False

    def __exit__(self, *_: object) -> None:
        os.unlink(self._path)
        os.close(self._fd)
