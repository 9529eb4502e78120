"""Layers that were made here, whose files the kernel brings to the disk in its own time.

Whoever makes one waits for its blob alone.  A row says in which boot the files beside it were
written, until they have settled; what a power cut may have left of those of an earlier boot
is unpacked again from the blob before anybody looks at it.
"""

from __future__ import annotations

import fcntl
import os
import time

from core.errors import Error
from core.images.manifest import Descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _sqlite3 import Connection
    from threading import Thread

    from core.database import Database
    from core.images.layers import LayerStore
    from core.images.store import ImageStore
    from core.paths import Paths

OLD_S = 60
"""Twice what the kernel keeps written pages: syncfs(2) then finds little to do."""


def note_unsettled(sql: Connection, number: int, blob: Descriptor) -> None:
    """Say that a layer's files may not be on the disk; within the transaction that makes it."""
    sql.execute(
        "INSERT OR REPLACE INTO unsettled_layers VALUES (?,?,?,?,?,?)",
        (number, blob.digest, blob.size, blob.media_type, _boot(), time.time()),
    )


def settle(database: Database, before: float) -> None:
    """Forget those that were there at a time, after which the whole file system was synced."""
    if database.query("SELECT 1 FROM unsettled_layers WHERE since < ?", (before,)):
        with database.write() as sql:
            settled = "DELETE FROM unsettled_layers WHERE since < ? AND boot = ?"
            sql.execute(settled, (before, _boot()))


def settle_old(paths: Paths, database: Database) -> Thread | None:
    """Let a thread bring to the disk what was written a while ago; None if nothing was."""
    before = time.time() - OLD_S
    if not database.query("SELECT 1 FROM unsettled_layers WHERE since < ?", (before,)):
        return None
    from threading import Thread

    def run() -> None:
        from core.linux.filesystem import sync_file_system

        fd = os.open(paths.layers, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sync_file_system(fd)
            settle(database, before)
        except (OSError, Error):
            pass  # they stay as they are noted
        finally:
            os.close(fd)
            database.close()

    thread = Thread(target=run, daemon=True)
    thread.start()
    return thread


def mend_unsettled(store: ImageStore) -> None:
    """Unpack again what was written in an earlier boot and had not settled.

    A layer whose blob is damaged, too, loses its directory: `image fsck --repair` asks the
    registry for it.  Of several processes one does it, and the others wait.
    """
    query = (
        "SELECT u.layer, l.diff_id, u.blob_digest, u.blob_size, u.media_type "
        "FROM unsettled_layers u JOIN layers l ON l.id = u.layer WHERE u.boot <> ?"
    )
    if not store.database.query(query, (_boot(),)):
        return
    lock = os.open(store.paths.layers, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for number, diff_id, digest, size, media_type in store.database.query(query, (_boot(),)):
            _mend(store, store.layers, number, diff_id, Descriptor(media_type, digest, size))
    finally:
        os.close(lock)


def _mend(
    store: ImageStore, layers: LayerStore, number: int, diff_id: str, blob: Descriptor
) -> None:
    from core.images.trees import remove_tree

    try:
        layers.replace(store.blobs.path(blob.digest), blob, diff_id, lambda _: None, lambda: None)
    except Error:
        with store.database.write() as sql:
            sql.execute("DELETE FROM unsettled_layers WHERE layer=?", (number,))
            gone = layers.set_aside(number)
        remove_tree(gone)


def _boot() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()
