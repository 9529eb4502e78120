"""The verbs of registries."""

from __future__ import annotations

import os

from core.commands.grammar import Args, Listing, flag, option, positional, verb
from core.commands.result import Column, Foreground, Result, Table, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.engine import Engine
    from core.registry.client import RegistryClient


class List(Listing):
    """Options of `registry ls`."""

    probe: bool = flag("--probe", help="ask each whether it answers")


class Tags(Listing):
    """Arguments of `registry tags`."""

    long: bool = flag("-l", "--long", help="with date, size, platforms and digest")
    repository: str = positional(
        "HOST/NAME, or NAME in the default registry", complete="remote-image"
    )


class Catalog(Listing):
    """Arguments of `registry catalog`."""

    host: str = positional("the registry", metavar="HOST", complete="registry")


class Login(Args):
    """Options of `login`."""

    user: str = option("-u", "--username", help="user name", metavar="NAME")
    password: str = option(
        "-p",
        "--password",
        help="password; seen by others in ps: without it, it is asked for",
        metavar="PASSWORD",
    )
    password_stdin: bool = flag("--password-stdin", help="read the password from stdin")
    host: str = positional(
        "the registry; none: the default one", default="", metavar="HOST", complete="registry"
    )


class Logout(Args):
    """Arguments of `logout`."""

    host: str = positional(
        "the registry; none: the default one", default="", metavar="HOST", complete="registry"
    )


@verb(
    "registry ls",
    List,
    "List registries: configured, used, logged in to",
    "registry list",
    changes=False,
)
def registries(engine: Engine, args: List) -> Result:
    """Show what is known, or ask each with --probe."""
    found = engine.registries.probe() if args.probe else engine.registries.known()
    rows = tuple(
        {
            "Host": info.host,
            "State": info.state,
            "Cause": info.cause,
            "User": info.user,
            "Scheme": info.scheme,
            "LastUsed": info.last_used or "",
            "Limit": info.quota,
            "LastSync": info.last_sync or "",
        }
        for info in found
    )
    return Table(REGISTRY_COLUMNS, rows, args.format, "Host" if args.quiet else "")


@verb("registry tags", Tags, "List a repository's tags", changes=False)
def tags(engine: Engine, args: Tags) -> Result:
    """Ask the registry."""
    from core.registry.client import RegistryClient

    reference = engine.reference(args.repository)
    with RegistryClient(reference.host, engine.config) as client:
        if args.long:
            return _long_tags(client, reference.path, args)
        rows = tuple({"Tag": tag} for tag in client.tags(reference.path))
    return Table((Column("Tag", "TAG"),), rows, args.format, "Tag" if args.quiet else "")


def _long_tags(client: RegistryClient, path: str, args: Tags) -> Result:
    from core.registry.browse import describe_tags

    rows = tuple(
        {
            "Tag": tag.tag,
            "CreatedAt": tag.created or "",
            "Size": tag.size,
            "Platforms": ", ".join(tag.platforms),
            "Kind": tag.kind,
            "Digest": tag.digest,
        }
        for tag in describe_tags(client, path, client.tags(path))
    )
    return Table(TAG_COLUMNS, rows, args.format, "Tag" if args.quiet else "")


@verb("registry catalog", Catalog, "List a registry's repositories", changes=False)
def catalog(engine: Engine, args: Catalog) -> Result:
    """Ask the registry."""
    from core.registry.client import RegistryClient

    with RegistryClient(args.host, engine.config) as client:
        rows = tuple({"Repository": name} for name in client.catalog())
    return Table(
        (Column("Repository", "REPOSITORY"),), rows, args.format, "Repository" if args.quiet else ""
    )


@verb("registry login", Login, "Log in to a registry and keep the credentials", "login")
def login(engine: Engine, args: Login) -> Result:
    """Check the credentials with the registry, then store them as docker does."""
    from core.errors import UsageError

    host = args.host or engine.config["registry", "default"]
    if not args.user:
        raise UsageError("a user name is needed", hint=f"limpet login -u NAME {host}")
    if args.password and not args.password_stdin:
        return Text(_log_in(engine, host, args.user, args.password))

    def relay(stdin: int, stdout: int, _stderr: int) -> int:
        password = _read_password(stdin, stdout, args.password_stdin)
        os.write(stdout, _log_in(engine, host, args.user, password).encode() + b"\n")
        return 0

    return Foreground(f"login {host}", relay)


def _read_password(stdin: int, stdout: int, from_pipe: bool) -> str:
    from core.errors import UsageError
    from core.linux.terminal import ask_hidden, read_line

    if os.isatty(stdin):
        password = ask_hidden("Password: ", stdin, stdout)
    else:
        password = read_line(stdin) if from_pipe else ""
    if not password:
        hint = "limpet login -u NAME --password-stdin HOST < FILE"
        raise UsageError("a password is needed", hint=hint)
    return password


def _log_in(engine: Engine, host: str, user: str, password: str) -> str:
    from core.registry.credentials import login as check_and_store

    check_and_store(engine.config, host, user, password)
    return f"logged in to {host} as {user}"


@verb("registry logout", Logout, "Forget a registry's credentials", "logout")
def logout(engine: Engine, args: Logout) -> Result:
    """Remove them from docker's config.json."""
    from core.registry.credentials import logout as forget

    host = args.host or engine.config["registry", "default"]
    forget(host)
    return Text(f"logged out of {host}")


TAG_COLUMNS = (
    Column("Tag", "TAG"),
    Column("CreatedAt", "CREATED", "age"),
    Column("Size", "SIZE", "size"),
    Column("Platforms", "PLATFORMS"),
    Column("Kind", "KIND"),
    Column("Digest", "DIGEST", "id"),
)
REGISTRY_COLUMNS = (
    Column("Host", "REGISTRY"),
    Column("State", "STATE"),
    Column("User", "USER"),
    Column("LastUsed", "LAST USED", "age"),
    Column("Limit", "LIMIT"),
    Column("LastSync", "LAST SYNC", "age"),
    Column("Cause", "CAUSE"),
)
