"""Ends of a copy that are on disk: an image layout, directories, and what all such share."""

from __future__ import annotations

import fcntl
import os
import threading
import time

from core.errors import Corrupt, NotFound, UnsafePath
from core.file_lock import FileLock
from core.images.blobs import BlobStore
from core.images.digest import digest_of, is_digest
from core.images.manifest import OCI_INDEX, OCI_MANIFEST, contents
from core.paths import Paths
from core.registry.sync.referrers import list_in, listed_in, referrer_tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from core.registry.sync.ends import End, Found

REF_NAME = "org.opencontainers.image.ref.name"
"""https://github.com/opencontainers/image-spec/blob/v1.1.0/annotations.md"""
WRITE_EVERY_S = 1.0
NEW = ".new-"
"""Begins the name of a directory in which one of an image is made."""
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
        return sorted(self.listing())

    def tags(self, repository: str) -> list[str]:
        """Return a repository's tags."""
        return sorted(self.listing().get(repository, ()))

    def place_of(self, source: End, repository: str) -> str:
        """Return the repository here that one of a source is copied to."""
        return repository

    def listing(self) -> Mapping[str, Collection[str]]:
        """Return the tags by repository, "" for what has none; read once, however often asked."""
        raise NotImplementedError

    def named(self, repository: str, tag: str) -> tuple[str, str]:
        """Return digest and media type of what a tag stands for, both "" for nothing."""
        raise NotImplementedError

    def show(self, repository: str, tag: str) -> str:
        """Return the name of an image as people write it."""
        return f"{self.name}:{_joined(repository, tag)}"

    def digest(self, repository: str, tag: str) -> str:
        """Return what a tag stands for, "" for nothing."""
        return self.named(repository, tag)[0]

    def manifest(self, repository: str, reference: str) -> Found:
        """Return content, media type and digest."""
        digest, media_type = reference, ""
        if not is_digest(reference):
            digest, media_type = self.named(repository, reference)
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

    Its index has all tags in one file, which is written with what was put or taken away once a
    second, and when the end is closed.
    """

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self._read: _ReadIndex | None = None
        self._changing = threading.Lock()
        self._changes: dict[str, dict[str, Any] | None] = {}
        """Entries by ref name that are not written yet, None for one that goes."""
        self._written_s = 0.0

    def listing(self) -> Mapping[str, Collection[str]]:
        """Return the tags by repository, "" for what has none; read once, however often asked."""
        return self._index().listing

    def named(self, repository: str, tag: str) -> tuple[str, str]:
        """Return digest and media type of what a tag stands for, both "" for nothing."""
        name = _joined(repository, tag)
        with self._changing:
            if name in self._changes:
                return _described(self._changes[name] or {})
        return self._index().listing.get(repository, {}).get(tag, ("", ""))

    def put(self, repository: str, tag: str, found: Found, source_digest: str = "") -> None:
        """Store a manifest, under a tag if there is one."""
        content, media_type, digest = found
        self.blobs.write(digest, [content])
        if not tag:
            return
        name = _joined(repository, tag)
        self._change(name, {
            "mediaType": media_type,
            "digest": digest,
            "size": len(content),
            "annotations": {REF_NAME: name},
        })  # fmt: skip

    def delete(self, repository: str, tag: str, kept: set[str]) -> None:
        """Take a tag away."""
        self._change(_joined(repository, tag), None)

    def close(self) -> None:
        """Write what is not written yet."""
        with self._changing:
            self._write()

    def _change(self, name: str, entry: dict[str, Any] | None) -> None:
        with self._changing:
            self._changes[name] = entry
            if time.monotonic() - self._written_s > WRITE_EVERY_S:
                self._write()

    def _write(self) -> None:
        """Write the index as it is now with the changes; other processes may change it, too."""
        import json

        if not self._changes:
            return
        os.makedirs(self.root, exist_ok=True)
        fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            entries = [one for one in self._index().entries if _ref_name(one) not in self._changes]
            entries += [entry for entry in self._changes.values() if entry is not None]
            if not os.path.exists(f"{self.root}/oci-layout"):
                write_whole(f"{self.root}/oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
            index = {"schemaVersion": 2, "manifests": entries}
            write_whole(f"{self.root}/index.json", json.dumps(index).encode())
        finally:
            os.close(fd)
        self._changes.clear()
        self._written_s = time.monotonic()

    def _index(self) -> _ReadIndex:
        """Return the index as it is now, read again when it has changed."""
        import json

        path = f"{self.root}/index.json"
        try:
            with open(path, "rb") as file:
                state = os.fstat(file.fileno())
                key = (state.st_ino, state.st_size, state.st_mtime_ns)
                if self._read and self._read.key == key:
                    return self._read
                entries = json.loads(file.read()).get("manifests")
        except FileNotFoundError:
            return _ReadIndex((0, 0, 0), [])
        except (ValueError, AttributeError):
            entries = None
        if not isinstance(entries, list) or not all(isinstance(item, dict) for item in entries):
            raise Corrupt(f"{path} is no index of an image layout", subject=path)
        self._read = found = _ReadIndex(key, entries)
        return found


class _ReadIndex:
    """The index of a layout, as it was in the file that `key` tells from any other."""

    def __init__(self, key: tuple[int, int, int], entries: list[dict[str, Any]]) -> None:
        self.key = key
        self.entries = entries
        self.listing: dict[str, dict[str, tuple[str, str]]] = {}
        """Digest and media type by repository and tag."""
        for entry in entries:
            if name := _ref_name(entry):
                repository, _, tag = name.rpartition(":")
                self.listing.setdefault(repository, {})[tag] = _described(entry)


class DirectoryEnd(DiskEnd):
    """A directory an image, `REPOSITORY:TAG`, as `skopeo copy … dir:` makes and reads it.

    Each holds links to blobs that are in `.blobs` once for all.
    """

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.blobs = BlobStore(Paths(f"{self.root}/.blobs", f"{self.root}/.blobs"))
        self._listed: dict[str, list[str]] | None = None
        self._lock = f"{self.root}/.blobs/lock"
        """Shared by all who are making a directory."""
        self._sweeping = threading.Lock()
        self._swept = False

    def named(self, repository: str, tag: str) -> tuple[str, str]:
        """Return digest and media type of what a tag stands for, both "" for nothing."""
        try:
            with open(f"{self._home(repository, tag)}/manifest.json", "rb") as file:
                return digest_of(file.read()), ""
        except (FileNotFoundError, NotADirectoryError):
            return "", ""

    def place_of(self, source: End, repository: str) -> str:
        """Return the repository here that one of a source is copied to."""
        return repository or source.name.rpartition("/")[2]

    def listing(self) -> Mapping[str, Collection[str]]:
        """Return the tags by repository, "" for what has none; read once, however often asked."""
        if self._listed is None:
            found: dict[str, list[str]] = {}
            for folder, folders, files in os.walk(self.root):
                folders[:] = [name for name in folders if not name.startswith(".")]
                if "manifest.json" in files:
                    repository, _, tag = os.path.relpath(folder, self.root).rpartition(":")
                    found.setdefault(repository, []).append(tag)
            self._listed = found
        return self._listed

    def put(self, repository: str, tag: str, found: Found, source_digest: str = "") -> None:
        """Store a manifest; with a tag, its directory comes into being, whole."""
        content, _, digest = found
        self.blobs.write(digest, [content])
        if tag:
            self._sweep()
            with FileLock(self._lock, shared=True):
                self._make(self._home(repository, tag), content)

    def _sweep(self) -> None:
        """Once, remove what a killed run was making, if nobody is making anything now."""
        import shutil

        with self._sweeping:
            if self._swept:
                return
            self._swept = True
            try:
                with FileLock(self._lock, wait=False):
                    for name in os.listdir(self.root):
                        if name.startswith(NEW):
                            shutil.rmtree(f"{self.root}/{name}", ignore_errors=True)
            except BlockingIOError:
                pass

    def _make(self, home: str, content: bytes) -> None:
        """Make the directory of an image."""
        import shutil

        # A thread's own: several tags of one image come at once.
        work = f"{self.root}/{NEW}{os.getpid()}-{threading.get_ident()}"
        shutil.rmtree(work, ignore_errors=True)
        try:
            os.makedirs(f"{work}/image")
            self._fill(f"{work}/image", content, "manifest.json")
            write_whole(f"{work}/image/version", DIRECTORY_VERSION.encode())
            os.makedirs(os.path.dirname(home), exist_ok=True)
            if os.path.exists(home):
                os.rename(home, f"{work}/former")
            os.rename(f"{work}/image", home)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def delete(self, repository: str, tag: str, kept: set[str]) -> None:
        """Remove the directory of an image."""
        import shutil

        try:
            shutil.rmtree(self._home(repository, tag))
        except FileNotFoundError:
            pass  # somebody else was faster

    def _home(self, repository: str, tag: str) -> str:
        """Return the directory of an image; UnsafePath for a name that leads elsewhere."""
        name = _joined(repository, tag)
        if any(not part or part.startswith(".") for part in name.split("/")):
            raise UnsafePath(f"{name!r} is no name for a directory of an image", subject=name)
        return f"{self.root}/{name}"

    def _fill(self, folder: str, content: bytes, name: str) -> None:
        blobs, entries = contents(content)
        write_whole(f"{folder}/{name}", content)
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


def _ref_name(entry: dict[str, Any]) -> str:
    """Return an entry's name, "" for one that has none."""
    annotations = entry.get("annotations")
    name = annotations.get(REF_NAME) if isinstance(annotations, dict) else None
    return name if isinstance(name, str) else ""


def _described(entry: dict[str, Any]) -> tuple[str, str]:
    """Return an entry's digest and media type."""
    return str(entry.get("digest") or ""), str(entry.get("mediaType") or "")
