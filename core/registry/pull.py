"""Pulling: from a name to an image in the store.

Layers are fetched side by side and unpacked while they are still on their way.  Nothing
but whole, verified things ever shows: the image is added last, in one step, and what an
interrupted pull has fetched serves the next one.
"""

from __future__ import annotations

import os
import threading
from collections import deque

from core.errors import (
    ConfigError,
    Corrupt,
    NotFound,
    RegistryError,
    UnsupportedMedia,
    UsageError,
)
from core.images.digest import digest_of
from core.images.manifest import (
    MAX_SIZE,
    Entry,
    Index,
    Manifest,
    choose,
    diff_ids,
    parse,
    parse_config,
    platform_of,
)
from core.images.reference import parse_host
from core.record import Record
from core.registry.client import RegistryClient
from core.registry.fetch import bytes_present, disk_full, fetch_blob
from core.registry.status import note_use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.config import Config
    from core.images.manifest import Descriptor
    from core.images.reference import Reference
    from core.images.store import ImageStore
    from core.images.unpacking.unpack import Unpacker
    from core.jobs import Job
    from core.model import ImageInfo

MAX_UNPACKERS = 4
"""Layers that are unpacked at once: two more than there are processors.  One waits for the disk,
and the more of the last ones run side by side, the shorter one of them runs alone.
"""
SHORT_DIGEST = 12


class Layer(Record):
    """A layer as its manifest and its image's config name it."""

    descriptor: Descriptor
    diff_id: str

    @property
    def name(self) -> str:
        """What it is called in progress."""
        return self.descriptor.digest.partition(":")[2][:SHORT_DIGEST]


class Found(Record):
    """An image as the registry has it."""

    content: bytes
    manifest: Manifest
    source_digest: str
    """Of what the name stands for: an index, or the manifest itself."""
    config: bytes
    layers: tuple[Layer, ...]


def pull(
    store: ImageStore, config: Config, reference: Reference, platform: str, job: Job
) -> ImageInfo:
    """Fetch an image for a platform (empty: this host's) and return it.

    Raises NotFound, RegistryError, ImageError or HostError, each naming host, repository and
    cause, and Cancelled.  Progress is told per layer, with the notes exists, waiting,
    downloading, verifying, unpacking and done.
    """
    *mirrors, own = places(config, reference)
    for place in mirrors:
        try:
            found = _bring(store, config, place, platform, job)
            break
        except (RegistryError, NotFound, Corrupt) as error:
            job.say(f"mirror {place.host}: {error.message}; asking the next")
    else:
        found = _bring(store, config, own, platform, job)
    job.check()
    name = reference.replace(tag="") if reference.digest else reference
    return store.add_image(
        found.content,
        found.manifest.media_type,
        found.config,
        tags=(name.canonical,),
        source_digest=found.source_digest,
    )


def places(config: Config, reference: Reference) -> list[Reference]:
    """Return where to ask for an image: the mirrors of its registry, then that itself.

    Raises ConfigError for a mirror that is no `HOST[:PORT][/PREFIX]`.
    """
    found = []
    for mirror in config.mirrors.get(reference.host, "").split():
        host, _, prefix = mirror.partition("/")
        try:
            host = parse_host(host)
        except UsageError as error:
            raise ConfigError(
                f"mirrors of {reference.host}: {error.message}",
                hint="a mirror is HOST[:PORT][/PREFIX], several are separated by blanks",
                subject=mirror,
            ) from None
        path = f"{prefix.strip('/')}/{reference.path}".lstrip("/")
        found.append(reference.replace(host=host, path=path))
    return [*found, reference]


def _bring(
    store: ImageStore,
    config: Config,
    place: Reference,
    platform: str,
    job: Job,
) -> Found:
    """Bring manifest, config and layers from one place."""
    with RegistryClient(place.host, config, check=job.check) as client:
        try:
            found = find(client, place, platform, job.say)
            _Layers(store, config, client, place.path, job).bring(found)
        except RegistryError as error:
            note_use(store.database, client, error)
            raise
    if client.quota:
        job.say(f"{client.host} still grants {client.quota.describe()}")
    note_use(store.database, client)
    return found


