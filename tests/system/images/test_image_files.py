"""Files of images are found, compared, judged: by the indexes that unpacking and commit made."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.commands import find as find_verb
from core.commands.grammar import parse
from core.commands.result import Table, Text
from core.config import Config
from core.engine import Engine
from core.errors import InUse, NotFound, UsageError
from core.images.assemble import make_image
from core.images.files.find import find
from core.images.packing.layer_writer import WrittenLayer, write_layer
from core.paths import Paths
from tests.containers import options, reap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


@pytest.fixture
def engine(paths: Paths) -> Iterator[Engine]:
    made = Engine(paths, Config())
    yield made
    made.close()
    reap()


class Maker:
    """Makes images of layers given as files by path; None is a whiteout."""

    def __init__(self, engine: Engine, place: Path) -> None:
        self.engine = engine
        self.place = place
        self.count = 0

    def layer(self, files: dict[str, bytes | None], modes: dict[str, int] | None = None
              ) -> WrittenLayer:  # fmt: skip
        import os

        self.count += 1
        root = self.place / f"made-{self.count}"
        root.mkdir()
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                os.mknod(path, 0o20000, 0)
            else:
                path.write_bytes(content)
        for name, mode in (modes or {}).items():
            (root / name).chmod(mode)
        return write_layer(self.engine.store, str(root), adopt=True)

    def image(self, name: str, *layers: WrittenLayer, **settings: Any) -> None:
        described = [(layer.descriptor, layer.diff_id) for layer in layers]
        config = {"config": settings}
        make_image(self.engine.store, config, described, [self.engine.reference(name).canonical])


@pytest.fixture
def maker(engine: Engine, tmp_path: Path) -> Maker:
    return Maker(engine, tmp_path)


def table(engine: Engine, line: str) -> Table:
    verb, words = find_verb(line.split())
    result = verb.run(engine, parse(verb, words))
    assert isinstance(result, Table)
    return result


def paths_of(engine: Engine, pattern: str) -> list[str]:
    return [hit.path for hit in find(engine.paths, engine.database, pattern)]


def test_find(engine: Engine, maker: Maker) -> None:
    base = maker.layer({"etc/passwd": b"root", "usr/lib/libssl.so.3": b"ssl", "b": b"same",
                        "usr/lib/not-libssl.so.3": b"", "a/b": b"same"})  # fmt: skip
    top = maker.layer({"etc/passwd": None, "etc/ssl/x.conf": b"c", "new\udcff": b"odd"})
    maker.image("app:1", base, top)
    maker.image("base:1", base)
    hits = find(engine.paths, engine.database, "libssl.so.3")
    assert [(hit.path, hit.size, hit.kind, hit.layer) for hit in hits] == [
        ("usr/lib/libssl.so.3", 3, "file", base.diff_id)
    ]
    assert set(hits[0].images) == {"app:1", "base:1"}
    passwd = find(engine.paths, engine.database, "passwd")
    assert {(hit.kind, hit.layer) for hit in passwd} == {
        ("file", base.diff_id), ("whiteout", top.diff_id),
    }  # fmt: skip
    assert paths_of(engine, "b") == ["a/b", "b"]
    assert paths_of(engine, "a/b") == ["a/b"]
    assert paths_of(engine, "/lib/libssl.so.3") == ["usr/lib/libssl.so.3"]
    assert paths_of(engine, "*libssl*") == ["usr/lib/libssl.so.3", "usr/lib/not-libssl.so.3"]
    assert paths_of(engine, "libssl.so.[0-9]") == ["usr/lib/libssl.so.3"]
    assert paths_of(engine, "etc/*.conf") == ["etc/ssl/x.conf"]
    assert paths_of(engine, "new*") == ["new\udcff"]
    assert paths_of(engine, "?") == ["a", "a/b", "b"]
    assert len(paths_of(engine, "*")) == base.files + top.files
    assert paths_of(engine, "nothing") == paths_of(engine, "*nothing*") == []
    digest = hits[0].digest
    assert paths_of(engine, f"sha256:{digest}") == paths_of(engine, digest)
    assert paths_of(engine, f"sha256:{digest[:9]}") == ["usr/lib/libssl.so.3"]
    same = next(hit.digest for hit in find(engine.paths, engine.database, "a/b"))
    assert paths_of(engine, f"sha256:{same}") == ["a/b", "b"]
    for wrong in ("sha256:12", "sha256:xyzxyzxyz", "", "/"):
        with pytest.raises(UsageError):
            find(engine.paths, engine.database, wrong)
    shown = table(engine, "image find libssl.so.3")
    assert shown.rows[0]["Path"] == "/usr/lib/libssl.so.3"


def test_diff_of_images(engine: Engine, maker: Maker) -> None:
    base = maker.layer({"same": b"1", "changed": b"1", "mode": b"m", "gone/x": b"12", "dir/f": b""})
    one = maker.layer({"only-one": b"123"})
    two = maker.layer(
        {"changed": b"22", "mode": b"m", "gone": None, "dir": b"file", "new/deep": b"n"},
        {"mode": 0o755},
    )
    maker.image("app:1", base, one, Env=["A=1", "B=2"], Cmd=["sh"], Labels={"x": "1"})
    maker.image("app:2", base, two, Env=["A=2", "C=3"], Cmd=["sh"], ExposedPorts={"80/tcp": {}})
    rows = table(engine, "image diff app:1 app:2").rows
    files = {row["Path"]: (row["Status"], row["What"]) for row in rows if row["Kind"] == "file"}
    assert files == {
        "/changed": ("C", "content"), "/mode": ("C", "mode 0644 → 0755"),
        "/gone": ("D", "dir"), "/gone/x": ("D", "file"), "/dir": ("C", "type dir → file"),
        "/dir/f": ("D", "file"), "/new": ("A", "dir"), "/new/deep": ("A", "file"),
        "/only-one": ("D", "file"),
    }  # fmt: skip
    config = {row["Path"]: (row["Status"], row["What"]) for row in rows if row["Kind"] == "config"}
    assert config == {
        "Env A": ("C", "1 → 2"), "Env B": ("D", "2"), "Env C": ("A", "3"),
        "Label x": ("D", "1"), "Port 80/tcp": ("A", "yes"),
    }  # fmt: skip
    sizes = {row["Path"]: row["Size"] for row in rows}
    assert (sizes["/changed"], sizes["/only-one"], sizes["/mode"]) == ("+1B", "-3B", "")
    assert table(engine, "image diff app:1 app:1").rows == ()
    only = table(engine, "image diff --only A --type files app:1 app:2").rows
    assert [row["Path"] for row in only] == ["/new", "/new/deep"]
    layer = table(engine, f"image diff {one.diff_id} {two.diff_id}").rows
    assert {row["Status"] for row in layer} == {"A", "D"}
    # As history and find show them.
    assert table(engine, f"image diff {one.diff_id[7:19]} {two.diff_id[7:19]}").rows == layer
    with pytest.raises(NotFound, match="no image, container or layer"):
        table(engine, "image diff app:1 nobody")


def test_diff_of_a_container(engine: Engine) -> None:
    engine.images.make_starter().result()
    container = engine.containers.create(
        options("sh", "-c", "echo x > /new; rm -r /home; ln /new /same")
    )
    try:
        engine.containers.start(container)
        engine.containers.wait(container)
        rows = table(engine, f"image diff --type files starter {container}").rows
        found = {row["Path"]: row["Status"] for row in rows}
        assert found.items() >= {"/new": "A", "/same": "A", "/home": "D"}.items()
        assert "/bin/busybox" not in found
    finally:
        engine.containers.rm(container)


def test_check_counts_as_dive_does(engine: Engine, maker: Maker) -> None:
    base = maker.layer({"big": b"1" * 1000, "small": b"1" * 10})
    again = maker.layer({"big": b"2" * 1000})
    gone = maker.layer({"small": None})
    maker.image("app:1", base, again, gone)
    shown = table(engine, "image check --max-wasted 2kB --min-efficiency 0.49 app:1")
    values = {row["Rule"]: (row["Value"], row["Result"]) for row in shown.rows}
    # 2,010 bytes are stored, 1,000 and none are needed of the two paths set twice.
    assert values["efficiency"] == ("0.4975", "PASS")
    assert values["wasted bytes"] == ("2.01kB", "FAIL")
    assert shown.code == 1
    assert [row["Result"] for row in shown.rows[3:]] == ["/big", "/small"]
    assert table(engine, "image check --max-wasted 3kB app:1").code == 0
    assert table(engine, "image check --min-efficiency 50% app:1").code == 1
    assert table(engine, "image check --max-wasted-share 0.1 app:1").code == 1
    assert table(engine, "image check app:1").code == 0
    with pytest.raises(UsageError, match="is no share"):
        table(engine, "image check --min-efficiency 7 app:1")


def test_hints(engine: Engine, maker: Maker) -> None:
    base = maker.layer(
        {"root/.ssh/id_rsa": b"k", "bin/su": b"s", "etc/ssl/certs/ca.pem": b"c", "app/key.pub": b"",
         "app/.env": b"A=1", "app/server.key": b"k", "opt/tool": b"t"},
        {"bin/su": 0o4755, "opt/tool": 0o4644},
    )  # fmt: skip
    top = maker.layer({"app/server.key": None})
    described = [(layer.descriptor, layer.diff_id) for layer in (base, top)]
    config = {
        "config": {"Env": ["PATH=/bin", "DB_PASSWORD=hunter2", "TOKEN_FILE=/run/x", "SECRET=",
                           "KEY=ghp_012345678901234567890123"]},
        "history": [{"created_by": "RUN curl -H x https://me:secret@host/x"},
                    {"created_by": "ARG API_KEY=abcdef"}, {"created_by": "RUN echo hello"}],
    }  # fmt: skip
    make_image(engine.store, config, described, [engine.reference("app:1").canonical])
    rows = table(engine, "image hints app:1").rows
    found = {(row["Kind"], row["Subject"]): row["Hint"] for row in rows}
    assert set(found) == {
        ("env", "DB_PASSWORD"), ("env", "KEY"), ("user", "root"),
        ("history", "RUN curl -H x https://me:secret@host/x"),
        ("history", "ARG API_KEY=abcdef"), ("setuid", "/bin/su"),
        ("file", "/root/.ssh/id_rsa"), ("file", "/app/.env"), ("removed file", "/app/server.key"),
    }  # fmt: skip
    assert "GitHub" in found["env", "KEY"]
    assert "removed in layer 2" in found["removed file", "/app/server.key"]


def test_filters_of_images(engine: Engine, maker: Maker) -> None:
    base = maker.layer({"a": b"1"})
    maker.image("team/app:1", base, Labels={"is": "old"})
    maker.image("team/app:2", base, Labels={"is": "new", "more": ""})
    maker.image("web:1", base)
    engine.store.untag(engine.reference("web:1").canonical)

    def shown(*filters: str) -> list[str]:
        words = " ".join(f"--filter {one}" for one in filters)
        rows = table(engine, f"images {words}").rows
        return sorted(f"{row['Repository']}:{row['Tag']}" for row in rows)

    assert shown("dangling=true") == ["<none>:<none>"]
    assert shown("dangling=false") == shown("reference=team/*") == ["team/app:1", "team/app:2"]
    named = table(engine, "images team/*").rows
    assert {f"{row['Repository']}:{row['Tag']}" for row in named} == {"team/app:1", "team/app:2"}
    assert [row["Tag"] for row in table(engine, "images *:2").rows] == ["2"]
    assert table(engine, "images team/ap").rows == ()
    assert shown("label=is") == ["team/app:1", "team/app:2"]
    assert shown("label=is=new", "label=more") == ["team/app:2"]
    assert shown("reference=*:1", "reference=nothing") == ["team/app:1"]
    assert shown("label!=is") == ["<none>:<none>"]
    assert len(shown("until=2000-01-01")) == 3  # they say that they were made at the epoch
    assert shown("since=team/app:1") == shown("before=team/app:1") == []
    for wrong in ("x=1", "dangling=maybe", "label", "until=never"):
        with pytest.raises(UsageError):
            shown(wrong)


def test_a_tree_says_what_a_layer_did(engine: Engine, maker: Maker) -> None:
    below = maker.layer({"etc/old": b"12", "etc/both": b"1"}, {"etc": 0o755, "etc/both": 0o600})
    above = maker.layer({"etc/old": None, "etc/both": b"123", "new": b"1"},
                        {"etc": 0o755, "etc/both": 0o644, "new": 0o640})  # fmt: skip
    maker.image("app:1", below, above)
    verb, words = find_verb(["image", "browse", "--layer", "2", "app:1"])
    shown = verb.run(engine, parse(verb, words))
    assert isinstance(shown, Text)
    assert shown.text.split("\n\n")[1].splitlines() == [
        "  0755 0:0          3B  etc/",
        "~ 0644 0:0          3B    both",
        "-                         old",
        "+ 0640 0:0          1B  new",
    ]


def test_a_file_is_shown_by_its_path(engine: Engine, maker: Maker) -> None:
    maker.image("app:1", maker.layer({"etc/name": b"123"}, {"etc/name": 0o640}))
    verb, words = find_verb(["image", "browse", "app:1", "/etc/name"])
    shown = verb.run(engine, parse(verb, words))
    assert isinstance(shown, Text)
    assert shown.text.split("\n\n")[1] == "+ 0640 0:0          3B  name"
    verb, words = find_verb(["image", "browse", "--layer", "-1", "app:1"])
    with pytest.raises(NotFound, match="no layer -1"):
        verb.run(engine, parse(verb, words))


def test_the_layer_of_a_container_says_whose_it_is(engine: Engine) -> None:
    engine.images.make_starter().result()
    container = engine.containers.create(options("true", name="web"))
    try:
        verb, words = find_verb(["image", "browse", "web"])
        shown = verb.run(engine, parse(verb, words))
        assert isinstance(shown, Text)
        assert "   2       0B  what web wrote\n" in shown.text
    finally:
        engine.containers.rm(container)


def test_an_image_that_is_packed_in_two_ways_has_one_id(
    engine: Engine, maker: Maker, tmp_path: Path
) -> None:
    """A registry may have the same image with gzip and with zstd."""
    (tmp_path / "made").mkdir()
    (tmp_path / "made/file").write_bytes(b"1" * 1000)
    for kind in ("gzip", "zstd"):
        written = write_layer(engine.store, str(tmp_path / "made"), compression=kind)
        maker.image(f"app:{kind}", written)
    one, other = (engine.store.resolve(f"app:{kind}") for kind in ("gzip", "zstd"))
    assert one.digest != other.digest
    assert one.config_digest == other.config_digest
    assert engine.store.resolve(one.config_digest[7:19]).config_digest == one.config_digest


def test_a_forced_rmi_leaves_the_image_that_a_container_needs(engine: Engine) -> None:
    engine.images.make_starter().result()
    container = engine.containers.create(options("true", name="web"))
    try:
        info = engine.store.resolve("starter")

        def rmi(*words: str) -> None:
            users = engine.images.users()
            plan = engine.store.plan_removal([words[-1]], force="-f" in words, users=users)
            engine.store.apply_removal(plan, engine.trash.open("rmi"))

        with pytest.raises(InUse, match="used by container web") as caught:
            rmi("starter")
        assert caught.value.hint == "rm web first; rmi -f starter takes its names alone"
        rmi("-f", "starter")
        assert engine.store.resolve(info.digest).tags == ()
        engine.containers.start(container)
        assert engine.containers.wait(container) == 0
        # Without a name there is nothing to take but the image.
        with pytest.raises(InUse) as caught:
            rmi("-f", info.digest)
        assert caught.value.hint == "rm web first"
        engine.trash.undo("")
        assert engine.store.resolve("starter").digest == info.digest
    finally:
        engine.containers.rm(container)


def test_files_of_a_layer(engine: Engine, maker: Maker) -> None:
    maker.image("app:1", maker.layer({"one": b"1"}), maker.layer({"two": b"2"}))
    assert [row["Path"] for row in table(engine, "image files --layer 2 app:1").rows] == ["two"]
    for number in (3, -1):
        with pytest.raises(NotFound, match=f"app:1 has no layer {number}") as caught:
            table(engine, f"image files --layer={number} app:1")
        assert caught.value.hint == "it has 2 layers"
    with pytest.raises(NotFound, match="app:1 has no layer 3"):
        table(engine, "image browse --layer=3 app:1")
