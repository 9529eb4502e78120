"""Checks the store: that every blob, layer, index, image and name is what it says it is.

A repair unpacks a damaged layer again, from its blob; a blob that is gone or damaged is packed
again from a layer that is whole, or asked of a registry.  Nothing is thrown away that could
not be replaced, but for a blob whose content is not what its name says.
"""

from __future__ import annotations

import hashlib
import os

from core.errors import Error, NotFound
from core.images.file_table import behind_link
from core.images.index import agrees_with_itself, index_path, read_index
from core.images.manifest import OCI_CONFIG, Descriptor, Manifest, diff_ids, parse, parse_config
from core.images.packing.tree_walk import OPEN_DIRECTORY, walk
from core.images.reference import familiar_name, parse_reference
from core.images.tar.reader import DIRECTORY, FILE, HARDLINK
from core.images.unpacking.extract import KIND_NAMES
from core.images.verify import blob_is_whole
from core.lean_json import dumps
from core.privileges import is_rootless
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.images.file_table import FileEntry
    from core.images.packing.tree_walk import Found
    from core.images.store import ImageStore
    from core.jobs import Job
    from core.paths import Paths

    Fetch = Callable[[Descriptor, Sequence[str]], bool]

MAX_TIME_NS = (1 << 31) * 10**9
"""Later times do not fit into the small inodes of old ext4 file systems."""
WRONG, REPAIRED = "wrong", "repaired"


class Finding(Record):
    """Something that is not as it should be."""

    kind: str
    """blob, layer, index, image or name."""
    subject: str
    """Digest, or name."""
    problem: str
    images: tuple[str, ...]
    """Names or IDs of the images that need it."""
    state: str = WRONG


class _Layer(Record):
    number: int
    diff_id: str
    files: int
    blobs: tuple[Descriptor, ...]
    images: tuple[str, ...]


