"""Builds on the real kernel: instructions, stages, cache, mounts, errors, and what is left."""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.build.dockerfile.source import DockerfileError
from core.build.options import Secret
from core.build.prune import entries
from core.build.run import failed
from core.build.squash import squash
from core.errors import BuildError, Cancelled, Error, InUse, Unreachable
from core.paths import Paths
from tests.builds import Workshop, leftovers
from tests.containers import make_engine, reap, until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def shop(paths: Paths, tmp_path: Path) -> Iterator[Workshop]:
    engine = make_engine(paths, "spawner")
    yield Workshop(engine, tmp_path / "context")
    assert leftovers(engine) == []
    engine.close()
    reap()


def test_files_owners_and_modes(shop: Workshop) -> None:
    shop.write({"a.txt": "a", "src/one": "1", "src/deep/two": "2", "run.sh": "x"})
    (shop.root / "run.sh").chmod(0o755)
    (shop.root / "src/deep").chmod(0o711)
    (shop.root / "src/link").symlink_to("one")
    built = shop.build(
        "FROM starter\nWORKDIR /w\n"
        "COPY a.txt b/\nCOPY a.txt c\nCOPY src d\nCOPY --chown=7:8 --chmod=u=rw,go= src/o* e/\n"
        "COPY run.sh src/one /f/\nADD a.txt /g/h\nCOPY --parents src/./deep/two /p/\n"
        "COPY --exclude=deep --exclude=*nk src /x/\nCOPY --link a.txt /l/\n"
    )
    tree = shop.tree(built)
    assert tree["/w/b/a.txt"] == "file 644 0:0 'a'"
    assert tree["/w/c"] == "file 644 0:0 'a'"
    assert tree["/w/d/deep"] == "dir 711 0:0"
    assert tree["/w/d/link"] == "link to one"
    assert tree["/w/e/one"] == "file 600 7:8 '1'"
    assert tree["/w/e"] == "dir 755 7:8"
    assert tree["/f/run.sh"] == "file 755 0:0 'x'"
    assert tree["/g/h"] == "file 644 0:0 'a'"
    assert tree["/p/deep/two"] == "file 644 0:0 '2'"
    assert [name for name in tree if name.startswith("/x/")] == ["/x/one"]
    assert "/l/a.txt" in tree
    assert shop.config(built)["WorkingDir"] == "/w"


def test_run_sees_arguments_environment_and_user(shop: Workshop) -> None:
    built = shop.build(
        "ARG V=0\nFROM starter\nARG V\nARG W=w\nENV E=$V-$W\nENV W=hidden\nUSER 1000:1000\n"
        'WORKDIR /tmp/x\nRUN echo "$V $W $E $(id -u):$(id -g) $PWD"\n'
        'SHELL ["/bin/sh", "-e", "-c"]\nRUN echo "$0" "$-"\nRUN ["echo", "$V"]\n',
        args=(("V", "1"),),
    )
    first, second, third = shop.log()
    assert first == "1 hidden 1-w 1000:1000 /tmp/x"
    assert second.startswith("/bin/sh") is False or "e" in second
    assert third == "$V"
    assert shop.config(built)["Env"][-2:] == ["E=1-w", "W=hidden"]


def test_only_what_was_written_is_in_the_layer(shop: Workshop) -> None:
    built = shop.build("FROM starter\nRUN true\nRUN echo 1 >/etc/one\nRUN rm /etc/one /bin/vi\n")
    files = [
        [(entry.path, entry.kind) for entry in shop.engine.files.of_layer(layer.diff_id)]
        for layer in shop.engine.store.history(built.digest)[1:]
        if layer.diff_id
    ]
    assert files == [
        [("etc", "dir"), ("etc/one", "file")],
        [("bin", "dir"), ("bin/vi", "whiteout"), ("etc", "dir"), ("etc/one", "whiteout")],
    ]


