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

from core.commands import show
from core.commands.options import limit_values, mount_values, network_values, values
from core.containers.configuration.options import Mount
from core.errors import UsageError
from core.model import Port


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
        ("[fd00::1]:8080:80", [("fd00::1", 8080, 80, "tcp")]),
        ("8000-8001:80-81", [("", 8000, 80, "tcp"), ("", 8001, 81, "tcp")]),
    ],
)
def test_published_ports(word: str, ports: list[tuple[str, int, int, str]]) -> None:
    assert network_values.publish(word) == tuple(Port(*port) for port in ports)


def test_a_range_for_one_port_is_to_choose_from() -> None:
    (port,) = network_values.publish("8000-8005:80")
    assert (port.host_port, port.host_last, port.container_port) == (8000, 8005, 80)


def test_a_host_name_is_what_the_kernel_takes() -> None:
    for word in ("", "web", "a" * 64):
        assert values.own_name(word) == word
    for word in ("a" * 65, "ä" * 33, "a b", "a\nb"):
        with pytest.raises(ValueError, match=r"64 bytes|one word"):
            values.own_name(word)


def test_mounts() -> None:
    volume, mount, tmpfs = mount_values.volume, mount_values.mount, mount_values.tmpfs
    assert volume("/a:/b") == Mount("/a", "/b", read_only=False)
    assert volume("/a/../c:/b:ro") == Mount("/c", "/b", read_only=True)
    assert volume("./x:/b").source == str(Path.cwd() / "x")
    assert volume("/a:/b:ro,rslave") == Mount("/a", "/b", read_only=True, propagation="rslave")
    assert volume("data:/b:nocopy") == Mount("data", "/b", kind="volume", copy=False)
    assert volume("/b") == Mount("", "/b", kind="volume")
    assert mount("type=bind,src=/a,dst=/b,ro") == Mount("/a", "/b", read_only=True)
    assert mount("source=data,target=/b,volume-subpath=x/y") == Mount(
        "data", "/b", kind="volume", subpath="x/y"
    )
    assert mount("type=tmpfs,target=/b,tmpfs-size=1m").data == "size=1m"
    assert tmpfs("/b:size=1m,ro") == Mount("", "/b", read_only=True, kind="tmpfs", data="size=1m")


def test_limits() -> None:
    assert limit_values.ulimit("nofile=10:20") == ("nofile", 10, 20)
    assert limit_values.ulimit("core=-1") == ("core", -1, -1)
    assert limit_values.device("/dev/null:/dev/zero:r") == ("/dev/null", "/dev/zero", "r")
    assert limit_values.device("/dev/null:rw") == ("/dev/null", "/dev/null", "rw")
    assert limit_values.device_rule("c 1:*  rwm") == "c 1:* rwm"
    assert limit_values.bytes_rate("/dev/sda:1m") == ("/dev/sda", 1 << 20)
    assert limit_values.security("no-new-privileges") == ("no-new-privileges", "true")
    assert limit_values.security("seccomp:/a") == ("seccomp", "/a")
    assert limit_values.security("seccomp=/a:b=c") == ("seccomp", "/a:b=c")


@pytest.mark.parametrize(
    ("parse", "word"),
    [
        (values.size, "0"), (values.size, "m"), (values.size, "-1"), (values.size, "1e99g"),
        (values.size, "nan"), (values.duration, ""), (values.duration, "5x"),
        (values.duration, "h"), (network_values.publish, "0:80"),
        (network_values.publish, "80/icmp"), (network_values.publish, "1-3:1-2"),
        (network_values.publish, "host:80:80"), (mount_values.volume, "a"),
        (mount_values.volume, "/a:b"), (mount_values.volume, "/a:/b:banana"),
        (mount_values.volume, "data:/b:rshared"), (mount_values.volume, "a b:/c"),
        (mount_values.mount, "type=bind,source=data,target=/b"),
        (mount_values.mount, "source=data,target=/b,volume-subpath=../x"),
        (mount_values.mount, "type=tmpfs,source=data,target=/b"),
        (mount_values.mount, "target=/b,read=1"), (mount_values.tmpfs, "/b:bind"),
        (limit_values.ulimit, "files=3"), (limit_values.ulimit, "nofile=5:3"),
        (limit_values.ulimit, "nofile=99999999999999999999"),
        (limit_values.gpus, "all"), (limit_values.cpu_set, "3-1"), (limit_values.cpu_set, ""),
        (limit_values.device, "sda"), (limit_values.device, "/dev/null:x"),
        (limit_values.device_rule, "d 1:1 rwm"), (limit_values.host_or_container, "container:"),
 (values.number, "inf"),
        (values.number, "0"), (values.whole, "1.5"), (values.signal, "0"), (values.signal, "x"),
        (values.environment, "=x"), (values.container_name, "a"), (values.container_name, "a b"),
        (values.container_name, "é" * 3), (values.moment, "yesterday"), (values.tail, "-3"),
        (limit_values.security, "apparmor=x"),
    ],
)  # fmt: skip
def test_wrong_words_are_value_errors(parse: Callable[[str], Any], word: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse(word)


@given(st.text(max_size=12))
def test_no_parser_raises_anything_else(word: str) -> None:
    for parse in (values.size, values.duration, values.moment, values.number,
                  network_values.publish, network_values.expose, network_values.add_host,
                  network_values.endpoint, network_values.mac, network_values.domain,
                  values.whole, values.signal, values.environment, values.tail,
                  values.container_name, values.label, mount_values.volume, mount_values.mount,
                  mount_values.tmpfs, limit_values.security, limit_values.ulimit,
                  limit_values.device, limit_values.device_rule, limit_values.cpu_set,
                  limit_values.bytes_rate, limit_values.operations_rate, limit_values.sysctl,
                  limit_values.swap):  # fmt: skip
        with contextlib.suppress(ValueError):
            parse(word)


def test_moments() -> None:
    assert values.moment("10m") == pytest.approx(time.time() - 600, abs=5)
    assert values.moment("2024-05-01T00:00:00Z") == 1714521600


def test_env_files(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_bytes("# comment\n\nA=1\r\nB=two words\nC=one\u2028line\x0c".encode())

    def read(path: str) -> tuple[str, ...]:
        return values.lines_of((path,), "--env-file", values.environment)

    assert read(str(file)) == ("A=1", "B=two words", "C=one\u2028line\x0c")
    file.write_text("A=1\n=2\n")
    with pytest.raises(UsageError, match="line 2"):
        read(str(file))
    with pytest.raises(UsageError, match="nowhere"):
        read("nowhere")


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
