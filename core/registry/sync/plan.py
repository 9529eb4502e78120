"""What a sync rule would do: decided by asking, shown, and then done exactly so.

A tag that stands for the same at both ends costs one HEAD at each registry, also where the
target has another digest by the rule's own doing (platforms): what was made of a digest is
remembered.  The target is asked, not believed to be as it was left: somebody else may have
moved the tag.  The others are compared, and their blobs looked for.
"""

from __future__ import annotations

import json
from functools import partial

from core.errors import Error, ImageError, NotFound, UnsupportedMedia
from core.images.digest import digest_of
from core.images.index_tree import manifests_below
from core.images.manifest import (
    OCI_INDEX,
    choose,
    contents,
    created_at,
    host_platform,
    is_elsewhere,
    parse,
    parse_config,
    platform_of,
)
from core.images.manifest import Index as ImageIndex
from core.record import Record
from core.registry.sync.referrers import plan_referrers, subject_of
from core.registry.sync.rules import choose_tags
from core.side_by_side import side_by_side

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from core.database import Database
    from core.images.manifest import Descriptor
    from core.registry.sync.ends import End, Found
    from core.registry.sync.rules import Rule

    Check = Callable[[], None]
    Name = tuple[str, str]

WORKERS = 8
KEEP, COPY, MOVE, DELETE, SKIP, FAIL = "keep", "copy", "move", "delete", "skip", "fail"


class Step(Record):
    """What happens to one tag of the target."""

    rule: str
    action: str
    """keep, copy (it is new), move (it stood for something else), delete, skip, or fail."""
    source: str
    target: str
    """Names as they are shown."""
    places: tuple[str, str] = ("", "")
    """Repositories at source and target, relative to the ends."""
    tag: str = ""
    source_digest: str = ""
    digest: str = ""
    """What the tag stands for at the target afterwards."""
    bytes: int = 0
    """Of the blobs that the target's repository lacks; a mount may spare some."""
    manifests: tuple[Found, ...] = ()
    """What is to be stored, the tag's own last."""
    blobs: tuple[tuple[str, Descriptor], ...] = ()
    """Blobs that the target lacks, each once."""
    cause: str = ""
    """Why it is skipped, or fails."""
    subject: str = ""
    """What it refers to, of a signature, an SBOM or an attestation."""


class SyncPlan(Record):
    """All steps of one rule."""

    rule: Rule
    steps: tuple[Step, ...]
    platforms: tuple[str, ...] = ()
    """What was chosen of indexes; empty: all."""

    def count(self, *actions: str) -> int:
        """Return how many steps are one of these actions."""
        return sum(step.action in actions for step in self.steps)

    @property
    def bytes(self) -> int:
        """Bytes that are sent at most."""
        return sum(step.bytes for step in self.steps)


def make_plan(rule: Rule, source: End, target: End, database: Database, check: Check) -> SyncPlan:
    """Decide what a rule does; neither end is changed."""
    return _Planner(rule, source, target, database, check).run()


