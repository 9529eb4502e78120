"""Containers on networks of one's own find each other by name."""

from __future__ import annotations

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.containers.state import monitored, read_state
from core.engine import Engine
from core.errors import RunError
from core.model import Endpoint, Port
from core.network import names
from core.network.attachment import veth
from core.network.ports import publishing
from core.paths import Paths
from tests.containers import (
    make_engine,
    options,
    processes_named,
    reap,
    run,
    shell,
    spawners,
    until,
)
from tests.system.network.own_networks.asking import (
    SETTINGS,
    boxes,
    hosts,
    network,
    said,
    sleeper,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.containers.lifecycle import Containers


def test_containers_find_each_other_by_name_alias_and_short_id(
    engine: Engine, containers: Containers
) -> None:
    network(engine, "shop")
    web = sleeper(containers, "web", "shop")
    database = sleeper(containers, "db", Endpoint("shop", aliases=("store",)))
    for name in ("db", "store", database[:12]):
        assert "1 packets received" in said(containers, web, f"ping -c1 -W2 {name}")
    assert hosts(containers, database, "web") == ["10.90.0.2"]
    containers.stop(database, 0)
    assert hosts(containers, web, "db") == []
    containers.start(database)
    assert hosts(containers, web, "db") == ["10.90.0.3"]


def test_the_first_program_of_a_container_finds_the_others(
    engine: Engine, containers: Containers
) -> None:
    network(engine, "shop")
    sleeper(containers, "db", "shop")
    code, out, _ = run(containers.run(shell("ping -c1 -W2 db", network="shop", name="web")))
    assert (code, b"10.90.0.2" in out) == (0, True)


def test_another_address_after_a_restart_is_what_others_see(
    engine: Engine, containers: Containers
) -> None:
    network(engine, "shop")
    web, database = sleeper(containers, "web", "shop"), sleeper(containers, "db", "shop")
    containers.stop(database, 0)
    engine.network.release(database)
    sleeper(containers, "other", "shop")  # takes the address
    containers.start(database)
    assert hosts(containers, web, "db") == ["10.90.0.4"]
    assert hosts(containers, web, "other") == ["10.90.0.3"]


def test_all_know_all_however_they_came_and_went(engine: Engine, containers: Containers) -> None:
    network(engine, "shop")
    made = [
        containers.create(options("sleep", "1000", network="shop", name=f"box{number}"))
        for number in range(8)
    ]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(containers.start, made))
        for container in made:
            assert boxes(engine, container) == set(range(8))
        list(pool.map(lambda container: containers.stop(container, 0), made[:4]))
    for container in made[4:]:
        assert boxes(engine, container) == {4, 5, 6, 7}


def test_two_containers_under_one_alias(engine: Engine, containers: Containers) -> None:
    network(engine, "shop")
    first, second = (
        sleeper(containers, name, Endpoint("shop", aliases=("api",))) for name in ("one", "two")
    )
    assert hosts(containers, first, "api") == ["10.90.0.2", "10.90.0.3"]
    containers.kill(second)
    until(lambda: hosts(containers, first, "api") == ["10.90.0.2"])


def test_a_renamed_container_is_found_under_its_new_name(
    engine: Engine, containers: Containers
) -> None:
    network(engine, "shop")
    web, database = sleeper(containers, "web", "shop"), sleeper(containers, "db", "shop")
    containers.rename(database, "store")
    assert hosts(containers, web, "db") == []
    assert hosts(containers, web, "store") == ["10.90.0.3"]


def test_what_a_container_wrote_into_its_hosts_file_stays(
    engine: Engine, containers: Containers
) -> None:
    network(engine, "shop")
    web = sleeper(containers, "web", "shop", add_hosts=(("far", "203.0.113.9"),))
    said(containers, web, "echo 192.0.2.1 mine >> /etc/hosts")
    database = sleeper(containers, "db", "shop")
    assert hosts(containers, web, "db")
    containers.rm(database, force=True)
    assert hosts(containers, web, "db") == []
    assert hosts(containers, web, "mine") == ["192.0.2.1"]
    assert hosts(containers, web, "far") == ["203.0.113.9"]


def test_a_killed_monitor_leaves_no_name(engine: Engine, containers: Containers) -> None:
    network(engine, "shop")
    web, database = sleeper(containers, "web", "shop"), sleeper(containers, "db", "shop")
    found = read_state(engine.paths.container(database))
    os.kill(found.monitor, signal.SIGKILL)
    until(lambda: not monitored(found))
    assert containers.resolve(database).state == "exited"
    assert hosts(containers, web, "db") == []


@pytest.mark.parametrize(
    ("place", "function"),
    [(veth, "attach"), (publishing, "publish"), (names, "join"), (publishing, "_add"),
     (names, "_rewrite")],
)  # fmt: skip
def test_a_monitor_killed_while_it_plugs_in_leaves_nothing(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, place: Any, function: str
) -> None:
    before = getattr(place, function)

    def killed(*values: Any) -> None:
        before(*values)
        os.kill(os.getpid(), signal.SIGKILL)

    # Inherited by the spawner, which is forked here, and by its monitors.
    with monkeypatch.context() as patch:
        patch.setattr(place, function, killed)
        engine = make_engine(paths, "fork", SETTINGS)
    containers = engine.containers
    device = network(engine, "shop")
    web = containers.create(
        options("sleep", "1000", network="shop", name="web", publish=(Port("", 8080, 80),))
    )
    with pytest.raises(RunError, match="the monitor ended"):
        containers.start(web)
    assert names.members(engine.network.zones, "shop") == []
    table = subprocess.run(
        ["nft", "list", "table", "inet", device], capture_output=True, text=True
    ).stdout
    assert "8080" not in table
    assert engine.database.query("SELECT * FROM addresses") == []
    assert containers.resolve(web).state == "created"
    assert list(Path("/sys/fs/cgroup").rglob(f"{web}*")) == []
    assert processes_named("sleep\01000") == []
    engine.close()
    until(lambda: not spawners(paths))  # the one that kills
    again = make_engine(paths, "fork", SETTINGS)
    again.containers.start(web)
    assert hosts(again.containers, web, "web")
    again.containers.rm(web, force=True)
    again.network.remove("shop", again.connections.users_of)
    again.close()
    reap()


def test_a_hostile_hosts_file_harms_nobody_else(engine: Engine, containers: Containers) -> None:
    network(engine, "shop")
    web = sleeper(containers, "web", "shop")
    said(containers, web, "head -c 3000000 /dev/zero > /etc/hosts")
    database = sleeper(containers, "db", "shop")
    assert hosts(containers, database, "web") == ["10.90.0.2"]
    containers.rm(database, force=True)
    assert os.path.getsize(f"{engine.paths.container(web)}/hosts") < 2 << 20


# -- several networks ----------------------------------------------------------------
