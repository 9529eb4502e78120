"""The content-addressed store of blobs: `blobs/sha256/<hex>`, as in the OCI image layout.

A blob that is there is whole and verified: it comes into being by one rename, after its
digest was checked and its bytes reached the disk.  Every call is safe with other
processes doing the same.
"""

from __future__ import annotations

import fcntl
import os

from core.errors import Corrupt, NotFound
from core.images.digest import hasher, split_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import BinaryIO

    from core.paths import Paths

CHUNK = 1 << 20


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
        """Return a small blob's content; NotFound if it is not here."""
        with self.open(digest) as file:
            return file.read()

    def write(self, digest: str, chunks: Iterable[bytes]) -> None:
        """Store content under its digest; nothing happens if it is there already.

        Raises Corrupt if the content is not what the digest says; nothing stays then.
        """
        if self.has(digest):
            return
        import tempfile

        os.makedirs(self._paths.partial, 0o700, exist_ok=True)
        # A process that dies here leaves nothing: the file has no name before it is whole.
        with tempfile.NamedTemporaryFile(
            dir=self._paths.partial, prefix="write-", delete=False
        ) as file:
            try:
                summer = hasher(split_digest(digest)[0])
                for chunk in chunks:
                    summer.update(chunk)
                    file.write(chunk)
                _expect(summer.hexdigest(), digest)
                file.flush()
                self._publish(file.fileno(), file.name, digest)
            except BaseException:
                _unlink(file.name)
                raise

    def partial_path(self, digest: str) -> str:
        """Return the file a fetch of this blob writes to, kept for a later resume."""
        algorithm, value = split_digest(digest)
        return f"{self._paths.partial}/{algorithm}-{value}"

    def lock_partial(self, digest: str) -> int:
        """Open the partial file, locked, and return its descriptor; the caller closes it.

        Waits while another process fetches the same blob; look at `has` afterwards.
        """
        path = self.partial_path(digest)
        os.makedirs(self._paths.partial, 0o700, exist_ok=True)
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if _is_file_at(fd, path):
                return fd
            os.close(fd)  # its holder has published it and let go of the name

    def commit_partial(
        self, digest: str, progress: Callable[[int], None] | None = None
    ) -> None:
        """Verify the partial file and make it the blob; idempotent.

        `progress` is told the bytes verified so far, and may raise to stop.  Raises Corrupt
        and removes the partial file if its content is wrong; NotFound if there is none.
        """
        path = self.partial_path(digest)
        try:
            file = open(path, "rb")
        except FileNotFoundError:
            if self.has(digest):
                return
            raise _missing(digest) from None
        with file:
            summer = hasher(split_digest(digest)[0])
            done = 0
            while chunk := file.read(CHUNK):
                summer.update(chunk)
                done += len(chunk)
                if progress:
                    progress(done)
            try:
                _expect(summer.hexdigest(), digest)
            except Corrupt:
                _unlink(path)
                raise
            self._publish(file.fileno(), path, digest)

    def remove(self, digest: str) -> None:
        """Delete a blob; nothing happens if it is not here."""
        _unlink(self.path(digest))

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
        f"blob {digest} is not in the local store", hint="limpet pull the image", subject=digest
    )


def _is_file_at(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
