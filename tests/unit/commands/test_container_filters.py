"""The filters of ps, without containers to look up."""

from __future__ import annotations

import pytest

from core.commands.container.filters import select
from core.errors import UsageError
from core.model import ContainerInfo, Port

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Nothing:
    """An engine that must not be asked."""


def info(name: str, **facts: Any) -> ContainerInfo:
    return ContainerInfo(name * 2, name, "nginx", "sha256:1", (), facts.pop("created", 0),
                         facts.pop("state", "running"), **facts)  # fmt: skip


FOUND = [
    info("web1", labels=(("team", "red"), ("tier", "front")), networks=("bridge",),
         ports=(Port("0.0.0.0", 8080, 80),)),
    info("web2", state="exited", exit_code=3, labels=(("team", "blue"),), networks=("none",)),
    info("db", state="paused", created=9e9, networks=("bridge",),
         ports=(Port("0.0.0.0", 5353, 53, "udp"),)),
    info("loop", state="crash-looping"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("name=web", "web1 web2"),
        ("name=^/web1$", "web1"),
        ("name=^eb", ""),
        ("name=[", ""),
        ("name=web1 name=db", "web1 db"),
        ("id=webdb", ""),
        ("id=dbd", "db"),
        ("status=exited", "web2"),
        ("status=exited status=paused", "web2 db"),
        ("status=restarting", "loop"),
        ("status=crash-looping", "loop"),
        ("exited=3", "web2"),
        ("exited=0", ""),
        ("label=team", "web1 web2"),
        ("label=team=red", "web1"),
        ("label=team label=tier", "web1"),
        ("label!=team", "db loop"),
        ("name=web status=running", "web1"),
        ("network=bridge", "web1 db"),
        ("publish=80", "web1"),
        ("publish=8000-8100/tcp", "web1"),
        ("publish=53", ""),
        ("publish=53/udp", "db"),
        ("health=none", "web1 web2 db loop"),
        ("until=1h", "web1 web2 loop"),
        ("is-task=false", "web1 web2 db loop"),
        ("is-task=true", ""),
    ],
)
def test_what_fits(words: str, names: str) -> None:
    found = select(Nothing(), FOUND, words.split())  # type: ignore[arg-type] # never asked
    assert " ".join(one.name for one in found) == names


@pytest.mark.parametrize(
    ("word", "said"),
    [("colour=red", "no filter"), ("lable=x", "did you mean label="), ("name", "no filter"),
     ("status=gone", "no such state"), ("exited=x", "a number"), ("publish=x", "PORT"),
     ("health=ill", "no such health"), ("until=x", "until")],
)  # fmt: skip
def test_what_is_no_filter(word: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        select(Nothing(), FOUND, [word])  # type: ignore[arg-type] # never asked
