"""Names of images, read as docker reads them.

Grammar and normalisation follow https://github.com/distribution/reference: a first part
with a dot, a colon or a capital letter, or `localhost`, is a host; docker.io fills in
`library/`; a name without tag and digest means `latest`.  A parsed reference holds only
characters that are safe in a URL, a header and a file name.
"""

from __future__ import annotations

from core.errors import UsageError
from core.record import Record

DOCKER_HUB = "docker.io"
DEFAULT_TAG = "latest"

_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz")
_DIGITS = frozenset("0123456789")
_LOWER_OR_DIGIT = _LOWER | _DIGITS
_ALPHANUMERIC = _LOWER_OR_DIGIT | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_HEX = _DIGITS | frozenset("abcdef")
_TAG_FIRST = _ALPHANUMERIC | {"_"}
_TAG = _TAG_FIRST | {".", "-"}
_IPV6 = _HEX | frozenset("ABCDEF:")
_SEPARATOR = frozenset("._-")
_DIGEST_LENGTH = {"sha256": 64, "sha512": 128}
_PATH_MAX = 255
_TAG_MAX = 128


class Reference(Record):
    """An image's full name; `tag` or `digest` is empty where there is none, never both."""

    host: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """Host and path: docker.io/library/nginx."""
        return f"{self.host}/{self.path}"

    @property
    def canonical(self) -> str:
        """The whole name: docker.io/library/nginx:1.27."""
        return self.repository + self._suffix()

    @property
    def familiar(self) -> str:
        """docker's short form, without docker.io and library/: nginx:1.27."""
        if self.host != DOCKER_HUB:
            return self.canonical
        path = self.path.removeprefix("library/")
        if "/" not in path:
            return path + self._suffix()
        # docker.io/a.b/c without its host would read as the host a.b.
        first = self.path.partition("/")[0]
        return self.canonical if _names_host(first) else self.path + self._suffix()

    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{tag}@{self.digest}" if self.digest else tag


def parse_reference(text: str, default_registry: str = DOCKER_HUB) -> Reference:
    """Read `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`.

    Raises UsageError that says what is wrong; digests may be sha256 or sha512.
    """
    rest, at, digest = text.partition("@")
    fault = _digest_fault(digest) if at else ""
    if fault:
        raise _invalid(text, fault)
    name, tag = _split_tag(rest)
    if tag is not None:
        fault = _tag_fault(tag)
        if fault:
            raise _invalid(text, fault)
    host, path = _split_host(name, default_registry)
    fault = _host_fault(host) or _path_fault(path)
    if fault:
        hint = f"write it as {text.lower()}" if fault == _UPPER_CASE else ""
        raise _invalid(text, fault, hint)
    if not at and tag is None:
        if len(path) == 64 and _HEX.issuperset(path):
            raise _invalid(text, "64 hex digits are an ID, not a name", "write sha256: before it")
        tag = DEFAULT_TAG
    if host == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    return Reference(host, path, tag or "", digest)


def familiar_name(canonical: str) -> str:
    """Return docker's short form of a stored name."""
    return parse_reference(canonical).familiar


def parse_host(text: str) -> str:
    """Read a registry's `HOST[:PORT]`, or its URL as people paste it.

    Raises UsageError that says what is wrong.
    """
    host = text.removeprefix("https://").removeprefix("http://").partition("/")[0]
    fault = _host_fault(host)
    if fault:
        raise _invalid(text, fault)
    return DOCKER_HUB if host in ("index.docker.io", "registry-1.docker.io") else host


def _split_tag(name: str) -> tuple[str, str | None]:
    head, colon, tail = name.rpartition(":")
    return (head, tail) if colon and "/" not in tail else (name, None)


def _split_host(name: str, default_registry: str) -> tuple[str, str]:
    head, slash, tail = name.partition("/")
    host, path = (head, tail) if slash and _names_host(head) else (default_registry, name)
    return (DOCKER_HUB if host == "index.docker.io" else host), path


def _names_host(first: str) -> bool:
    return "." in first or ":" in first or first == "localhost" or first != first.lower()


def _digest_fault(digest: str) -> str:
    algorithm, _, value = digest.partition(":")
    length = _DIGEST_LENGTH.get(algorithm)
    if length is None:
        return "a digest starts with sha256: or sha512:"
    if len(value) != length or not _HEX.issuperset(value):
        return f"a {algorithm} digest has {length} lower-case hex digits"
    return ""


def _tag_fault(tag: str) -> str:
    if not tag:
        return "the tag after the colon is empty"
    if len(tag) > _TAG_MAX:
        return f"the tag is longer than {_TAG_MAX} characters"
    if tag[0] not in _TAG_FIRST or not _TAG.issuperset(tag):
        return "a tag has letters, digits, _ . and -, and starts with none of the last two"
    return ""


def _host_fault(host: str) -> str:
    if host.startswith("["):
        address, bracket, port = host[1:].partition("]")
        if not bracket or not address or not _IPV6.issuperset(address):
            return "the host is not an IPv6 address in brackets"
        if not port:
            return ""
        colon, port = port[:1] == ":", port[1:]
    else:
        name, mark, port = host.partition(":")
        colon = bool(mark)
        for label in name.split("."):
            if not label or label[0] == "-" or label[-1] == "-":
                return "the host is not a host name"
            if not _ALPHANUMERIC.issuperset(label.replace("-", "")):
                return "the host is not a host name"
        if not colon:
            return ""
    if not colon or not port or not _DIGITS.issuperset(port) or not 0 < int(port[:6]) < 65536:
        return "the port is not a number from 1 to 65535"
    return ""


_UPPER_CASE = "repository names are lower case"


def _path_fault(path: str) -> str:
    if not path:
        return "the repository name is empty"
    if len(path) > _PATH_MAX:
        return f"the repository name is longer than {_PATH_MAX} characters"
    for component in path.split("/"):
        if not component:
            return "the repository name has an empty part"
        if component[0] in _SEPARATOR or component[-1] in _SEPARATOR:
            return "a part of a repository name starts and ends with a letter or digit"
        fault = _component_fault(component)
        if fault:
            return fault
    return ""


def _component_fault(component: str) -> str:
    if _LOWER_OR_DIGIT.issuperset(component):
        return ""
    separator = ""
    for character in component:
        if character in _SEPARATOR:
            separator += character
        elif character in _LOWER_OR_DIGIT:
            if separator not in ("", ".", "_", "__") and separator.strip("-"):
                return f"{separator!r} cannot separate words of a repository name"
            separator = ""
        elif character in _ALPHANUMERIC:
            return _UPPER_CASE
        else:
            return f"{character!r} cannot stand in a repository name"
    return ""


def _invalid(text: str, fault: str, hint: str = "") -> UsageError:
    shown = text if len(text) <= 100 else text[:99] + "…"
    return UsageError(f"{shown!r} is no valid name: {fault}", hint=hint, subject=text)
