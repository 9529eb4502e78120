"""Makes a layer of a directory: packed, compressed, summed up, indexed and kept, in one pass.

The directory is laid out as overlayfs lays out an upper directory (or is a plain one); its
whiteouts become those of the OCI image spec.  The same tree gives the same tar on every
machine: names in order, nothing of the host in it.
https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md#whiteouts
"""

from __future__ import annotations

import errno
import os

from core.errors import FREE_SPACE, HostError, ImageError, NotSupported
from core.images.manifest import OCI_LAYER, Descriptor
from core.images.packing.file_index import FileIndex
from core.images.packing.layer_sink import SUFFIXES, LayerSink
from core.images.packing.tree_mirror import Mirror
from core.images.packing.tree_walk import OPEN_DIRECTORY, walk
from core.images.tar.header import END, file_entry, header, padding
from core.images.tar.reader import DIRECTORY, FILE, HARDLINK, shown
from core.images.unpacking.extract import KIND_NAMES, OPAQUE, WHITEOUT
from core.privileges import require_root
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from core.images.packing.tree_walk import Found
    from core.images.store import ImageStore

CHUNK = 1 << 20
HOLE = 64 << 20
"""Bytes of a hole that are summed up between two looks whether to go on."""
UNTRANSLATABLE = ("overlay.redirect", "overlay.metacopy")
"""Attributes of entries whose content lies in a layer below."""
PLAIN_ROOT = (0o755, 0, 0)
"""Mode and owner of a root that needs no entry: every unpacked layer begins so."""


class WrittenLayer(Record):
    """A layer that is in the store: its blob under `descriptor`, its files under `diff_id`."""

    descriptor: Descriptor
    diff_id: str
    size: int
    """Bytes of files."""
    files: int
    """Entries; 0 for a layer that changes nothing."""


def write_layer(
    store: ImageStore,
    source: str,
    *,
    adopt: bool = False,
    compression: str = "gzip",
    newest_ns: int | None = None,
    left_out: Container[bytes] = (),
    progress: Callable[[int], None] = lambda _: None,
    check: Callable[[], None] = lambda: None,
) -> WrittenLayer:
    """Make a layer of the directory `source` and return it.

    With `adopt` the directory itself becomes the unpacked layer and is gone afterwards, also
    when the same layer was here; otherwise it is copied in the same pass and may be written
    to meanwhile: each file is then as it was when it was read.  After a failure an adopted
    directory is still there.  `compression`: gzip, zstd or none.  Times after `newest_ns`
    (nanoseconds since the epoch) become that.  What is empty at the paths `left_out` is not
    in the copy: it was made to be mounted on.  `progress` is told bytes of files.

    No image holds the layer yet: `ImageStore.add_image` does that.  Raises ImageError for
    what no layer can hold, HostError when the disk is full, and what `check` raises.
    """
    from core.trees import remove_tree

    require_root("making a layer")
    with store.layers.staging(check) as staged:
        is_here = adopt and _same_file_system(source, os.path.dirname(staged))
        os.mkdir(staged, 0o755)
        with store.blobs.new() as blob:
            sink = LayerSink(blob.fd, compression)
            packer = _Packer(
                sink, None if is_here else staged, is_here, newest_ns, store.layers.max_bytes,
                progress, check,
            )  # fmt: skip
            try:
                packer.pack(source, left_out)
                packer.index.finish()
                sink.finish()
            except OSError as error:
                raise _told(error, source) from error
            finally:
                sink.abandon()
                packer.close()
            blob.publish(sink.digest)
        packer.index.write(staged + ".index")
        descriptor = Descriptor(OCI_LAYER + SUFFIXES[compression], sink.digest, sink.blob_size)
        whole = source if is_here else staged
        store.layers.adopt(
            whole, staged + ".index", sink.diff_id, packer.size, packer.index.count, descriptor,
            check,
        )  # fmt: skip
        if adopt and not is_here:
            remove_tree(source)
    return WrittenLayer(descriptor, sink.diff_id, packer.size, packer.index.count)


