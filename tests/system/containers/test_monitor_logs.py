"""Log drivers and their options, and what `logs` chooses from a log."""

from __future__ import annotations

import os
import subprocess
import threading
from datetime import datetime
from pathlib import Path

import pytest

from core.containers.log import journal
from core.engine import Engine
from core.errors import Conflict, HostError, UsageError
from core.linux import mount
from tests.containers import run, shell, until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from core.containers.lifecycle import Containers

JOURNALD = "/lib/systemd/systemd-journald"


@pytest.fixture
def journald() -> Iterator[None]:
    """Run a journald of the test's own, on its own /run/systemd and /run/log."""
    if not os.path.exists(JOURNALD):
        pytest.skip("this host has no journald")
    places = ("/run/systemd", "/run/log")
    for place in places:
        os.makedirs(place, exist_ok=True)
        mount.mount("tmpfs", place, "tmpfs", 0, "")
    os.makedirs("/run/systemd/journal")
    os.makedirs("/run/log/journal")
    daemon = subprocess.Popen([JOURNALD], stderr=subprocess.DEVNULL)
    try:
        until(journal.is_here)
        yield
    finally:
        daemon.terminate()
        daemon.wait()
        for place in places:
            mount.umount2(place, mount.MNT_DETACH)


def finished(containers: Containers, script: str, **more: Any) -> str:
    """Run a script to its end and return its container."""
    container = containers.create(shell(script, **more))
    containers.start(container)
    containers.wait(container)
    return container


def output(containers: Containers, container: str, **more: Any) -> list[bytes]:
    return [text for _, text in containers.logs(container, **more)]


def test_a_log_is_rotated_at_its_own_size(containers: Containers, engine: Engine) -> None:
    container = finished(containers, "seq 2000", log_opts=(("max-size", "10k"), ("max-file", "2")))
    directory = Path(engine.paths.container(container))
    assert sorted(path.name for path in directory.glob("log*")) == ["log", "log.1"]
    assert all(path.stat().st_size <= 10 << 10 for path in directory.glob("log*"))
    assert output(containers, container)[-1] == b"2000\n"
    assert containers.inspect(container)["HostConfig"]["LogConfig"] == {
        "Type": "json-file", "Config": {"max-size": "10240", "max-file": "2"},
    }  # fmt: skip


def test_followers_survive_rotation(containers: Containers) -> None:
    script = "for n in $(seq 300); do echo line $n; sleep 0.002; done"
    container = containers.create(shell(script, log_opts=(("max-size", "4k"),)))
    containers.start(container)
    seen = output(containers, container, follow=True)
    assert seen == [f"line {n}\n".encode() for n in range(1, 301)]


def test_much_at_once_of_a_container_that_was_quiet_is_kept(containers: Containers) -> None:
    script = "sleep 3; seq 20000; head -c 4000 /dev/zero | tr '\\0' x; sleep 1; echo; printf end"
    container = finished(containers, script)  # by then its monitor alone watches
    seen = output(containers, container)
    assert seen[:20_000] == [f"{n}\n".encode() for n in range(1, 20_001)]
    assert seen[20_000:] == [b"x" * 4000 + b"\n", b"end"]


def in_blocks(containers: Containers, container: str, tail: int) -> list[tuple[int, bytes]]:
    lots = containers.log_blocks(container, tail=tail, stopped=lambda: False)
    return [(stream, bytes(text)) for lot in lots for stream, text in lot]


def test_blocks_of_a_log_that_grows_are_its_lines(containers: Containers) -> None:
    script = (
        "seq 5000; echo oops >&2; head -c 40000 /dev/zero | tr '\\0' x; echo; seq 5000; printf z"
    )
    container = containers.create(shell(script, log_opts=(("max-file", "100"),)))
    containers.start(container)
    seen = in_blocks(containers, container, 20_000)
    assert seen == list(containers.logs(container, timestamps=True))
    assert sum(text.endswith(b"\n") for _, text in seen) == 10_002
    assert in_blocks(containers, container, 3) == seen[-3:]


