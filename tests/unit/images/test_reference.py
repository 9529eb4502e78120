"""References: docker's own rules as a table, and what must hold for any text."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UsageError
from core.images.reference import Reference, parse_reference

SHA256 = "sha256:" + "a1" * 32
SHA512 = "sha512:" + "b2" * 64


@pytest.mark.parametrize(
    ("text", "canonical", "familiar"),
    [
        ("nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27", "nginx:1.27"),
        ("library/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("index.docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("docker.io/library/nginx:a", "docker.io/library/nginx:a", "nginx:a"),
        ("docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
        ("team/app", "docker.io/team/app:latest", "team/app:latest"),
        ("a/b/c/d:x", "docker.io/a/b/c/d:x", "a/b/c/d:x"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"),
        ("localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app:latest"),
        ("127.0.0.1:5000/a/b:c", "127.0.0.1:5000/a/b:c", "127.0.0.1:5000/a/b:c"),
        ("[::1]:5000/app:1", "[::1]:5000/app:1", "[::1]:5000/app:1"),
        ("[2001:db8::1]/app", "[2001:db8::1]/app:latest", "[2001:db8::1]/app:latest"),
        ("Uppercase/lower", "Uppercase/lower:latest", "Uppercase/lower:latest"),
        ("ghcr.io/a/b", "ghcr.io/a/b:latest", "ghcr.io/a/b:latest"),
        ("xn--n3h.com/app", "xn--n3h.com/app:latest", "xn--n3h.com/app:latest"),
        ("docker.io/a.b/c", "docker.io/a.b/c:latest", "docker.io/a.b/c:latest"),
        ("a.b_c__d-e---f", "docker.io/library/a.b_c__d-e---f:latest", "a.b_c__d-e---f:latest"),
        ("app:_A.b-c", "docker.io/library/app:_A.b-c", "app:_A.b-c"),
        (f"nginx@{SHA256}", f"docker.io/library/nginx@{SHA256}", f"nginx@{SHA256}"),
        (f"nginx@{SHA512}", f"docker.io/library/nginx@{SHA512}", f"nginx@{SHA512}"),
        (f"nginx:1@{SHA256}", f"docker.io/library/nginx:1@{SHA256}", f"nginx:1@{SHA256}"),
        ("a1" * 31, f"docker.io/library/{'a1' * 31}:latest", f"{'a1' * 31}:latest"),
    ],
)
def test_normalises_as_docker_does(text: str, canonical: str, familiar: str) -> None:
    reference = parse_reference(text)
    assert reference.canonical == canonical
    assert reference.familiar == familiar


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("Nginx", "lower case"),
        ("docker.io/team/App", "lower case"),
        ("a//b", "empty part"),
        ("/a", "empty part"),
        ("a/", "empty part"),
        ("docker.io/", "empty"),
        ("a:", "tag"),
        (":tag", "empty"),
        ("a:-x", "tag"),
        ("a:.x", "tag"),
        ("a:" + "t" * 129, "128"),
        ("a:b:c", "cannot stand"),
        ("a@", "digest"),
        ("a@sha256:12", "64"),
        ("a@" + SHA256.upper(), "digest"),
        ("a@sha256:" + "A1" * 32, "64"),
        ("a@md5:" + "a" * 32, "sha256"),
        (f"a@{SHA256}@{SHA256}", "64"),
        (f"a@{SHA256}:tag", "64"),
        ("-a", "starts"),
        ("a-", "ends"),
        ("a..b", "separate"),
        ("a___b", "separate"),
        ("a._b", "separate"),
        ("a b", "cannot stand"),
        ("a\r\nHost: evil", "tag"),
        ("a.b/c\r\nX: y", "tag"),
        ("a/../b", "starts"),
        ("a%2e", "cannot stand"),
        ("a?b", "cannot stand"),
        ("café", "cannot stand"),
        ("٣", "cannot stand"),
        ("a.b:٣/c", "port"),
        ("a.b:/c", "port"),
        ("a.b:0/c", "port"),
        ("a.b:99999/c", "port"),
        ("a.b:1\r\n/c", "port"),
        ("a..b/c", "host"),
        ("-a.b/c", "host"),
        ("a_b.c/d", "host"),
        ("user:pw.x/d", "port"),
        ("[::1/a", "IPv6"),
        ("[::g]/a", "IPv6"),
        ("[::1]5000/a", "port"),
        ("https://a.b/c", "port"),
        ("x" * 256, "255"),
        ("a1" * 32, "ID"),
    ],
)
def test_refuses_and_says_why(text: str, word: str) -> None:
    with pytest.raises(UsageError, match=word) as caught:
        parse_reference(text)
    assert len(caught.value.message) < 300
    assert "\n" not in caught.value.message


def test_another_default_registry_gets_no_library() -> None:
    assert parse_reference("app", "quay.io") == Reference("quay.io", "app", "latest")
    assert parse_reference("team/app", "quay.io").canonical == "quay.io/team/app:latest"
    assert parse_reference("docker.io/app", "quay.io").path == "library/app"


@given(st.text(max_size=80))
def test_any_text_parses_or_is_a_usage_error(text: str) -> None:
    try:
        reference = parse_reference(text)
    except UsageError:
        return
    assert reference.canonical.isascii()
    assert not set(reference.canonical) & set(" \t\r\n%?#\\\"'<>")
    assert ".." not in reference.path.split("/")


HOSTS = st.from_regex(
    r"\A([a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?\.[a-z]{2,4}|localhost)(:[1-9][0-9]{0,3})?\Z"
)
COMPONENTS = st.from_regex(r"\A[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,8}){0,3}\Z")
PATHS = st.lists(COMPONENTS, min_size=1, max_size=4).map("/".join)
TAGS = st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")


@given(
    host=HOSTS | st.just("docker.io"), path=PATHS, tag=TAGS, digest=st.sampled_from(["", SHA256])
)
def test_canonical_and_familiar_name_the_same_image(
    host: str, path: str, tag: str, digest: str
) -> None:
    text = f"{host}/{path}:{tag}" + (f"@{digest}" if digest else "")
    reference = parse_reference(text)
    assert parse_reference(reference.canonical) == reference
    assert parse_reference(reference.familiar) == reference
    assert parse_reference(reference.canonical, "quay.io") == reference


def test_costs_no_heavy_import() -> None:
    program = (
        "import sys; import core.images.reference; "
        "print([m for m in ('re', 'enum', 'typing', 'dataclasses') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, '.'); {program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "[]"
