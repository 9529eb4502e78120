"""A volume as a tar: what is brought in from anywhere ends well, or names the entry."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from core.containers.copy.volume_archive import export_volume, import_volume
from core.errors import HostError
from tests.layers import archive, entry, hardlink, pax_header, pax_record, symlink


def bring(path: Path, content: bytes) -> None:
    import_volume(str(path), io.BytesIO(content).read, lambda: None, lambda _: None)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (archive(entry("n" * 256)), "nnn"),
        (archive(symlink("loop", "loop"), entry("loop/x")), "loop/x"),
        (archive(hardlink("self", "self")), "self"),
        (archive(symlink("aimless", "")), "aimless"),
        (archive(entry("file"), entry("file/below")), "file/below"),
        (archive(pax_header(pax_record(b"SCHILY.xattr.user.a", b"v" * 70_000)), entry("big")),
         "big"),
    ],
    ids=["name", "loop", "itself", "nowhere", "not a directory", "attribute"],
)  # fmt: skip
def test_what_cannot_be_made_is_named(tmp_path: Path, content: bytes, name: str) -> None:
    with pytest.raises(HostError, match=f"{name}.* cannot be made"):
        bring(tmp_path, content)


def test_what_went_out_comes_back(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    (before / "folder").mkdir(parents=True)
    after.mkdir()
    (before / "folder/file").write_text("content")
    (before / "link").symlink_to("/etc/passwd")
    with (tmp_path / "tar").open("wb") as out:
        export_volume(str(before), out.fileno(), lambda: None, lambda _: None)
    with tarfile.open(tmp_path / "tar") as tar:
        assert {"./folder/file", "./link"} <= {item.name for item in tar}
    bring(after, (tmp_path / "tar").read_bytes())
    assert (after / "folder/file").read_text() == "content"
    assert (after / "link").readlink() == Path("/etc/passwd")
