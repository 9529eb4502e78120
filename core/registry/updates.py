"""Whether registries have something newer behind the names in use here."""

from __future__ import annotations

from core.errors import Error, NotFound, RateLimited, Unreachable
from core.images.manifest import Index, choose, parse
from core.images.reference import familiar_name, parse_reference
from core.record import Record
from core.registry.client import RegistryClient
from core.registry.status import note_use
from core.side_by_side import side_by_side

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from core.config import Config
    from core.database import Database

    Check = Callable[[], None]

WORKERS = 8
TIMEOUT_S = 10
CURRENT, PULLED, UPSTREAM, UNKNOWN = "current", "newer pulled", "newer upstream", "unknown"


class User(Record):
    """A running container and the image it was made from."""

    name: str
    image: str
    """Canonical reference."""
    digest: str


class Update(Record):
    """How one image or container stands to its registry."""

    kind: str
    """image or container."""
    name: str
    image: str
    state: str
    """current, newer pulled (a container's tag has moved here), newer upstream or unknown."""
    digest: str
    upstream: str = ""
    """What the name stands for in the registry: an index or a manifest."""
    cause: str = ""
    """Why the state is unknown."""


class _Name(Record):
    reference: str
    digest: str
    source: str
    platform: str


def check_updates(
    database: Database,
    config: Config,
    users: Iterable[User],
    check: Check = lambda: None,
    *,
    only_users: bool = False,
) -> list[Update]:
    """Ask the registries about every tagged image: one HEAD each, more only where it moved.

    `only_users`: about the images of these containers alone.

    A registry that does not answer or limits is asked once and not again; its images are
    unknown, with the cause.
    """
    rows = database.query(
        "SELECT t.name, t.digest, t.source_digest, i.platform FROM tags t "
        "JOIN images i ON i.digest = t.digest ORDER BY t.name"
    )
    users = list(users)
    used = {user.image for user in users}
    names = [_Name(*row) for row in rows if row[0] in used or not only_users]
    states = _ask_all(names, database, config, check)
    here = {name.reference: name.digest for name in names}
    found = [
        states[name.reference].replace(kind="image", name=familiar_name(name.reference))
        for name in names
        if not only_users
    ]
    for user in users:
        state = states.get(user.image)
        if state is None:
            cause = "the name is gone here: limpet pull it to compare"
            state = Update("", "", user.image, UNKNOWN, user.digest, "", cause)
        elif here[user.image] != user.digest:
            state = state.replace(state=PULLED, digest=user.digest, cause="")
        found.append(state.replace(kind="container", name=user.name))
    return found


def _ask_all(
    names: list[_Name], database: Database, config: Config, check: Check
) -> dict[str, Update]:
    states: dict[str, Update] = {}
    clients: dict[str, RegistryClient] = {}
    silent: dict[str, str] = {}

    def work(name: _Name) -> Callable[[Check], None]:
        def run(_: Check) -> None:
            states[name.reference] = _ask(clients, silent, name)

        return run

    try:
        for name in names:
            host = parse_reference(name.reference).host
            if host != "localhost" and host not in clients:
                clients[host] = RegistryClient(
                    host, config, check=check, timeout_s=TIMEOUT_S, attempts=2
                )
        # One of each registry first: a limit or a silence is met once, not eight times.
        first = {parse_reference(name.reference).host: name for name in names}.values()
        side_by_side(map(work, first), WORKERS, check)
        side_by_side([work(name) for name in names if name not in first], WORKERS, check)
    finally:
        for client in clients.values():
            client.close()
            if client.quota:
                note_use(database, client)
    return states


def _ask(clients: dict[str, RegistryClient], silent: dict[str, str], name: _Name) -> Update:
    reference = parse_reference(name.reference)
    update = Update("", "", familiar_name(name.reference), CURRENT, name.digest)
    if reference.digest:
        return update.replace(upstream=reference.digest)  # a digest never moves
    client = clients.get(reference.host)
    cause = "it was made here" if client is None else silent.get(reference.host, "")
    if client is None or cause:
        return update.replace(state=UNKNOWN, cause=cause)
    try:
        upstream = client.digest_of_manifest(reference.path, reference.tag)
        if not upstream:
            return update.replace(state=UNKNOWN, cause="the registry no longer has this tag")
        update = update.replace(upstream=upstream)
        if upstream in (name.source, name.digest):
            return update
        same = _image_digest(client, reference.path, upstream, name.platform) == name.digest
    except (Unreachable, RateLimited) as error:
        silent[reference.host] = error.message
        return update.replace(state=UNKNOWN, cause=error.message)
    except Error as error:
        return update.replace(state=UNKNOWN, cause=error.message)
    return update if same else update.replace(state=UPSTREAM)


def _image_digest(client: RegistryClient, path: str, digest: str, platform: str) -> str:
    """Return the manifest's digest that a name means for a platform."""
    content, media_type, _ = client.manifest(path, digest)
    document = parse(content, media_type, f"{client.host}/{path}@{digest}")
    if not isinstance(document, Index):
        return digest
    try:
        return choose(document, platform).digest
    except NotFound as error:
        raise NotFound(f"upstream has it no longer for {platform}", hint=error.hint) from None
