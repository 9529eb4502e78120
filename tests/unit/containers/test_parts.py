"""The small parts of containers: keys, names, signals, state, JSON, options, removal."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import lean_json
from core.containers import names, state
from core.containers.attach.detach_keys import DetachScanner, parse_keys
from core.containers.configuration.options import ContainerOptions, Mount
from core.containers.removal import remove_tree
from core.containers.signals import number_of
from core.containers.state import State, read_state, write_state
from core.containers.stored import Row, document_of
from core.containers.supervision import protocol
from core.errors import UsageError
from core.model import Port
from tests.short_of_room import files_of_at_most

ROOT = Path(__file__).parent.parent.parent.parent
KEYS = st.binary(min_size=1, max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)  # fmt: skip


@given(KEYS, st.binary(max_size=30), st.lists(st.integers(0, 40), max_size=10))
def test_detach_keys_are_found_however_the_input_is_cut(
    keys: bytes, data: bytes, cuts: list[int]
) -> None:
    def feed(pieces: list[bytes]) -> tuple[bytes, bool]:
        scanner = DetachScanner(keys)
        passed = b""
        for piece in pieces:
            more, detached = scanner.feed(piece)
            passed += more
            if detached:
                return passed, True
        return passed, False

    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
    found = data.find(keys)
    passed, detached = feed(pieces)
    assert detached == (found >= 0)
    if detached:
        assert passed == data[:found]
    else:
        assert data.startswith(passed)
        held = data[len(passed) :]
        assert keys.startswith(held)
        assert len(held) < len(keys)


def test_a_key_that_begins_no_sequence_is_passed_on_at_once() -> None:
    scanner = DetachScanner(parse_keys("ctrl-p,ctrl-q"))
    assert scanner.feed(b"a") == (b"a", False)
    assert scanner.feed(b"\x10") == (b"", False)
    assert scanner.feed(b"x") == (b"\x10x", False)
    assert scanner.feed(b"\x10\x10\x11rest") == (b"\x10", True)


@pytest.mark.parametrize(
    ("text", "keys"),
    [("ctrl-p,ctrl-q", b"\x10\x11"), ("a,B", b"aB"), ("ctrl-@,ctrl-[", b"\0\x1b"), ("", b""),
     ("CTRL-A", b"\x01"), ("ctrl-_", b"\x1f")],
)  # fmt: skip
def test_key_names(text: str, keys: bytes) -> None:
    assert parse_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-pp", "xy", "ctrl-p,,q", "é", "ctrl-1"])
def test_bad_key_names_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_keys(text)


@given(JSON)
def test_lean_json_agrees_with_the_json_package(value: object) -> None:
    text = lean_json.dumps(value)
    assert json.loads(text) == value
    assert lean_json.loads(json.dumps(value)) == value


NO_DOCUMENTS = ["", "{", "[1,", '"', "{} x", "nul", '{"a"}', '{"a": "b', '["\\ud"]', "[" * 100_000]


@pytest.mark.parametrize("text", NO_DOCUMENTS, ids=lambda text: text[:9])
def test_lean_json_refuses_what_is_no_document(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        lean_json.loads(text)


def test_it_does_so_where_the_json_package_is_not_loaded() -> None:
    """As in `ps` and in monitors: the interpreter's scanner takes its error from that package."""
    script = f"""
import sys
sys.path.append({str(ROOT)!r})
from core.lean_json import loads
for text in {NO_DOCUMENTS!r}:
    try:
        loads(text)
    except ValueError:
        continue
    sys.exit(text[:9])
"""
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")


STATES = st.builds(
    State,
    state=st.sampled_from(["created", "running", "paused", "exited"]),
    pid=st.integers(0, 1 << 22),
    ticks=st.integers(0, 1 << 60),
    started=st.floats(0, 1e11),
    exit_code=st.integers(0, 255),
    oom=st.booleans(),
    error=st.text(st.characters(exclude_categories=["Cs"])),
    ports=st.lists(
        st.tuples(st.just("0.0.0.0"), st.integers(1, 65535), st.integers(1, 65535), st.just("tcp"))
    ).map(tuple),
    cgroup=st.lists(st.text(max_size=5)).map(tuple),
)


