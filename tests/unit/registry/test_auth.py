"""WWW-Authenticate headers, read by hand; Link headers; lists of names."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ProtocolError
from core.registry.auth import Challenge, parse_challenges
from core.registry.client import next_link, read_names


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Basic", [Challenge("basic")]),
        ('Basic realm="x"', [Challenge("basic", (("realm", "x"),))]),
        (
            'Bearer realm="https://a/t",service="s",scope="repository:a:pull,push"',
            [
                Challenge(
                    "bearer",
                    (
                        ("realm", "https://a/t"),
                        ("service", "s"),
                        ("scope", "repository:a:pull,push"),
                    ),
                )
            ],
        ),
        (
            'BEARER Realm = "a" , Service = b',
            [Challenge("bearer", (("realm", "a"), ("service", "b")))],
        ),
        (
            'Basic realm="a, Bearer realm=b", Bearer realm="c"',
            [
                Challenge("basic", (("realm", "a, Bearer realm=b"),)),
                Challenge("bearer", (("realm", "c"),)),
            ],
        ),
        (r'Basic realm="a\"b\\c"', [Challenge("basic", (("realm", 'a"b\\c'),))]),
        ("Negotiate, Basic", [Challenge("negotiate"), Challenge("basic")]),
        ('Bearer realm="unclosed', [Challenge("bearer", (("realm", "unclosed"),))]),
        ("", []),
        (", ,=,", []),
        ('"', []),
    ],
)
def test_challenges(header: str, expected: list[Challenge]) -> None:
    assert parse_challenges([header]) == expected


def test_several_headers_are_several_challenges() -> None:
    found = parse_challenges(['Bearer realm="a"', "Basic realm=b"])
    assert [(challenge.scheme, challenge.get("realm")) for challenge in found] == [
        ("bearer", "a"),
        ("basic", "b"),
    ]
    assert found[0].get("service") == ""


def test_a_long_header_takes_no_longer_than_it_is() -> None:
    started = time.process_time()
    [challenge] = parse_challenges(["Bearer " + ",".join(["a=b"] * 60_000)])
    assert len(challenge.parameters) == 60_000
    assert time.process_time() - started < 5


@given(st.text(max_size=60))
def test_any_header_is_read_without_failing(text: str) -> None:
    for challenge in parse_challenges([text]):
        assert challenge.scheme


@given(st.lists(st.text("".join(map(chr, range(32, 127))), max_size=10), max_size=4))
def test_quoted_values_come_back(values: list[str]) -> None:
    quoted = [value.replace("\\", "\\\\").replace('"', '\\"') for value in values]
    header = "Bearer " + ",".join(f'p{n}="{value}"' for n, value in enumerate(quoted))
    assert [value for _, value in parse_challenges([header])[0].parameters] == values


@pytest.mark.parametrize(
    ("headers", "target"),
    [
        (['</v2/a/tags/list?last=b&n=1>; rel="next"'], "/v2/a/tags/list?last=b&n=1"),
        (["<a>; rel=prev, <b>; rel=next"], "b"),
        (["<a>; rel=prev", '<b>;REL="NEXT"'], "b"),
        (["<a>; rel=prev"], ""),
        (["nonsense"], ""),
        ([], ""),
    ],
)
def test_next_page(headers: list[str], target: str) -> None:
    assert next_link(headers) == target


def test_names() -> None:
    assert read_names(b'{"tags": ["a", "b"]}', "tags", "x") == ["a", "b"]
    assert read_names(b'{"tags": null}', "tags", "x") == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"tags": {"a": 1}}',
        b'{"tags": [1]}',
        json.dumps({"tags": ["a\x1b[0m"]}).encode(),
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_other_than_names_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="x: "):
        read_names(body, "tags", "x")
