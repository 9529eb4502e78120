"""What happened, told from two looks."""

from __future__ import annotations

import itertools

import pytest

from core.commands.system.events import chosen, document_of, line_of
from core.errors import UsageError
from core.events import Event, Look, between, past
from core.model import ContainerInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOW = 1000.0


def web(**facts: Any) -> ContainerInfo:
    name, state = facts.pop("name", "web"), facts.pop("state", "running")
    labels = (("team", "red"),)
    return ContainerInfo("abc", name, "nginx", "sha256:1", (), 10.0, state, labels=labels, **facts)


def seen(*containers: ContainerInfo, **more: Any) -> Look:
    return Look(
        {info.id: info for info in containers},
        more.get("images", {}),
        more.get("networks", {}),
        more.get("volumes", frozenset()),
    )


def told(old: Look, new: Look) -> list[str]:
    return [event.action for event in between(old, new, NOW)]


def test_the_life_of_a_container() -> None:
    made = web(state="created")
    up = web(started=20, pid=5)
    paused = up.replace(state="paused")
    down = up.replace(state="exited", finished=30, exit_code=3, pid=0)
    steps = [seen(), seen(made), seen(up), seen(paused), seen(up), seen(down), seen()]
    found = [told(old, new) for old, new in itertools.pairwise(steps)]
    assert found == [["create"], ["start"], ["pause"], ["unpause"], ["die"], ["destroy"]]


@pytest.mark.parametrize(
    ("before", "after", "actions"),
    [
        # A run too short to be looked at, and two runs around one look.
        (web(state="created"), web(state="exited", started=20, finished=21), ["start", "die"]),
        (web(started=20), web(started=40, finished=30), ["die", "start"]),
        (web(started=20), web(started=20, finished=30, oom_killed=True, state="exited"),
         ["oom", "die"]),
        (web(started=20), web(started=40, finished=30, run_codes=((137, True),)),
         ["oom", "die", "start"]),
        (web(), web(name="new"), ["rename"]),
        (web(), web(health="unhealthy"), ["health_status: unhealthy"]),
        (web(), web(networks=("front",)), ["connect"]),
        (web(networks=("front",)), web(), ["disconnect"]),
        (web(), web(), []),
    ],
)  # fmt: skip
def test_changes(before: ContainerInfo, after: ContainerInfo, actions: list[str]) -> None:
    assert told(seen(before), seen(after)) == actions


def test_other_things() -> None:
    old = seen(images={"sha256:1": ("a",), "sha256:2": ()}, volumes=frozenset({"v"}))
    new = seen(images={"sha256:1": ("b",)}, networks={"1": "front"})
    found = sorted((event.type, event.action) for event in between(old, new, NOW))
    assert found == [("image", "delete"), ("image", "tag"), ("image", "untag"),
                     ("network", "create"), ("volume", "destroy")]  # fmt: skip


def test_the_past_is_told_by_containers_own_times() -> None:
    now = seen(web(started=20, finished=30, state="exited", exit_code=1))
    assert [event.action for event in past(now, 0, NOW)] == ["create", "start", "die"]
    assert [event.action for event in past(now, 15, 25)] == ["start"]


EVENT = Event(1.5, "container", "die", "abcdef", (("image", "nginx:latest"), ("name", "web"),
                                                  ("exitCode", "1"), ("team", "red")))  # fmt: skip


@pytest.mark.parametrize(
    ("words", "fits"),
    [("", True), ("type=container", True), ("type=image", False), ("event=die", True),
     ("event=die event=start", True), ("container=web", True), ("container=abc", True),
     ("container=we", False), ("image=nginx", True), ("label=team", True),
     ("label=team=blue", False), ("network=web", False), ("type=container event=start", False)],
)  # fmt: skip
def test_filters(words: str, fits: bool) -> None:
    assert chosen(tuple(words.split()))(EVENT) is fits


def test_how_it_is_shown() -> None:
    assert line_of(EVENT) == (
        "1970-01-01T00:00:01.500000000Z container die abcdef "
        "(image=nginx:latest, name=web, exitCode=1, team=red)"
    )
    assert "\x1b" not in line_of(EVENT.replace(attributes=(("name", "\x1b[2J"),)))
    assert document_of(EVENT)["Actor"]["Attributes"]["exitCode"] == "1"
    with pytest.raises(UsageError, match="no filter"):
        chosen(("colour=red",))
