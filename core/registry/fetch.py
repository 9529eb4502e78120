"""Fetching one blob into its partial file: resumed, verified, shared with other processes.

The partial file is locked while somebody writes to it.  Whoever waited for the lock finds
the blob there, or goes on where the other stopped.
"""

from __future__ import annotations

import errno
import os

from core.errors import FREE_SPACE, Corrupt, HostError, Unreachable
from core.images.digest import hasher, split_digest
from core.linux.filesystem import start_writing
from core.registry.transport.failures import unreachable
from core.registry.transport.http import ATTEMPTS, backoff
from core.registry.transport.response import CutShort

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.images.blobs import BlobStore
    from core.images.manifest import Descriptor
    from core.registry.client import Blob, RegistryClient

    Report = Callable[[int, str], None]
    Check = Callable[[], None]

CHUNK = 256 << 10
BEGIN_EVERY = 8 << 20
"""Bytes after which the kernel begins to bring them to the disk: the end then waits for less."""
PROGRESS_BYTES = 64 << 10
"""A connection that brought this much does not count as a failed attempt."""


def fetch_blob(
    blobs: BlobStore,
    client: RegistryClient,
    path: str,
    descriptor: Descriptor,
    report: Report,
    check: Check,
) -> None:
    """Bring a blob of the repository `path` into the store; nothing happens if it is there.

    `report` is told the bytes and what is going on: waiting, verifying or downloading.
    Whatever `check` raises passes through and leaves the partial file for a later resume.
    Raises Corrupt if the registry's content has another digest or size (nothing stays then),
    HostError when the disk is full, and what RegistryClient.blob raises.
    """

    def wait(done: int) -> None:
        report(done, "waiting")
        check()

    fd = blobs.lock_partial(descriptor.digest, wait)
    if fd < 0:
        return
    try:
        _Fetch(client, path, descriptor, report, check, fd).run()
        blobs.publish_partial(descriptor.digest, fd)
    except Corrupt:
        os.unlink(blobs.partial_path(descriptor.digest))
        raise
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        place = blobs.partial_path(descriptor.digest)
        missing = descriptor.size - os.fstat(fd).st_size
        raise disk_full(place, missing) from error
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


def disk_full(path: str, missing: int) -> HostError:
    """Return the error for a disk on which `missing` more bytes do not fit."""
    return HostError(
        f"no space left for {path}: {missing} bytes do not fit",
        hint=FREE_SPACE,
        subject=path,
        errno=errno.ENOSPC,
    )


class _Broken(Exception):
    """The connection ended early: the one failure that is tried again here."""

    def __init__(self, cause: Unreachable) -> None:
        super().__init__(cause)
        self.cause = cause


class _Fetch:
    def __init__(
        self,
        client: RegistryClient,
        path: str,
        descriptor: Descriptor,
        report: Report,
        check: Check,
        fd: int,
    ) -> None:
        self._client = client
        self._path = path
        self._digest = descriptor.digest
        self._size = descriptor.size
        self._report = report
        self._check = check
        self._fd = fd
        self._start_over()

    def run(self) -> None:
        """Fill the partial file until it is the whole blob, and verify it."""
        resumed = self._resume()
        failures = 0
        while self._done < self._size:
            before = self._done
            try:
                self._receive()
            except _Broken as broken:
                failures = 1 if self._done - before >= PROGRESS_BYTES else failures + 1
                if failures >= ATTEMPTS:
                    raise broken.cause from broken.cause.__cause__
                backoff(failures, self._check)
        if f"{self._algorithm}:{self._hash.hexdigest()}" == self._digest:
            return
        if resumed:
            # What an earlier run left may be the damaged part.
            self._start_over()
            os.ftruncate(self._fd, 0)
            self.run()
            return
        raise Corrupt(
            f"blob {self._digest} of {self._client.host}/{self._path}: the registry sent "
            f"content with digest {self._algorithm}:{self._hash.hexdigest()}",
            hint="pull again; if that does not help, the registry's copy is damaged",
            subject=self._digest,
        )

    def _start_over(self) -> None:
        self._algorithm = split_digest(self._digest)[0]
        self._hash = hasher(self._algorithm)
        self._done = 0

    def _resume(self) -> bool:
        """Take in what is in the partial file; return whether that is anything."""
        if os.fstat(self._fd).st_size > self._size:
            os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        while chunk := os.read(self._fd, CHUNK):
            self._check()
            self._hash.update(chunk)
            self._done += len(chunk)
            self._report(self._done, "verifying")
        return self._done > 0

    def _receive(self) -> None:
        """Append what one connection brings; raises _Broken if it ends early."""
        blob = self._client.blob(self._path, self._digest, self._done)
        try:
            if blob.start != self._done:
                self._start_over()
                os.ftruncate(self._fd, 0)
                os.lseek(self._fd, 0, os.SEEK_SET)
            self._copy(blob)
        finally:
            blob.close()

    def _copy(self, blob: Blob) -> None:
        begun = self._done
        while chunk := _next(blob):
            if self._done + len(chunk) > self._size:
                raise Corrupt(
                    f"blob {self._digest} of {self._client.host}/{self._path} is longer than "
                    f"the {self._size} bytes its manifest tells",
                    hint="the registry's copy is damaged",
                    subject=self._digest,
                )
            view = memoryview(chunk)
            while view:
                view = view[os.write(self._fd, view) :]
            self._hash.update(chunk)
            self._done += len(chunk)
            if self._done - begun >= BEGIN_EVERY:
                start_writing(self._fd, begun, self._done - begun)
                begun = self._done
            self._report(self._done, "downloading")
            self._check()
        if self._done < self._size:
            host = self._client.host
            raise _Broken(unreachable(CutShort(self._size - self._done), f"//{host}", host))


def _next(blob: Blob) -> bytes:
    try:
        return blob.read(CHUNK)
    except Unreachable as error:
        raise _Broken(error) from error