class _Packer:
    """Turns a tree into tar bytes for the sink and rows for the index."""

    def __init__(
        self,
        sink: LayerSink,
        copy: str | None,
        in_place: bool,
        newest_ns: int | None,
        max_bytes: int,
        progress: Callable[[int], None],
        check: Callable[[], None],
    ) -> None:
        self._write = sink.write
        self._mirror = Mirror(copy) if copy else None
        self._in_place = in_place
        self._newest = newest_ns
        self._max_bytes = max_bytes
        self._progress = progress
        self._check = check
        self.index = FileIndex()
        self.size = 0

    def close(self) -> None:
        self.index.abandon()
        if self._mirror:
            self._mirror.close()

    def pack(self, source: str, left_out: Container[bytes]) -> None:
        root = os.open(source, OPEN_DIRECTORY)
        try:
            for found in walk(root, left_out):
                self._check()
                self._put(found)
                if self._in_place:
                    self._tidy(found)
        finally:
            os.close(root)
        self._write(END)
        if self._mirror:
            self._mirror.finish()

    def _put(self, found: Found) -> None:
        if found.is_socket:
            return
        _refuse(found)
        entry = found.entry
        if self._newest is not None:
            entry.mtime_ns = min(entry.mtime_ns, self._newest)
        if self._mirror:
            self._mirror.make(found)
        folder, slash, name = entry.name.rpartition(b"/")
        if found.is_whiteout:
            self._mark(found, "whiteout", folder + slash + WHITEOUT + name)
            return
        self._write_header(found)
        if entry.kind == FILE:
            self.size += entry.size
            if self.size > self._max_bytes:
                raise ImageError(
                    f"{shown(entry.name)}: more than {self._max_bytes} bytes of files",
                    hint="no limpet would unpack it: raise image.max_layer_bytes in config.toml",
                )
            self._content(found)
            self._progress(self.size)
        if entry.name:
            self.index.add(
                os.fsdecode(entry.name), KIND_NAMES[entry.kind], entry.mode, entry.uid, entry.gid,
                entry.size, entry.mtime_ns, os.fsdecode(entry.link),
            )  # fmt: skip
        if found.opaque:
            self._mark(found, "opaque", entry.name + b"/" + OPAQUE if entry.name else OPAQUE)

    def _write_header(self, found: Found) -> None:
        entry = found.entry
        if entry.name:
            self._write(header(entry))
        elif (entry.mode, entry.uid, entry.gid) != PLAIN_ROOT or entry.xattrs:
            entry.name = b"."
            self._write(header(entry))
            entry.name = b""

    def _mark(self, found: Found, kind: str, marker: bytes) -> None:
        self._write(header(file_entry(marker)))
        self.index.add(os.fsdecode(found.entry.name), kind, 0, 0, 0, 0, 0, "")

    def _tidy(self, found: Found) -> None:
        """Take from a directory that is to be the layer what its tar does not say."""
        if found.is_socket:
            before = os.fstat(found.parent)
            os.unlink(found.name, dir_fd=found.parent)
            os.utime(found.parent, ns=(before.st_atime_ns, before.st_mtime_ns))
            return
        for name in found.overlay:
            if name != found.opaque:
                os.removexattr(found.fd, name)
        if found.facts.st_mtime_ns != found.entry.mtime_ns and found.entry.kind != HARDLINK:
            times = (found.entry.mtime_ns, found.entry.mtime_ns)
            os.utime(found.name or ".", ns=times, dir_fd=found.parent, follow_symlinks=False)

    def _content(self, found: Found) -> None:
        """Pass a file's bytes on; its digest is that of what it reads, holes as zeros."""
        entry, mirror, index = found.entry, self._mirror, self.index
        reached = 0
        for start, length in entry.sparse if entry.sparse is not None else [(0, entry.size)]:
            self._hole(start - reached)
            place, reached = start, start + length
            while place < reached:
                self._check()
                wanted = min(CHUNK, reached - place)
                # What a program took away meanwhile reads as zeros: the header has the size.
                data = os.pread(found.fd, wanted, place) or bytes(wanted)
                index.content(data)
                self._write(data)
                if mirror:
                    mirror.write(data, place)
                place += len(data)
        self._hole(entry.size - reached)
        self._write(bytes(padding(entry.stored)))
        if mirror:
            mirror.end_file(found)

    def _hole(self, size: int) -> None:
        while size > 0:
            self._check()
            self.index.zeros(min(size, HOLE))
            size -= HOLE


def _refuse(found: Found) -> None:
    """Raise for what would read back as something else."""
    name = shown(found.entry.name)
    if found.name.startswith(WHITEOUT) and found.entry.kind != DIRECTORY:
        raise ImageError(
            f"{name}: a layer cannot hold a file of this name: .wh. marks removed files",
            hint="remove or rename it",
            subject=name,
        )
    for attribute in found.overlay:
        if attribute.endswith(UNTRANSLATABLE):
            raise NotSupported(
                f"{name} was moved by overlayfs's redirect_dir or metacopy: it is no whole entry",
                hint="switch them off: echo N > /sys/module/overlay/parameters/redirect_dir",
                subject=name,
            )


def _told(error: OSError, source: str) -> HostError:
    where = error.filename if isinstance(error.filename, str) else source
    return HostError(
        f"making a layer of {source}: {where}: {error.strerror}",
        hint=FREE_SPACE if error.errno in (errno.ENOSPC, errno.EDQUOT) else "",
        errno=error.errno or 0,
    )


def _same_file_system(one: str, other: str) -> bool:
    return os.stat(one).st_dev == os.stat(other).st_dev
