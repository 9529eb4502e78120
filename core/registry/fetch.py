"""Fetching one blob into its partial file: resumed, verified, shared with other processes.

The partial file is locked while somebody writes to it.  Whoever waited for the lock finds
the blob there, or goes on where the other stopped.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from core.errors import Corrupt, HostError, NotFound, ProtocolError
from core.images.digest import hasher, split_digest
from core.registry.failures import unreachable
from core.registry.http import ATTEMPTS, BROKEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from hashlib import _Hash

    from core.images.blobs import BlobStore
    from core.images.manifest import Descriptor
    from core.registry.client import Blob, RegistryClient

    Report = Callable[[int, str], None]

CHUNK = 256 << 10
LOCK_POLL_S = 0.1
PROGRESS_BYTES = 64 << 10
"""A connection that brought this much does not count as a failed attempt."""


class _Broken(Exception):
    """The connection ended before the blob did."""


def fetch_blob(
    blobs: BlobStore,
    client: RegistryClient,
    path: str,
    descriptor: Descriptor,
    report: Report,
    check: Callable[[], None],
) -> None:
    """Bring a blob of the repository `path` into the store; nothing happens if it is there.

    `report` is told bytes and what is going on: waiting, verifying, downloading.  Whatever
    `check` raises passes through and leaves the partial file for a later resume.  Raises
    Corrupt, also when what was resumed is at fault only after one fetch from the start, and
    HostError when the disk is full.
    """
    if blobs.has(descriptor.digest):
        return
    fd = _lock(blobs, descriptor.digest, report, check)
    try:
        if not blobs.has(descriptor.digest):
            _Fetch(blobs, client, path, descriptor, report, check, fd).run()
    finally:
        os.close(fd)


def bytes_present(blobs: BlobStore, descriptor: Descriptor) -> int:
    """Return how much of a blob is here already, as a whole or in part."""
    for path in (blobs.path(descriptor.digest), blobs.partial_path(descriptor.digest)):
        try:
            return min(os.stat(path).st_size, descriptor.size)
        except FileNotFoundError:
            pass
    return 0


def _lock(blobs: BlobStore, digest: str, report: Report, check: Callable[[], None]) -> int:
    """Return a descriptor of the locked partial file; as BlobStore.lock_partial, but stoppable."""
    path = blobs.partial_path(digest)
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            while not _try_lock(fd):
                report(os.fstat(fd).st_size, "waiting")
                check()
                time.sleep(LOCK_POLL_S)
            if os.fstat(fd).st_nlink:  # else its holder has published it meanwhile
                if not _same(fd, path):
                    os.close(fd)
                    continue
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


class _Fetch:
    def __init__(
        self,
        blobs: BlobStore,
        client: RegistryClient,
        path: str,
        descriptor: Descriptor,
        report: Report,
        check: Callable[[], None],
        fd: int,
    ) -> None:
        self._blobs = blobs
        self._client = client
        self._path = path
        self._digest = descriptor.digest
        self._size = descriptor.size
        self._report = report
        self._check = check
        self._fd = fd