def test_the_config_is_what_the_instructions_say(shop: Workshop) -> None:
    built = shop.build(
        "FROM starter AS base\nCMD [\"old\"]\nONBUILD ENV later=1\nFROM base\n"
        "LABEL a=1 b=\"2 3\"\nEXPOSE 80 53/udp 8000-8001\nVOLUME /v [x]\nSTOPSIGNAL SIGINT\n"
        "HEALTHCHECK --retries=2 CMD true\nENTRYPOINT [\"e\"]\nUSER app\nMAINTAINER me\n",
        labels=(("c", "4"),),
    )  # fmt: skip
    config = shop.config(built)
    assert config["Labels"] == {"a": "1", "b": "2 3", "c": "4"}
    assert sorted(config["ExposedPorts"]) == ["53/udp", "80/tcp", "8000/tcp", "8001/tcp"]
    assert sorted(config["Volumes"]) == ["/v", "[x]"]
    assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Retries": 2}
    assert (config["Entrypoint"], "Cmd" in config) == (["e"], False)
    assert (config["StopSignal"], config["User"]) == ("SIGINT", "app")
    assert config["OnBuild"] == ["ENV later=1"]


def test_triggers_run_in_the_image_that_builds_on_it(shop: Workshop) -> None:
    tags = ("docker.io/library/trigger:latest",)
    shop.build("FROM starter\nONBUILD COPY f /f\nONBUILD RUN cat /f\n", tags=tags)
    shop.write({"f": "triggered"})
    built = shop.build("FROM trigger\nRUN echo after\n")
    assert sorted(shop.log()) == ["after", "triggered"]
    assert "OnBuild" not in shop.config(built)


def test_stages_run_side_by_side_and_only_if_needed(shop: Workshop) -> None:
    built = shop.build(
        "FROM starter AS a\nRUN sleep 0.7; echo a >/a\n"
        "FROM starter AS b\nRUN sleep 0.7; echo b >/b\n"
        "FROM starter AS unused\nRUN exit 1\nFROM scratch\nCOPY --from=a /a /\n"
        "COPY --from=b /b /sub/\nCOPY --from=starter /etc/passwd /\n"
    )
    assert shop.board is not None
    one, other = (step for step in shop.board.steps if "sleep" in step.title)
    assert one.started < other.ended
    assert other.started < one.ended
    config = shop.engine.store.config(built.digest)
    assert len(config["rootfs"]["diff_ids"]) == 3
    assert config["os"] == "linux"


def test_copying_from_a_stage_keeps_owners_links_and_capabilities(shop: Workshop) -> None:
    built = shop.build(
        "FROM starter AS a\nRUN mkdir -p /d/e && echo 1 >/d/f && ln /d/f /d/g && ln -s /d/f /d/s"
        " && chown 5:6 /d/f && chmod 4711 /d/f && chmod 700 /d/e && ln -s /d /abs\n"
        "FROM starter\nCOPY --from=a /d /new\nCOPY --from=a /abs/f /via\n"
        "RUN test /new/f -ef /new/g\n"
    )
    tree = shop.tree(built)
    assert tree["/new/f"] == "file 4711 5:6 '1\\n'"
    assert tree["/new/s"] == "link to /d/f"
    assert tree["/new/e"] == "dir 700 0:0"
    assert tree["/via"] == "file 4711 5:6 '1\\n'"


def test_documents(shop: Workshop) -> None:
    built = shop.build(
        "FROM starter\nARG N=7\nCOPY <<A <<\"B\" /d/\nit's $N\nA\n$N\nB\n"
        "RUN <<E\nset -e\nx=1\necho $x\nE\n"
        "RUN <<E\n#!/bin/sh -e\necho script $0\nE\n"
        "RUN <<E cat >/cat\none\nE\n"
    )  # fmt: skip
    tree = shop.tree(built)
    assert tree["/d/A"].endswith('"it\'s 7\\n"')
    assert tree["/d/B"].endswith("'$N\\n'")
    assert tree["/cat"].endswith("'one\\n'")
    assert shop.log() == ["1", "script /dev/limpet-script"]
    assert not [name for name in tree if "script" in name]


