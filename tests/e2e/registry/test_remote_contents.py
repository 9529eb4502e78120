"""Files of an image that is only in a registry are searched and brought out, without a pull."""

from __future__ import annotations

import gzip
import os
import random
import tarfile
import threading
from pathlib import Path

import pytest

from core.commands import find
from core.commands.grammar import parse
from core.commands.result import Running, Table, Text
from core.config import Config
from core.engine import Engine
from core.errors import Cancelled, Conflict, Corrupt, HostError, ImageError, NotFound, UsageError
from core.images.files.compare import Tree
from core.paths import Paths
from tests.fixture_images import Registry, write_oci_layout
from tests.layers import archive, directory, entry, hardlink, symlink
from tui.screens.layers.contents import LayerContents
from tui.views.layer_sources import RemoteSource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.images.files.file_tree import Row

NOISE = random.Random(3).randbytes(6 << 20)
LAYERS = (
    archive(directory("etc"), entry("etc/conf", content=b"a\nthe First key\n", mode=0o640),
            hardlink("etc/again", "etc/conf"), symlink("etc/link", "conf"),
            entry("etc/old", content=b"first, and gone"), entry("large", content=NOISE)),
    archive(entry("etc/.wh.old"), entry("etc/other", content=b"x" * 300_000 + b"the first")),
    archive(directory("srv"), entry("srv/late", content=NOISE[:100_000] + b"first")),
)  # fmt: skip
ODD = (
    archive(directory("d"), entry("f", content=b"shown in vain"), hardlink("h", "f"),
            hardlink("h2", "h"), entry("f", content=b"the last"), entry("d/x", content=b"went"),
            entry("d", content=b"a file"), directory("d"), entry("d/x", content=b"came"),
            entry("kept", content=b"stays"), entry(".wh.kept"), hardlink("kept", "kept"),
            entry("l", content=b"no link"), hardlink("l", "f")),
)  # fmt: skip
"""Names that stand for more than one content."""
LINKED = (
    archive(directory("d"), entry("d/f", content=b"content"), hardlink("d/f2", "d/f"),
            symlink("d/s", "f"), hardlink("d/s2", "d/s"), hardlink("d/s3", "d/s2"),
            entry("d/pipe", b"6"), hardlink("d/pipe2", "d/pipe"),
            entry("d/null", b"3", devmajor=1, devminor=3), hardlink("d/null2", "d/null")),
    archive(entry("d/s", content=b"a file above")),
)  # fmt: skip
"""Hard links to what has no content."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, isolated: None) -> Iterator[Registry]:
    place = tmp_path_factory.mktemp("served")
    with Registry(place / "registry") as served:
        served.push(write_oci_layout(place / "layout", LAYERS), "app:1")
        served.push(write_oci_layout(place / "odd", ODD), "odd:1")
        served.push(write_oci_layout(place / "linked", LINKED), "linked:1")
        yield served


@pytest.fixture
def name(registry: Registry) -> str:
    return f"{registry.host}/app:1"


@pytest.fixture
def engine(paths: Paths) -> Iterator[Engine]:
    made = Engine(paths, Config())
    yield made
    made.close()


def said(engine: Engine, *words: str) -> Table | Text:
    verb, rest = find(["image", "browse", *words])
    result = verb.run(engine, parse(verb, rest))
    assert isinstance(result, Running)
    shown = result.show(result.job.result())
    assert isinstance(shown, (Table, Text))
    return shown


def hits(engine: Engine, *words: str) -> dict[str, str]:
    shown = said(engine, *words)
    assert isinstance(shown, Table)
    return {row["Path"]: row["Line"] for row in shown.rows}


@pytest.mark.parametrize("where", ["registry", "here"])
def test_search_and_extract(engine: Engine, name: str, tmp_path: Path, where: str) -> None:
    remote = ["--remote"]
    if where == "here":
        engine.images.pull(name).result()
        remote = []
    found = hits(engine, *remote, "--search", "first", name)
    assert list(found) == ["/etc/conf", "/etc/other", "/srv/late"]
    assert found["/etc/conf"] == "the First key"
    assert found["/etc/other"].endswith("xxthe first")
    assert list(hits(engine, *remote, "--search", "First", name)) == ["/etc/conf"]
    assert list(hits(engine, *remote, "--search", "first", name, "/etc")) == [
        "/etc/conf", "/etc/other",
    ]  # fmt: skip
    below = hits(engine, *remote, "--layer", "1", "--search", "first", name)
    assert list(below) == ["/etc/conf", "/etc/old"]
    nothing = said(engine, *remote, "--search", "nowhere", name)
    assert isinstance(nothing, Table)
    assert nothing.code == 1

    out = tmp_path / "late"
    assert said(engine, *remote, "--extract", str(out), name, "srv/late") == Text(
        "100kB written to " + str(out)
    )
    assert out.read_bytes() == NOISE[:100_000] + b"first"
    assert out.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Conflict, match="exists already"):
        said(engine, *remote, "--extract", str(out), name, "srv/late")
    with pytest.raises(HostError, match="cannot be written"):
        said(engine, *remote, "--extract", str(tmp_path / "no/where"), name, "srv/late")
    said(engine, *remote, "--extract", str(tmp_path / "all.tar"), name)
    with tarfile.open(tmp_path / "all.tar") as tar:
        kinds = {member.name: member.type for member in tar}
        assert kinds == {
            "etc": tarfile.DIRTYPE, "srv": tarfile.DIRTYPE, "etc/link": tarfile.SYMTYPE,
            "etc/again": tarfile.REGTYPE, "etc/conf": tarfile.LNKTYPE, "etc/other": tarfile.REGTYPE,
            "large": tarfile.REGTYPE, "srv/late": tarfile.REGTYPE,
        }  # fmt: skip
        for path, content in (("large", NOISE), ("etc/conf", b"a\nthe First key\n")):
            file = tar.extractfile(path)
            assert file is not None
            assert file.read() == content
        assert tar.getmember("etc/conf").mode == 0o640
    with pytest.raises(NotFound, match="has no nowhere"):
        said(engine, *remote, "--extract", str(tmp_path / "no"), name, "nowhere")
    with pytest.raises(UsageError, match="do not go together"):
        said(engine, "--search", "a", "--extract", "b", name)
    assert not (tmp_path / "no").exists()
    if remote:
        assert engine.images.list() == []
        assert not list(Path(engine.paths.data).glob("blobs/*/*"))


def browsed(engine: Engine, name: str) -> tuple[LayerContents, RemoteSource]:
    """Return what the browser has of an image once it has read its layers."""
    source = RemoteSource(engine, name)
    contents = LayerContents(source)
    for news in contents.read(threading.Event()):
        contents.take(news)
    return contents, source


def row_of(contents: LayerContents, path: str) -> Row:
    from core.images.files.file_tree import Row

    node = contents.stack.image_tree(len(contents.stack) - 1)
    for part in path.split("/"):
        node = node.children[part]
    return Row(path, 0, node, False)


def test_the_browser_reads_only_the_layers_it_needs(
    engine: Engine, name: str, tmp_path: Path
) -> None:
    contents, _ = browsed(engine, name)
    assert [hit.path for hit in contents.search("the first", 1, lambda: False)] == [
        "etc/conf", "etc/other",
    ]  # fmt: skip
    said = contents.extract(row_of(contents, "srv"), 2, str(tmp_path / "srv.tar"))
    assert said == f"2 entries written to {tmp_path}/srv.tar"
    with tarfile.open(tmp_path / "srv.tar") as tar:
        assert tar.getnames() == ["srv", "srv/late"]
    [item] = engine.jobs.all()[-1].snapshot().items
    assert (item.note, item.done == item.total) == ("done", True)


def test_another_content_than_before_is_refused(engine: Engine, tmp_path: Path) -> None:
    """Of a layer that is read anew only a part comes, so its own digest is not there to tell."""
    layers = [archive(entry("bin", content=b"honest, "), entry("z"))]
    with Registry(tmp_path / "registry") as registry:
        registry.push(write_oci_layout(tmp_path / "layout", layers), "two-faced:1")
        contents, source = browsed(engine, f"{registry.host}/two-faced:1")
        row = row_of(contents, "bin")
        blob = next(filter(is_gzip, (tmp_path / "registry/content").glob("**/sha256/*/*/data")))
        blob.write_bytes(gzip.compress(archive(entry("bin", content=b"hostile!"), entry("z"))))
        with pytest.raises(Corrupt, match="/bin is not what it was"):
            os.close(contents.opener("bin", 0)())
        with pytest.raises(Corrupt, match="/bin is not what it was"):
            contents.extract(row, 0, str(tmp_path / "bin"))
        with pytest.raises(Corrupt, match="/bin is not what it was"):
            contents.search("hostile", 0, lambda: False)
        assert not (tmp_path / "bin").exists()
        source.stop()


def is_gzip(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x1f\x8b")


def test_a_search_can_be_ended(engine: Engine, name: str, tmp_path: Path) -> None:
    contents, source = browsed(engine, name)

    def stop() -> bool:
        source.cancel()
        return False

    with pytest.raises(Cancelled):
        contents.search("nowhere", 2, stop)
    target = tmp_path / "all.tar"
    job = engine.files.remote_contents(
        name, [("sha256:" + "0" * 64, "x")], lambda found: list(found), tree=Tree(name, (), {})
    )
    with pytest.raises(NotFound, match="no longer has this layer"):
        job.result()
    source.stop()
    with pytest.raises(Cancelled):
        contents.extract(row_of(contents, "etc"), 2, str(target))
    assert not target.exists()


def test_content_is_that_of_the_entry_that_is_shown(
    engine: Engine, registry: Registry, tmp_path: Path
) -> None:
    name = f"{registry.host}/odd:1"
    wanted = {"f": b"the last", "h": b"shown in vain", "h2": b"shown in vain", "d/x": b"came",
              "kept": b"stays", "l": b"the last"}  # fmt: skip
    contents, source = browsed(engine, name)
    for path, content in wanted.items():
        with os.fdopen(contents.opener(path, 0)(), "rb") as file:
            assert file.read() == content, path
    said(engine, "--remote", "--extract", str(tmp_path / "remote.tar"), name)
    assert contents_of(tmp_path / "remote.tar") == wanted
    assert list(hits(engine, "--remote", "--search", "shown", name)) == ["/h"]
    found = source.files(contents.layers[0].diff_id)

    engine.images.pull(name).result()
    said(engine, "--extract", str(tmp_path / "here.tar"), name)
    assert contents_of(tmp_path / "here.tar") == wanted
    assert sorted(map(str, found)) == sorted(map(str, engine.files.tree(name).layers[0][1]))


@pytest.mark.parametrize("where", ["registry", "here"])
def test_hard_links_to_what_has_no_content_are_extracted_as_that(
    engine: Engine, registry: Registry, tmp_path: Path, where: str
) -> None:
    name, out = f"{registry.host}/linked:1", tmp_path / "d.tar"
    remote = ["--remote"] if where == "registry" else []
    if not remote:
        engine.images.pull(name).result()
    assert said(engine, *remote, "--extract", str(out), name, "d") == Text(
        f"8 entries written to {out}"
    )
    with tarfile.open(out) as tar:
        assert {member.name: (member.type, member.linkname) for member in tar} == {
            "d": (tarfile.DIRTYPE, ""), "d/f": (tarfile.REGTYPE, ""),
            "d/f2": (tarfile.LNKTYPE, "d/f"), "d/s": (tarfile.REGTYPE, ""),
            "d/s2": (tarfile.SYMTYPE, "f"), "d/s3": (tarfile.SYMTYPE, "f"),
            "d/pipe": (tarfile.FIFOTYPE, ""), "d/pipe2": (tarfile.FIFOTYPE, ""),
        }  # fmt: skip
    with pytest.raises(NotFound, match="/d/s3 has no content"):
        said(engine, *remote, "--extract", str(tmp_path / "no"), name, "d/s3")


def contents_of(archive: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if not member.isdir():
                file = tar.extractfile(member)
                assert file is not None
                found[member.name] = file.read()
    return found


def test_more_files_than_there_is_memory_for(
    engine: Engine, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.registry.remote_files.MOST_BYTES", 9 * 410)
    with pytest.raises(ImageError, match="the list of its files takes more than") as caught:
        said(engine, "--remote", name)
    assert caught.value.hint.startswith(f"limpet pull {name}")
