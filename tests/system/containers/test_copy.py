"""Files into containers and out of them: docker's rules, and containers that fight it."""

from __future__ import annotations

import errno
import io
import os
import stat
import tarfile
import threading
import time
from pathlib import Path

import pytest

from core.containers.configuration.options import Mount
from core.containers.copy.copying import Place
from core.containers.stored import Lock
from core.engine import Engine
from core.errors import Conflict, Error, NotFound, UnsafePath
from tests.containers import run, shell, until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def make(engine: Engine, script: str = "sleep 1000", *, start: bool = True, **changes: Any) -> str:
    container = engine.containers.create(shell(script, name="web", **changes))
    if start:
        engine.containers.start(container)
    return "web"


@pytest.fixture(params=["running", "stopped"])
def web(engine: Engine, request: pytest.FixtureRequest) -> str:
    return make(engine, start=request.param == "running")


def copy(engine: Engine, source: str | Path, target: str | Path, **options: bool) -> None:
    engine.files.copying().copy(place(source), place(target), **options)


def place(word: str | Path) -> Place:
    text = str(word)
    return Place(*text.split(":", 1)) if text.startswith("web:") else Place("", text)


def inside(engine: Engine, command: str) -> str:
    """What a shell in the container says, started for it when it does not run."""
    info = engine.containers.resolve("web")
    if info.state != "running":
        engine.containers.start("web")
    code, out, err = run(engine.containers.exec("web", ("sh", "-c", command)))
    assert code == 0, err
    return out.decode()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "src"
    (top / "inner").mkdir(parents=True)
    (top / "a").write_text("a")
    (top / "inner/b").write_bytes(b"b" * 100_000)
    (top / "link").symlink_to("a")
    os.link(top / "a", top / "again")
    os.mkfifo(top / "pipe")
    os.mknod(top / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.setxattr(top / "a", "user.colour", b"red\xff")
    os.chown(top / "a", 1000, 1001)
    os.chmod(top / "a", 0o4750)
    for name in ("a", "inner"):
        os.utime(top / name, ns=(10**18, 10**18 + 5))
    return top


def test_what_a_path_means(engine: Engine, web: str, tree: Path, tmp_path: Path) -> None:
    copy(engine, tree, "web:/tmp")  # into a directory that is there
    copy(engine, tree, "web:/made")  # a new name
    copy(engine, f"{tree}/.", "web:/tmp/made")  # the content, in a new directory
    copy(engine, f"{tree}/.", "web:/tmp")  # the content, in one that is there
    copy(engine, tree / "a", "web:/tmp/new")
    copy(engine, tree / "inner/b", "web:/tmp/new")  # over a file
    copy(engine, tree / "a", "web:/tmp/inner/")
    said = inside(engine, "cd /tmp; ls -d src/a /made/a made/a a inner/a; wc -c < new; ls -ld /tmp")
    assert said.split()[:6] == ["/made/a", "a", "inner/a", "made/a", "src/a", "100000"]
    assert "drwxrwxrwt" in said  # a directory that was there is as it was
    for source, target, kind, word in (
        (tree, "web:/tmp/new", Conflict, "cannot be copied onto it"),
        (tree / "a", "web:/nowhere/", NotFound, "web:/nowhere/ does not exist"),
        (tree / "a", "web:/no/where", NotFound, "web:/no does not exist"),
        ("web:/tmp/new/", tmp_path, Conflict, "not a directory"),
        ("web:/nothing", tmp_path, NotFound, "web:/nothing"),
        (tree / "inner", "web:/tmp/made/x/y", NotFound, "web:/tmp/made/x"),
    ):
        with pytest.raises(kind) as caught:
            copy(engine, source, target)
        assert word in str(caught.value)


def test_links_at_both_ends(engine: Engine, web: str, tree: Path, tmp_path: Path) -> None:
    copy(engine, tree / "link", "web:/tmp/is-link")
    copy(engine, tree / "link", "web:/tmp/followed", follow=True)
    copy(engine, tree, "web:/srv1")
    inside(engine, "ln -s /srv1 /tmp/to; ln -s ../../../etc/fresh /tmp/dangling")
    copy(engine, tree / "inner/b", "web:/tmp/to")
    copy(engine, tree / "a", "web:/tmp/dangling")
    said = inside(
        engine, "readlink /tmp/is-link; cat /tmp/followed; wc -c < /srv1/b; cat /etc/fresh"
    )
    assert said.split() == ["a", "a100000", "a"]
    copy(engine, "web:/tmp/to", tmp_path / "link")
    assert os.readlink(tmp_path / "link") == "/srv1"
    copy(engine, "web:/tmp/to/", tmp_path / "tree")
    assert (tmp_path / "tree/inner/b").stat().st_size == 100_000


def facts(path: Path) -> tuple[int, int, int, int]:
    found = path.lstat()
    return found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns


def test_with_archive_everything_comes_back(
    engine: Engine, web: str, tree: Path, tmp_path: Path
) -> None:
    copy(engine, tree, "web:/tmp", archive=True)
    copy(engine, "web:/tmp/src", tmp_path / "back", archive=True)
    back = tmp_path / "back"
    for name in ("a", "inner", "inner/b", "link", "pipe", "null"):
        assert facts(back / name) == facts(tree / name), name
    assert os.getxattr(back / "a", "user.colour") == b"red\xff"
    assert (back / "a").stat().st_ino == (back / "again").stat().st_ino
    assert (back / "null").stat().st_rdev == os.makedev(1, 3)


def test_without_archive_nothing_of_another_owner_s_power_comes_out(
    engine: Engine, web: str, tree: Path, tmp_path: Path
) -> None:
    copy(engine, tree, "web:/tmp")
    assert inside(engine, "stat -c '%u:%g %a' /tmp/src/a") == "0:0 750\n"
    inside(engine, "chmod 6755 /tmp/src/a; mknod /tmp/src/disk b 8 0; chmod 666 /tmp/src/disk")
    copy(engine, "web:/tmp/src", tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out/a").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "out/disk").stat().st_mode) == 0o600


def test_a_tar_goes_out_and_in(engine: Engine, web: str, tree: Path, tmp_path: Path) -> None:
    copy(engine, tree, "web:/tmp", archive=True)
    with open(tmp_path / "tar", "wb") as file:
        engine.files.copying().pack(Place("web", "/tmp/src"), file.fileno())
    with tarfile.open(tmp_path / "tar") as tar:
        members = {member.name: member for member in tar}
    names = ("a", "again", "inner", "inner/b", "link", "pipe", "null")
    assert set(members) == {"src", *(f"src/{name}" for name in names)}
    assert (members["src/a"].uid, members["src/a"].mode) == (1000, 0o4750)
    assert members["src/again"].islnk()
    with open(tmp_path / "tar", "rb") as file:
        engine.files.copying().unpack(file.read, Place("web", "/made"[:1]))
    assert inside(engine, "stat -c '%u:%g %a' /src/a; cat /src/again; cat /src/link") == (
        "1000:1001 4750\naa"
    )
    copy(engine, "web:/src", tmp_path / "back", archive=True)
    assert facts(tmp_path / "back/inner") == facts(tree / "inner")
    assert os.getxattr(tmp_path / "back/a", "user.colour") == b"red\xff"
    with open(tmp_path / "tar", "wb") as file:
        engine.files.copying().pack(Place("web", "/src/inner/."), file.fileno())
    with tarfile.open(tmp_path / "tar") as tar:
        assert tar.getnames() == [".", "./b"]


def archive(*members: tuple[str, bytes, str]) -> Callable[[int], bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, content
            info.size = len(content) if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(content.encode()))
    return io.BytesIO(buffer.getvalue()).read


def test_a_hostile_tar_stays_in_the_container(engine: Engine, web: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with pytest.raises(UnsafePath):
        engine.files.copying().unpack(
            archive(("../../planted", tarfile.REGTYPE, "x")), Place("web", "/tmp")
        )
    engine.files.copying().unpack(
        archive(
            ("way", tarfile.SYMTYPE, str(outside)),
            ("way/planted", tarfile.REGTYPE, "x"),
            ("/etc/absolute", tarfile.REGTYPE, "x"),
        ),
        Place("web", "/tmp"),
    )
    assert list(outside.iterdir()) == []
    assert inside(engine, f"ls {outside}; ls /tmp/etc").split() == ["planted", "absolute"]


def test_volumes_binds_and_files_that_are_mounted(engine: Engine, tmp_path: Path) -> None:
    data = tmp_path / "shared"
    data.mkdir()
    (tmp_path / "conf").write_text("old")
    mounts = (Mount(str(data), "/data"), Mount(str(tmp_path / "conf"), "/etc/conf"),
              Mount(str(data), "/fixed", read_only=True))  # fmt: skip
    make(engine, mounts=mounts)
    (tmp_path / "new").write_text("new")
    for state in ("running", "stopped"):
        if state == "stopped":
            engine.containers.stop("web", 0)
        copy(engine, tmp_path / "new", f"web:/data/{state}")
        assert (data / state).read_text() == "new"
        (tmp_path / "conf").write_text("old")
        inode = (tmp_path / "conf").stat().st_ino
        copy(engine, tmp_path / "new", "web:/etc/conf")
        assert (tmp_path / "conf").read_text() == "new"
        assert (tmp_path / "conf").stat().st_ino == inode
        with pytest.raises(Conflict) as caught:
            copy(engine, tmp_path / "new", "web:/fixed/x")
        assert "read-only" in caught.value.message
        # Seen through the mount, a directory would be copied into itself without end.
        with pytest.raises(Conflict) as caught:
            copy(engine, data, "web:/data")
        assert "into itself" in caught.value.message
    assert not any("limpet" in name for name in os.listdir(tmp_path) + os.listdir(data))


def test_a_read_only_container_takes_nothing(engine: Engine, tmp_path: Path) -> None:
    make(engine, read_only=True)
    (tmp_path / "x").write_text("x")
    for _ in ("running", "stopped"):
        with pytest.raises(Conflict):
            copy(engine, tmp_path / "x", "web:/x")
        engine.containers.stop("web", 0)


def test_the_root_is_copied_without_what_the_kernel_makes_up(
    engine: Engine, tmp_path: Path
) -> None:
    make(engine)
    copy(engine, "web:/", tmp_path / "all", archive=True)
    assert (tmp_path / "all/bin/busybox").exists()
    assert os.listdir(tmp_path / "all/proc") == []
    assert os.listdir(tmp_path / "all/sys") == []
    copy(engine, "web:/proc/version", tmp_path / "version")
    assert (tmp_path / "version").read_text().startswith("Linux")


def test_a_program_that_changed_its_root_does_not_mislead(engine: Engine, tmp_path: Path) -> None:
    make(engine, "mkdir -p /jail/etc; cp -a /bin /lib* /usr /jail; exec chroot /jail sleep 1000")
    (tmp_path / "x").write_text("x")
    until(lambda: inside(engine, "readlink /proc/1/root") == "/jail\n")
    copy(engine, tmp_path / "x", "web:/etc/x")
    assert inside(engine, "ls /etc/x; ls /jail/etc") == "/etc/x\n"


SWAP = """
mkdir -p /tmp/real /tmp/tree/real; echo mine > /tmp/real/file; echo mine > /tmp/tree/real/file
cd /tmp
while :; do
    ln -s $OUT x; ln -s ../../../../../../../$OUT tree/x; mv real x2; mv tree/real tree/x2
    rm x tree/x; mv x2 x; mv tree/x2 tree/x; mv x real; mv tree/x tree/real
done
"""


def test_links_swapped_meanwhile_lead_nowhere(engine: Engine, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("secret of the host")
    make(engine, f"OUT={outside}\n{SWAP}")
    (tmp_path / "planted/sub").mkdir(parents=True)
    (tmp_path / "planted/sub/file").write_text("planted")
    deadline = time.monotonic() + 2
    tries = done = 0
    while time.monotonic() < deadline:
        tries += 1
        for source, target in (
            (tmp_path / "planted", "web:/tmp/x/planted"),
            (f"{tmp_path}/planted/.", "web:/tmp/tree/x"),
            ("web:/tmp/x/file", tmp_path / "got"),
            ("web:/tmp/tree", tmp_path / "got-tree"),
        ):
            try:
                copy(engine, source, target)
                done += 1
            except Error:
                continue  # the path was not there at that moment
    assert done > 20, (tries, done)
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "secret of the host"
    copies = [tmp_path / "got", *(tmp_path / "got-tree").rglob("file")]
    assert all(b"secret" not in path.read_bytes() for path in copies if path.is_file())


def test_a_copy_that_is_killed_leaves_no_half_file(engine: Engine, tmp_path: Path) -> None:
    make(engine)
    inside(engine, "echo old > /big; head -c 5000000 /dev/zero > /new")
    (tmp_path / "big").write_bytes(b"x" * 3_000_000)
    for source, target in ((tmp_path / "big", "web:/big"), ("web:/new", tmp_path / "out")):
        pid = os.fork()
        if pid == 0:
            try:
                engine.database.close()
                engine.files.copying(progress=lambda total: os.kill(os.getpid(), 9)).copy(
                    place(source), place(target)
                )
            finally:
                os._exit(0)
        assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    assert inside(engine, "cat /big; ls -a /").count("limpet") == 0
    assert inside(engine, "cat /big") == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big", "data", "run"]


def test_a_file_system_without_nameless_files(
    engine: Engine, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Overlayfs of Linux 6.0, for one."""
    make(engine)
    real, refused = os.open, []

    def old(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            refused.append(path)
            raise OSError(errno.EOPNOTSUPP, "old kernel")
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", old)
    for _ in range(2):
        copy(engine, f"{tree}/.", "web:/tmp/t", archive=True)
    monkeypatch.undo()
    assert refused
    copy(engine, "web:/tmp/t", tmp_path / "back", archive=True)
    assert sorted(os.listdir(tmp_path / "back")) == sorted(os.listdir(tree))
    assert facts(tmp_path / "back/a") == facts(tree / "a")


def test_what_came_out_as_a_link_is_not_written_through(engine: Engine, tmp_path: Path) -> None:
    """The first copy brings a link, the second would follow it if anything did."""
    outside = tmp_path / "outside"
    outside.mkdir()
    make(engine)
    inside(engine, f"mkdir -p /t; ln -s {outside} /t/dir; ln -s {outside}/file /t/file")
    copy(engine, "web:/t", tmp_path / "t")
    inside(engine, "cd /t; rm dir file; mkdir dir; echo bad > dir/planted; echo bad > file")
    with pytest.raises(Conflict):
        copy(engine, "web:/t/.", tmp_path / "t")
    inside(engine, "rm -r /t/dir")
    copy(engine, "web:/t/.", tmp_path / "t")
    assert (tmp_path / "t/file").read_text() == "bad\n"
    assert list(outside.iterdir()) == []


def test_a_file_without_end_a_pit_without_bottom_and_pipes(engine: Engine, tmp_path: Path) -> None:
    make(engine, "mkdir /t; mkfifo /t/pipe; while :; do head -c 4096 /dev/zero >> /t/grows; done")
    inside(engine, "cd /t; mknod tty c 5 0; i=0; while [ $i -lt 400 ]; do mkdir d; cd d; "
                   "i=$((i+1)); done")  # fmt: skip
    with pytest.raises(Conflict) as caught:
        copy(engine, "web:/t", tmp_path / "deep")
    assert "nested" in caught.value.message
    inside(engine, "mv /t/d /gone")
    for number in range(3):
        copy(engine, "web:/t", tmp_path / f"t{number}", archive=True)
        with open(tmp_path / "tar", "wb") as file:
            engine.files.copying().pack(Place("web", "/t"), file.fileno())
        with tarfile.open(tmp_path / "tar") as tar:
            assert {member.name for member in tar} == {"t", "t/pipe", "t/grows", "t/tty"}
    assert stat.S_ISFIFO((tmp_path / "t0/pipe").stat().st_mode)


def test_a_hostile_user_in_the_container_gains_nothing_by_a_copy(
    engine: Engine, tmp_path: Path
) -> None:
    """Its directory is copied into while it swaps names for the system's files."""
    make(engine, "mkdir -m 777 /t; chmod 755 /; while :; do sleep 100; done")
    swap = """cd /t; while :; do for f in .limpet-*; do
        mv "$f" x 2>/dev/null && ln -s /etc/shadow "$f" 2>/dev/null; done; rm -f x; done"""
    (tmp_path / "d").mkdir()
    for number in range(20):
        (tmp_path / f"d/{number}").write_text("x" * 50_000)
        os.chown(tmp_path / f"d/{number}", 1000, 1000)
        os.symlink("/etc", tmp_path / f"d/l{number}")
        os.lchown(tmp_path / f"d/l{number}", 1000, 1000)
    inside(engine, "echo secret > /etc/shadow; chmod 600 /etc/shadow")
    attacker = engine.containers.exec("web", ("sh", "-c", swap), user="1000:1000")
    for _ in range(30):
        try:
            copy(engine, f"{tmp_path}/d/.", "web:/t", archive=True)
        except Error:
            continue
    attacker.close()
    assert inside(engine, "stat -c '%u:%g %a' /etc/shadow /etc; cat /etc/shadow").split() == [
        "0:0", "600", "0:0", "755", "secret"]  # fmt: skip


def test_a_container_cannot_be_started_while_its_files_are_copied(
    engine: Engine, tmp_path: Path
) -> None:
    make(engine, start=False)
    (tmp_path / "big").write_bytes(b"x" * 3_000_000)
    seen: list[str] = []

    def progress(total: int) -> None:
        starter = threading.Thread(target=engine.containers.start, args=("web",))
        starter.start()
        starter.join(0.2)
        seen.append(engine.containers.resolve("web").state)
        started.append(starter)

    started: list[threading.Thread] = []
    engine.files.copying(progress=progress).copy(
        Place("", str(tmp_path / "big")), Place("web", "/big")
    )
    started[0].join()
    assert seen[0] == "created"
    assert inside(engine, "wc -c < /big") == "3000000\n"


def test_what_a_directory_of_a_container_holds(web: str, engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a b").touch()
    copy(engine, tmp_path / "here", "web:/etc/")
    names = engine.files.names_in_container
    assert {"here/", "passwd"} <= set(names("web", "/etc/"))
    assert list(names("web", "/../etc/here")) == ["a b"]
    with pytest.raises(NotADirectoryError):
        list(names("web", "/etc/passwd"))
    with pytest.raises(FileNotFoundError):
        list(names("web", "/nosuch"))


def test_names_do_not_wait_for_somebody_who_changes_the_container(engine: Engine) -> None:
    make(engine, start=False)
    with Lock(engine.paths, engine.containers.resolve("web").id), pytest.raises(BlockingIOError):
        list(engine.files.names_in_container("web", "/"))
