"""What in an image may deserve a look: secrets left behind, programs that raise privileges.

Nothing is asked of the network, no content is opened: these are hints from names and
settings, not findings.
"""

from __future__ import annotations

import stat
from functools import cache

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from core.images.file_table import FileEntry, FileTable

SECRET_WORDS = ("password", "passwd", "secret", "token", "apikey", "api_key", "access_key",
                "private_key", "credential", "auth_key", "client_key")  # fmt: skip
NO_SECRETS = ("", "false", "true", "0", "1", "none", "changeme")
TOKEN_STARTS = {
    "AKIA": "an AWS access key", "ASIA": "an AWS access key", "ghp_": "a GitHub token",
    "github_pat_": "a GitHub token", "gho_": "a GitHub token", "glpat-": "a GitLab token",
    "xoxb-": "a Slack token", "xoxp-": "a Slack token", "sk_live_": "a Stripe key",
    "npm_": "an npm token", "dckr_pat_": "a Docker Hub token", "eyJhbGciOi": "a JSON web token",
}  # fmt: skip
TOKEN_LENGTH = 20
SECRET_FILES = ("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "*.pem", "*.key", "*.p12", "*.pfx",
                "*.kdbx", "*.jks", ".env", ".env.*", ".netrc", ".npmrc", ".pypirc", ".pgpass",
                ".git-credentials", ".htpasswd", "credentials", "credentials.json",
                "service-account*.json", "*.ovpn", ".dockercfg", "shadow-")  # fmt: skip
SECRET_PATHS = ("*.aws/credentials", "*.docker/config.json", "*.kube/config", "*.ssh/id_*",
                "*.config/gcloud/*", "*.gnupg/secring*", "*.gnupg/private-keys*")  # fmt: skip
ORDINARY = ("etc/ssl/certs/", "usr/share/", "usr/lib/python", "usr/local/lib/python",
            "usr/local/share/ca-certificates/", "etc/pki/", "usr/lib/ssl/",
            "usr/local/lib/node_modules/")  # fmt: skip
"""Where certificates and examples of packages lie."""


class Hint(Record):
    """One thing to look at."""

    kind: str
    """env, label, history, file, removed file, setuid or user."""
    subject: str
    words: str
    layer: int = 0
    """Which layer, counted from 1; 0 for the config."""


def hints(config: Mapping[str, Any], layers: Sequence[FileTable]) -> list[Hint]:
    """Return what an image's config, history and file names suggest."""
    found = [*_settings(config), *_history(config)]
    gone = _removed(layers)
    for number, layer in enumerate(layers, 1):
        for entry in layer:
            found += _file(entry, number, gone.get(entry.path, 0))
    return found


def _settings(config: Mapping[str, Any]) -> Iterator[Hint]:
    settings = config.get("config") or {}
    for entry in settings.get("Env") or []:
        name, _, value = str(entry).partition("=")
        if words := _secret(name, value):
            yield Hint("env", name, words)
    for name, value in (settings.get("Labels") or {}).items():
        if words := _token(str(value)):
            yield Hint("label", str(name), words)
    if str(settings.get("User") or "0").partition(":")[0] in ("0", "root"):
        yield Hint("user", "root", "containers run as root unless told otherwise")


def _secret(name: str, value: str) -> str:
    if words := _token(value):
        return words
    lower = name.lower()
    is_path = value.startswith("/") or lower.endswith(("_file", "_path", "_dir"))
    if any(word in lower for word in SECRET_WORDS) and value.lower() not in NO_SECRETS:
        return "" if is_path else "its name says that its value is a secret"
    return ""


def _token(text: str) -> str:
    """Return what a word that looks like a token looks like, "" for none."""
    for word in text.replace('"', " ").replace("'", " ").replace("=", " ").split():
        for start, words in TOKEN_STARTS.items():
            place = word.find(start)
            if place >= 0 and len(word) - place >= TOKEN_LENGTH:
                return f"it looks like {words}"
    if "-----BEGIN" in text and "PRIVATE KEY" in text:
        return "it holds a private key"
    return ""


def _history(config: Mapping[str, Any]) -> Iterator[Hint]:
    for step in config.get("history") or []:
        words = str(step.get("created_by") or "")
        cause = _token(words)
        for part in words.split():
            name, equals, value = part.strip("\"'").partition("=")
            if not cause and equals and not value.startswith("$"):
                cause = _secret(name.lstrip("-"), value.strip("\"'"))
        if not cause and "://" in words and _has_password(words):
            cause = "an address in it has a password"
        if cause:
            yield Hint("history", words[:80], cause)


def _has_password(words: str) -> bool:
    for part in words.split():
        _, mark, rest = part.partition("://")
        user, at, _ = rest.partition("/")[0].rpartition("@")
        password = user.partition(":")[2]
        if mark and at and password and not password.startswith("$"):
            return True
    return False


def _removed(layers: Sequence[FileTable]) -> dict[str, int]:
    """Return by path the layer (counted from 1) that whites it out."""
    found = {}
    for number, layer in enumerate(layers, 1):
        for entry in layer:
            if entry.kind == "whiteout":
                found[entry.path] = number
    return found


def _file(entry: FileEntry, number: int, removed: int) -> Iterator[Hint]:
    if entry.kind != "file":
        return
    if entry.mode & (stat.S_ISUID | stat.S_ISGID) and entry.mode & 0o111:
        bit = "user" if entry.mode & stat.S_ISUID else "group"
        owner = entry.uid if bit == "user" else entry.gid
        yield Hint("setuid", f"/{entry.path}", f"it runs as {bit} {owner}", number)
    if entry.size and _is_secret_file(entry.path):
        if removed > number:
            words = f"removed in layer {removed}, but still in this one: whoever pulls it has it"
            yield Hint("removed file", f"/{entry.path}", words, number)
        else:
            yield Hint("file", f"/{entry.path}", "files of this name hold secrets", number)


def _is_secret_file(path: str) -> bool:
    if path.startswith(ORDINARY) or path.endswith(".pub"):
        return False
    names, paths = _matchers()
    return bool(names(path.rpartition("/")[2]) or paths(path))


@cache
def _matchers() -> tuple[Callable[[str], object], Callable[[str], object]]:
    import fnmatch
    import re

    def one_of(patterns: Sequence[str]) -> Callable[[str], object]:
        return re.compile("|".join(map(fnmatch.translate, patterns))).match

    return one_of(SECRET_FILES), one_of(SECRET_PATHS)
