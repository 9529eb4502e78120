"""Words to values as docker writes them, and values back to words."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.commands import show, values
from core.containers.options import Mount
from core.errors import UsageError
from core.model import ContainerInfo, Port


@pytest.mark.parametrize(
    ("word", "count"),
    [("512", 512), ("1k", 1024), ("512m", 512 << 20), ("2g", 2 << 30), ("1.5g", 3 << 29),
     ("64MiB", 64 << 20), ("10kb", 10240), ("7B", 7)],
)  # fmt: skip
def test_sizes(word: str, count: int) -> None:
    assert values.size(word) == count


@pytest.mark.parametrize(
    ("word", "seconds"), [("90", 90), ("15m", 900), ("1h30m", 5400), ("0.5s", 0.5), ("2d", 172800)]
)
def test_durations(word: str, seconds: float) -> None:
    assert values.duration(word) == seconds


@pytest.mark.parametrize(
    ("word", "ports"),
    [
        ("80", [("", 0, 80, "tcp")]),
        ("8080:80", [("", 8080, 80, "tcp")]),
        ("127.0.0.1:8080:80/udp", [("127.0.0.1", 8080, 80, "udp")]),
        ("127.0.0.1::80", [("127.0.0.1", 0, 80, "tcp")]),
        ("8000-8001:80-81", [("", 8000, 80, "tcp"), ("", 8001, 81, "tcp")]),
    ],
)
def test_published_ports(word: str, ports: list[tuple[str, int, int, str]]) -> None:
    assert values.publish(word) == tuple(Port(*port) for port in ports)


def test_mounts() -> None:
    assert values.mount("/a:/b") == Mount("/a", "/b", read_only=False)
    assert values.mount("/a/../c:/b:ro") == Mount("/c", "/b", read_only=True)
    assert values.mount("./x:/b").source == str(Path.cwd() / "x")


@pytest.mark.parametrize(
    ("parse", "word"),
    [
        (values.size, "0"), (values.size, "m"), (values.size, "-1"), (values.size, "1e99g"),
        (values.size, "nan"), (values.duration, ""), (values.duration, "5x"),
        (values.duration, "h"), (values.publish, "0:80"), (values.publish, "80/icmp"),
        (values.publish, "1-3:1-2"), (values.publish, "host:80:80"), (values.mount, "/a"),
        (values.mount, "/a:b"), (values.mount, "/a:/b:banana"), (values.number, "inf"),
        (values.number, "0"), (values.whole, "1.5"), (values.signal, "0"), (values.signal, "x"),
        (values.environment, "=x"), (values.container_name, "a"), (values.container_name, "a b"),
        (values.container_name, "é" * 3), (values.moment, "yesterday"), (values.tail, "-3"),
        (values.security, "apparmor=x"),
    ],
)  # fmt: skip
def test_wrong_words_are_value_errors(parse: Callable[[str], Any], word: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse(word)


@given(st.text(max_size=12))
def test_no_parser_raises_anything_else(word: str) -> None:
    for parse in (values.size, values.duration, values.moment, values.publish, values.mount,
                  values.number, values.whole, values.signal, values.environment, values.tail,
                  values.container_name, values.label, values.security):  # fmt: skip
        with contextlib.suppress(ValueError):
            parse(word)


def test_moments() -> None:
    assert values.moment("10m") == pytest.approx(time.time() - 600, abs=5)
    assert values.moment("2024-05-01T00:00:00Z") == 1714521600


def test_env_files(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# comment\n\nA=1\nB=two words\n")
    assert values.env_files((str(file),)) == ("A=1", "B=two words")
    file.write_text("A=1\n=2\n")
    with pytest.raises(UsageError, match="line 2"):
        values.env_files((str(file),))
    with pytest.raises(UsageError, match="nowhere"):
        values.env_files(("nowhere",))


def test_filters() -> None:
    info = ContainerInfo("abc", "web", "nginx", "sha256:1", (), 0, "exited", exit_code=3,
                         labels=(("team", "red"),))  # fmt: skip
    for word in ("name=we", "id=ab", "image=nginx", "status=exited", "exited=3", "label=team",
                 "label=team=red"):  # fmt: skip
        assert values.container_filter(word)(info), word
    for word in ("name=x", "status=running", "exited=0", "label=team=blue"):
        assert not values.container_filter(word)(info), word
    with pytest.raises(UsageError, match="colour"):
        values.container_filter("colour=red")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "1 minute"),
     (3600, "1 hour"), (7200, "2 hours"), (90000, "25 hours"), (172800, "2 days"),
     (14 * 86400, "2 weeks"), (63072000, "2 years")],
)  # fmt: skip
def test_spans(seconds: int, words: str) -> None:
    assert show.span(1000, 1000 + seconds) == words


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0B"), (999, "999B"), (1000, "1kB"), (7_800_000, "7.8MB")]
)
def test_shown_sizes(count: int, words: str) -> None:
    assert show.size(count) == words