def test_archives_are_unpacked_by_add_alone(shop: Workshop) -> None:
    import tarfile

    shop.write({"in/x": "x"})
    with tarfile.open(shop.root / "a.tar.gz", "w:gz") as tar:
        tar.add(shop.root / "in/x", "deep/x")
        escape = tarfile.TarInfo("out")
        escape.type, escape.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(escape)
        through = tarfile.TarInfo("out/owned")
        tar.addfile(through)
    built = shop.build(
        "FROM starter\nADD a.tar.gz /u/\nCOPY a.tar.gz /c/\nADD --unpack=false a.tar.gz /n/\n"
    )
    tree = shop.tree(built)
    assert "/u/deep/x" in tree
    assert "/c/a.tar.gz" in tree
    assert "/n/a.tar.gz" in tree
    assert "/etc/owned" in tree  # within the image, as docker does it
    assert not os.path.exists("/etc/owned")


# -- the cache -----------------------------------------------------------------------


PROGRAM = """\
FROM starter
ARG V=1
WORKDIR /w
COPY a ./
RUN echo $V
COPY --chown=1 b ./
LABEL x=1
RUN ls
"""


def test_a_second_build_does_nothing_and_is_the_same(shop: Workshop) -> None:
    shop.write({"a": "1", "b": "2"})
    first = shop.build(PROGRAM)
    os.utime(shop.root / "a", (1, 1))
    second = shop.build(PROGRAM)
    assert second.digest == first.digest
    assert shop.states() == ["done", *["cached"] * 5]
    assert shop.log() == []


@pytest.mark.parametrize(
    ("change", "states", "why"),
    [
        ("b", "cccdd", "a file to copy changed: b"),
        ("a", "cdddd", "a file to copy changed: a"),
        ("arg", "ccdcd", "an ARG changed: V"),
        ("mode", "cdddd", "a file to copy changed: a"),
        ("label", "ccccc", ""),
    ],
)
def test_what_changed_is_built_and_said(shop: Workshop, change: str, states: str, why: str) -> None:
    shop.write({"a": "1", "b": "2"})
    time.sleep(0.15)
    shop.build(PROGRAM)
    if change in "ab":
        shop.write({change: "other"})
    elif change == "mode":
        (shop.root / "a").chmod(0o600)
    text = PROGRAM.replace("x=1", "x=2") if change == "label" else PROGRAM
    if change == "a":
        text = text.replace("echo $V", "cat a")
    shop.build(text, args=(("V", "2"),) if change == "arg" else ())
    assert "".join(state[0] for state in shop.states()[1:]) == states
    assert shop.board is not None
    assert [step.why for step in shop.board.steps if step.why][:1] == ([why] if why else [])


def test_equal_layers_hide_how_they_came_about(shop: Workshop) -> None:
    """A RUN whose files come out the same does not make those after it run again."""
    shop.write({"a": "1"})
    shop.build("FROM starter\nCOPY a /a\nRUN echo after\n", timestamp=1)
    shop.build("FROM starter\nCOPY a* /a\nRUN echo after\n", timestamp=1)
    assert shop.states() == ["done", "done", "cached"]


def test_images_may_go_and_the_cache_stays(shop: Workshop) -> None:
    shop.write({"a": "1", "b": "2"})
    first = shop.build(PROGRAM)
    store = shop.engine.store
    store.apply_removal(store.plan_removal(["built"], force=False, users={}))
    assert shop.build(PROGRAM).digest == first.digest
    assert set(shop.states()[1:]) == {"cached"}


def test_no_cache_builds_anew(shop: Workshop) -> None:
    shop.build("FROM starter\nRUN echo hi\n")
    shop.build("FROM starter\nRUN echo hi\n", no_cache=True)
    assert shop.log() == ["hi"]


def test_the_same_epoch_gives_the_same_digest(shop: Workshop, tmp_path: Path) -> None:
    text = "FROM starter\nWORKDIR /w\nCOPY . ./\nRUN date >/dev/null; touch /x; mkdir /y\n"
    shop.write({"a": "1"})
    first = shop.build(text, timestamp=1_000_000_000)
    other = make_engine(Paths(str(tmp_path / "other"), str(tmp_path / "run2")), "spawner")
    second_shop = Workshop(other, tmp_path / "second")
    second_shop.write({"a": "1"})
    os.utime(second_shop.root / "a", (2_000_000_000, 2_000_000_000))
    second = second_shop.build(text, timestamp=1_000_000_000)
    other.close()
    assert second.digest == first.digest


# -- mounts --------------------------------------------------------------------------


