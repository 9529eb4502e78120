"""What happens on this host, told as docker's events are.

There is no daemon that hears of everything.  Truth is on disk, so events are what differs
between two looks at it, and a look follows every change.  Runs of containers are told by their
own times, so that a short one is not missed; only what is made and removed between two looks
leaves no trace.
"""

from __future__ import annotations

import time

from core.record import Record
from core.watcher import Watcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from core.engine import Engine
    from core.model import ContainerInfo

WAIT_S = 0.5
"""How long after `stopped()` or the end of the span a stream may go on."""

DRIVER = (("driver", "local"),)


class Event(Record):
    """One thing that happened; docker's words."""

    time: float
    """Seconds since the epoch."""
    type: str
    """container, image, network or volume."""
    action: str
    id: str
    attributes: tuple[tuple[str, str], ...] = ()


class Look(Record):
    """What there is at one moment, by ID or name."""

    containers: Mapping[str, ContainerInfo]
    images: Mapping[str, tuple[str, ...]]
    """Names by digest."""
    networks: Mapping[str, str]
    """Names by ID."""
    volumes: frozenset[str]


def look(engine: Engine) -> Look:
    """Return what there is now."""
    return Look(
        {info.id: info for info in engine.containers.list()},
        {image.digest: image.tags for image in engine.images.list()},
        {one.id: one.name for one in engine.network.all() if one.id},
        frozenset(volume.name for volume in engine.volumes.list()),
    )


def past(now: Look, since: float, until: float) -> list[Event]:
    """Return what the containers that are there tell of a span of time, the earliest first."""
    found: list[Event] = []
    for info in now.containers.values():
        found.append(_of(info, "create", info.created))
        if info.started:
            found.append(_of(info, "start", info.started))
        if info.finished:
            found += _ending(info)
    chosen = [event for event in found if since <= event.time <= until]
    return sorted(chosen, key=lambda event: event.time)


def between(old: Look, new: Look, now: float) -> list[Event]:
    """Return what happened between two looks, the earliest first."""
    found: list[Event] = []
    for container_id, info in new.containers.items():
        before = old.containers.get(container_id)
        if before is None:
            found.append(_of(info, "create", info.created))
        found += _changes(before or info.replace(started=0, finished=0, state="created"), info, now)
    for container_id, info in old.containers.items():
        if container_id not in new.containers:
            if info.pid:
                found.append(_of(info, "die", now))  # removed with its end, which nobody saw
            found.append(_of(info, "destroy", now))
    found += _images(old.images, new.images, now)
    found += [Event(now, "network", "create", one, (("name", new.networks[one]),))
              for one in new.networks if one not in old.networks]  # fmt: skip
    found += [Event(now, "network", "destroy", one, (("name", old.networks[one]),))
              for one in old.networks if one not in new.networks]  # fmt: skip
    found += [Event(now, "volume", "create", one, DRIVER) for one in new.volumes - old.volumes]
    found += [Event(now, "volume", "destroy", one, DRIVER) for one in old.volumes - new.volumes]
    return sorted(found, key=lambda event: event.time)


def follow(
    engine: Engine, since: float, until: float, stopped: Callable[[], bool]
) -> Iterator[Event]:
    """Yield events from `since` (0: from now on) to `until` (0: without end), as they come.

    Ends soon after `stopped()` is true.
    """
    watcher = Watcher(engine.paths)
    try:
        before = look(engine)
        if since:
            yield from past(before, since, min(until, time.time()) if until else time.time())
        while not stopped() and not (until and time.time() >= until):
            wait_s = min(WAIT_S, until - time.time()) if until else WAIT_S
            if watcher.wait(max(0.0, wait_s)):
                after = look(engine)
                yield from between(before, after, time.time())
                before = after
    finally:
        watcher.close()


def _of(info: ContainerInfo, action: str, when: float, *more: tuple[str, str]) -> Event:
    attributes = (("image", info.image), ("name", info.name), *more, *info.labels)
    return Event(when, "container", action, info.id, attributes)


def _ending(info: ContainerInfo) -> list[Event]:
    """Tell of the end of the last run, which may be the one before that under way."""
    code, oom = info.exit_code, info.oom_killed
    if info.finished < info.started and info.run_codes:
        code, oom = info.run_codes[-1]
    died = _of(info, "die", info.finished, ("exitCode", str(code)))
    return [_of(info, "oom", info.finished), died] if oom else [died]


def _changes(before: ContainerInfo, info: ContainerInfo, now: float) -> Iterator[Event]:
    started, finished = info.started > before.started, info.finished > before.finished
    if finished and info.finished < info.started:
        yield from _ending(info)  # of the run before the one that is under way
    if started:
        yield _of(info, "start", info.started)
    if finished and info.finished >= info.started:
        yield from _ending(info)
    if info.name != before.name:
        yield _of(info, "rename", now, ("oldName", before.name))
    if info.health != before.health and info.health:
        yield _of(info, f"health_status: {info.health}", now)
    if (info.state == "paused") != (before.state == "paused") and not finished:
        yield _of(info, "pause" if info.state == "paused" else "unpause", now)
    for network in set(info.networks) - set(before.networks):
        yield Event(now, "network", "connect", network, (("container", info.id),))
    for network in set(before.networks) - set(info.networks):
        yield Event(now, "network", "disconnect", network, (("container", info.id),))


def _images(
    old: Mapping[str, tuple[str, ...]], new: Mapping[str, tuple[str, ...]], now: float
) -> Iterator[Event]:
    for digest in {**old, **new}:
        before, after = old.get(digest, ()), new.get(digest, ())
        for name in set(before) - set(after):
            yield Event(now, "image", "untag", digest, (("name", name),))
        for name in set(after) - set(before):
            yield Event(now, "image", "tag", digest, (("name", name),))
        if digest not in new:
            yield Event(now, "image", "delete", digest)
