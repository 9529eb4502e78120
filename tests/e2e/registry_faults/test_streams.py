"""What is read while it comes, and breaks off: the registry is named, and the cause."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import Unreachable
from core.images.tar.compression import Exact
from core.registry.browse import files, search
from core.registry.remote_content import _copy
from core.registry.transport.connection import READ_BUFFER
from tests.e2e.registry_faults.asking import content, make_client
from tests.hostile_registry import HostileRegistry
from tests.short_of_room import files_of_at_most


def test_a_layer_that_breaks_off(registry: HostileRegistry) -> None:
    layer, blob = registry.layers[0], content(registry)
    registry.rules[layer["digest"]] = lambda handler: handler.answer(
        200, blob[:1000], length=len(blob)
    )
    with make_client(registry) as client, pytest.raises(Unreachable, match="too early") as caught:
        list(files(client, "app", layer["digest"], layer["mediaType"], 100))
    assert caught.value.subject == registry.host


def test_a_search_that_breaks_off(registry: HostileRegistry) -> None:
    registry.rules["/v1/search?q=app&n=5"] = lambda handler: handler.answer(
        200, b'{"results": [', {"Content-Type": "application/json"}, length=100
    )
    with make_client(registry) as client, pytest.raises(Unreachable, match="too early"):
        search(client, "app", 5)


def test_a_disk_that_takes_a_part_is_full(tmp_path: Path) -> None:
    class Source:
        def read(self, size: int) -> bytes:
            return b"x" * min(size, READ_BUFFER)

    with (
        open(tmp_path / "content", "wb", buffering=0) as file,
        files_of_at_most(1000),
        pytest.raises(OSError, match="too large"),
    ):
        _copy(Exact(Source()), file, 2000, lambda: None)
