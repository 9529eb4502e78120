"""Unpacks an archive's layers while they are packed: what is not compressed passes by once.

podman and skopeo name such a layer by its digest, so that it is known beforehand what it must
come to.
"""

from __future__ import annotations

import fcntl
import os
import select
from contextlib import suppress
from threading import Thread

from core.errors import Error
from core.images.manifest import OCI_LAYER, Descriptor
from core.images.unpacking.unpack import Unpacker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.images.store import ImageStore
    from core.jobs import Job

PIPE_BYTES = 1 << 20
"""What a pipe may hold at most, unless the host says otherwise."""
WAIT_MS = 100


class Feeds:
    """Starts what unpacks, one layer beside the last one's end; close it when all is read."""

    def __init__(self, store: ImageStore, job: Job) -> None:
        self._store = store
        self._job = job
        self._unpacker: Unpacker | None = None
        self._feeds: list[Feed] = []

    def begin(self, diff_id: str, size: int) -> Feed | None:
        """Return what takes a layer's bytes, None where the layer is here already."""
        if self._store.layers.has(diff_id):
            return None
        if len(self._feeds) > 1:
            self._feeds.pop(0).end()
        self._unpacker = self._unpacker or Unpacker()
        feed = Feed(self._store, self._job, self._unpacker, diff_id, size)
        self._feeds.append(feed)
        return feed

    def close(self) -> None:
        """End what has not got all of its layer, and wait for the rest."""
        for feed in self._feeds:
            feed.end()
        self._feeds = []
        if self._unpacker:
            self._unpacker.close()
            self._unpacker = None


class Feed:
    """A layer that is unpacked as its `size` bytes are written here.

    Whatever goes wrong ends that alone: the layer is then not here, and its blob tells why.
    """

    def __init__(
        self, store: ImageStore, job: Job, unpacker: Unpacker, diff_id: str, size: int
    ) -> None:
        self._store = store
        self._job = job
        self._unpacker = unpacker
        self._diff_id = diff_id
        self._size = size
        self._given_up = False
        self._taken = 0
        # Nobody is told of a reader that has gone: this process has the pipe open itself.
        self._source, self._pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        with suppress(PermissionError):
            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._poll = select.poll()
        self._poll.register(self._pipe, select.POLLOUT)
        self._failed = False
        self._is_whole: bool | None = None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        """Take the next bytes; they are dropped once the unpacking has ended."""
        view = memoryview(data)
        while view and self._thread.is_alive():
            if self._poll.poll(WAIT_MS):
                count = os.write(self._pipe, view)
                view = view[count:]
                self._taken += count

    def end(self) -> bool:
        """Return, when nothing is at work, whether just this became the layer of its name."""
        if self._is_whole is None:
            self._given_up = self._taken < self._size
            self._thread.join()
            # Somebody else may have been quicker: then what was written was not read.
            unread = select.select([self._source], [], [], 0)[0]
            self._is_whole = not (self._given_up or self._failed or unread)
            os.close(self._pipe)
            os.close(self._source)
        return self._is_whole

    def _run(self) -> None:
        # Opened anew by the other process: what it waits for must not be non-blocking.
        path = f"/proc/{os.getpid()}/fd/{self._source}"
        layer = Descriptor(OCI_LAYER, self._diff_id, self._size)
        try:
            self._store.layers.add(
                path, layer, self._diff_id, self._tell, self._check, self._unpacker, arriving=path
            )
            self._job.progress(self._diff_id[7:19], self._size, self._size, "done")
        except (Error, OSError, _GivenUp):
            self._failed = True
        finally:
            self._store.database.close()

    def _tell(self, done: int) -> None:
        self._job.progress(self._diff_id[7:19], done, self._size, "unpacking")

    def _check(self) -> None:
        self._job.check()
        if self._given_up:
            raise _GivenUp


class _GivenUp(Exception):
    """The rest of the layer does not come."""
