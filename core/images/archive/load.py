"""Makes images of what an archive holds: by its OCI index, or by docker's manifest.json."""

from __future__ import annotations

import json
import os

from core.errors import Corrupt, NotFound, UnsupportedMedia, UsageError
from core.images.archive.read import (
    MAX_SMALL,
    Contents,
    not_stored,
    opened,
    read_archive,
    read_layout,
)
from core.images.assemble import encode
from core.images.digest import digest_of
from core.images.index_tree import MAX_DEPTH
from core.images.manifest import (
    INDEX_TYPES,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Index,
    Manifest,
    choose,
    diff_ids,
    parse,
    parse_config,
)
from core.images.reference import parse_reference
from core.images.tar.compression import GZIP_MAGIC, ZSTD_MAGIC
from core.images.verify import compare_content
from core.record import Record
from core.side_by_side import side_by_side

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from core.config import Config
    from core.images.archive.read import Stored
    from core.images.store import ImageStore
    from core.images.tar.compression import Reader
    from core.jobs import Job
    from core.model import ImageInfo

UNPACKERS = 2
NAME_NOTES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


class Loaded(Record):
    """An image that came, and the canonical names it came with."""

    image: ImageInfo
    names: tuple[str, ...]


class Candidate(Record):
    """An image of an archive, before it is stored."""

    manifest: bytes
    media_type: str
    config: bytes
    layers: tuple[tuple[Descriptor, str], ...]
    """Blobs and diff IDs, lowest first."""
    names: tuple[str, ...]
    is_new: bool = False
    """Whether its manifest was made here, for want of one in the archive."""