class _Planner:
    def __init__(
        self, rule: Rule, source: End, target: End, database: Database, check: Check
    ) -> None:
        self._rule = rule
        self._source = source
        self._target = target
        self._database = database
        self._check = check
        self._wanted = rule.platforms
        if target.by_host:
            # This host's store: it holds one image a name.
            self._wanted = rule.platforms[:1] or (host_platform(),)
        self._platforms = ",".join(self._wanted)
        self._digests: dict[Name, str] = {}
        self._lacking: dict[tuple[str, str], bool] = {}
        self._steps: list[Step] = []

    def run(self) -> SyncPlan:
        for repository in self._source.repositories():
            self._plan_repository(repository)
        order = (KEEP, SKIP, FAIL, DELETE, COPY, MOVE)
        self._steps.sort(key=lambda step: (step.places, step.tag, order.index(step.action)))
        return SyncPlan(self._rule, tuple(self._spared()), self._wanted)

    def _plan_repository(self, repository: str) -> None:
        ours = self._source.tags(repository)
        tags = choose_tags(self._rule, ours, lambda some: self._dates(repository, some))
        if self._source.many and not tags:
            return
        place = self._target.place_of(self._source, repository)
        here = set(self._target.tags(place))
        begin = len(self._steps)
        self._side_by_side([partial(self._plan_tag, repository, place, tag, here) for tag in tags])
        subjects = self._plan_referrers(self._steps[begin:], (set(ours), here))
        if self._rule.delete and not tags and here:
            # A source that was emptied, or a slip in the rule, must not empty the target.
            self._steps.append(
                Step(
                    self._rule.name, SKIP, self._source.show(repository, "*"),
                    self._target.show(place, "*"), (repository, place),
                    cause="the rule means no tag of the source: nothing is deleted for that",
                )
            )  # fmt: skip
        elif self._rule.delete:
            # Whom the tags of referrers belong to, only a rule that copies them knows.
            extra = [
                tag for tag in here.difference(tags)
                if not (subject := subject_of(tag))
                or (self._rule.referrers and subject not in subjects)
            ]  # fmt: skip
            for tag in sorted(extra):
                shown = self._target.show(place, tag)
                self._steps.append(
                    Step(self._rule.name, DELETE, "", shown, (repository, place), tag)
                )

    def _plan_tag(self, repository: str, place: str, tag: str, here: set[str]) -> None:
        source, target = self._source.show(repository, tag), self._target.show(place, tag)
        step = Step(self._rule.name, KEEP, source, target, (repository, place), tag)
        digest = self._digest(repository, tag)
        if not digest:
            return  # it went since the list was made
        step = step.replace(source_digest=digest)
        known = self._database.query(
            "SELECT digest FROM synced WHERE target=? AND source=? AND platforms=? "
            "AND source_digest=?",
            (target, source, self._platforms, digest),
        )
        there = self._target.digest(place, tag) if tag in here else ""
        if there and there == (known[0][0] if known else digest if not self._platforms else ""):
            self._steps.append(step.replace(digest=there))
            return
        self._steps.append(self._compare(step, self._wanted_of, there))

    def _plan_referrers(self, planned: Sequence[Step], tags: tuple[set[str], set[str]]) -> set[str]:
        """Plan what refers to the images that the target will have; return their digests.

        `planned` are the steps of one repository.
        """
        if not self._rule.referrers:
            return set()
        images = [step for step in planned if step.action in (KEEP, COPY, MOVE)]
        bases: dict[str, Step] = {}
        found: dict[str, Step] = {}

        def ask_image(step: Step) -> None:
            manifest = step.manifests[-1] if step.manifests else self._wanted_of(step)
            below = [entry.descriptor.digest for entry in contents(manifest[0])[1]]
            bases.update(dict.fromkeys((manifest[2], *below), step))

        def ask_referrers(subject: str, base: Step) -> None:
            base = Step(base.rule, KEEP, "", "", base.places)
            steps = plan_referrers(self._source, self._target, base, subject, tags, self._referrer)
            found.update((step.target, step) for step in steps)

        self._side_by_side([partial(ask_image, step) for step in images])
        self._side_by_side([partial(ask_referrers, *item) for item in bases.items()])
        self._steps += found.values()
        return {*bases, *(step.digest for step in found.values())}

    def _referrer(self, step: Step, there: str) -> Step:
        if there == step.source_digest:
            return step.replace(digest=there)
        return self._compare(step, self._manifest_of, there)

    def _compare(self, step: Step, get: Callable[[Step], Found], there: str) -> Step:
        """Return what becomes of a step, from what it is about and what the target has."""
        try:
            found = get(step)
            return (
                step.replace(digest=there) if there == found[2] else self._copy(step, found, there)
            )
        except (NotFound, UnsupportedMedia) as error:
            return step.replace(action=SKIP, cause=describe(error))
        except ImageError as error:
            return step.replace(action=FAIL, cause=describe(error))

    def _manifest_of(self, step: Step) -> Found:
        return self._source.manifest(step.places[0], step.source_digest)

    def _wanted_of(self, step: Step) -> Found:
        """Return what the target is to have of a tag: all, or what is for the platforms."""
        found = self._manifest_of(step)
        return self._for_platforms(step.places[0], found, step.source) if self._wanted else found

    def _copy(self, step: Step, found: Found, there: str) -> Step:
        repository, place = step.places
        manifests = self._tree(repository, found)
        blobs: dict[str, Descriptor] = {}
        for content, _, _ in manifests:
            blobs.update((blob.digest, blob) for blob in contents(content)[0])
        lacking = tuple(
            (digest, blob) for digest, blob in blobs.items() if self._lacks(place, digest)
        )
        return step.replace(
            action=MOVE if there else COPY,
            digest=found[2],
            bytes=sum(blob.size for _, blob in lacking if not is_elsewhere(blob)),
            manifests=manifests,
            blobs=lacking,
        )

    def _tree(self, repository: str, found: Found) -> tuple[Found, ...]:
        """Return a manifest behind all that it names."""

        def get(descriptor: Descriptor) -> Found:
            self._check()
            return self._source.manifest(repository, descriptor.digest)

        return (*manifests_below(found[0], get), found)

    def _for_platforms(self, repository: str, found: Found, what: str) -> Found:
        """Return the one image, or an index of those, that the rule's platforms mean."""
        content, media_type, _ = found
        document = parse(content, media_type, what)
        wanted = self._wanted
        if not isinstance(document, ImageIndex):
            config = self._source.small_blob(repository, document.config.digest)
            if platform_of(parse_config(config)) not in wanted:
                raise NotFound(f"{what} is not for {', '.join(wanted)}")
            return found
        chosen = [entry for name in wanted if (entry := _choose(document, name, what))]
        if not chosen:
            raise NotFound(f"{what} is not for {', '.join(wanted)}")
        if len(chosen) == 1:
            return self._source.manifest(repository, chosen[0].digest)
        index = json.loads(content)
        digests = {descriptor.digest for descriptor in chosen}
        index["manifests"] = [item for item in index["manifests"] if item["digest"] in digests]
        index.setdefault("mediaType", OCI_INDEX)
        reduced = json.dumps(index, separators=(",", ":")).encode()
        return reduced, index["mediaType"], digest_of(reduced)

    def _lacks(self, place: str, digest: str) -> bool:
        key = (place, digest)
        if key not in self._lacking:
            self._lacking[key] = not self._target.has_blob(place, digest)
        return self._lacking[key]

    def _spared(self) -> list[Step]:
        """Return the steps with each blob counted for the first that brings it alone."""
        brought: set[tuple[str, str]] = set()
        found = []
        for step in self._steps:
            place = step.places[1]
            fresh = [(d, blob) for d, blob in step.blobs if (place, d) not in brought]
            brought.update((place, digest) for digest, _ in step.blobs)
            size = sum(blob.size for _, blob in fresh if not is_elsewhere(blob))
            found.append(step.replace(bytes=size))
        return found

    def _digest(self, repository: str, tag: str) -> str:
        key = (repository, tag)
        if key not in self._digests:
            self._digests[key] = self._source.digest(repository, tag)
        return self._digests[key]

    def _dates(self, repository: str, tags: Sequence[str]) -> Mapping[str, float]:
        """Return when the images behind tags were made; asked for once a digest."""
        found: dict[str, float] = {}

        def ask(tag: str) -> None:
            digest = self._digest(repository, tag)
            rows = self._database.query("SELECT created FROM image_dates WHERE digest=?", (digest,))
            found[tag] = rows[0][0] if rows else self._date(repository, digest)
            if not rows:
                with self._database.write() as sql:
                    sql.execute(
                        "INSERT OR IGNORE INTO image_dates VALUES (?,?)", (digest, found[tag])
                    )

        self._side_by_side([partial(ask, tag) for tag in tags])
        return found

    def _date(self, repository: str, digest: str) -> float:
        try:
            blobs, entries = contents(self._source.manifest(repository, digest)[0])
            if entries:
                child = self._source.manifest(repository, entries[0].descriptor.digest)
                blobs, _ = contents(child[0])
            config = json.loads(self._source.small_blob(repository, blobs[0].digest))
            return created_at(config.get("created"))
        except (NotFound, LookupError, ValueError, AttributeError):
            return 0.0

    def _side_by_side(self, works: Sequence[Callable[[], None]]) -> None:
        def careful(work: Callable[[], None]) -> Callable[[Check], None]:
            return lambda _: work()

        side_by_side(map(careful, works), WORKERS, self._check, self._database.close)


def _choose(index: ImageIndex, platform: str, what: str) -> Descriptor | None:
    try:
        return choose(index, platform, what)
    except NotFound:
        return None


def describe(error: Error) -> str:
    """Return an error in one line of a report."""
    return " ".join(error.message.split())
