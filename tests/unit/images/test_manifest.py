"""Manifests and indexes: what is an image, what is refused, and which platform is chosen."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Corrupt, ImageError, NotFound, UnsupportedMedia
from core.images.digest import check_digest, digest_of, is_digest, split_digest
from core.images.manifest import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    MAX_SIZE,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Entry,
    Index,
    Manifest,
    choose,
    created_at,
    join_platform,
    parse,
    parse_config,
)

DIGEST = "sha256:" + "a" * 64


def described(media_type: str, **more: object) -> dict[str, object]:
    return {"mediaType": media_type, "digest": DIGEST, "size": 3, **more}


def document(**changes: object) -> bytes:
    """Return a sound manifest with some fields changed, None: left out."""
    whole = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": described(OCI_CONFIG),
        "layers": [described(OCI_LAYER + "+gzip")],
        **changes,
    }
    return json.dumps({key: value for key, value in whole.items() if value is not None}).encode()


def test_a_manifest() -> None:
    found = parse(document())
    assert isinstance(found, Manifest)
    assert found.config == Descriptor(OCI_CONFIG, DIGEST, 3)
    assert found.layers == (Descriptor(OCI_LAYER + "+gzip", DIGEST, 3),)


@pytest.mark.parametrize("header", ["", OCI_MANIFEST, OCI_MANIFEST + "; charset=utf-8",
                                    "application/json"])  # fmt: skip
def test_the_header_may_be_vague(header: str) -> None:
    assert isinstance(parse(document(mediaType=None), header), Manifest)


def test_an_index() -> None:
    platform = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    found = parse(document(mediaType=OCI_INDEX, config=None, layers=None,
                           manifests=[described(OCI_MANIFEST, platform=platform)]))  # fmt: skip
    assert isinstance(found, Index)
    assert [entry.platform for entry in found.entries] == ["linux/arm64"]


@pytest.mark.parametrize(
    ("content", "header", "kind"),
    [
        pytest.param(b"", "", Corrupt, id="empty"),
        pytest.param(b"<html>", "", Corrupt, id="html"),
        pytest.param(b"[]", "", Corrupt, id="list"),
        pytest.param(b"[" * 100_000, "", Corrupt, id="nested"),
        pytest.param(b" " * (MAX_SIZE + 1), "", Corrupt, id="too-large"),
        pytest.param(b'{"schemaVersion": 1}', "", UnsupportedMedia, id="schema-1"),
        pytest.param(document(schemaVersion=3), "", Corrupt, id="schema-3"),
        pytest.param(document(schemaVersion=None), "", Corrupt, id="no-schema"),
        pytest.param(document(), DOCKER_MANIFEST, Corrupt, id="header-contradicts"),
        pytest.param(document(mediaType=7), "", Corrupt, id="type-is-number"),
        pytest.param(document(manifests=[]), "", Corrupt, id="both-at-once"),
        pytest.param(document(mediaType=DOCKER_LIST), "", Corrupt, id="list-with-layers"),
        pytest.param(document(layers=None), "", Corrupt, id="no-layers"),
        pytest.param(document(layers={}), "", Corrupt, id="layers-object"),
        pytest.param(document(layers=[7]), "", Corrupt, id="layer-number"),
        pytest.param(document(layers=[described(OCI_LAYER)] * 1001), "", Corrupt, id="1001-layers"),
        pytest.param(document(config=None), "", Corrupt, id="no-config"),
        pytest.param(
            document(config=described("application/vnd.cncf.helm.config.v1+json")), "",
            UnsupportedMedia, id="helm-chart",
        ),
        pytest.param(
            document(layers=[described("text/plain")]), "", UnsupportedMedia, id="layer-type"
        ),
        pytest.param(
            document(layers=[described(OCI_LAYER, size=-1)]), "", Corrupt, id="negative-size"
        ),
        pytest.param(
            document(layers=[described(OCI_LAYER, size=True)]), "", Corrupt, id="size-is-true"
        ),
        pytest.param(
            document(layers=[described(OCI_LAYER, digest="sha256:../../x")]), "", Corrupt,
            id="digest-is-path",
        ),
        pytest.param(
            document(layers=[described(OCI_LAYER, urls="x")]), "", Corrupt, id="urls-string"
        ),
    ],
)  # fmt: skip
def test_refused(content: bytes, header: str, kind: type[ImageError]) -> None:
    with pytest.raises(kind, match=r"^thing"):
        parse(content, header, "thing")


@given(st.recursive(st.none() | st.integers() | st.text() | st.booleans(),
                    lambda inner: st.lists(inner) | st.dictionaries(
                        st.sampled_from(("schemaVersion", "mediaType", "config", "layers",
                                         "manifests", "digest", "size", "platform", "rootfs",
                                         "diff_ids", "history")), inner)))  # fmt: skip
def test_any_json_is_read_or_refused(value: object) -> None:
    for reader in (parse, parse_config):
        try:
            reader(json.dumps(value).encode())
        except ImageError:
            pass


@pytest.mark.parametrize(
    "wrong",
    [{"rootfs": [1]}, {"rootfs": "x"}, {"rootfs": {"diff_ids": ["x"]}}, {"history": [1]},
     {"os": 1}, {"config": [1]}, {"config": {"Cmd": "sh"}}, {"config": {"Env": [1]}},
     {"config": {"User": {}}}, {"config": {"Labels": {"a": 1}}}, {"config": {"Volumes": ["/v"]}},
     {"config": {"Healthcheck": {"Test": "x"}}}, {"config": {"Healthcheck": {"Retries": 1 << 64}}}],
)  # fmt: skip
def test_refused_configs(wrong: dict[str, object]) -> None:
    with pytest.raises(Corrupt, match=r"^thing: "):
        parse_config(json.dumps(wrong).encode(), "thing")


@pytest.mark.parametrize(
    "content",
    ['{"os": "linux"}'.encode("utf-16"), b'\xef\xbb\xbf{"os": "linux"}', b'{"author": "\\ud83d"}',
     b'{"config": {"Labels": {"\\uDE00": ""}}}', b'{"os": "\xff"}'],
)  # fmt: skip
def test_a_document_that_is_no_utf8_is_refused(content: bytes) -> None:
    with pytest.raises(Corrupt, match="UTF-8"):
        parse_config(content)


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert parse_config(b'{"author": "\\ud83d\\ude00"}') == {"author": "\N{GRINNING FACE}"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:10Z", 10),
        ("0001-01-01T00:00:00Z", -62135596800),
        ("0001-01-01T00:00:00+23:59", 0),
        ("9999-12-31T23:59:59-23:59", 0),
        ({"a": 1}, 0),
    ],
)
def test_times_stay_within_what_can_be_shown(text: object, seconds: float) -> None:
    assert created_at(text) == seconds


def index_of(*platforms: str) -> Index:
    return Index(OCI_INDEX, tuple(
        Entry(Descriptor(OCI_MANIFEST, f"sha256:{number:064x}", 1), platform)
        for number, platform in enumerate(platforms)
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "there", "chosen"),
    [
        ("linux/amd64", ("linux/arm64", "linux/amd64"), 1),
        ("linux/arm/v7", ("linux/arm/v5", "linux/arm/v6"), 1),
        ("linux/arm64/v8", ("linux/amd64", "linux/arm64"), 1),
        ("linux/amd64/v3", ("linux/amd64", "linux/amd64/v2"), 1),
        ("x86_64", ("linux/amd64",), 0),
    ],
)
def test_platforms(wanted: str, there: tuple[str, ...], chosen: int) -> None:
    assert choose(index_of(*there), wanted).digest == f"sha256:{chosen:064x}"


def test_no_platform_fits() -> None:
    with pytest.raises(NotFound) as caught:
        choose(index_of("linux/arm64", "windows/amd64"), "linux/amd64", "thing")
    assert "linux/arm64" in caught.value.hint


@pytest.mark.parametrize("wanted", ["linux/arm/v²", "linux/arm/v99999999999"])
def test_an_odd_variant_fits_nothing(wanted: str) -> None:
    """An image's config may name any, and a newer image is looked for by that."""
    with pytest.raises(NotFound):
        choose(index_of("linux/amd64"), wanted)


def test_platform_names() -> None:
    assert join_platform("Linux", "aarch64", "v8") == "linux/arm64"
    assert join_platform("linux", "armhf") == "linux/arm/v7"


@pytest.mark.parametrize("text", ["", "sha256:", "sha256:" + "A" * 64, "md5:" + "a" * 32,
                                  "sha256:" + "a" * 63, "sha256:" + "a" * 65,
                                  "sha256:" + "/" * 64, "sha512:" + "a" * 64])  # fmt: skip
def test_not_a_digest(text: str) -> None:
    assert not is_digest(text)
    with pytest.raises(Corrupt):
        split_digest(text)


@given(st.binary(max_size=100), st.sampled_from(("sha256", "sha512")))
def test_a_digest_tells_content_apart(content: bytes, algorithm: str) -> None:
    own = digest_of(content, algorithm)
    assert is_digest(own)
    check_digest(content, own, "it")
    with pytest.raises(Corrupt, match=r"^it: "):
        check_digest(content + b"x", own, "it")
