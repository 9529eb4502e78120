"""Makes an image of one layer out of a tar of files, such as `export` writes."""

from __future__ import annotations

import time

from core.errors import ImageError
from core.images.archive.read import CHUNK, not_stored, opened
from core.images.assemble import make_image, platform, time_text
from core.images.config_change import apply_changes
from core.images.manifest import OCI_LAYER, Descriptor
from core.images.packing.layer_sink import LayerSink
from core.images.tar.compression import open_archive
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.config import Config
    from core.images.store import ImageStore
    from core.jobs import Job
    from core.model import ImageInfo


class ImportOptions(Record):
    """What is asked of an import."""

    tags: tuple[str, ...] = ()
    """Canonical names."""
    changes: tuple[str, ...] = ()
    """Dockerfile instructions, see `core.images.config_change`."""
    message: str = ""
    platform: str = ""
    """os/arch[/variant]; empty: this host's."""


def import_image(
    store: ImageStore, config: Config, source: str | int, asked: ImportOptions, job: Job
) -> ImageInfo:
    """Make the image of a file or an open descriptor and return it.

    The tar may be compressed with gzip, zstd, xz or bzip2.  Raises HostError for a file that
    cannot be read, Corrupt and UnsafePath for what is no tar or reaches out of itself.
    """
    settings = apply_changes({}, asked.changes)
    limit: int = 2 * config["image", "max_layer_bytes"]
    with opened(source, job) as file, store.blobs.new() as blob:
        stream, sink = open_archive(file), LayerSink(blob.fd)
        try:
            while data := stream.read(CHUNK):
                sink.write(data)
                if sink.size > limit:
                    raise ImageError(
                        f"more than {limit} bytes uncompressed",
                        hint="raise image.max_layer_bytes in config.toml if you trust it",
                    )
            sink.finish()
        except OSError as error:
            raise not_stored("the tar", error) from error
        finally:
            sink.abandon()
        blob.publish(sink.digest)
    layer = Descriptor(OCI_LAYER + "+gzip", sink.digest, sink.blob_size)
    try:
        store.layers.add(
            store.blobs.path(layer.digest), layer, sink.diff_id,
            lambda done: job.progress("layer", done, layer.size, "unpacking"), job.check,
        )  # fmt: skip
    except ImageError:
        store.let_go([layer.digest])  # it was no tar of files
        raise
    now = time_text(time.time())
    name = source if isinstance(source, str) else "-"
    step = {"created": now, "created_by": f"import {name}", "comment": asked.message}
    document = {
        **platform(asked.platform),
        "created": now,
        "config": settings,
        "history": [{key: value for key, value in step.items() if value}],
    }
    return make_image(store, document, [(layer, sink.diff_id)], asked.tags)
