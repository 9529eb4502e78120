"""Ends of a copy that are on disk: an image layout, directories, and what all such share."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading

from core.errors import Corrupt, NotFound, UnsafePath
from core.images.blobs import BlobStore
from core.images.digest import digest_of, is_digest
from core.images.manifest import OCI_INDEX, OCI_MANIFEST, contents
from core.paths import Paths
from core.registry.sync.referrers import list_in, listed_in, referrer_tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Any

    from core.registry.sync.ends import End, Found

REF_NAME = "org.opencontainers.image.ref.name"
"""https://github.com/opencontainers/image-spec/blob/v1.1.0/annotations.md"""
DIRECTORY_VERSION = "Directory Transport Version: 1.1\n"


class DiskEnd:
    """What ends on disk share: blobs in a store of blobs."""

    client = None
    many = True
    by_host = False
    """Whether names of repositories begin with a host."""

    def __init__(self, place: str) -> None:
        self.name = place
        self.root = os.path.abspath(os.path.expanduser(place.partition(":")[2]))
        self.blobs = BlobStore(Paths(self.root, self.root))
        self._listing = threading.Lock()

    def repositories(self) -> list[str]:
        """Return the names before the tags."""
        return sorted({name.rpartition(":")[0] for name in self.names()})

    def tags(self, repository: str) -> list[str]:
        """Return a repository's tags."""
        found = (name.rpartition(":") for name in self.names())
        return sorted(tag for path, _, tag in found if path == repository)

    def place_of(self, source: End, repository: str) -> str:
        """Return the repository here that one of a source is copied to."""
        return repository

    def names(self) -> dict[str, tuple[str, str]]:
        """Return digest and media type by `REPOSITORY:TAG`, or `:TAG`."""
        raise NotImplementedError

    def show(self, repository: str, tag: str) -> str:
        """Return the name of an image as people write it."""
        return f"{self.name}:{_joined(repository, tag)}"

    def digest(self, repository: str, tag: str) -> str:
        """Return what a tag stands for, "" for nothing."""
        return self.names().get(f"{repository}:{tag}", ("", ""))[0]

    def manifest(self, repository: str, reference: str) -> Found:
        """Return content, media type and digest."""
        digest, media_type = reference, ""
        if not is_digest(reference):  # all names are read for a name alone
            digest, media_type = self.names().get(f"{repository}:{reference}", ("", ""))
        if not is_digest(digest):
            shown = self.show(repository, reference)
            raise NotFound(f"{shown} is not there", subject=shown)
        content = self.blobs.read(digest)
        return content, media_type or _media_type(content), digest

    def referrers(self, repository: str, subject: str, tags: Collection[str]) -> frozenset[str]:
        """Return the digests of what refers to a manifest; `tags` are the repository's."""
        return (
            listed_in(self, repository, subject) if referrer_tag(subject) in tags else frozenset()
        )

    def put_referrer(self, repository: str, subject: str, found: Found) -> None:
        """Store a manifest that refers to another, and list it under the stand-in tag."""
        with self._listing:
            self.put(repository, "", found)
            list_in(self, repository, subject, found)

    def put(self, repository: str, tag: str, found: Found, source_digest: str = "") -> None:
        """Store a manifest, under a tag if there is one."""
        raise NotImplementedError

    def small_blob(self, repository: str, digest: str) -> bytes:
        """Return a config."""
        return self.blobs.read(digest)

    def has_blob(self, repository: str, digest: str) -> bool:
        """Return whether a blob is here."""
        return self.blobs.has(digest)

    def close(self) -> None:
        """Nothing to let go of."""