def find(
    client: RegistryClient, reference: Reference, platform: str, say: Callable[[str], None]
) -> Found:
    """Ask for manifest and config of an image; warns through `say` of a foreign platform."""
    what = reference.familiar
    content, media_type, source_digest = client.manifest(
        reference.path, reference.digest or reference.tag
    )
    document = parse(content, media_type, what)
    if isinstance(document, Index):
        chosen = choose(document, platform, what)
        content, media_type, _ = client.manifest(reference.path, chosen.digest)
        document = parse(content, media_type, f"{what} ({chosen.digest})")
    if isinstance(document, Index):
        raise UnsupportedMedia(f"{what} is an index of indexes", subject=what)
    config = client.small_blob(reference.path, document.config.digest, MAX_SIZE)
    parsed = parse_config(config, f"{what}, config")
    names = diff_ids(parsed)
    if len(names) != len(document.layers):
        raise Corrupt(
            f"{what}: {len(document.layers)} layers, but {len(names)} diff_ids in its config",
            subject=what,
        )
    _check_platform(document, platform_of(parsed), platform, what, say)
    layers = tuple(map(Layer, document.layers, names))
    return Found(content, document, source_digest, config, layers)


def _check_platform(
    manifest: Manifest, actual: str, wanted: str, what: str, say: Callable[[str], None]
) -> None:
    """Refuse an image that is not for the platform asked for; warn if it is not the host's."""
    only = Index(manifest.media_type, (Entry(manifest.config, actual),))
    try:
        choose(only, wanted, what)
    except NotFound:
        if wanted:
            raise
        say(f"{what} is for {actual}: this host runs it only through an emulator (binfmt_misc)")


def _size(layer: Layer) -> int:
    return layer.descriptor.size


def _unpackers() -> int:
    return min(len(os.sched_getaffinity(0)) + 2, MAX_UNPACKERS)


class _Stopped(Exception):
    """Another layer has failed: this one's thread ends."""


