"""Content digests: `algorithm:hex`, the only names that content is trusted by.

Grammar: https://github.com/opencontainers/image-spec/blob/v1.1.0/descriptor.md#digests
"""

from __future__ import annotations

from core.errors import Corrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import _Hash

HEX_LENGTHS = {"sha256": 64, "sha512": 128}
"""Algorithms that are accepted, with the length of their hexadecimal form."""
SHORTEST_START = 4
"""Hexadecimal digits that a person has to type of a digest."""

_HEX = frozenset("0123456789abcdef")


def is_digest(text: str) -> bool:
    """Return whether `text` is a complete digest of a known algorithm, in lower case."""
    algorithm, _, value = text.partition(":")
    return len(value) == HEX_LENGTHS.get(algorithm, -1) and _HEX.issuperset(value)


def is_hex(text: str) -> bool:
    """Return whether `text` is made of lower-case hexadecimal digits only, and not empty."""
    return bool(text) and _HEX.issuperset(text)


def begun_by(text: str) -> tuple[str, str] | None:
    """Return bounds between which all SHA-256 digests lie that begin so: first <= digest < last.

    `sha256:` may be left out.  None for what begins none, and for too few digits to mean one.
    """
    value = text.removeprefix("sha256:")
    if len(value) < SHORTEST_START or not is_hex(value):
        return None
    return f"sha256:{value}", f"sha256:{value}g"


def split_digest(text: str) -> tuple[str, str]:
    """Return algorithm and hex; raises Corrupt if `text` is not a digest.

    What comes back is safe as part of a file name.
    """
    if not is_digest(text):
        raise Corrupt(f"{text[:200]!r} is not a digest", subject=text[:200])
    algorithm, _, value = text.partition(":")
    return algorithm, value


def hasher(algorithm: str = "sha256") -> _Hash:
    """Return an empty hash object of a known algorithm; Corrupt for another."""
    import hashlib

    if algorithm not in HEX_LENGTHS:
        raise Corrupt(f"digest algorithm {algorithm!r} is not supported", subject=algorithm)
    return hashlib.new(algorithm, usedforsecurity=False)


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """Return the digest of bytes in memory."""
    summer = hasher(algorithm)
    summer.update(content)
    return f"{algorithm}:{summer.hexdigest()}"


def check_digest(content: bytes, digest: str, what: str) -> None:
    """Raise Corrupt, naming `what`, unless `content` has that digest."""
    actual = digest_of(content, split_digest(digest)[0])
    if actual != digest:
        raise Corrupt(f"{what}: content has digest {actual}, {digest} was promised", subject=digest)
