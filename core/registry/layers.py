"""The layers of one image: fetched side by side, and unpacked while they are on their way."""

from __future__ import annotations

import os
import threading
from collections import deque

from core.errors import Corrupt
from core.images.digest import digest_of
from core.registry.fetch import bytes_present, disk_full, fetch_blob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.config import Config
    from core.images.store import ImageStore
    from core.images.unpacking.unpack import Unpacker
    from core.jobs import Job
    from core.registry.client import RegistryClient
    from core.registry.pull import Found, Layer

MAX_UNPACKED = 4
"""Layers that are unpacked at once: two more than there are processors.  One waits for the disk,
and the more of the last ones run side by side, the shorter one of them runs alone.
"""


def _size(layer: Layer) -> int:
    return layer.descriptor.size


def _unpacked_at_once() -> int:
    return min(len(os.sched_getaffinity(0)) + 2, MAX_UNPACKED)


class _Stopped(Exception):
    """Another layer has failed: this one's thread ends."""


class Layers:
    """Brings the layers of one image: threads that fetch, threads that unpack."""

    def __init__(
        self,
        store: ImageStore,
        config: Config,
        client: RegistryClient,
        path: str,
        job: Job,
        unpacker: Unpacker,
    ) -> None:
        self._store = store
        self._parallel: int = max(1, config["registry", "parallel_layers"])
        self._client = client
        self._path = path
        self._job = job
        self._unpacker = unpacker
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
        if new:
            self._unpacker.prepare()
        # The largest first, here and in unpacking: started last, it would run on alone.
        self._to_fetch.extend(sorted(wanted, key=_size, reverse=True))
        self._missing = len(new)
        # What is fetched comes first: the others wait for it.
        work = [self._fetch_all] * min(self._parallel, len(wanted))
        work += [self._unpack_all] * min(_unpacked_at_once(), len(new))
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
        while layer := self._next_to_unpack():
            self._unpack(layer)

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

    def _unpack(self, layer: Layer) -> None:
        arriving = self._store.blobs.partial_path(layer.descriptor.digest)
        try:
            self._add(layer, arriving)
        except Corrupt:
            # Perhaps it began anew while it was read, and if not: its digest says what is wrong.
            self._wait_for_all_of(layer)
            self._add(layer)
        self._note(layer, layer.descriptor.size, "done")

    def _add(self, layer: Layer, arriving: str = "") -> None:
        def told(done: int) -> None:
            if layer in self._whole:
                self._note(layer, done, "unpacking")

        blob = self._store.blobs.path(layer.descriptor.digest)
        self._store.layers.add(
            blob, layer.descriptor, layer.diff_id, told, self._check, self._unpacker, arriving
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