class Fsck:
    """One check of the store.

    `fetch(descriptor, names)` brings a blob from a registry that one of the images' canonical
    names leads to, and says whether it could.
    """

    def __init__(
        self, store: ImageStore, paths: Paths, job: Job, *, quick: bool, repair: bool, fetch: Fetch
    ) -> None:
        self._store = store
        self._paths = paths
        self._job = job
        self._quick = quick
        self._repair = repair
        self._fetch = fetch
        self._found: list[Finding] = []
        self._names: dict[str, list[str]] = {}
        self._checked: set[str] = set()

    def run(self, only: Sequence[str] = ()) -> list[Finding]:
        """Check everything, or what some images (by digest) need; return what was wrong."""
        query = self._store.database.query
        names = "SELECT name, t.digest, i.digest FROM tags t LEFT JOIN images i USING (digest)"
        for name, digest, there in query(f"{names} ORDER BY name"):
            self._names.setdefault(digest, []).append(name)
            self._check_name(name, digest if there is None else "")
        rows = query("SELECT digest, config_digest, media_type FROM images ORDER BY added")
        wanted = frozenset(only)
        images = [row for row in rows if not wanted or row[0] in wanted]
        for place, (digest, config, media_type) in enumerate(images):
            self._job.check()
            self._job.progress("images", place, len(images), "checking")
            self._check_image(digest, config, media_type)
        self._job.progress("images", len(images), len(images), "done")
        layers = self._layers([row[0] for row in images])
        for place, layer in enumerate(layers):
            self._job.progress("layers", place, len(layers), "checking")
            self._check_blobs(layer)
            self._check_layer(layer)
        self._job.progress("layers", len(layers), len(layers), "done")
        return self._found

    def _note(self, kind: str, subject: str, problem: str, images: Sequence[str]) -> bool:
        """Note a problem of what images need; False when they have all been removed meanwhile."""
        here = self._store.database.query(
            "SELECT 1 FROM images WHERE digest IN (SELECT value FROM json_each(?)) LIMIT 1",
            (dumps(images),),
        )
        if here or not images:
            self._found.append(Finding(kind, subject, problem, self._shown(images)))
        return bool(here)

    def _mended(self) -> None:
        self._found[-1] = self._found[-1].replace(state=REPAIRED)

    def _shown(self, images: Sequence[str]) -> tuple[str, ...]:
        shown = []
        for digest in images:
            shown += [familiar_name(name) for name in self._names.get(digest, ())] or [digest[7:19]]
        return tuple(shown)

    def _check_name(self, name: str, missing: str) -> None:
        """Note a name that is none, or that means the image `missing`, which is not here."""
        try:
            good = parse_reference(name).canonical == name
        except Error:
            good = False
        if not good:
            self._note("name", name, "it is no canonical name: limpet untag it", ())
        elif missing:
            problem = f"it means {missing}, which is not here: limpet pull it, or untag it"
            self._note("name", name, problem, ())

    # -- documents -------------------------------------------------------------------

    def _check_image(self, digest: str, config: str, media_type: str) -> None:
        whole = self._check_blob(Descriptor(media_type, digest, 0), [digest])
        whole = self._check_blob(Descriptor(OCI_CONFIG, config, 0), [digest]) and whole
        if not whole:
            return
        try:
            manifest = parse(self._store.blobs.read(digest), media_type, "manifest")
            names = diff_ids(parse_config(self._store.blobs.read(config)))
        except Error as error:
            self._note("image", digest, error.message, [digest])
            return
        assert isinstance(manifest, Manifest)
        rows = self._store.database.query(
            "SELECT diff_id, blob_digest FROM image_layers WHERE image=? ORDER BY position",
            (digest,),
        )
        wanted = list(zip(names, (layer.digest for layer in manifest.layers), strict=False))
        if rows != wanted or manifest.config.digest != config:
            self._note(
                "image", digest, "the database names other layers than its manifest: pull it again",
                [digest],
            )  # fmt: skip

    def _check_blobs(self, layer: _Layer) -> None:
        for blob in layer.blobs:
            self._job.progress(blob.digest[7:19], 0, blob.size, "checking")
            self._check_blob(blob, layer.images, layer)
            self._job.progress(blob.digest[7:19], blob.size, blob.size, "done")

    def _check_blob(
        self, blob: Descriptor, images: Sequence[str], layer: _Layer | None = None
    ) -> bool:
        """Return whether a blob is whole in the end."""
        if blob.digest in self._checked:
            return self._store.blobs.has(blob.digest)
        self._checked.add(blob.digest)
        problem = self._blob_problem(blob, size_only=self._quick and layer is not None)
        if not problem:
            return True
        if not self._note("blob", blob.digest, problem, images) or not self._repair:
            return False
        self._store.blobs.remove(blob.digest)
        if self._pack_again(blob, layer) or self._bring(blob, images):
            self._mended()
            return True
        return False

    def _blob_problem(self, blob: Descriptor, *, size_only: bool) -> str:
        """Return what is wrong with a blob, "" if nothing is."""
        blobs = self._store.blobs
        try:
            cut = blob.size and blobs.size(blob.digest) != blob.size
            if not cut and (size_only or blob_is_whole(blobs, blob.digest, self._job.check)):
                return ""
        except NotFound:
            return "it is missing"
        return "its content is damaged"

    def _bring(self, blob: Descriptor, images: Sequence[str]) -> bool:
        names = [name for image in images for name in self._names.get(image, ())]
        return self._fetch(blob, names)

    def _pack_again(self, blob: Descriptor, layer: _Layer | None) -> bool:
        """Make a blob of its layer: that gives it back if it was packed here."""
        if layer is None or self._problem(layer):
            return False
        from core.images.packing.layer_writer import write_layer

        kind = blob.media_type.rpartition("+")[2]
        written = write_layer(
            self._store, f"{self._paths.layers}/{layer.number}", check=self._job.check,
            compression=kind if kind in ("gzip", "zstd") else "none",
        )  # fmt: skip
        # Whatever came out otherwise than hoped for is nobody's.
        self._store.let_go([written.descriptor.digest, written.diff_id])
        return self._store.blobs.has(blob.digest)

    # -- layers ----------------------------------------------------------------------

    def _layers(self, images: Sequence[str]) -> list[_Layer]:
        query = self._store.database.query
        needs: dict[str, tuple[list[Descriptor], list[str]]] = {}
        for image in images:
            for diff_id, digest, size, kind in query(
                "SELECT diff_id, blob_digest, blob_size, media_type FROM image_layers "
                "WHERE image=? ORDER BY position", (image,),
            ):  # fmt: skip
                blobs, holders = needs.setdefault(diff_id, ([], []))
                blob = Descriptor(kind, digest, size)
                if blob not in blobs:
                    blobs.append(blob)
                if holders[-1:] != [image]:  # thousands may have it, one after the other
                    holders.append(image)
        known = {row[1]: row for row in query("SELECT id, diff_id, files FROM layers")}
        layers = []
        for diff_id, (blobs, holders) in needs.items():
            number, _, files = known.get(diff_id, (0, diff_id, 0))
            layers.append(_Layer(number, diff_id, files, tuple(blobs), tuple(holders)))
        return layers

    def _check_layer(self, layer: _Layer) -> None:
        problem = self._problem(layer)
        if not problem:
            return
        if not self._note("layer", layer.diff_id, problem, layer.images) or not self._repair:
            return
        for blob in layer.blobs:
            if not self._store.blobs.has(blob.digest):
                continue
            try:
                self._unpack(layer, blob)
            except Error as error:
                self._job.say(f"layer {layer.diff_id}: {error.message}")
            else:
                self._mended()
                return

    def _unpack(self, layer: _Layer, blob: Descriptor) -> None:
        path = self._store.blobs.path(blob.digest)
        self._store.layers.replace(path, blob, layer.diff_id, lambda _: None, self._job.check)

    def _problem(self, layer: _Layer) -> str:
        """Return what is wrong with an unpacked layer, "" if nothing is."""
        if not layer.number:
            return "it is not unpacked"
        root = f"{self._paths.layers}/{layer.number}"
        if not os.path.isdir(root):
            return "its directory is missing"
        index = index_path(self._paths, layer.number)
        try:
            entries = read_index(index)
        except Error:
            return "its index is damaged"
        if not agrees_with_itself(index):
            return "its index is damaged"
        expected = {(entry.path, entry.kind == "opaque"): entry for entry in entries}
        try:
            return self._compare(root, expected)
        except (OSError, Error) as error:
            return f"it cannot be read: {error}"

    def _compare(self, root: str, expected: dict[tuple[str, bool], FileEntry]) -> str:
        fd = os.open(root, OPEN_DIRECTORY)
        owners: dict[str, FileEntry] = {
            entry.path: entry for entry in expected.values() if entry.kind != "opaque"
        }
        try:
            for found in walk(fd):
                self._job.check()
                path = os.fsdecode(found.entry.name)
                if bool(found.opaque) != (expected.pop((path, True), None) is not None):
                    return f"/{path} hides, or does not hide, what lies below"
                if not path:
                    continue
                entry = expected.pop((path, False), None)
                if entry is None:
                    return f"/{path} is not of the layer"
                if problem := self._differs(found, behind_link(entry, owners)):
                    return f"/{path}: {problem}"
        finally:
            os.close(fd)
        # An ordinary user's layers have no devices: the kernel makes none for him.
        left_out = ("char", "block") if is_rootless() else ()
        missing = (
            entry for entry in expected.values() if behind_link(entry, owners).kind not in left_out
        )
        left = next(missing, None)
        return f"/{left.path} is missing" if left else ""

    def _differs(self, found: Found, entry: FileEntry) -> str:
        seen = found.entry
        if found.is_whiteout or entry.kind == "whiteout":
            return "" if found.is_whiteout and entry.kind == "whiteout" else "its kind"
        kind = KIND_NAMES.get(seen.kind, "")
        if seen.kind == HARDLINK or entry.kind == "hardlink":
            return ""  # which name is the first differs; content is checked there
        if kind != entry.kind:
            return f"it is a {kind}, not a {entry.kind}"
        if seen.kind == FILE and seen.size != entry.size:
            return f"{seen.size} bytes, not {entry.size}"
        if (seen.uid, seen.gid) != (entry.uid, entry.gid):
            return f"owner {seen.uid}:{seen.gid}, not {entry.uid}:{entry.gid}"
        if kind != "symlink" and seen.mode != entry.mode:
            return f"mode {seen.mode:o}, not {entry.mode:o}"
        if kind == "symlink" and os.fsdecode(seen.link) != entry.link:
            return "it leads elsewhere"
        if seen.kind == FILE and not self._quick and _content(found) != entry.digest:
            return "its content"
        is_kept = 0 <= entry.mtime_ns < MAX_TIME_NS
        if seen.kind != DIRECTORY and is_kept and seen.mtime_ns != entry.mtime_ns:
            return "its time"
        return ""


def _content(found: Found) -> str:
    summer = hashlib.sha256(usedforsecurity=False)
    place = 0
    while data := os.pread(found.fd, 1 << 20, place):
        summer.update(data)
        place += len(data)
    return summer.hexdigest()