def test_mounts(shop: Workshop, tmp_path: Path) -> None:
    shop.write({"src/a": "A", "src/b.skip": "B", ".dockerignore": "**/*.skip\n"})
    (tmp_path / "key").write_text("sesame")
    text = (
        "FROM starter AS s\nRUN echo stage >/s\nFROM starter\n"
        "RUN --mount=target=/ctx --mount=from=s,source=/s,target=/one,rw "
        "--mount=type=tmpfs,target=/mem --mount=type=cache,target=/cache "
        "--mount=type=secret,id=k --mount=type=secret,id=k,env=KEY,target=/etc/key,uid=9,mode=0440 "
        "ls /ctx/src; cat /one; echo gone >/one; echo gone >/mem/x; echo kept >>/cache/c; "
        "cat /run/secrets/k; echo; stat -c %a:%u /etc/key; echo $KEY; "
        "touch /ctx/new 2>/dev/null || echo read-only\n"
        "RUN --mount=type=cache,target=/other,id=/cache cat /other/c\n"
    )
    built = shop.build(text, secrets=(Secret("k", str(tmp_path / "key")),))
    assert shop.log() == ["a", "stage", "sesame", "440:9", "sesame", "read-only", "kept"]
    assert shop.tree(built) == {}
    assert "sesame" not in str(shop.engine.store.config(built.digest))


