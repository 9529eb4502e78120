"""What a registry may do to a blob, on purpose or by accident, and what comes of it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from core.errors import Cancelled, Corrupt, Unreachable
from core.images.blobs import BlobStore
from core.paths import Paths
from tests.e2e.registry_faults.asking import content, fetch, find_app, times
from tests.hostile_registry import Handler, HostileRegistry, digest_of


def test_a_good_registry(registry: HostileRegistry, paths: Paths) -> None:
    found = find_app(registry)
    assert [layer.descriptor.digest for layer in found.layers] == [
        layer["digest"] for layer in registry.layers
    ]
    assert fetch(registry, paths) == content(registry)
    assert not list(Path(paths.partial).iterdir())


def test_truncated_body_is_resumed(registry: HostileRegistry, paths: Paths) -> None:
    data = content(registry)
    ending = registry.layers[0]["digest"]
    registry.rules[ending] = times(
        1, lambda handler: handler.answer(200, data[:200_000], length=len(data))
    )
    assert fetch(registry, paths) == data
    ranges = [headers.get("Range") for headers in registry.asked(ending)]
    assert ranges == [None, "bytes=200000-"]


def test_server_without_ranges_starts_over(registry: HostileRegistry, paths: Paths) -> None:
    data = content(registry)
    registry.rules[registry.layers[0]["digest"]] = lambda handler: handler.answer(200, data)
    blobs = BlobStore(paths)
    Path(blobs.partial_path(digest_of(data))).write_bytes(data[:1000])
    assert fetch(registry, paths) == data


def test_wrong_range_starts_over(registry: HostileRegistry, paths: Paths) -> None:
    data = content(registry)
    registry.rules[registry.layers[0]["digest"]] = times(
        1, lambda handler: handler.answer(206, data, {"Content-Range": f"bytes 0-9/{len(data)}"})
    )
    Path(BlobStore(paths).partial_path(digest_of(data))).write_bytes(data[:1000])
    assert fetch(registry, paths) == data


@pytest.mark.parametrize("left", [b"\0" * 1000, b"\0" * 10_000_000])
def test_damaged_partial_file_is_fetched_anew(
    registry: HostileRegistry, paths: Paths, left: bytes
) -> None:
    data = content(registry)
    Path(BlobStore(paths).partial_path(digest_of(data))).write_bytes(left)
    assert fetch(registry, paths) == data


def test_complete_partial_file_is_not_fetched(registry: HostileRegistry, paths: Paths) -> None:
    data = content(registry)
    Path(BlobStore(paths).partial_path(digest_of(data))).write_bytes(data)
    assert fetch(registry, paths) == data
    assert not registry.asked(registry.layers[0]["digest"])


def test_content_of_another_digest(registry: HostileRegistry, paths: Paths) -> None:
    data = content(registry)
    registry.blobs[registry.layers[0]["digest"]] = data[:-1] + bytes([data[-1] ^ 1])
    with pytest.raises(Corrupt, match=f"{registry.host}/app"):
        fetch(registry, paths)
    assert not list(Path(paths.partial).iterdir())


@pytest.mark.parametrize("size", [10, 10_000_000])
def test_size_that_the_manifest_lies_about(
    registry: HostileRegistry, paths: Paths, size: int
) -> None:
    with pytest.raises((Corrupt, Unreachable)):
        fetch(registry, paths, size=size)
    assert not BlobStore(paths).has(registry.layers[0]["digest"])


def test_endless_body_ends_at_the_size(registry: HostileRegistry, paths: Paths) -> None:
    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(65536))

    registry.rules[registry.layers[0]["digest"]] = endless
    with pytest.raises(Corrupt, match="longer than"):
        fetch(registry, paths)


def test_length_that_is_too_small(registry: HostileRegistry, paths: Paths) -> None:
    data = content(registry)
    registry.rules[registry.layers[0]["digest"]] = times(
        1, lambda handler: handler.answer(200, data, length=100_000)
    )
    assert fetch(registry, paths) == data


def test_cancelling_is_quick_and_keeps_what_came(registry: HostileRegistry, paths: Paths) -> None:
    data = content(registry)
    stop = threading.Event()

    def half(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:150_000])
        handler.wfile.flush()
        stop.wait(60)
        handler.close_connection = True

    ending = registry.layers[0]["digest"]
    registry.rules[ending] = times(1, half)
    cancelled = threading.Event()

    def check() -> None:
        if cancelled.is_set():
            raise Cancelled("pull: cancelled")

    def report(done: int, note: str) -> None:
        if done == 150_000:
            threading.Timer(0.1, cancelled.set).start()

    started = time.monotonic()
    with pytest.raises(Cancelled):
        fetch(registry, paths, check=check, report=report, timeout_s=60)
    assert time.monotonic() - started < 10
    stop.set()
    assert Path(BlobStore(paths).partial_path(ending)).stat().st_size == 150_000
    assert fetch(registry, paths) == data
    assert registry.asked(ending)[-1]["Range"] == "bytes=150000-"


def test_one_blob_wanted_twice_is_fetched_once(registry: HostileRegistry, paths: Paths) -> None:
    data = content(registry)

    def slow(handler: Handler) -> None:
        time.sleep(0.3)
        handler.serve()

    registry.rules[registry.layers[0]["digest"]] = slow
    results: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: results.append(fetch(registry, paths))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [data] * 3
    assert len(registry.asked(registry.layers[0]["digest"])) == 1
    assert not list(Path(paths.partial).iterdir())
