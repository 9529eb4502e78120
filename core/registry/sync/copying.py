"""Carrying out a sync plan: blobs side by side, tags as soon as all is there.

A sync that is cut short has finished what it has set, and the next one goes on from there.
"""

from __future__ import annotations

import threading

from core.errors import Cancelled, Error, NotFound, RateLimited, Unauthorized
from core.record import Record
from core.registry.sync.carry import carry
from core.registry.sync.plan import COPY, DELETE, MOVE, SyncPlan, describe
from core.registry.upload_notes import note_of
from core.side_by_side import side_by_side

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.images.manifest import Descriptor
    from core.images.store import ImageStore
    from core.jobs import Job
    from core.registry.sync.ends import End
    from core.registry.sync.plan import Step

    Check = Callable[[], None]

FATAL = (Cancelled, RateLimited, Unauthorized)
"""After these, the next image would fare no better."""


class Done(Record):
    """How one step went."""

    rule: str
    action: str
    source: str
    target: str
    digest: str
    bytes: int = 0
    """Sent."""
    sent: int = 0
    mounted: int = 0
    existing: int = 0
    """Blobs."""
    error: str = ""


class _Image:
    """A step that copies, while its blobs come."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.waiting = {digest for digest, _ in step.blobs}
        self.total = max(1, sum(blob.size for _, blob in step.blobs))
        self.parts: dict[str, int] = {}
        self.ways: dict[str, str] = {}
        self.sent = 0
        self.error = ""
        self.finished = False


class Copying:
    """Carries out one plan between two ends."""

    def __init__(
        self, store: ImageStore, plan: SyncPlan, source: End, target: End, job: Job
    ) -> None:
        self._store = store
        self._plan = plan
        self._source = source
        self._target = target
        self._job = job
        self._lock = threading.Lock()
        self._images = [_Image(step) for step in plan.steps if step.action in (COPY, MOVE)]
        self._waiting: dict[tuple[str, str], list[_Image]] = {}
        """The images that wait for a blob in a repository."""
        for image in self._images:
            for digest in image.waiting:
                self._waiting.setdefault((image.step.places[1], digest), []).append(image)
        self._blob_locks: dict[str, threading.Lock] = {}
        self._holders: dict[str, list[str]] = {}
        """Paths in the target's registry where a blob is now, by digest."""

    def run(self, workers: int) -> list[Done]:
        """Do all steps, so many blobs at once; return how each went, in the plan's order."""
        works = [self._work(image, digest, blob) for image, digest, blob in self._blobs()]
        empty = [self._finishing(image) for image in self._images if not image.waiting]
        for image in self._images:
            self._show(image, "waiting")
        leave = self._store.database.close
        side_by_side([*empty, *works], workers, self._job.check, leave)
        results = {id(image.step): self._result(image) for image in self._images}
        kept: dict[str, set[str]] = {}
        for step in self._plan.steps:
            kept.setdefault(step.places[1], set()).add(step.digest)
        for step in self._plan.steps:
            if step.action == DELETE:
                results[id(step)] = self._delete(step, kept[step.places[1]])
        return [results.get(id(step)) or _as_planned(step) for step in self._plan.steps]

    def _blobs(self) -> list[tuple[_Image, str, Descriptor]]:
        """Return each blob that is to come once a repository, in the order of the images."""
        return [
            (image, digest, blob)
            for image in self._images
            for digest, blob in image.step.blobs
            if self._waiting[image.step.places[1], digest][0] is image
        ]

    def _work(self, image: _Image, digest: str, blob: Descriptor) -> Callable[[Check], None]:
        def work(check: Check) -> None:
            with self._lock:
                alone = self._blob_locks.setdefault(digest, threading.Lock())
            with alone:  # a second repository mounts it from the first
                try:
                    self._bring(image, digest, blob, check)
                except FATAL:
                    raise
                except Error as error:
                    self._fail(image.step.places[1], digest, describe(error))
                    return
            self._arrived(image.step.places[1], digest)

        return work

    def _bring(self, image: _Image, digest: str, blob: Descriptor, check: Check) -> None:
        step = image.step

        def report(done: int) -> None:
            image.parts[digest] = done
            self._show(image, "copying")

        target = self._target
        note = note_of(self._store.paths, f"{target.name}/{step.places[1]}", digest)
        carried = carry(
            self._source, target, step.places, blob, self._lenders(step, digest),
            note, report, check,
        )  # fmt: skip
        image.ways[digest] = carried.way
        image.sent += carried.size
        report(blob.size)
        if target.client is not None and carried.way != "foreign":
            with self._lock:
                self._holders.setdefault(digest, []).append(target.path(step.places[1]))

    def _lenders(self, step: Step, digest: str) -> list[str]:
        found = list(self._holders.get(digest, ()))
        source, target = self._source.client, self._target.client
        if source is not None and target is not None and source.host == target.host:
            assert self._source.client is not None
            found.insert(0, self._source.path(step.places[0]))
        return found[:2]

    def _arrived(self, place: str, digest: str) -> None:
        for image in self._waiting[place, digest]:
            with self._lock:
                image.waiting.discard(digest)
                ready = not (image.waiting or image.error or image.finished)
                image.finished = image.finished or ready
            if ready:
                self._finish(image)

    def _fail(self, place: str, digest: str, cause: str) -> None:
        for image in self._waiting[place, digest]:
            image.error = image.error or cause
            self._show(image, "failed")

    def _finishing(self, image: _Image) -> Callable[[Check], None]:
        return lambda _: self._finish(image)

    def _finish(self, image: _Image) -> None:
        """Store an image's manifests, and what was done."""
        step = image.step
        place, tag = step.places[1], step.tag
        try:
            *below, own = step.manifests
            for found in below:
                self._target.put(place, "", found)
            if step.subject and not tag:
                self._target.put_referrer(place, step.subject, own)
            else:
                self._target.put(place, tag, own, step.source_digest)
        except FATAL:
            raise
        except Error as error:
            image.error = describe(error)
            self._show(image, "failed")
            return
        if not step.subject:
            self._remember(step)
        self._show(image, "done")

    def _remember(self, step: Step) -> None:
        platforms = ",".join(self._plan.platforms)
        with self._store.database.write() as sql:
            sql.execute(
                "INSERT OR REPLACE INTO synced VALUES (?,?,?,?,?)",
                (step.target, step.source, platforms, step.source_digest, step.digest),
            )

    def _delete(self, step: Step, kept: set[str]) -> Done:
        try:
            self._target.delete(step.places[1], step.tag, kept)
        except NotFound:
            pass  # somebody else was faster
        except FATAL:
            raise
        except Error as error:
            return _as_planned(step).replace(error=describe(error))
        return _as_planned(step)

    def _show(self, image: _Image, note: str) -> None:
        done = image.total if note == "done" else min(sum(image.parts.values()), image.total)
        self._job.progress(image.step.target, done, image.total, note)

    def _result(self, image: _Image) -> Done:
        ways = list(image.ways.values())
        return _as_planned(image.step).replace(
            bytes=image.sent,
            sent=ways.count("sent"),
            mounted=ways.count("mounted"),
            existing=ways.count("exists"),
            error=image.error,
        )


def _as_planned(step: Step) -> Done:
    return Done(step.rule, step.action, step.source, step.target, step.digest, error=step.cause)
