"""Makes the row of a container: ID, name, specification."""

from __future__ import annotations

import os
import time

from core.containers import names, networking, stored
from core.containers.configuration import spec
from core.errors import Conflict, RunError, UsageError
from core.lean_json import dumps, loads
from core.lean_sqlite import IntegrityError
from core.privileges import is_rootless
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.config import Config
    from core.containers.configuration.options import ContainerOptions
    from core.containers.stored import Row
    from core.database import Database
    from core.paths import Paths

NAME_TRIES = 20


class Draft(Record):
    """A container that is not stored yet; its name may still be empty."""

    row: Row
    spec: dict[str, Any]
    document: str


def draft(
    paths: Paths,
    config: Config,
    options: ContainerOptions,
    image_digest: str,
    image_config: dict[str, Any],
    container_id: str = "",
) -> Draft:
    """Return a new container, or one that is there (`container_id`) made anew.

    Raises UsageError or RunError for options that make no sense.
    """
    if options.name:
        check_name(options.name)
    if options.auto_remove and options.restart not in ("", "no"):
        raise UsageError(
            f"--rm removes the container at its end, --restart {options.restart} starts it then",
            hint="leave one of the two out",
        )
    if options.log_driver or options.log_opts:
        from core.containers.log.drivers import check_log

        check_log(options)
    container_id = container_id or os.urandom(32).hex()
    options = options.replace(expose=networking.exposed(options, image_config.get("config") or {}))
    hosts = options.network == "host" or options.uts == "host"
    own_name = os.uname().nodename if hosts else container_id[:12]
    # Who shares another's network is called as that is.
    shared = options.network.partition(networking.SHARED)[2]
    made = spec.build_spec(
        options,
        image_config,
        config,
        hostname=options.hostname or shared[:12] or own_name,
        directory=paths.container(container_id),
        volumes=paths.volumes,
    )
    if is_rootless():
        _check_limits(made, container_id)
    labels = spec.labels(options, image_config)
    args = made["process"]["args"]
    health = _health(options, image_config.get("config") or {})
    document = stored.document_of(options, args[2:] if options.init else args, labels, health)
    row = stored.Row(
        container_id, options.name, options.image, image_digest, time.time(), loads(document)
    )
    return Draft(row, made, document)


def _check_limits(made: dict[str, Any], container_id: str) -> None:
    """Raise RunError for limits of an ordinary user who can have no cgroup on this host."""
    from core.containers.runtime import cgroups, delegation, plan

    planned = plan.make_cgroup(made, container_id)
    offered = not cgroups.layout() and (planned["version"] or delegation.offer())
    if not offered and (option := cgroups.asked_first(planned)):
        raise RunError(
            f"{option}: {cgroups.NO_CGROUP}",
            hint="limpet doctor tells what this host lacks; leave the option out",
            subject=option,
        )


def _health(options: ContainerOptions, settings: dict[str, Any]) -> dict[str, Any] | None:
    if not (options.health_cmd or options.no_healthcheck or settings.get("Healthcheck")):
        return None
    from core.containers.configuration.healthcheck import make_healthcheck

    return make_healthcheck(options, settings)


def insert(database: Database, made: Draft) -> None:
    """Store a container, under a made-up name if it has none; Conflict for a taken one.

    Raises NotFound when its image or a network was removed meanwhile.
    """
    row = made.row
    for attempt in range(NAME_TRIES):
        name = row.name or names.make_name(attempt)
        values = (row.id, name, row.image, row.image_digest, row.created, made.document,
                  dumps(made.spec))  # fmt: skip
        try:
            with database.write() as sql:
                stored.require_image(sql, row)
                networking.require_networks(sql, row)
                sql.execute("INSERT INTO containers VALUES (?,?,?,?,?,?,?)", values)
                for volume in row.volumes:
                    sql.execute(
                        "INSERT OR IGNORE INTO volumes VALUES (?,?,?)", (volume, row.created, "{}")
                    )
        except IntegrityError:
            if row.name:
                raise _taken(database, name) from None
        else:
            return
    raise Conflict("no free name was found", hint="give one: --name NAME")


def rename(database: Database, row: Row, name: str) -> None:
    """Give a container another name.  Raises UsageError or Conflict."""
    check_name(name)
    try:
        with database.write() as sql:
            sql.execute("UPDATE containers SET name=? WHERE id=?", (name, row.id))
    except IntegrityError:
        raise _taken(database, name) from None


def check_name(name: str) -> None:
    """Raise UsageError unless a container may be called so."""
    if not names.is_name(name):
        raise UsageError(
            f"{name!r} is no container name",
            hint="letters, digits, _ . - and a letter or digit in front",
            subject=name,
        )


def _taken(database: Database, name: str) -> Conflict:
    holder = stored.find(database, name)
    return Conflict(
        f"the name {name!r} belongs to container {holder.id[:12]}",
        hint=f"limpet rm {name}, or choose another name",
        subject=name,
    )
