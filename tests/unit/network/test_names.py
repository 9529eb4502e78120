"""Zones and the hosts files that follow them."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.network.names import (
    MARK,
    MOST_BYTES,
    Member,
    Zones,
    attachments,
    join,
    leave,
    members,
    rename,
    without,
)
from tests.short_of_room import files_of_at_most


@pytest.fixture
def zones(tmp_path: Path) -> Zones:
    for container in ("aa", "bb"):
        (tmp_path / container).mkdir()
        (tmp_path / container / "hosts").write_text("127.0.0.1\tlocalhost\n")
    return Zones(str(tmp_path / "zones"), str(tmp_path))


def member(container: str, address: str, *names: str, address6: str = "") -> Member:
    return Member(container, address, address6, "veth0", "eth0", "02:00:00:00:00:01", names)


def hosts(zones: Zones, container: str) -> str:
    return Path(f"{zones.containers}/{container}/hosts").read_text()


def test_who_comes_is_known_to_all_and_who_goes_to_none(zones: Zones) -> None:
    join(zones, "shop", member("aa", "10.0.0.2", "web"))
    inode = os.stat(f"{zones.containers}/aa/hosts").st_ino
    join(zones, "shop", member("bb", "10.0.0.3", "db", "store", address6="fd00::3"))
    for container in ("aa", "bb"):
        assert "10.0.0.3\tdb store\t# shop bb\nfd00::3\tdb store\t# shop bb\n" in hosts(
            zones, container
        )
    assert os.stat(f"{zones.containers}/aa/hosts").st_ino == inode
    assert list(attachments(zones, "bb")) == ["shop"]
    rename(zones, "bb", "db", "base")
    assert "10.0.0.3\tbase store\t" in hosts(zones, "aa")
    leave(zones, "bb")
    assert "10.0.0.3" not in hosts(zones, "aa") + hosts(zones, "bb")
    leave(zones, "bb")
    leave(zones, "aa")
    assert hosts(zones, "aa") == "127.0.0.1\tlocalhost\n"
    assert members(zones, "shop") == []


def test_a_networks_part_does_not_touch_anothers(zones: Zones) -> None:
    join(zones, "one", member("aa", "10.0.0.2", "web"))
    join(zones, "two", member("aa", "10.1.0.2", "web"))
    join(zones, "two", member("bb", "10.1.0.3", "db"))
    leave(zones, "aa", "two")
    assert "10.0.0.2\tweb" in hosts(zones, "aa")
    assert "10.1" not in hosts(zones, "aa")
    assert "10.0.0.2" not in hosts(zones, "bb")


def test_a_container_without_a_hosts_file_does_not_matter(zones: Zones, tmp_path: Path) -> None:
    os.unlink(tmp_path / "aa" / "hosts")
    os.symlink("/etc/hosts", tmp_path / "aa" / "hosts")
    before = Path("/etc/hosts").read_bytes()
    join(zones, "shop", member("aa", "10.0.0.2", "web"))
    join(zones, "shop", member("gone", "10.0.0.4", "x"))
    assert Path("/etc/hosts").read_bytes() == before


def test_a_hosts_file_without_an_end_is_not_spoilt(zones: Zones) -> None:
    join(zones, "shop", member("aa", "10.0.0.2", "web"))
    with open(f"{zones.containers}/aa/hosts", "a") as file:
        file.write("192.0.2.1 mine")
    join(zones, "shop", member("bb", "10.0.0.3", "db"))
    leave(zones, "bb")
    assert hosts(zones, "aa").splitlines()[-1] == "192.0.2.1 mine"


@given(st.binary(max_size=200), st.lists(st.sampled_from(("shop", "shop2", "sho")), max_size=5))
def test_only_marked_lines_are_taken_away(text: bytes, networks: list[str]) -> None:
    kept = without(text, f"{MARK}shop ")
    assert kept.rstrip(b"\n") == text.rstrip(b"\n") or MARK.encode() in text
    lines = [f"10.0.0.2\tweb{MARK}{name} aa\n".encode() for name in networks]
    left = without(b"".join(lines), f"{MARK}shop ")
    assert left == b"".join(line for line in lines if b"# shop " not in line)


def test_a_hosts_file_without_measure_keeps_nobody_out(zones: Zones) -> None:
    join(zones, "shop", member("aa", "10.0.0.2", "web"))
    # A container may make it as long as files can be, behind which no write succeeds.
    os.truncate(f"{zones.containers}/aa/hosts", MOST_BYTES + 1)
    join(zones, "shop", member("bb", "10.0.0.3", "db"))
    assert "10.0.0.2\tweb\t# shop aa\n" in hosts(zones, "bb")
    assert os.stat(f"{zones.containers}/aa/hosts").st_size == MOST_BYTES + 1


def test_who_finds_no_room_in_a_zone_leaves_it_whole(zones: Zones) -> None:
    join(zones, "shop", member("aa", "10.0.0.2", "web"))
    room = os.stat(zones.file("shop")).st_size + 20
    with files_of_at_most(room), pytest.raises(OSError, match="No space left"):
        join(zones, "shop", member("bb", "10.0.0.3", "db"))
    assert [one.container for one in members(zones, "shop")] == ["aa"]
    join(zones, "shop", member("bb", "10.0.0.3", "db"))
    assert [one.container for one in members(zones, "shop")] == ["aa", "bb"]


def test_a_line_that_has_no_room_in_a_hosts_file_leaves_no_part_of_it(zones: Zones) -> None:
    """Without its end nobody would know whose it is, and take it out again."""
    join(zones, "shop", member("aa", "10.0.0.2", "web"))
    full = Path(f"{zones.containers}/aa/hosts")
    full.write_text(full.read_text() + "# of the container\n" * 100)
    before = full.read_text()
    with files_of_at_most(len(before) + 15), pytest.raises(OSError, match="No space left"):
        join(zones, "shop", member("bb", "10.0.0.3", "db"))
    assert full.read_text() == before
    leave(zones, "bb")
    assert "10.0.0.3" not in full.read_text()


def test_the_own_hosts_file_without_room_has_whole_lines_only(zones: Zones) -> None:
    full = Path(f"{zones.containers}/bb/hosts")
    full.write_text("# of the container\n" * 100)
    join(zones, "shop", member("aa", "10.0.0.2", "web"))
    with (
        files_of_at_most(len(full.read_text()) + 30),
        pytest.raises(OSError, match="No space left"),
    ):
        join(zones, "shop", member("bb", "10.0.0.3", "db"))
    assert full.read_text().endswith("10.0.0.2\tweb\t# shop aa\n")


def test_who_has_a_lease_on_his_hosts_file_holds_nobody_up(zones: Zones) -> None:
    """The kernel lets whoever opens it wait for as long as fs.lease-break-time says: 45 s."""
    join(zones, "shop", member("aa", "10.0.0.2", "web"))
    hostile = os.open(f"{zones.containers}/aa/hosts", os.O_RDONLY)
    fcntl.fcntl(hostile, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    signal_before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # that it shall be given back
    try:
        begun = time.monotonic()
        join(zones, "shop", member("bb", "10.0.0.3", "db"))
        leave(zones, "bb")
        assert time.monotonic() - begun < 5
    finally:
        os.close(hostile)
        signal.signal(signal.SIGIO, signal_before)