class LayoutEnd(DiskEnd):
    """An OCI image layout; tags are its entries' ref names, behind REPOSITORY: if there are any.

    https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
    """

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self._read: tuple[tuple[int, int, int], list[dict[str, Any]]] | None = None

    def names(self) -> dict[str, tuple[str, str]]:
        """Return digest and media type by `REPOSITORY:TAG`, or `:TAG`."""
        found = {}
        for entry in self._entries():
            name = (entry.get("annotations") or {}).get(REF_NAME)
            if isinstance(name, str):
                found[name if ":" in name else f":{name}"] = (
                    str(entry.get("digest")), str(entry.get("mediaType") or ""),
                )  # fmt: skip
        return found

    def put(self, repository: str, tag: str, found: Found, source_digest: str = "") -> None:
        """Store a manifest, under a tag if there is one."""
        content, media_type, digest = found
        self.blobs.write(digest, [content])
        if not tag:
            return
        name = _joined(repository, tag)
        entry = {
            "mediaType": media_type,
            "digest": digest,
            "size": len(content),
            "annotations": {REF_NAME: name},
        }
        with self._locked():
            kept = [item for item in self._entries() if _ref_name(item) != name]
            self._write([*kept, entry])

    def delete(self, repository: str, tag: str, kept: set[str]) -> None:
        """Take a tag away."""
        name = _joined(repository, tag)
        with self._locked():
            self._write([entry for entry in self._entries() if _ref_name(entry) != name])

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep others, threads and processes, from changing the index meanwhile."""
        fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _entries(self) -> list[dict[str, Any]]:
        import json

        path = f"{self.root}/index.json"
        try:
            with open(path, "rb") as file:
                state = os.fstat(file.fileno())
                key = (state.st_ino, state.st_size, state.st_mtime_ns)
                if self._read and self._read[0] == key:
                    return self._read[1]
                entries = json.loads(file.read()).get("manifests")
        except FileNotFoundError:
            return []
        except (ValueError, AttributeError):
            entries = None
        if not isinstance(entries, list) or not all(isinstance(item, dict) for item in entries):
            raise Corrupt(f"{path} is no index of an image layout", subject=path)
        self._read = (key, entries)
        return entries

    def _write(self, entries: list[dict[str, Any]]) -> None:
        import json

        write_whole(f"{self.root}/oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        index = {"schemaVersion": 2, "manifests": entries}
        write_whole(f"{self.root}/index.json", json.dumps(index).encode())


class DirectoryEnd(DiskEnd):
    """A directory an image, `REPOSITORY:TAG`, as `skopeo copy … dir:` makes and reads it.

    Each holds links to blobs that are in `.blobs` once for all.
    """

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.blobs = BlobStore(Paths(f"{self.root}/.blobs", f"{self.root}/.blobs"))

    def digest(self, repository: str, tag: str) -> str:
        """Return what a tag stands for, "" for nothing."""
        try:
            with open(f"{self._home(repository, tag)}/manifest.json", "rb") as file:
                return digest_of(file.read())
        except (FileNotFoundError, NotADirectoryError):
            return ""

    def place_of(self, source: End, repository: str) -> str:
        """Return the repository here that one of a source is copied to."""
        return repository or source.name.rpartition("/")[2]

    def names(self) -> dict[str, tuple[str, str]]:
        """Return digest and media type by `REPOSITORY:TAG`, or `:TAG`."""
        found = {}
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if not name.startswith(".")]
            if "manifest.json" in files:
                name = os.path.relpath(folder, self.root)
                with open(f"{folder}/manifest.json", "rb") as file:
                    digest = digest_of(file.read())
                found[name if ":" in name else f":{name}"] = (digest, "")
        return found

    def put(self, repository: str, tag: str, found: Found, source_digest: str = "") -> None:
        """Store a manifest; with a tag, its directory comes into being, whole."""
        import shutil

        content, _, digest = found
        self.blobs.write(digest, [content])
        if not tag:
            return
        home = self._home(repository, tag)
        fresh = f"{self.root}/.new-{os.getpid()}-{digest[7:19]}"
        shutil.rmtree(fresh, ignore_errors=True)
        os.makedirs(fresh)
        self._fill(fresh, content, "manifest.json")
        with open(f"{fresh}/version", "w", encoding="ascii") as file:
            file.write(DIRECTORY_VERSION)
        shutil.rmtree(home, ignore_errors=True)
        os.makedirs(os.path.dirname(home), exist_ok=True)
        os.rename(fresh, home)

    def delete(self, repository: str, tag: str, kept: set[str]) -> None:
        """Remove the directory of an image."""
        import shutil

        shutil.rmtree(self._home(repository, tag))

    def _home(self, repository: str, tag: str) -> str:
        """Return the directory of an image; UnsafePath for a name that leads elsewhere."""
        name = _joined(repository, tag)
        if any(not part or part.startswith(".") for part in name.split("/")):
            raise UnsafePath(f"{name!r} is no name for a directory of an image", subject=name)
        return f"{self.root}/{name}"

    def _fill(self, folder: str, content: bytes, name: str) -> None:
        blobs, entries = contents(content)
        with open(f"{folder}/{name}", "wb") as file:
            file.write(content)
        for blob in blobs:
            link = f"{folder}/{blob.digest.partition(':')[2]}"
            if self.blobs.has(blob.digest) and not os.path.exists(link):
                os.link(self.blobs.path(blob.digest), link)
        for entry in entries:
            digest = entry.descriptor.digest
            if self.blobs.has(digest):
                name = f"{digest.partition(':')[2]}.manifest.json"
                self._fill(folder, self.blobs.read(digest), name)


def _media_type(content: bytes) -> str:
    """Return what a manifest says it is; older ones of OCI's do not."""
    import json

    document = json.loads(content)
    return str(
        document.get("mediaType") or (OCI_INDEX if "manifests" in document else OCI_MANIFEST)
    )


def write_whole(path: str, content: bytes) -> None:
    """Replace a file's content in one step, on disk before it shows."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)


def _joined(repository: str, tag: str) -> str:
    return f"{repository}:{tag}" if repository else tag


def _ref_name(entry: dict[str, Any]) -> Any:
    return (entry.get("annotations") or {}).get(REF_NAME)