class Loader:
    """Loads images into a store."""

    def __init__(self, store: ImageStore, registry: str, max_bytes: int, job: Job) -> None:
        self._store = store
        self._registry = registry
        self._job = job
        self._contents = Contents(store, max_bytes, job)
        self._config_bytes = 0
        self._compared: set[tuple[str, str]] = set()
        """Blobs and what they were packed of, or unpacked to, as they came."""

    def load(self, source: Reader | str, title: str = "") -> list[Loaded]:
        """Load all images of an archive's bytes, or of the directory of a layout.

        `title` serves names that are only a tag, as `oci:TITLE:TAG` has them.  Raises Corrupt,
        UnsupportedMedia, UnsafePath: each image is whole or not there.  HostError when the
        disk is full.
        """
        try:
            if isinstance(source, str):
                read_layout(self._contents, source)
            else:
                read_archive(self._contents, source)
            candidates = self._candidates(title)
        except OSError as error:
            raise not_stored("the archive", error) from error
        finally:
            self._contents.close()
        if not candidates:
            raise UnsupportedMedia(
                "the archive holds no image: neither index.json nor manifest.json is in it",
                hint="import makes an image of a plain tar of files",
            )
        self._unpack([layer for found in candidates for layer in found.layers])
        return [self._add(found) for found in candidates]

    def _candidates(self, title: str) -> list[Candidate]:
        found: list[Candidate] = []
        if self._contents.has("index.json"):
            index = self._contents.document("index.json")
            found = self._from_index(index, title)
        if not found and self._contents.has("manifest.json"):
            found = self._from_docker(self._contents.document("manifest.json"))
        if not found and self._contents.has("repositories"):
            raise UnsupportedMedia(
                "the archive is in docker's form of before 2016", hint="save it again"
            )
        return found

    def _from_index(self, content: bytes, title: str) -> list[Candidate]:
        index = parse(content, INDEX_TYPES[0], "index.json")
        assert isinstance(index, Index)
        named: dict[str, list[str]] = {}
        kinds: dict[str, str] = {}
        for entry in index.entries:
            digest = entry.descriptor.digest
            kinds.setdefault(digest, entry.descriptor.media_type)
            notes = dict(entry.descriptor.annotations)
            note = next((notes[key] for key in NAME_NOTES if notes.get(key)), "")
            names = named.setdefault(digest, [])
            if note and (name := self._name(note, title)):
                names.append(name)
        found = []
        for digest, names in named.items():
            try:
                found.append(self._of_manifest(digest, kinds[digest], tuple(dict.fromkeys(names))))
            except UnsupportedMedia as error:
                # Signatures and attestations lie beside images.
                self._job.say(f"{digest}: {error.message}; left out")
        return found

    def _of_manifest(
        self, digest: str, media_type: str, names: tuple[str, ...], depth: int = 0
    ) -> Candidate:
        content = self._contents.blob(digest)
        document = parse(content, media_type, f"manifest {digest}")
        if isinstance(document, Index):
            here = tuple(entry for entry in document.entries
                         if self._contents.has_blob(entry.descriptor.digest))  # fmt: skip
            try:
                chosen = choose(document.replace(entries=here), "", digest)
            except NotFound:
                if not here:
                    raise
                chosen = here[0].descriptor
            if depth >= MAX_DEPTH:
                raise Corrupt(f"index {digest}: indexes that name each other without end")
            return self._of_manifest(chosen.digest, chosen.media_type, names, depth + 1)
        config = self._counted(self._contents.blob(document.config.digest))
        layers = _paired(document, config, digest)
        for blob, _ in layers:
            if not self._contents.has_blob(blob.digest):
                raise Corrupt(
                    f"image {digest}: the archive lacks its layer {blob.digest}",
                    hint="of an image bundle, load what it was made --since first",
                )
            self._contents.keep(blob.digest)
        return Candidate(content, document.media_type, config, layers, names)

    def _from_docker(self, content: bytes) -> list[Candidate]:
        try:
            entries = json.loads(content)
            return [self._of_docker(entry) for entry in entries]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise Corrupt(f"manifest.json is not what docker writes: {error}") from error

    def _of_docker(self, entry: dict[str, Any]) -> Candidate:
        config = self._counted(self._contents.document(str(entry["Config"])))
        names = diff_ids(parse_config(config, "image config"))
        layers = [self._contents.layer(str(name)) for name in entry["Layers"] or []]
        if len(layers) != len(names):
            raise Corrupt(f"image {entry['Config']}: layers: {len(layers)}, diff_ids: {len(names)}")
        for layer, diff_id in zip(layers, names, strict=True):
            if layer.diff_id and layer.diff_id != diff_id:
                raise Corrupt(f"layer {diff_id}: its content has digest {layer.diff_id}")
            if layer.diff_id:
                self._compared.add((layer.digest, diff_id))
        described = [self._describe(layer) for layer in layers]
        tags = [self._name(str(tag), "") for tag in entry.get("RepoTags") or []]
        return Candidate(
            _new_manifest(config, described), OCI_MANIFEST, config,
            tuple(zip(described, names, strict=True)),
            tuple(tag for tag in dict.fromkeys(tags) if tag), is_new=True,
        )  # fmt: skip

    def _counted(self, config: bytes) -> bytes:
        """Return a config, which is read once for each image; Corrupt when that is too much.

        Each once, an archive's configs fit into what it may have of documents.
        """
        self._config_bytes += len(config)
        if self._config_bytes > MAX_SMALL:
            raise Corrupt(
                f"the configs of its images have more than {MAX_SMALL >> 20} MB, "
                "counted once for each image"
            )
        return config

    def _describe(self, layer: Stored) -> Descriptor:
        with self._store.blobs.open(layer.digest) as file:
            head = file.read(4)
        kind = OCI_LAYER
        if head.startswith(GZIP_MAGIC):
            kind += "+gzip"
        elif head == ZSTD_MAGIC:
            kind += "+zstd"
        return Descriptor(kind, layer.digest, layer.size)

    def _name(self, note: str, title: str) -> str:
        """Return the canonical name that an annotation or a tag means, "" for none."""
        if ":" not in note and "/" not in note:
            note = f"localhost/{title}:{note}" if title else f"localhost/{note}"
        try:
            return parse_reference(note, self._registry).canonical
        except UsageError as error:
            self._job.say(f"the name {note!r} is left out: {error.message}")
            return ""

    def _unpack(self, layers: Sequence[tuple[Descriptor, str]]) -> None:
        """Unpack what is not here yet, the largest first."""
        missing = {}
        for blob, diff_id in layers:
            if not self._store.layers.has(diff_id):
                missing[diff_id] = blob
            elif (blob.digest, diff_id) not in self._compared:
                compare_content(self._store, blob, diff_id, self._job.check)

        def work(blob: Descriptor, diff_id: str) -> Callable[[Callable[[], None]], None]:
            def told(done: int) -> None:
                self._job.progress(diff_id[7:19], done, blob.size, "unpacking")

            def run(check: Callable[[], None]) -> None:
                path = self._store.blobs.path(blob.digest)
                self._store.layers.add(path, blob, diff_id, told, check)
                self._job.progress(diff_id[7:19], blob.size, blob.size, "done")

            return run

        ordered = sorted(missing.items(), key=lambda item: item[1].size, reverse=True)
        works = [work(blob, diff_id) for diff_id, blob in ordered]
        side_by_side(works, UNPACKERS, self._job.check, self._store.database.close)

    def _add(self, found: Candidate) -> Loaded:
        digest = self._same_image(found)
        if digest:
            for name in found.names:
                self._store.tag(digest, name)
            return Loaded(self._store.resolve(digest), found.names)
        info = self._store.add_image(
            found.manifest, found.media_type, found.config, tags=found.names
        )
        return Loaded(info, found.names)

    def _same_image(self, found: Candidate) -> str:
        """Return the digest of a local image with that very config, "" if there is none.

        The manifest that it was pulled with is a better one than any made here.
        """
        known = self._store.database.query(
            "SELECT digest FROM images WHERE config_digest=? ORDER BY added",
            (digest_of(found.config),),
        )
        return str(known[0][0]) if known and found.is_new else ""


def _paired(manifest: Manifest, config: bytes, digest: str) -> tuple[tuple[Descriptor, str], ...]:
    names = diff_ids(parse_config(config, f"image {digest}, config"))
    if len(names) != len(manifest.layers):
        raise Corrupt(f"image {digest}: layers: {len(manifest.layers)}, diff_ids: {len(names)}")
    return tuple(zip(manifest.layers, names, strict=True))


def _new_manifest(config: bytes, layers: Sequence[Descriptor]) -> bytes:
    """Return an OCI manifest for an image that came without one; the config stays as it is."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size}
                   for layer in layers],
    }  # fmt: skip
    return encode(document)


def load(store: ImageStore, config: Config, source: str | int, job: Job) -> list[Loaded]:
    """Load the images of a file, of an open descriptor, or of a layout's directory.

    Raises HostError for what cannot be opened, and what `Loader.load` raises.
    """
    loader = Loader(store, config["registry", "default"], config["image", "max_layer_bytes"], job)
    if isinstance(source, str) and os.path.isdir(source):
        return loader.load(source, _title(source))
    with opened(source, job) as file:
        return loader.load(file, _title(source) if isinstance(source, str) else "")


def _title(path: str) -> str:
    """Return what an archive or a layout is called by its path, "" if that is no name."""
    stem = os.path.basename(os.path.abspath(path)).partition(".")[0].lower()
    try:
        parse_reference(f"localhost/{stem}")
    except UsageError:
        return ""
    return stem
