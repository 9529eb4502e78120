"""What the registry server reads out of requests: paths, ranges, manifests; hostile ones, too."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.commands.registry.serve import address
from core.registry_server.documents import read_manifest
from core.registry_server.refusals import Refusal
from core.registry_server.targets import (
    Target,
    names_etag,
    parse_range,
    parse_span,
    parse_target,
)

DIGEST = "sha256:" + "a" * 64
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(DIGEST),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["config", "layers", "manifests", "blobs", "subject", "digest", "mediaType", "size",
             "urls", "annotations", "schemaVersion", "artifactType", "platform"]
        ),
        inner, max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/v2/", Target("ping")),
        ("/v2/_catalog", Target("catalog")),
        ("/v2/a/tags/list", Target("tags", "a")),
        ("/v2/a/b/c/manifests/1.0", Target("manifests", "a/b/c", "1.0")),
        (f"/v2/a/manifests/{DIGEST}", Target("manifests", "a", DIGEST)),
        (f"/v2/blobs/blobs/{DIGEST}", Target("blobs", "blobs", DIGEST)),
        ("/v2/a/blobs/uploads/", Target("uploads", "a")),
        ("/v2/a/blobs/uploads", Target("uploads", "a")),
        ("/v2/a/blobs/uploads/x-y", Target("uploads", "a", "x-y")),
        (f"/v2/a/referrers/{DIGEST}", Target("referrers", "a", DIGEST)),
    ],
)
def test_paths(path: str, target: Target) -> None:
    assert parse_target(path) == target


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/", "NAME_UNKNOWN"),
        ("/v2/a", "NAME_UNKNOWN"),
        ("/v2/A/tags/list", "NAME_INVALID"),
        ("/v2/../a/tags/list", "NAME_INVALID"),
        ("/v2//tags/list", "NAME_INVALID"),
        ("/v2/a/manifests/.x", "TAG_INVALID"),
        ("/v2/a/manifests/sha256:x", "DIGEST_INVALID"),
        ("/v2/a/blobs/latest", "DIGEST_INVALID"),
    ],
)
def test_paths_that_are_refused(path: str, code: str) -> None:
    with pytest.raises(Refusal) as caught:
        parse_target(path)
    assert caught.value.code == code
    assert json.loads(caught.value.body())["errors"][0]["code"] == code


@given(st.text(), st.text(), st.integers(0, 10))
def test_no_words_break_the_parsers(text: str, more: str, size: int) -> None:
    for parse in (parse_target, parse_span, lambda word: parse_range(word, size)):
        for word in (text, f"/v2/{text}/manifests/{more}", f"bytes={text}-{more}"):
            try:
                parse(word)
            except Refusal:
                pass
    names_etag(text, more)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 20))
def test_a_range_is_what_is_there_of_what_was_asked(first: int, last: int, size: int) -> None:
    content = bytes(range(size))
    for header, wanted in (
        (f"bytes={first}-{last}", content[first : last + 1] if first <= last else b""),
        (f"bytes={first}-", content[first:]),
        (f"bytes=-{last}", content[max(0, size - last) :] if last else b""),
    ):
        if wanted:
            found = parse_range(header, size)
            assert found is not None
            assert content[found[0] : sum(found)] == wanted
            assert found[1] == len(wanted)
        else:
            with pytest.raises(Refusal, match=f"{size} bytes"):
                parse_range(header, size)


def test_places_beyond_all_files() -> None:
    far = "9" * 5000  # more digits than int() reads
    assert parse_range(f"bytes=5-{far}", 10) == (5, 5)
    assert parse_range(f"bytes=-{far}", 10) == (0, 10)
    with pytest.raises(Refusal, match="10 bytes"):
        parse_range(f"bytes={far}-", 10)
    assert parse_span(f"0-{far}")[1] > 1 << 60


@given(JSON)
def test_no_document_breaks_the_reader_of_manifests(document: object) -> None:
    try:
        facts = read_manifest(json.dumps(document).encode(), "")
    except Refusal:
        pass
    else:
        assert all(digest == DIGEST for digest in (*facts.blobs, *facts.manifests))


def test_addresses() -> None:
    assert address(":80") == ("0.0.0.0", 80)
    assert address("[::1]:80") == ("::1", 80)
    assert address("[::1]") == ("::1", 5000)
    assert address("here") == ("here", 5000)
    for word in ("here:x", "here:99999"):
        with pytest.raises(ValueError, match="HOST:PORT"):
            address(word)
