"""Makes an image of a container: its image, what it wrote as one more layer, its settings."""

from __future__ import annotations

import os
import time

from core.containers import repair, state, stored
from core.containers.files.changes import mount_points
from core.errors import Conflict, HostError
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from core.containers.configuration.options import ContainerOptions
    from core.database import Database
    from core.images.store import ImageStore
    from core.jobs import Job
    from core.model import ImageInfo
    from core.network.network import Network
    from core.paths import Paths


class CommitOptions(Record):
    """What is asked of a commit."""

    tags: tuple[str, ...] = ()
    """Canonical names; none makes an image without a name."""
    message: str = ""
    author: str = ""
    changes: tuple[str, ...] = ()
    """Dockerfile instructions, see `core.images.config_change`."""
    pause: bool = True
    """Freeze a running container meanwhile."""
    compression: str = "gzip"


def commit(
    paths: Paths,
    database: Database,
    network: Network,
    store: ImageStore,
    reference: str,
    asked: CommitOptions,
    job: Job,
) -> ImageInfo:
    """Make the image and return it; the container is as before, also after a failure.

    Raises NotFound for the container, UsageError for a wrong change, ImageError for what no
    layer can hold.
    """
    from core.images.assemble import layers_of, make_image, time_text
    from core.images.config_change import apply_changes
    from core.images.packing.layer_writer import write_layer

    row = stored.find(database, reference)
    base = store.config(row.image_digest)
    settings = apply_changes(_settings(base.get("config") or {}, row.options), asked.changes)

    def report(done: int) -> None:
        job.progress(row.name, done, 0, "packing")

    # Under its lock nobody removes it meanwhile.
    with stored.Lock(paths, row.id):
        found = repair.locked_state(paths, network, row.id)
        with _Frozen(paths, row, asked.pause and found.state == state.RUNNING):
            written = write_layer(
                store, f"{paths.container(row.id)}/upper", compression=asked.compression,
                left_out=places_of_mounts(database, row.id), progress=report, check=job.check,
            )  # fmt: skip
    now = time_text(time.time())
    step = {"created": now, "created_by": " ".join(row.document["args"]), "author": asked.author,
            "comment": asked.message}  # fmt: skip
    config = {
        **base,
        "created": now,
        "config": settings,
        "history": [*(base.get("history") or []), {k: v for k, v in step.items() if v}],
    }
    if asked.author:
        config["author"] = asked.author
    layers = [*layers_of(store, row.image_digest), (written.descriptor, written.diff_id)]
    return make_image(store, config, layers, asked.tags)


def places_of_mounts(database: Database, container_id: str) -> frozenset[bytes]:
    """Return the paths, without a slash in front, that limpet makes to mount on."""
    points = mount_points(stored.spec_of(database, container_id))
    return frozenset(os.fsencode(point.lstrip("/")) for point in points)


def _settings(image: dict[str, Any], options: ContainerOptions) -> dict[str, Any]:
    """Return an image config's settings with the container's own over them, as docker does."""
    settings = dict(image)
    if options.env:
        own = {entry.partition("=")[0]: entry for entry in options.env}
        inherited = {entry.partition("=")[0]: entry for entry in image.get("Env") or []}
        settings["Env"] = [*{**inherited, **own}.values()]
    if options.entrypoint is not None:
        settings["Entrypoint"] = list(options.entrypoint) or None
        settings["Cmd"] = None
    if options.command:
        settings["Cmd"] = list(options.command)
    if options.labels:
        settings["Labels"] = {**(image.get("Labels") or {}), **dict(options.labels)}
    if options.publish:
        ports: dict[str, Any] = {
            f"{port.container_port}/{port.protocol}": {} for port in options.publish
        }
        settings["ExposedPorts"] = {**(image.get("ExposedPorts") or {}), **ports}
    own_words = {"User": options.user, "WorkingDir": options.workdir,
                 "StopSignal": options.stop_signal}  # fmt: skip
    settings.update({name: value for name, value in own_words.items() if value})
    return {name: value for name, value in settings.items() if value is not None}


class _Frozen:
    """Keeps a container's processes from running meanwhile, if `wanted`."""

    def __init__(self, paths: Paths, row: stored.Row, wanted: bool) -> None:
        self._freeze: Callable[..., None] | None = None
        if wanted:
            from core.containers.ending import freeze

            self._freeze = freeze
        self._arguments: Sequence[Any] = (paths, row)

    def __enter__(self) -> None:
        if self._freeze:
            try:
                self._freeze(*self._arguments, frozen=True)
            except Conflict:
                pass  # it has just ended: nothing of it runs
            except HostError as error:
                error.hint = "--pause=false makes an image of it as it runs"
                raise

    def __exit__(self, *_: object) -> None:
        if self._freeze:
            try:
                self._freeze(*self._arguments, frozen=False)
            except Conflict:
                pass  # somebody has ended it meanwhile
