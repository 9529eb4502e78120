"""Names and passwords of registries, kept where docker keeps them.

`$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`: its `auths` hold base64, its
`credHelpers` and `credsStore` name programs that keep secrets elsewhere.
https://github.com/docker/docker-credential-helpers#development
"""

from __future__ import annotations

import os

from core.errors import ConfigError, NotFound, UsageError
from core.images.reference import DOCKER_HUB, parse_host
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.config import Config

HUB_KEY = "https://index.docker.io/v1/"
"""What docker calls Docker Hub in its file."""
HELPER_TIMEOUT_S = 60
IDENTITY_TOKEN_USER = "<token>"  # noqa: S105 - the user name that marks a token


class Credentials(Record):
    """What a registry is shown; never printed."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials(user={self.user!r}, password=…)"


def find_credentials(host: str) -> Credentials | None:
    """Return what is stored for a registry, None for nothing.

    Raises ConfigError if docker's file, or the helper it names, cannot be used.
    """
    document = _read()
    helper = _helper(document, host)
    if helper:
        return _ask_helper(helper, host)
    for key, entry in _section(document, "auths").items():
        if _host_of(key) == host and isinstance(entry, dict):
            found = _decode(entry, host)
            if found:
                return found
    return None


def known_users() -> dict[str, str]:
    """Return user names by registry; the name is empty where only a helper knows it.

    Raises ConfigError as `find_credentials` does.
    """
    document = _read()
    users = {}
    for key, entry in _section(document, "auths").items():
        try:
            found = _decode(entry, key) if isinstance(entry, dict) else None
        except ConfigError:
            found = None
        users[_host_of(key)] = found.user if found else ""
    for key in _section(document, "credHelpers"):
        users.setdefault(_host_of(key), "")
    return users


def login(config: Config, host: str, user: str, password: str) -> None:
    """Show the credentials to the registry and, when it takes them, store them.

    Raises Unauthorized if the registry refuses them; the file then stays as it is.
    """
    from core.registry.client import RegistryClient

    host = parse_host(host)
    if not user or ":" in user:
        raise UsageError("a user name is not empty and has no colon", hint="limpet login -u NAME")
    credentials = Credentials(user, password)
    with RegistryClient(host, config, credentials=credentials) as client:
        client.ping()
    _store(host, credentials)


def logout(host: str) -> None:
    """Forget what is stored for a registry; NotFound if nothing is."""
    host = parse_host(host)
    document = _read()
    helper = _helper(document, host)
    found = False
    if helper and _ask_helper(helper, host):
        _run_helper(helper, "erase", _key(host))
        found = True
    auths = _section(document, "auths")
    for key in [key for key in auths if _host_of(key) == host]:
        del auths[key]
        found = True
    if not found:
        raise NotFound(f"not logged in to {host}", hint="limpet registry ls", subject=host)
    _write(document)


def _store(host: str, credentials: Credentials) -> None:
    from base64 import b64encode

    document = _read()
    auths = document.setdefault("auths", {})
    for key in [key for key in auths if _host_of(key) == host]:
        del auths[key]
    helper = _helper(document, host)
    if helper:
        import json

        _run_helper(helper, "store", json.dumps({
            "ServerURL": _key(host),
            "Username": credentials.user,
            "Secret": credentials.password,
        }))  # fmt: skip
        auths[_key(host)] = {}
    else:
        pair = f"{credentials.user}:{credentials.password}"
        auths[_key(host)] = {"auth": b64encode(pair.encode()).decode()}
    _write(document)


def _file() -> str:
    directory = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    return f"{directory}/config.json"


def _read() -> dict[str, Any]:
    import json

    path = _file()
    try:
        with open(path, "rb") as file:
            document = json.load(file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", subject=path) from error
    except (ValueError, RecursionError):
        # Without the parser's words: they could quote a secret.
        raise ConfigError(f"{path} is not valid JSON", subject=path) from None
    if not isinstance(document, dict):
        raise ConfigError(f"{path} is not a JSON object", subject=path)
    for name in ("auths", "credHelpers"):
        if not isinstance(document.get(name, {}), dict):
            raise ConfigError(f"{path}: {name} is not a JSON object", subject=path)
    return document


def _write(document: dict[str, Any]) -> None:
    """Replace the file as a whole, readable by its owner only."""
    import json
    import tempfile

    path = os.path.realpath(_file())
    directory = os.path.dirname(path)
    try:
        os.makedirs(directory, 0o700, exist_ok=True)
        fd, temporary = tempfile.mkstemp(dir=directory, prefix="config.json-")
        try:
            with open(fd, "w", encoding="utf-8") as file:
                json.dump(document, file, indent="\t")
                file.flush()
                os.fsync(fd)
            os.rename(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}",
            hint="point DOCKER_CONFIG at a directory of your own",
            subject=path,
        ) from error


def _section(document: dict[str, Any], name: str) -> dict[str, Any]:
    section: dict[str, Any] = document.get(name) or {}
    return section


def _key(host: str) -> str:
    return HUB_KEY if host == DOCKER_HUB else host


def _host_of(key: str) -> str:
    try:
        return parse_host(key)
    except UsageError:
        return key


def _decode(entry: dict[str, Any], host: str) -> Credentials | None:
    from base64 import b64decode

    if isinstance(entry.get("identitytoken"), str) and entry["identitytoken"]:
        return Credentials(IDENTITY_TOKEN_USER, entry["identitytoken"])
    auth = entry.get("auth")
    if not auth:
        user, password = entry.get("username"), entry.get("password")
        both = isinstance(user, str) and isinstance(password, str) and user
        return Credentials(str(user), str(password)) if both else None
    try:
        user, colon, password = b64decode(auth, validate=True).decode().partition(":")
    except (ValueError, TypeError):
        user = colon = password = ""
    if not user or not colon:
        raise ConfigError(
            f"{_file()}: what is stored for {host} is damaged",
            hint=f"limpet login -u NAME {host}",
            subject=host,
        )
    return Credentials(user, password.strip("\0"))


def _helper(document: dict[str, Any], host: str) -> str:
    """Return the helper that keeps a registry's secrets, empty for docker's file itself."""
    name = next(
        (
            value
            for key, value in _section(document, "credHelpers").items()
            if _host_of(key) == host
        ),
        document.get("credsStore"),
    )
    if not name:
        return ""
    if not isinstance(name, str) or "/" in name or not name.isprintable():
        raise ConfigError(f"{_file()} names a credential helper that cannot be", subject=host)
    return name


def _ask_helper(helper: str, host: str) -> Credentials | None:
    import json

    answer = _run_helper(helper, "get", _key(host))
    if answer is None:
        return None
    try:
        document = json.loads(answer)
        user, secret = document["Username"], document["Secret"]
    except (ValueError, TypeError, LookupError):
        user = secret = None
    if not isinstance(user, str) or not isinstance(secret, str):
        raise ConfigError(f"docker-credential-{helper} gave no credentials for {host}")
    return Credentials(user, secret) if secret else None


def _run_helper(helper: str, verb: str, words: str) -> bytes | None:
    """Return what the helper prints, None if it knows no such registry."""
    import subprocess

    program = f"docker-credential-{helper}"
    try:
        result = subprocess.run(
            [program, verb],
            input=words.encode(),
            capture_output=True,
            timeout=HELPER_TIMEOUT_S,
            check=False,
        )
    except OSError as error:
        raise ConfigError(
            f"{program}, which {_file()} names, cannot be run: {error.strerror}",
            hint=f"install {program}, or take credsStore and credHelpers out of {_file()}",
            subject=program,
        ) from error
    except subprocess.TimeoutExpired:
        raise ConfigError(f"{program} {verb} does not end", subject=program) from None
    if result.returncode == 0:
        return result.stdout
    if b"not found" in result.stdout + result.stderr:
        return None
    # Its words stay out of the message: on `store` they may repeat what it was given.
    raise ConfigError(f"{program} {verb} failed (exit {result.returncode})", subject=program)