@given(STATES)
def test_state_comes_back_as_it_was_written(written: State) -> None:
    with tempfile.TemporaryDirectory() as directory:
        write_state(directory, written)
        assert read_state(directory) == written
        assert os.listdir(directory) == ["state.json"]


def test_a_state_that_has_no_room_leaves_the_one_before(tmp_path: Path) -> None:
    write_state(str(tmp_path), State(state="running"))
    with files_of_at_most(100), pytest.raises(OSError, match="too large"):
        write_state(str(tmp_path), State(state="exited", error="long " * 100))
    assert read_state(str(tmp_path)).state == "running"
    assert os.listdir(tmp_path) == ["state.json"]


DAMAGED = [b'{"pid":"x"}', b'{"state":"exited","ports":[1]}', b"{}", b'{"":""}', b"[]", b"3"]


@given(st.binary(max_size=100) | st.sampled_from(DAMAGED))
def test_a_damaged_state_is_dead_not_a_crash(text: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "state.json").write_bytes(text)
        found = read_state(directory)
        assert found.state == "dead"
        assert "damaged" in found.error


def test_a_container_that_never_started_is_created(tmp_path: Path) -> None:
    assert read_state(str(tmp_path)).state == "created"


def test_a_process_is_known_by_its_start_time() -> None:
    own, ticks = os.getpid(), state.start_ticks(os.getpid())
    assert state.is_process(own, ticks)
    assert not state.is_process(own, ticks + 1)
    assert not state.is_process(0, 0)
    assert state.start_ticks(1 << 22) == 0


def test_made_names_are_names() -> None:
    made = {names.make_name(attempt) for attempt in range(200)}
    assert all(names.is_name(name) for name in made)
    assert len(made) > 150


@pytest.mark.parametrize("name", ["", "a", "-a", "a b", "a/b", "é1", "a" * 129, "../x", "a\n"])
def test_bad_names(name: str) -> None:
    assert not names.is_name(name)


@pytest.mark.parametrize(
    ("word", "number"),
    [("TERM", 15), ("sigterm", 15), ("9", 9), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("RTMIN", 34)],
)
def test_signals(word: str, number: int) -> None:
    assert number_of(word) == number


@pytest.mark.parametrize("word", ["", "0", "65", "NOPE", "RTMIN+99", "RTMIN-1", "SIG"])
def test_no_signals(word: str) -> None:
    with pytest.raises(ValueError, match="not a signal"):
        number_of(word)


@given(st.integers(0, 1 << 20), st.integers(0, 1 << 20))
def test_window_sizes(rows: int, columns: int) -> None:
    found = protocol.parse_window_size(protocol.window_size(rows, columns))
    assert found == (min(rows, 65535), min(columns, 65535))


def test_options_come_back_from_the_database_form() -> None:
    options = ContainerOptions(
        image="i", command=("a", "b"), entrypoint=(), env=("A=1",), labels=(("k", "v"),),
        mounts=(Mount("/a", "/b", read_only=True),), publish=(Port("127.0.0.1", 0, 80),),
        cpus=1.5, tty=True,
    )  # fmt: skip
    text = document_of(options, ["a", "b"], {"k": "v"})
    assert Row("1", "n", "i", "d", 0.0, lean_json.loads(text)).options == options
    plain = ContainerOptions(image="i")
    assert (
        Row("1", "n", "i", "d", 0.0, lean_json.loads(document_of(plain, [], {}))).options == plain
    )


def test_a_deep_tree_is_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    fd = os.open(top, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d" * 200, dir_fd=fd)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=fd)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=inner))
        os.close(fd)
        fd = inner
    os.close(fd)
    remove_tree(str(top))
    assert not top.exists()


def test_removal_follows_no_links(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    top = tmp_path / "top"
    (top / "a/.moved-1").mkdir(parents=True)
    (top / "a/.moved-1/x").touch()
    (top / "a/link").symlink_to(kept)
    (top / "link").symlink_to(kept)
    (top / ".moved-1").touch()
    os.mkfifo(top / "a/fifo")
    remove_tree(str(top))
    assert not top.exists()
    assert (kept / "file").exists()
