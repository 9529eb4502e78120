"""Containers become images and archives."""

from __future__ import annotations

import io
import os
import tarfile
import threading
from pathlib import Path

import pytest

from core.containers.files.commit import CommitOptions
from core.engine import Engine
from core.errors import ImageError, NotFound, UsageError
from tests.containers import options, run, shell, until

TYPE_CHECKING = False


def made(engine: Engine, script: str, **changes: object) -> str:
    """Run a script in a container and return its ID."""
    container = engine.containers.create(shell(script, **changes))
    engine.containers.start(container)
    engine.containers.wait(container)
    return container


def output(engine: Engine, image: str, script: str) -> bytes:
    asked = options("sh", "-c", script, auto_remove=True).replace(image=image)
    code, out, err = run(engine.containers.run(asked))
    assert code == 0, err
    return out


def test_commit_keeps_what_the_container_did(engine: Engine) -> None:
    script = "echo hello > /etc/note; chmod 600 /etc/note; rm -r /home; ln /etc/note /same"
    container = made(engine, script, env=("A=1", "PATH=/bin"), labels=(("one", "1"),))
    name = engine.reference("made:1").canonical
    info = engine.images.commit(
        container,
        CommitOptions((name,), "why", "me <me@there>", ('CMD ["cat", "/etc/note"]', "ENV B=2",
                                                        "EXPOSE 80 90/udp", "LABEL two='2 2'")),
    ).result()  # fmt: skip
    assert info.tags == ("docker.io/library/made:1",) or info.tags == ("made:1",)
    config = engine.store.config(info.digest)
    assert config["config"]["Env"] == ["PATH=/bin", "A=1", "B=2"]
    assert config["config"]["Cmd"] == ["cat", "/etc/note"]
    assert config["config"]["ExposedPorts"] == {"80/tcp": {}, "90/udp": {}}
    assert config["config"]["Labels"] == {"one": "1", "two": "2 2"}
    assert config["author"] == "me <me@there>"
    assert config["history"][-1]["comment"] == "why"
    assert [layer.files > 0 for layer in engine.store.history(info.digest)] == [True, True]
    top = engine.store.layers.files(engine.store.history(info.digest)[-1].diff_id)
    # Not what was made to mount resolv.conf and hosts on.
    assert sorted(entry.path for entry in top) == ["etc", "etc/note", "home", "same"]
    code, out, _ = run(engine.containers.run(options(auto_remove=True).replace(image="made:1")))
    assert (code, out) == (0, b"hello\n")
    seen = output(engine, "made:1", "ls /home /same 2>&1; stat -c '%a %h' /same; true")
    assert b"/home: No such file" in seen
    assert b"600 2\n" in seen
    again = engine.images.commit(made(engine, "true"), CommitOptions()).result()
    assert again.tags == ()


def test_a_running_container_is_frozen_meanwhile_and_goes_on(engine: Engine) -> None:
    container = engine.containers.create(shell("i=0; while :; do i=$((i+1)); echo $i > /n; done"))
    engine.containers.start(container)
    for pause in (True, False):
        info = engine.images.commit(container, CommitOptions(pause=pause)).result()
        assert engine.containers.resolve(container).state == "running"
        assert info.layers == 2
    before = engine.containers.resolve(container)
    number = Path(f"{engine.paths.container(before.id)}/upper/n")
    first = number.read_bytes()
    until(lambda: number.read_bytes() not in (first, b""))


def test_failures_leave_nothing(engine: Engine) -> None:
    container = made(engine, "touch /.wh.x")
    layers = os.listdir(engine.paths.layers)
    blobs = sorted(os.listdir(engine.paths.blobs + "/sha256"))
    with pytest.raises(ImageError, match="cannot hold a file of this name"):
        engine.images.commit(container, CommitOptions()).result()
    with pytest.raises(UsageError, match="no change of a config"):
        engine.images.commit(container, CommitOptions(changes=("FROM x",))).result()
    with pytest.raises(NotFound):
        engine.images.commit("nobody", CommitOptions()).result()
    assert os.listdir(engine.paths.layers) == layers
    assert sorted(os.listdir(engine.paths.blobs + "/sha256")) == blobs
    assert os.listdir(engine.paths.partial) == []


def exported(engine: Engine, container: str) -> bytes:
    out, into = os.pipe()
    found: list[bytes] = []

    def read() -> None:
        with open(out, "rb") as file:
            found.append(file.read())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        engine.files.export(container, into)
    finally:
        os.close(into)
        reader.join()
    return found[0]


@pytest.mark.parametrize("running", [False, True])
def test_export(engine: Engine, running: bool) -> None:
    script = (
        "echo hello > /etc/note; ln /etc/note /same; rm -r /home; mkdir -p /d/e; echo x>/proc/x"
    )
    script += "; exec sleep 1000" if running else ""
    container = engine.containers.create(shell(script))
    engine.containers.start(container)
    upper = f"{engine.paths.container(container)}/upper"
    until(lambda: os.path.exists(f"{upper}/d/e"))
    if not running:
        engine.containers.wait(container)
    with tarfile.open(fileobj=io.BytesIO(exported(engine, container))) as tar:
        names = tar.getnames()
        assert {"etc/note", "same", "d/e", "bin/sh", "proc"} <= set(names)
        assert "home" not in names
        assert not [name for name in names if name.startswith("proc/")]
        note = tar.extractfile("same")
        assert note is not None
        assert note.read() == b"hello\n"
        assert tar.getmember("same").islnk()
    assert names == sorted(names, key=lambda name: name.split("/"))