def test_no_log_is_kept_but_the_output_arrives(containers: Containers, engine: Engine) -> None:
    session = containers.run(shell("echo hello; seq 100000 | tail -n 1", log_driver="none"))
    assert run(session) == (0, b"hello\n100000\n", b"")
    container = containers.list()[0].id
    assert not os.path.exists(f"{engine.paths.container(container)}/log")
    with pytest.raises(Conflict, match="log-driver none"):
        containers.logs(container)
    with pytest.raises(Conflict, match="log-driver none"):
        containers.log_blocks(container, tail=10, stopped=lambda: False)


@pytest.mark.parametrize(
    ("driver", "opts", "said"),
    [
        ("syslog", (), "no log driver 'syslog'"),
        ("json-file", (("max-sise", "1m"),), "no option 'max-sise'"),
        ("json-file", (("max-size", "much"),), "not a size"),
        ("json-file", (("max-file", "0"),), "number of files"),
        ("none", (("max-size", "1m"),), "no option"),
    ],
)
def test_what_cannot_be(
    containers: Containers, driver: str, opts: tuple[tuple[str, str], ...], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        containers.create(shell("true", log_driver=driver, log_opts=opts))


def test_without_a_journald_it_is_told(containers: Containers) -> None:
    if journal.is_here():
        pytest.skip("this host has a journald")
    with pytest.raises(HostError, match="no journald"):
        containers.create(shell("true", log_driver="journald"))


def test_the_journal_keeps_the_output_with_dockers_fields(
    containers: Containers, journald: None
) -> None:
    script = "echo out; echo err >&2; printf '\\377 odd\\n'; printf end"
    container = finished(
        containers, script, log_driver="journald", log_opts=(("tag", "mine"),), name="jay"
    )
    wanted = [(1, b"out\n"), (2, b"err\n"), (1, b"\xff odd\n"), (1, b"end")]
    until(lambda: sorted(containers.logs(container)) == sorted(wanted))
    fields = "CONTAINER_NAME=jay", "CONTAINER_TAG=mine", "PRIORITY=3"
    ran = subprocess.run(["journalctl", "-o", "cat", *fields], capture_output=True)
    assert ran.stdout == b"err\n"
    assert output(containers, container, grep="ODD") == []
    assert output(containers, container, tail=1) == [b"end"]


def test_the_journal_is_followed(containers: Containers, journald: None) -> None:
    script = "for n in 1 2 3; do echo $n; sleep 0.2; done"
    container = containers.create(shell(script, log_driver="journald"))
    containers.start(container)
    assert output(containers, container, follow=True) == [b"1\n", b"2\n", b"3\n"]
    followed = in_blocks(containers, container, 10)
    assert followed == list(containers.logs(container, timestamps=True))


def test_until_and_since_cut_both_ends(containers: Containers) -> None:
    container = finished(containers, "echo one; sleep 0.1; echo two; sleep 0.1; echo three")
    lines = output(containers, container, timestamps=True)
    one, two, three = (
        datetime.fromisoformat(line.split()[0].decode()).timestamp() for line in lines
    )
    first, second = (one + two) / 2, (two + three) / 2
    assert output(containers, container, until=first) == [b"one\n"]
    assert output(containers, container, since=first, until=second) == [b"two\n"]
    assert output(containers, container, since=second) == [b"three\n"]


def test_grep_finds_lines_and_tail_counts_those(containers: Containers) -> None:
    container = finished(containers, "seq 100; echo Error: one; seq 100; echo error: two; seq 100")
    assert output(containers, container, grep="^error") == [b"Error: one\n", b"error: two\n"]
    assert output(containers, container, grep="Error") == [b"Error: one\n"]
    assert output(containers, container, grep="error", tail=1) == [b"error: two\n"]
    assert output(containers, container, grep="7$", tail=2) == [b"87\n", b"97\n"]
    with pytest.raises(UsageError, match="no regular expression"):
        containers.logs(container, grep="(")


def test_grep_follows(containers: Containers) -> None:
    script = "seq 20; while [ ! -e /go ]; do sleep 0.02; done; seq 21 40"
    container = containers.create(shell(script))
    containers.start(container)
    seen: list[bytes] = []

    def read() -> None:
        for _, line in containers.logs(container, follow=True, grep="9", tail=1):
            seen.append(line)

    reader = threading.Thread(target=read)
    until(lambda: b"20\n" in output(containers, container))
    reader.start()
    until(lambda: seen)
    containers.exec(container, ["touch", "/go"], detach=True).close()
    reader.join(40)
    assert seen == [b"19\n", b"29\n", b"39\n"]
