"""Layers whose files the kernel brings to the disk in its own time.

What a layer was unpacked of, or packed to, is on the disk before an image has it: its blob.
Nobody waits for the files beside it.  A row says in which boot they were written, until they
have settled; what a power cut may have left of those of an earlier boot is unpacked again
before anybody looks at it.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time

from core.errors import Error
from core.images.manifest import Descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _sqlite3 import Connection

    from core.database import Database
    from core.images.store import ImageStore
    from core.paths import Paths

SETTLER = os.path.join(os.path.dirname(__file__), "settler.py")
OLD_S = 60
"""Twice what the kernel keeps written pages: syncfs(2) then finds little to do."""


def note_unsettled(sql: Connection, number: int, blob: Descriptor) -> None:
    """Say that a layer's files may not be on the disk; within the transaction that makes it."""
    sql.execute(
        "INSERT OR REPLACE INTO unsettled_layers VALUES (?,?,?,?,?,?)",
        (number, blob.digest, blob.size, blob.media_type, _boot(), time.time()),
    )


def see_to_unsettled(store: ImageStore) -> None:
    """Mend what an earlier boot left, and have a process settle what was written a while ago."""
    if store.database.query("SELECT 1 FROM unsettled_layers WHERE boot <> ?", (_boot(),)):
        _mend_all(store)
    before = time.time() - OLD_S
    if store.database.query("SELECT 1 FROM unsettled_layers WHERE since < ?", (before,)):
        _start_settler(store.paths)


def settle(paths: Paths, database: Database) -> None:
    """Have all on the disk that was written a while ago, and forget it."""
    from core.linux.filesystem import sync_file_system

    before = time.time() - OLD_S
    settled = "DELETE FROM unsettled_layers WHERE since < ? AND boot = ?"
    fd = os.open(paths.layers, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_file_system(fd)
        with database.write() as sql:
            sql.execute(settled, (before, _boot()))
    except (OSError, Error):
        pass  # they stay as they are noted
    finally:
        os.close(fd)
        database.close()


def _start_settler(paths: Paths) -> None:
    """Start the process that settles, unless one is at it: it holds the lock until its end."""
    import subprocess
    from threading import Thread

    paths.make()
    lock = os.open(f"{paths.run}/settling", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        modules = os.pathsep.join(place for place in sys.path if place and os.path.isdir(place))
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-E", SETTLER, modules, paths.data, paths.run],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=(lock,), start_new_session=True, cwd="/",
        )  # fmt: skip
    except OSError:
        return  # somebody else's is at it, or the next limpet's will be
    finally:
        os.close(lock)
    Thread(target=child.wait, daemon=True).start()


def _mend_all(store: ImageStore) -> None:
    """Unpack layers again; of several processes one does it, and the others wait."""
    lock = os.open(store.paths.layers, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rows = store.database.query(
            "SELECT u.layer, l.diff_id, u.media_type, u.blob_digest, u.blob_size "
            "FROM unsettled_layers u JOIN layers l ON l.id = u.layer WHERE u.boot <> ?",
            (_boot(),),
        )
        for number, diff_id, *noted in rows:
            blobs = [Descriptor(*row) for row in (noted, *_blobs(store, diff_id))]
            _mend(store, number, diff_id, blobs)
    finally:
        os.close(lock)


def _blobs(store: ImageStore, diff_id: str) -> list[tuple[str, str, int]]:
    """Return what images name for a layer."""
    return store.database.query(
        "SELECT media_type, blob_digest, blob_size FROM image_layers WHERE diff_id=?", (diff_id,)
    )


def _mend(store: ImageStore, number: int, diff_id: str, blobs: list[Descriptor]) -> None:
    """Unpack a layer again from the first of its blobs that is whole.

    If none is, it has no directory then: `image fsck --repair` asks the registry for it.
    """
    from core.trees import remove_tree

    layers = store.layers
    # First, as nobody can use it: its space may be all that there is for the new one.
    remove_tree(layers.set_aside(number))
    for blob in blobs:
        path = store.blobs.path(blob.digest)
        try:
            layers.replace(path, blob, diff_id, lambda _: None, lambda: None)
        except (Error, OSError):
            continue
        return
    with store.database.write() as sql:
        sql.execute("DELETE FROM unsettled_layers WHERE layer=?", (number,))


def _boot() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()
