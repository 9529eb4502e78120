"""What an index names: indexes of indexes, and indexes that mean harm."""

from __future__ import annotations

import json

import pytest

from core.errors import Corrupt
from core.images import index_tree
from core.images.digest import digest_of
from core.images.index_tree import manifests_below
from core.images.manifest import OCI_INDEX, OCI_MANIFEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.images.index_tree import Document
    from core.images.manifest import Descriptor


class Shelf:
    """Documents by digest, and which were asked for."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.asked: list[str] = []

    def add(self, *below: bytes, note: str = "") -> bytes:
        """Return a new index of documents."""
        entries = [
            {"mediaType": OCI_MANIFEST, "digest": digest_of(one), "size": len(one)} for one in below
        ]
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries, "x": note}
        content = json.dumps(document).encode()
        self.documents[digest_of(content)] = content
        return content

    def get(self, descriptor: Descriptor) -> Document:
        """Return a document, as a registry does."""
        self.asked.append(descriptor.digest)
        return self.documents[descriptor.digest], descriptor.media_type, descriptor.digest


def test_each_is_asked_for_once_and_comes_before_what_names_it() -> None:
    shelf = Shelf()
    leaf, other = shelf.add(note="leaf"), shelf.add(note="other")
    middle = shelf.add(leaf, other, leaf)
    found = manifests_below(shelf.add(middle, leaf, middle), shelf.get)
    assert [content for content, _, _ in found] == [leaf, other, middle]
    assert sorted(shelf.asked) == sorted(map(digest_of, (leaf, other, middle)))


def test_what_doubles_with_each_level_takes_a_step_a_level() -> None:
    shelf = Shelf()
    content = shelf.add()
    for _ in range(index_tree.MAX_DEPTH):
        content = shelf.add(content, content, note="more")
    assert len(manifests_below(content, shelf.get)) == len(shelf.asked) == index_tree.MAX_DEPTH


def test_neither_depth_nor_size_is_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    content = shelf.add()
    for _ in range(5000):
        content = shelf.add(content)
    with pytest.raises(Corrupt, match="more manifests than an image has"):
        manifests_below(content, shelf.get)
    assert len(shelf.asked) <= index_tree.MAX_DEPTH + 1
    monkeypatch.setattr(index_tree, "MAX_BYTES", 10_000)
    wide = shelf.add(*(shelf.add(note=f"{number:0500}") for number in range(100)))
    with pytest.raises(Corrupt, match="more manifests than an image has"):
        manifests_below(wide, shelf.get)