def test_a_secret_that_is_only_a_variable_is_mounted_nowhere(
    shop: Workshop, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("sesame")
    mount = "--mount=type=secret,id=k,env=KEY"
    text = f"FROM starter\nWORKDIR /w\nRUN {mount} echo $KEY; test -e /run/secrets/k || echo none\n"
    shop.build(text, secrets=(Secret("k", str(tmp_path / "key")),))
    assert shop.log() == ["sesame", "none"]


def test_a_locked_cache_is_used_by_one_at_a_time(shop: Workshop) -> None:
    step = (
        "RUN --mount=type=cache,target=/c,sharing=locked "
        "test ! -e /c/in && touch /c/in && sleep 0.3 && rm /c/in"
    )
    shop.build(
        f"FROM starter AS a\n{step}; echo 1\nFROM starter AS b\n{step}; echo 2\n"
        "FROM starter\nCOPY --from=a /etc/passwd /a\nCOPY --from=b /etc/passwd /b\n"
    )
    assert "1" in shop.log()
    assert "2" in shop.log()


# -- errors --------------------------------------------------------------------------


def test_a_failing_run_gives_its_exit_code_and_place(shop: Workshop) -> None:
    with pytest.raises(BuildError) as caught:
        shop.build("FROM starter\nRUN echo before; \\\n  exit 7\nRUN echo never\n")
    assert caught.value.exit_code == 7
    assert "Dockerfile:2:1: RUN echo before; exit 7: exit code 7" in caught.value.message
    assert caught.value.hint.splitlines()[0] == "before"
    assert shop.states() == ["done", "failed", "skipped"]


def test_one_failing_stage_ends_the_others(shop: Workshop) -> None:
    started = time.monotonic()
    with pytest.raises(BuildError):
        shop.build(
            "FROM starter AS a\nRUN sleep 60\nFROM starter AS b\nRUN sleep 0.2; exit 3\n"
            "FROM starter\nCOPY --from=a / /\nCOPY --from=b / /\n"
        )
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    ("dockerfile", "words"),
    [
        ("FROM starter\nCOPY nope /x\n", "Dockerfile:2:1: nope does not exist"),
        ("FROM starter\nCOPY passwd /x\n", "passwd is a link to /etc/passwd, outside the context"),
        ("FROM starter\nCOPY a b /x\n", "2 sources are copied to /x"),
        ("FROM starter\nCOPY [ab] /x\n", "files match and are copied to /x"),
        ("FROM starter\nCOPY a /etc\nCOPY a /etc/a/b\n", "is a file, not a directory"),
        ("FROM starter\nCOPY a /x\nCOPY d /x\n", "Dockerfile:3"),
        ("FROM starter\nCOPY --chown=nobody2 a /x\n", "unable to find user nobody2"),
        ("FROM starter\nCOPY --chmod=rwx a /x\n", "'rwx' is no mode"),
        ("FROM starter\nEXPOSE http\n", "'http' is no port"),
        ("FROM starter\nSTOPSIGNAL SIGNOPE\n", "Dockerfile:2"),
        ("FROM starter\nADD https://x.invalid/y.git /x\n", "git repositories"),
        ("FROM starter\nRUN --mount=type=secret,id=k,required true\n", "secret k was not given"),
        ("FROM starter\nUSER nope\nRUN true\n", "Dockerfile:3:1: RUN true: "),
        ("FROM starter\nCOPY \"<<EOF\" /x\n", "Dockerfile:2:1: <<EOF does not exist"),
        ("FROM starter\nCOPY [\"<<EOF\", \"/x\"]\n", "Dockerfile:2:1: <<EOF does not exist"),
        (f"FROM starter\nCOPY --from={'9' * 5000} a /x\n", "there is no stage 9999"),
        (f"FROM starter\nEXPOSE {'9' * 5000}\n", "is no port"),
    ],
)  # fmt: skip
def test_errors_name_the_line(shop: Workshop, dockerfile: str, words: str) -> None:
    shop.write({"a": "a", "b": "b", "d/x": "x"})
    (shop.root / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(Error) as caught:
        shop.build(dockerfile)
    assert words in caught.value.message


def test_what_only_begins_like_an_archive_is_copied(shop: Workshop) -> None:
    (shop.root / "data").write_bytes(b"\x28\xb5\x2f\xfd no zstd")
    assert "/data" in shop.tree(shop.build("FROM starter\nADD data /\n"))


def test_squashing_hides_what_a_file_hid(tmp_path: Path) -> None:
    """A layer made by itself, COPY --link, has a directory where the one below has a file."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one/d").write_text("in the place of the base's directory")
    (tmp_path / "two/d").mkdir(parents=True)
    (tmp_path / "two/d/new").write_text("new")
    (tmp_path / "target").mkdir()
    squash([str(tmp_path / "one"), str(tmp_path / "two")], str(tmp_path / "target"))
    assert os.listdir(tmp_path / "target/d") == ["new"]
    assert os.getxattr(tmp_path / "target/d", "trusted.overlay.opaque") == b"y"


def test_a_cache_mount_that_a_build_writes_to_has_a_size(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Path(shop.engine.paths.data) / "build/mounts/0123"
    place.mkdir(parents=True)
    (place / "kept").write_bytes(b"x" * 4096)
    walk = os.walk

    def walked(top: str) -> Iterator[tuple[str, list[str], list[str]]]:
        for folder, below, files in walk(top):
            yield folder, below, ["gone", *files]

    monkeypatch.setattr(os, "walk", walked)
    [entry] = [one for one in entries(shop.engine.store, shop.engine.paths) if one.kind == "mount"]
    assert entry.bytes >= 4096


def test_one_looks_into_a_failed_run_at_a_time(shop: Workshop) -> None:
    with pytest.raises(BuildError):
        shop.build("FROM starter\nRUN false\n", keep_failed=True)
    enter = failed.enter(shop.engine, lambda _: None)
    os.rename(f"{failed.folder(shop.engine.paths)}/upper", shop.root / "taken")
    with pytest.raises(InUse, match="another limpet debug"):
        enter(0, 1, 2)


def test_nothing_runs_when_the_last_line_is_wrong(shop: Workshop) -> None:
    with pytest.raises(DockerfileError):
        shop.build("FROM starter\nRUN echo no\nCOPPY a b\n")
    assert shop.log() == []


def test_cancelling_kills_what_runs(shop: Workshop) -> None:
    problems: list[BaseException] = []

    def work() -> None:
        try:
            shop.build("FROM starter\nRUN echo started; sleep 1000\n")
        except Cancelled as error:
            problems.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: shop.board and "started" in shop.log())
    shop.engine.jobs.all()[-1].cancel()
    thread.join(40)
    assert len(problems) == 1


def test_a_stage_that_came_to_the_same_changes_nothing_after_it(shop: Workshop) -> None:
    text = (
        "FROM starter AS a\nRUN echo {0} >/log; mkdir /d; echo same >/d/out\n"
        "FROM starter\nCOPY --from=a /d /d\nRUN echo after\n"
    )
    shop.build(text.format("one"))
    shop.build(text.format("two"))
    assert shop.states() == ["done", "done", "done", "cached", "cached"]
    shop.build(text.format("two"))
    assert set(shop.states()) == {"done", "cached"}
    shop.build(text.format("two").replace("same", "other"))
    assert shop.states()[3:] == ["done", "done"]


def test_the_check_directive(shop: Workshop) -> None:
    text = "FROM starter\nCMD echo hi\nMAINTAINER me\n"
    assert len(shop.build(text).warnings) == 2
    assert len(shop.build(f"# check=skip=JSONArgsRecommended\n{text}").warnings) == 1
    assert shop.build(f"# check=skip=all\n{text}").warnings == ()
    with pytest.raises(DockerfileError, match="JSON list"):
        shop.build(f"# check=error=true\n{text}")


def test_links_of_an_image_lead_nowhere_else(shop: Workshop, tmp_path: Path) -> None:
    """Targets, sources and user files of a hostile image are looked up inside it alone."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "passwd").write_text("mallory:x:4711:4711::/:/bin/sh\n")
    (outside / "secret").write_text("of the host")
    up = "../" * 30
    shop.write({"a": "a"})
    import tarfile

    with tarfile.open(shop.root / "t.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("unpacked"))
    shop.build(
        f"FROM starter\nRUN ln -s {up}{outside} /rel && ln -s {outside} /abs && rm /etc/passwd"
        f" && ln -s {outside}/passwd /etc/passwd\n",
        tags=("docker.io/library/hostile:latest",),
    )
    shop.build(
        "FROM hostile\nCOPY a /rel/x\nCOPY a /abs/y\nADD t.tar /abs/\nWORKDIR /abs/work\n"
        "RUN --mount=target=/rel/mounted true\n"
    )
    assert sorted(path.name for path in outside.iterdir()) == ["passwd", "secret"]
    with pytest.raises(DockerfileError, match="unable to find user mallory"):
        shop.build("FROM hostile\nCOPY --chown=mallory a /z\n")
    with pytest.raises(DockerfileError, match="does not exist"):
        shop.build("FROM starter\nCOPY --from=hostile /abs/secret /s\n")


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Give the URL of a server that says this to whoever asks, once."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def test_add_fetches_files(shop: Workshop, tmp_path: Path) -> None:
    import functools
    import hashlib
    import http.server

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    (tmp_path / "web").mkdir()
    (tmp_path / "web/file.txt").write_text("fetched")
    os.utime(tmp_path / "web/file.txt", (1_000_000_000, 1_000_000_000))
    digest = hashlib.sha256(b"fetched").hexdigest()
    handler = functools.partial(Quiet, directory=str(tmp_path / "web"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            known = f"FROM starter\nARG SUM=sha256:{digest}\n"
            sure = f"{known}ADD --checksum=$SUM {url}/file.txt /e\n"
            tree = shop.tree(shop.build(f"{sure}ADD {url}/file.txt /d/\n"))
            assert tree["/d/file.txt"] == "file 600 0:0 'fetched'"
            assert tree["/e"] == "file 600 0:0 'fetched'"
            with pytest.raises(DockerfileError, match="has the digest"):
                shop.build(f"FROM starter\nADD --checksum=sha256:{'0' * 64} {url}/file.txt /e\n")
            with pytest.raises(DockerfileError, match="64 hexadecimal digits"):
                shop.build(f"FROM starter\nADD --checksum=sha256:00 {url}/file.txt /e\n")
            with pytest.raises(BuildError, match="404"):
                shop.build(f"FROM starter\nADD {url}/none /e\n")
            for answer in (
                b"nonsense\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            ):
                with answering(answer) as odd, pytest.raises(Unreachable, match=odd):
                    shop.build(f"FROM starter\nADD {odd}/x /e\n")
            gc.collect()  # an answer that was left open is told of, which fails the test
        finally:
            server.shutdown()
            thread.join()
    shop.build(sure)
    assert shop.states() == ["done", "cached"]
    with pytest.raises(Error, match="refused"):
        shop.build(f"FROM starter\nADD {url}/file.txt /e\n")
