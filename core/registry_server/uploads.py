"""Blobs on their way in: each upload is one file, and its length is how far it got.

A server that was killed goes on with the uploads of the one before it.  Bytes are summed up
as they come; what the sum was at the end of the last part is remembered, not written down.
"""

from __future__ import annotations

import fcntl
import os
import uuid

from core.images.digest import hasher, split_digest
from core.registry_server.refusals import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import _Hash

    from core.images.blobs import BlobStore
    from core.paths import Paths
    from core.registry_server.bucket import BucketUpload

PREFIX = "upload-"
CHUNK = 1 << 20


def new_upload() -> str:
    """Return a name for an upload that nobody guesses."""
    return uuid.uuid4().hex


def is_upload_name(text: str) -> bool:
    """Return whether text has the form of an upload's name; it is then safe in a path."""
    return len(text) == 32 and text.isalnum() and text.isascii()


class Upload:
    """One upload: appended to by one request at a time, in threads that may change."""

    def __init__(
        self, path: str, algorithm: str = "sha256", sending: BucketUpload | None = None
    ) -> None:
        self.sending = sending
        """Its way into the bucket, where blobs go to one."""
        self._path = path
        self._fd = -1
        self._algorithm = algorithm
        self._sum: _Hash = hasher(algorithm)
        self._summed = 0

    @property
    def size(self) -> int:
        """The bytes that have come."""
        try:
            return os.stat(self._path).st_size
        except FileNotFoundError:
            return 0

    def append(self, data: bytes | bytearray) -> None:
        """Write at the end and sum up; OSError when the disk is full."""
        fd = self._open()
        start = os.lseek(fd, 0, os.SEEK_END)
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        if start == self._summed:
            self._sum.update(data)
            self._summed += len(data)

    def take(self, data: bytes | bytearray) -> None:
        """Append, and send on what makes a part of an object; Unreachable when S3 fails."""
        self.append(data)
        if self.sending:
            self.sending.feed(self._open(), self.size)

    def finish(self, files: BlobStore, digest: str, *, is_here: bool = False) -> bool:
        """Make it the blob `digest`; Refusal if it is something else.

        Of one that `is_here` only the digest is checked.  Returns whether it is an object of
        the bucket now, which is still to be noted.

        The file is gone afterwards, in either case.
        """
        try:
            algorithm, value = split_digest(digest)
            if algorithm != self._algorithm or self._summed != self.size:
                self._sum_up(algorithm)
            if self._sum.hexdigest() != value:
                found = f"{algorithm}:{self._sum.hexdigest()}"
                raise Refusal("DIGEST_INVALID", f"what came has the digest {found}, not {digest}")
            if is_here or files.has(digest):
                return False
            if self.sending:
                self.sending.finish(self._open(), self.size)
                return True
            files.adopt(digest, self._open(), self._path)
            return False
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Throw away what has come."""
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass
        self.close()

    def close(self) -> None:
        """Let go of the file and keep it for later."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> int:
        if self._fd < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            fd = os.open(self._path, flags, 0o600)
            try:
                # A second server on this store must not append to what this one has summed up.
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                raise Refusal("UNAVAILABLE", "another server takes this upload now") from None
            self._fd = fd
        return self._fd

    def _sum_up(self, algorithm: str) -> None:
        self._algorithm, self._sum, self._summed = algorithm, hasher(algorithm), 0
        fd = self._open()
        os.lseek(fd, 0, os.SEEK_SET)
        while chunk := os.read(fd, CHUNK):
            self._sum.update(chunk)
            self._summed += len(chunk)


def upload_path(paths: Paths, name: str) -> str:
    """Return the file of an upload."""
    return f"{paths.partial}/{PREFIX}{name}"
