"""`limpet build` as it is typed: streams, progress, exit codes, signals, archives, full disks."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

import pexpect
import pytest

from tests.e2e.command_line import LIMPET
from tests.fixture_images import Registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Host:
    """A store of its own and a context."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.data, self.run_root = place / "data", place / "run"
        self.context = place / "context"
        self.context.mkdir()
        self.env = {
            "PATH": os.environ["PATH"], "HOME": str(place), "TERM": "xterm-256color",
            "LIMPET_DATA_ROOT": str(self.data), "LIMPET_RUN_ROOT": str(self.run_root),
        }  # fmt: skip
        assert self.limpet("image", "starter").returncode == 0

    def limpet(
        self, *words: str, stdin: bytes = b"", timeout: float = 60
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [LIMPET, *words], env=self.env, input=stdin, capture_output=True, cwd=self.context,
            timeout=timeout,
        )  # fmt: skip

    def build(
        self, dockerfile: str, *words: str, context: str = "."
    ) -> subprocess.CompletedProcess[bytes]:
        (self.context / "Dockerfile").write_text(dockerfile)
        return self.limpet("build", "--network", "none", *words, context)

    def started(self, dockerfile: str, *words: str) -> subprocess.Popen[str]:
        """Start a build and return once its RUN has printed `now`."""
        (self.context / "Dockerfile").write_text(dockerfile)
        process = subprocess.Popen(
            [LIMPET, "build", "--network", "none", "--progress", "plain", *words, "."],
            env=self.env, cwd=self.context, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if line.endswith(" now\n"):
                break
        return process

    def kill_build_at(self, folder: Path, pattern: str) -> None:
        """Kill a build as soon as something is in a folder, and wait for who tidies up."""
        process = subprocess.Popen(
            [LIMPET, "build", "."], env=self.env, cwd=self.context, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 40
        while not list(folder.glob(pattern)) and time.monotonic() < deadline:
            time.sleep(0.001)
        process.kill()
        process.wait()
        while self.left() and time.monotonic() < deadline:
            time.sleep(0.02)

    def left(self) -> list[str]:
        """Return what a build must not leave."""
        places = (self.data / "build/work", self.data / "build/failed", self.data / "containers",
                  self.run_root / "containers", self.run_root / "build")  # fmt: skip
        return [str(path) for place in places if place.is_dir() for path in place.iterdir()]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    yield made
    assert made.left() == []


def test_progress_and_the_id(host: Host) -> None:
    ran = host.build("FROM starter\nRUN echo hi\n", "-t", "x", "--iidfile", "id")
    assert b"#2 [2/2] RUN echo hi  (not built before)\n#2 hi\n#2 DONE" in ran.stderr
    identifier = (host.context / "id").read_text()
    lines = ran.stdout.decode().splitlines()
    assert lines == [f"Successfully built {identifier[7:19]}", "Successfully tagged x:latest"]
    again = host.build("FROM starter\nRUN echo hi\n", "-q")
    assert (again.stdout.decode().strip(), again.stderr) == (identifier, b"")
    ran = host.build("FROM starter\nRUN echo hi\n", "--progress", "json", "--no-cache")
    events = [json.loads(line) for line in ran.stderr.decode().splitlines()]
    assert [event["event"] for event in events] == ["start", "done", "start", "log", "done"]
    assert (events[2]["instruction"], events[2]["line"], events[3]["text"]) == (
        "RUN echo hi", 2, "hi",
    )  # fmt: skip


def test_a_failing_run_gives_its_code(host: Host) -> None:
    ran = host.build("FROM starter\nRUN echo why; exit 42\n")
    assert ran.returncode == 42
    assert ran.stderr.decode().splitlines()[-3:] == [
        "limpet: Dockerfile:2:1: RUN echo why; exit 42: exit code 42", "  why",
        "  build --debug keeps it for a look inside: limpet debug",
    ]  # fmt: skip


def test_dockerfiles_and_contexts_from_stdin(host: Host) -> None:
    (host.context / "a").write_text("in context")
    ran = host.limpet(
        "build", "--network", "none", "--no-cache", "-f", "-", ".",
        stdin=b"FROM starter\nCOPY a /a\nRUN cat /a\n",
    )  # fmt: skip
    assert b"#3 in context" in ran.stderr
    ran = host.limpet("build", "--network", "none", "-", stdin=b"FROM starter\nRUN echo alone\n")
    assert b"#2 alone" in ran.stderr
    ran = host.limpet("build", "-", stdin=b"FROM starter\nCOPY a /a\n")
    assert b"the build has no context: the Dockerfile came on stdin" in ran.stderr
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in (
            ("Dockerfile", b"FROM starter\nCOPY f /\nRUN cat /f\n"),
            ("f", b"tarred"),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
        entry = tarfile.TarInfo("evil")
        entry.type, entry.linkname = tarfile.SYMTYPE, "../../.."
        tar.addfile(entry)
        tar.addfile(tarfile.TarInfo("evil/escaped"))
    ran = host.limpet("build", "--network", "none", "-", stdin=packed.getvalue())
    assert b"#3 tarred" in ran.stderr
    assert not (host.place / "escaped").exists()
    (host.context / "c.tar.gz").write_bytes(packed.getvalue())
    assert host.limpet("build", "-q", "--network", "none", "c.tar.gz").returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("build", "https://example.com/x.git"), "contexts are not fetched from elsewhere"),
        (("build", "nowhere"), "there is no directory 'nowhere'"),
        (("build", "."), "there is no Dockerfile in"),
        (("build", "-f", "Dokerfile", "."), "there is no file Dokerfile"),
        (("build", "--ssh", "default", "."), "forwarding an SSH agent"),
        (("build", "--platform", "linux/amd64,linux/arm64", "."), "one build is for one platform"),
        (("build", "--output", "type=nope", "."), "type=nope is none of docker, oci, tar, local"),
        (("build", "--secret", "src=x", "."), "is not id=NAME"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for(host: Host, words: Sequence[str], said: str) -> None:
    ran = host.limpet(*words)
    assert ran.returncode
    assert said in ran.stderr.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_leave_nothing(host: Host, number: signal.Signals) -> None:
    process = host.started("FROM starter\nRUN echo done >/x\nRUN echo now; sleep 1000\n")
    process.send_signal(number)
    _, rest = process.communicate(timeout=40)
    assert process.returncode == 130
    assert "cancelling" in rest


def test_a_killed_build_leaves_its_cache_and_nothing_else(host: Host) -> None:
    (host.context / "key").write_text("secret")
    dockerfile = (
        "FROM starter\nRUN echo done >/x\n"
        "RUN --mount=type=secret,id=key cat /run/secrets/key; echo; echo now; sleep 1000\n"
    )
    process = host.started(dockerfile, "--secret", "id=key,src=key")
    process.kill()
    process.communicate(timeout=40)
    deadline = time.monotonic() + 40
    while host.left() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert host.left() == []
    ran = host.build(dockerfile.replace("now; sleep 1000", "end"), "--secret", "id=key,src=key")
    assert b"#2 CACHED" in ran.stderr
    assert ran.returncode == 0


def test_a_full_disk_is_said_and_leaves_nothing(host: Host) -> None:
    small = host.place / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(small)], check=True)
    try:
        host.env["LIMPET_DATA_ROOT"] = str(small / "data")
        assert host.limpet("image", "starter").returncode == 0
        before = sum(1 for _ in (small / "data/layers").iterdir())
        (host.context / "big").write_bytes(os.urandom(30 << 20))
        copied = host.build("FROM starter\nCOPY big /big\n")
        assert copied.returncode
        assert b"No space left on device" in copied.stderr
        ran = host.build("FROM starter\nRUN dd if=/dev/zero of=/big bs=1M count=40\n")
        assert ran.returncode == 1
        assert b"No space left on device" in ran.stderr
        packed = host.build("FROM starter\nRUN dd if=/dev/urandom of=/big bs=1M count=13\n")
        assert packed.returncode == 1
        assert b"No space left on device" in packed.stderr
        assert sum(1 for _ in (small / "data/layers").iterdir()) == before
        assert list((small / "data/build/work").iterdir()) == []
        assert host.build("FROM starter\nRUN echo small >/x\n").returncode == 0
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_outputs(host: Host) -> None:
    text = (
        "FROM starter AS a\nRUN echo x >/only\nFROM scratch\nCOPY --from=a --chown=3:4 /only /d/\n"
    )
    assert host.build(text, "-t", "named:1", "-o", "type=docker,dest=d.tar").returncode == 0
    assert host.build(text, "-t", "named:1", "-o", "type=oci,dest=o.tar").returncode == 0
    for source in ("docker-archive:d.tar", "oci-archive:o.tar"):
        subprocess.run(["skopeo", "copy", "-q", source, "dir:out"], cwd=host.context, check=True)
    with tarfile.open(host.context / "d.tar") as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        assert json.load(manifest)[0]["RepoTags"] == ["docker.io/library/named:1"]
    assert host.build(text, "-o", "files").returncode == 0
    facts = (host.context / "files/d/only").stat()
    assert (facts.st_uid, facts.st_gid) == (3, 4)
    ran = host.build(text, "-q", "-o", "-")
    with tarfile.open(fileobj=io.BytesIO(ran.stdout)) as tar:
        assert [(entry.name, entry.uid) for entry in tar] == [("d", 3), ("d/only", 3)]
    assert b"named" in host.limpet("images").stdout


def test_podman_loads_and_runs_what_was_built(host: Host) -> None:
    host.build("FROM starter\nRUN echo built >/x\nCMD [\"cat\", \"/x\"]\n", "-t", "b:1",
               "-o", "type=docker,dest=d.tar")  # fmt: skip
    runroot = tempfile.mkdtemp(dir="/tmp")  # podman takes no long one
    podman = ["podman", "--root", f"{host.place}/podman", "--runroot", runroot,
              "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]  # fmt: skip
    loaded = subprocess.run(
        [*podman, "load", "-q", "-i", "d.tar"], cwd=host.context, capture_output=True, text=True
    )
    assert "docker.io/library/b:1" in loaded.stdout, loaded.stderr
    shown = subprocess.run(
        [*podman, "inspect", "-t", "image", "b:1"], capture_output=True, text=True, check=True
    )
    assert json.loads(shown.stdout)[0]["Config"]["Cmd"] == ["cat", "/x"]
    shutil.rmtree(runroot)


def test_squashing_gives_the_same_files_in_one_layer(host: Host) -> None:
    text = (
        "FROM starter AS a\nRUN rm /bin/vi; mkdir -p /a/b; echo 1 >/a/b/c; ln /a/b/c /a/d\n"
        "RUN rm -r /a; mkdir /a; echo 2 >/a/e; rm -r /usr; mkdir /usr; echo u >/usr/u\n"
        "RUN rm /a/e; touch /a/f; chmod 700 /a\n"
    )
    kept_out = " -o ".join(f"-path {path} -prune" for path in ("/proc", "/dev", "/sys", "/etc"))
    listing = f"find / {kept_out} -o -print"
    assert host.build(text, "-t", "whole").returncode == 0
    assert host.build(text, "--squash", "-t", "squashed").returncode == 0
    seen = [
        host.limpet("run", "--rm", "--network", "none", name, "sh", "-c",
                    f"{listing} | sort | xargs stat -c '%n %a %u %F %s'").stdout
        for name in ("whole", "squashed")
    ]  # fmt: skip
    assert seen[0]
    assert [line for line in seen[0].splitlines() if b"directory" not in line] == [
        line for line in seen[1].splitlines() if b"directory" not in line
    ]
    config = json.loads(host.limpet("image", "inspect", "squashed").stdout)[0]
    assert len(config["RootFS"]["Layers"]) == 2


def test_a_cache_from_a_registry(host: Host, tmp_path: Path) -> None:
    text = "FROM starter\nRUN echo expensive >/x\nRUN echo more >/y\n"
    with Registry(tmp_path / "registry") as registry:
        name = f"{registry.host}/team/app:1"
        assert host.build(text, "-t", name).returncode == 0
        assert host.limpet("push", name).returncode == 0
        other = tmp_path / "other"
        other.mkdir()
        second = Host(other)
        ran = second.build(text, "--cache-from", name, "--cache-from", f"{registry.host}/no/such")
        assert ran.stderr.count(b"CACHED") == 2
        assert b"warning: --cache-from" in ran.stderr


def test_one_key_opens_a_shell_where_it_failed(host: Host) -> None:
    (host.context / "Dockerfile").write_text(
        "FROM starter\nWORKDIR /w\nENV E=value\nRUN echo made >/made; exit 9\n"
    )
    child = pexpect.spawn(
        LIMPET, ["build", "--network", "none", "."], env=host.env, cwd=str(host.context),
        encoding="utf-8", timeout=40,
    )  # fmt: skip
    child.expect("any other key ends")
    child.send("d")
    child.expect("# ")
    child.send("cat /made; echo $E-$PWD; exit\r")
    child.expect("made")
    child.expect("value-/w")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 9
    assert host.limpet("build", "prune", "-af").returncode == 0
    host.build("FROM starter\n")


def test_a_failed_run_can_be_looked_into_without_a_terminal(host: Host) -> None:
    assert b"build --debug keeps it" in host.build("FROM starter\nRUN exit 3\n").stderr
    assert b"no failed RUN is kept" in host.limpet("debug", "true").stderr
    failed = host.build("FROM starter\nRUN echo made >/m; exit 3\n", "--debug")
    assert failed.returncode == 3
    assert b"limpet debug opens a shell" in failed.stderr
    assert host.limpet("debug", "cat", "/m").stdout == b"made\n"
    typed = host.limpet("debug", stdin=b"echo more >>/m; exit 4\n")
    assert typed.returncode == 4
    assert host.limpet("debug", "cat", "/m").stdout == b"made\nmore\n"
    host.build("FROM starter\n")
    assert host.left() == []


def test_watching_builds_again(host: Host) -> None:
    (host.context / "a").write_text("first")
    (host.context / "Dockerfile").write_text("FROM starter\nCOPY a /a\nRUN cat /a\n")
    process = subprocess.Popen(
        [LIMPET, "build", "--network", "none", "--progress", "plain", "--watch", "."],
        env=host.env, cwd=host.context, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if line.startswith("waiting for a change"):
                break
            assert "second" not in line
        (host.context / "a").write_text("second")
        for line in process.stderr:
            if line == "#3 second\n":
                break
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=40)


def test_a_flood_of_output_is_clipped(host: Host) -> None:
    started = time.monotonic()
    ran = host.build("FROM starter\nRUN yes | head -c 300000000; echo the end; exit 3\n")
    assert time.monotonic() - started < 30
    assert b"the output is clipped after 2 MiB" in ran.stderr
    assert b"the end" in ran.stderr[-200:]
    assert ran.returncode == 3


def test_a_build_that_is_killed_while_it_copies_leaves_nothing(host: Host) -> None:
    for number in range(6_000):
        folder = host.context / f"d{number % 100}"
        folder.mkdir(exist_ok=True)
        (folder / str(number)).touch()
    (host.context / "Dockerfile").write_text("FROM starter\nCOPY . /c/\n")
    host.kill_build_at(host.data / "build/work", "*/*/upper/c/d*")
    assert host.left() == []


def test_a_build_that_is_killed_while_it_packs_leaves_nothing(host: Host) -> None:
    for number in range(40):
        (host.context / str(number)).write_bytes(os.urandom(1 << 20))
    (host.context / "Dockerfile").write_text("FROM starter\nCOPY . /c/\n")
    host.kill_build_at(host.data / "layers", ".new-*")
    assert host.left() == []
    assert host.build("FROM starter\nCOPY . /c/\n", "-t", "whole").returncode == 0


def test_help_tells_of_the_verb_and_of_what_is_beside_it(host: Host) -> None:
    told = host.limpet("build", "--help").stdout
    assert b"--build-arg NAME=VALUE" in told
    assert b"limpet build prune" in told
