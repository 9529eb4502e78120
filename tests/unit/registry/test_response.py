"""Answers of servers, well made and not."""

from __future__ import annotations

import io

import pytest

from core.registry.transport.response import CutShort, HttpError, NoAnswer, Response

OK = b"HTTP/1.1 200 OK\r\n"


def answer(content: bytes, method: str = "GET") -> Response:
    return Response(io.BufferedReader(io.BytesIO(content)), method)


def body(response: Response, size: int = 4) -> bytes:
    parts = []
    while part := response.read(size):
        assert len(part) <= size
        parts.append(part)
    return b"".join(parts)


def test_a_body_ends_where_its_length_says() -> None:
    response = answer(
        OK + b"Content-Length: 11\r\nX-A:  one \r\nx-a: two\r\n\r\nhello worldHTTP/1.1"
    )
    assert (response.status, response.reason, response.will_close) == (200, "OK", False)
    assert response.header("x-A") == "one"
    assert response.headers("X-a") == ["one", "two"]
    assert response.header("absent") == ""
    assert body(response) == b"hello world"
    assert response.length == 0


def test_a_connection_that_ends_early_leaves_a_length() -> None:
    response = answer(OK + b"Content-Length: 11\r\n\r\nhello")
    assert body(response) == b"hello"
    assert response.length == 6


def test_a_body_of_chunks() -> None:
    chunks = b"5;name=value\r\nhello\r\n00006\r\n world\r\n0\r\nX-Sum: 1\r\n\r\nHTTP/1.1 200"
    response = answer(OK + b"Transfer-Encoding: Chunked\r\nContent-Length: 3\r\n\r\n" + chunks)
    assert (response.length, response.will_close) == (None, False)
    assert body(response) == b"hello world"
    assert response.read(4) == b""
    assert response.length == 0


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    response = answer(OK + b"\r\nhello")
    assert (body(response), response.length, response.will_close) == (b"hello", None, True)


@pytest.mark.parametrize(
    ("head", "method"),
    [(OK, "HEAD"), (b"HTTP/1.1 204 No Content\r\n", "GET"), (b"HTTP/1.1 304\r\n", "GET")],
)
def test_answers_without_a_body(head: bytes, method: str) -> None:
    response = answer(head + b"Content-Length: 7\r\n\r\nHTTP/1.", method)
    assert (response.length, response.will_close, response.read(9)) == (0, False, b"")


def test_what_comes_before_the_answer_is_passed_over() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    response = answer(early + OK + b"Content-Length: 0\r\n\r\n")
    assert (response.status, response.header("Link")) == (200, "")


def test_a_folded_header_is_one_value() -> None:
    response = answer(OK + b"Link: </a>;\r\n\trel=next\r\nContent-Length: 0\r\n\r\n")
    assert response.header("Link") == "</a>; rel=next"


@pytest.mark.parametrize(
    ("head", "closes"),
    [
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (OK + b"Content-Length: 0\r\nConnection: Close\r\n\r\n", True),
        (OK + b"Content-Length: 0\r\nConnection: keep-alive\r\n\r\n", False),
    ],
)
def test_who_keeps_the_connection(head: bytes, closes: bool) -> None:
    assert answer(head).will_close is closes


@pytest.mark.parametrize(
    "content",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 two OK\r\n\r\n",
        b"HTTP/1.1 200 OK",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 200 " + b"x" * 70_000 + b"\r\n\r\n",
        OK + b"no header\r\n\r\n",
        OK + b"Name : value\r\n\r\n",
        OK + b" folded\r\n\r\n",
        OK + b": value\r\n\r\n",
        OK + b"X: " + b"x" * 70_000 + b"\r\n\r\n",
        OK + b"X: y\r\n" * 101 + b"\r\n",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: 1e3\r\n\r\n",
        OK + b"Content-Length: " + b"9" * 19 + b"\r\n\r\n",
        OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 11 + OK + b"\r\n",
    ],
)
def test_what_is_no_answer(content: bytes) -> None:
    with pytest.raises(HttpError) as caught:
        answer(content)
    assert not isinstance(caught.value, CutShort)


@pytest.mark.parametrize(
    "chunks", [b"x\r\n", b"\r\n", b"0x5\r\nhello", b"-1\r\n", b"5\r\nhelloworld\r\n", b"f" * 16]
)
def test_what_is_no_chunk(chunks: bytes) -> None:
    with pytest.raises(HttpError):
        body(answer(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks))


@pytest.mark.parametrize(
    "chunks", [b"", b"5", b"5\r\n", b"5\r\nhel", b"5\r\nhello", b"0\r\nX: y\r\n"]
)
def test_chunks_that_end_early(chunks: bytes) -> None:
    with pytest.raises(CutShort):
        body(answer(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks))


def test_a_connection_that_ends_within_the_headers() -> None:
    with pytest.raises(CutShort):
        answer(OK + b"Content-Length: 3\r\n")


def test_a_connection_that_ends_at_once() -> None:
    with pytest.raises(NoAnswer):
        answer(b"")