class _Layers:
    """Brings the layers of one image: threads that fetch, threads that unpack."""

    def __init__(
        self, store: ImageStore, config: Config, client: RegistryClient, path: str, job: Job
    ) -> None:
        self._store = store
        self._parallel: int = max(1, config["registry", "parallel_layers"])
        self._client = client
        self._path = path
        self._job = job
        self._changed = threading.Condition()
        self._to_fetch: deque[Layer] = deque()
        self._to_unpack: list[Layer] = []
        """Layers of which bytes have come."""
        self._only_blobs: set[Layer] = set()
        """Layers that are not to be unpacked, or not twice."""
        self._whole: set[Layer] = set()
        self._missing = 0
        self._failure: BaseException | None = None

    def bring(self, found: Found) -> None:
        """Return when all layers are unpacked, and here in the blobs that this image names.

        Raises the first failure of any of them.
        """
        new = self._sort(found)
        wanted = [*new, *self._only_blobs]
        if not wanted:
            return
        self._check_space(wanted)
        # The largest first, here and in unpacking: started last, it would run on alone.
        self._to_fetch.extend(sorted(wanted, key=_size, reverse=True))
        self._missing = len(new)
        # What unpacks is started first: it takes a moment until it can.
        work = [self._unpack_all] * min(_unpackers(), len(new))
        work += [self._fetch_all] * min(self._parallel, len(wanted))
        work.append(lambda: self._keep(found))
        threads = [threading.Thread(target=self._run, args=(step,), daemon=True) for step in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failure:
            raise self._failure

    def _sort(self, found: Found) -> list[Layer]:
        """Return the layers to unpack; notes those that are here, but came in another blob."""
        from core.images.verify import is_known_content

        new: dict[str, Layer] = {}
        for layer in {(one.descriptor.digest, one.diff_id): one for one in found.layers}.values():
            blob = layer.descriptor
            is_here = self._store.layers.has(layer.diff_id)
            if (
                is_here
                and self._store.blobs.has(blob.digest)
                and is_known_content(self._store, blob, layer.diff_id)
            ):
                self._note(layer, blob.size, "exists")
                continue
            if is_here or layer.diff_id in new:
                self._only_blobs.add(layer)
            else:
                new[layer.diff_id] = layer
            self._note(layer, bytes_present(self._store.blobs, blob), "waiting")
        return list(new.values())

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except _Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by bring()
            with self._changed:
                self._failure = self._failure or error
                self._changed.notify_all()
        finally:
            self._store.database.close()

    def _keep(self, found: Found) -> None:
        """Store manifest and config now: at the end the disk would bring all files there first."""
        blobs = self._store.blobs
        blobs.write(found.manifest.config.digest, [found.config])
        blobs.write(digest_of(found.content), [found.content])

    def _fetch_all(self) -> None:
        while layer := self._next_to_fetch():
            self._fetch(layer)

    def _next_to_fetch(self) -> Layer | None:
        with self._changed:
            return self._to_fetch.popleft() if self._to_fetch else None

    def _fetch(self, layer: Layer) -> None:
        if layer in self._only_blobs:
            self._fetch_blob(layer)
            return
        is_offered = False

        def report(done: int, note: str) -> None:
            nonlocal is_offered
            self._note(layer, done, note)
            if note != "waiting" and not is_offered:
                is_offered = True
                self._offer(layer)

        fetch_blob(
            self._store.blobs, self._client, self._path, layer.descriptor, report, self._check
        )
        with self._changed:
            self._whole.add(layer)
            self._changed.notify_all()
        if not is_offered:
            self._offer(layer)

    def _fetch_blob(self, layer: Layer) -> None:
        from core.images.verify import compare_content

        def report(done: int, note: str) -> None:
            self._note(layer, done, note)

        fetch_blob(
            self._store.blobs, self._client, self._path, layer.descriptor, report, self._check
        )
        compare_content(self._store, layer.descriptor, layer.diff_id, self._check)
        self._note(layer, layer.descriptor.size, "done")

    def _offer(self, layer: Layer) -> None:
        with self._changed:
            self._to_unpack.append(layer)
            self._changed.notify_all()

    def _unpack_all(self) -> None:
        from core.images.unpacking.unpack import Unpacker

        with Unpacker() as unpacker:
            while layer := self._next_to_unpack():
                self._unpack(layer, unpacker)

    def _next_to_unpack(self) -> Layer | None:
        """Wait for a layer to unpack: rather one that is whole, rather a large one."""
        with self._changed:
            while not self._to_unpack:
                if not self._missing:
                    return None
                if self._failure:
                    raise _Stopped
                self._changed.wait()
            layer = max(self._to_unpack, key=lambda one: (one in self._whole, _size(one)))
            self._to_unpack.remove(layer)
            self._missing -= 1
            self._changed.notify_all()
            return layer

    def _unpack(self, layer: Layer, unpacker: Unpacker) -> None:
        arriving = self._store.blobs.partial_path(layer.descriptor.digest)
        try:
            self._add(layer, unpacker, arriving)
        except Corrupt:
            # Perhaps it began anew while it was read, and if not: its digest says what is wrong.
            self._wait_for_all_of(layer)
            self._add(layer, unpacker)
        self._note(layer, layer.descriptor.size, "done")

    def _add(self, layer: Layer, unpacker: Unpacker, arriving: str = "") -> None:
        def told(done: int) -> None:
            if layer in self._whole:
                self._note(layer, done, "unpacking")

        blob = self._store.blobs.path(layer.descriptor.digest)
        self._store.layers.add(
            blob, layer.descriptor, layer.diff_id, told, self._check, unpacker, arriving
        )

    def _wait_for_all_of(self, layer: Layer) -> None:
        with self._changed:
            while layer not in self._whole:
                if self._failure:
                    raise _Stopped
                self._changed.wait()

    def _check(self) -> None:
        self._job.check()
        if self._failure:
            raise _Stopped

    def _note(self, layer: Layer, done: int, note: str) -> None:
        self._job.progress(layer.name, done, layer.descriptor.size, note)

    def _check_space(self, missing: list[Layer]) -> None:
        """Refuse a pull that cannot fit, before the first byte of it is fetched."""
        blobs = self._store.blobs
        needed = sum(
            layer.descriptor.size - bytes_present(blobs, layer.descriptor) for layer in missing
        )
        place = os.path.dirname(blobs.partial_path(missing[0].descriptor.digest))
        os.makedirs(place, 0o700, exist_ok=True)
        disk = os.statvfs(place)
        lacking = needed - disk.f_bavail * disk.f_frsize
        if lacking > 0:
            raise disk_full(place, lacking)
