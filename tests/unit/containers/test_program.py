"""The first line of a script is split as the kernel splits it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.containers.runtime.program import _interpreter


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"#!/bin/sh\n", ["/bin/sh"]),
        (b"#! /bin/sh -e -x \n", ["/bin/sh", "-e -x"]),
        (b"#!/bin/sh\t-e\nbody", ["/bin/sh", "-e"]),
        (b"#!\t/bin/sh", ["/bin/sh"]),
        (b"#!\n/bin/sh", []),
        (b"#!", []),
        (b"\x7fELF", []),
        (b"", []),
        (b"# !/bin/sh\n", []),
    ],
)
def test_interpreters(head: bytes, words: list[str]) -> None:
    assert _interpreter(head) == words


@given(st.binary(max_size=256))
def test_any_content(content: bytes) -> None:
    words = _interpreter(b"#!" + content)
    assert len(words) <= 2
    assert not words or not set(words[0]) & {" ", "\t", "\n"}
