"""The content-addressed store of blobs: `blobs/sha256/<hex>`, as in the OCI image layout.

A blob that is there is whole and verified: it comes into being by one rename, after its
digest was checked and its bytes reached the disk.  Every call is safe with other
processes doing the same.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from core.errors import Corrupt, NotFound
from core.images.digest import hasher, split_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import BinaryIO, Self

    from core.paths import Paths

CHUNK = 1 << 20
TEMPORARY = "write-"
LOCK_POLL_S = 0.1
MAX_READ = 4 << 20
"""Bytes of what is read whole: no manifest and no config is larger."""


class BlobStore:
    """Blobs by digest.  Every digest argument that is not one raises Corrupt."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def path(self, digest: str) -> str:
        """Return where the blob is, or would be."""
        algorithm, value = split_digest(digest)
        return f"{self._paths.blobs}/{algorithm}/{value}"

    def has(self, digest: str) -> bool:
        """Return whether the blob is here, whole."""
        return os.path.exists(self.path(digest))

    def size(self, digest: str) -> int:
        """Return the blob's bytes; NotFound if it is not here."""
        try:
            return os.stat(self.path(digest)).st_size
        except FileNotFoundError:
            raise _missing(digest) from None

    def open(self, digest: str) -> BinaryIO:
        """Return the blob as a file; NotFound if it is not here."""
        try:
            return open(self.path(digest), "rb")
        except FileNotFoundError:
            raise _missing(digest) from None

    def read(self, digest: str) -> bytes:
        """Return a manifest's or a config's content; NotFound if it is not here.

        Raises Corrupt for what is too large to be one: whoever names it may have meant a layer.
        """
        with self.open(digest) as file:
            content = file.read(MAX_READ + 1)
        if len(content) > MAX_READ:
            raise Corrupt(f"blob {digest} is too large for a manifest or a config", subject=digest)
        return content

    def write(self, digest: str, chunks: Iterable[bytes]) -> None:
        """Store content under its digest; nothing happens if it is there already.

        Raises Corrupt if the content is not what the digest says, OSError naming the file when
        the disk is full; nothing stays then.
        """
        if self._use(digest):
            return
        try:
            self._write(digest, chunks)
        except OSError as error:
            # Writing to a descriptor names no file, and a full disk is to be told by its place.
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                error.filename = error.filename or self.path(digest)
            raise

    def _write(self, digest: str, chunks: Iterable[bytes]) -> None:
        with self.new() as blob, open(blob.fd, "wb", closefd=False) as file:
            summer = hasher(split_digest(digest)[0])
            for chunk in chunks:
                summer.update(chunk)
                file.write(chunk)
            _expect(summer.hexdigest(), digest)
            file.flush()
            blob.publish(digest)

    def new(self) -> NewBlob:
        """Return a blob to be written whose digest is not known yet; a context."""
        return NewBlob(self)

    def open_new(self) -> tuple[int, str]:
        """Open a temporary file, of which `sweep` sees that its writer lives."""
        import tempfile

        os.makedirs(self._paths.partial, 0o700, exist_ok=True)
        while True:
            fd, path = tempfile.mkstemp(dir=self._paths.partial, prefix=TEMPORARY)
            fcntl.flock(fd, fcntl.LOCK_SH)
            if is_file_at(fd, path):
                return fd, path
            os.close(fd)  # swept away before it was locked

    def publish_new(self, fd: int, path: str, digest: str) -> None:
        """Make it the blob of that digest, which its writer has just computed."""
        if self._use(digest):
            _unlink(path)
        else:
            self._publish(fd, path, digest)

    def partial_path(self, digest: str) -> str:
        """Return the file a fetch of this blob writes to, kept for a later resume."""
        algorithm, value = split_digest(digest)
        return f"{self._paths.partial}/{algorithm}-{value}"

    def lock_partial(self, digest: str, wait: Callable[[int], None] | None = None) -> int:
        """Open the partial file, locked, and return its descriptor; the caller closes it.

        While another process fetches the same blob, `wait` is called several times a second
        with the bytes that are there, and may raise to give up.  Returns -1 when the blob is
        here, whole.
        """
        path = self.partial_path(digest)
        os.makedirs(self._paths.partial, 0o700, exist_ok=True)
        while not self.has(digest):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                _lock(fd, wait)
                if is_file_at(fd, path):
                    if not self.has(digest):
                        return fd
                    _unlink(path)  # made just after its holder had published the blob
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)
        self._use(digest)
        return -1

    def publish_partial(self, digest: str, fd: int) -> None:
        """Make the locked partial file the blob; the caller has just verified its digest."""
        self._publish(fd, self.partial_path(digest), digest)

    def adopt(self, digest: str, fd: int, temporary: str) -> None:
        """Make another file of `partial` the blob; the caller has just verified its digest."""
        self._publish(fd, temporary, digest)

    def remove(self, digest: str) -> None:
        """Delete a blob; nothing happens if it is not here."""
        _unlink(self.path(digest))

    def sweep(self) -> None:
        """Delete what writers that died left behind; partial files are kept for resume."""
        try:
            names = os.listdir(self._paths.partial)
        except FileNotFoundError:
            return
        for name in names:
            if name.startswith(TEMPORARY):
                unlink_unlocked(f"{self._paths.partial}/{name}")

    def _use(self, digest: str) -> bool:
        """Return whether a blob is here, and note that somebody relies on that: see prune."""
        try:
            os.utime(self.path(digest))
        except FileNotFoundError:
            return False
        return True

    def _publish(self, fd: int, temporary: str, digest: str) -> None:
        """Make a verified file durable, then visible under its digest."""
        target = self.path(digest)
        directory = os.path.dirname(target)
        os.makedirs(directory, 0o700, exist_ok=True)
        os.fsync(fd)
        os.rename(temporary, target)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class NewBlob:
    """A blob in the making: written to `fd`, and gone unless it was published."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def __enter__(self) -> Self:
        self.fd, self._path = self._blobs.open_new()
        return self

    def publish(self, digest: str) -> None:
        """Make what was written the blob of that digest."""
        self._blobs.publish_new(self.fd, self._path, digest)

    def __exit__(self, *_: object) -> None:
        _unlink(self._path)
        os.close(self.fd)


def _expect(actual_hex: str, digest: str) -> None:
    algorithm, value = split_digest(digest)
    if actual_hex != value:
        raise Corrupt(
            f"blob {digest}: content has digest {algorithm}:{actual_hex}",
            hint="fetch it again; if that does not help, the registry's copy is damaged",
            subject=digest,
        )


def _missing(digest: str) -> NotFound:
    return NotFound(
        f"blob {digest} is not in the local store",
        hint="limpet image fsck --repair fetches it again, if its registry has it",
        subject=digest,
    )


def _lock(fd: int, wait: Callable[[int], None] | None) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (fcntl.LOCK_NB if wait else 0))
        except BlockingIOError:
            if wait:
                wait(os.fstat(fd).st_size)
            time.sleep(LOCK_POLL_S)
        else:
            return


def is_file_at(fd: int, path: str) -> bool:
    """Return whether a path still names an open file: until it is locked, it may go."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def unlink_unlocked(path: str) -> bool:
    """Delete a file unless somebody has it locked, or it is gone; returns whether it did."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not is_file_at(fd, path):
            return False  # another writer has begun one meanwhile
        _unlink(path)
    except BlockingIOError:
        return False  # being written
    finally:
        os.close(fd)
    return True
