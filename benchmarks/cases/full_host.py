"""A host full of everything limpet keeps, or a part of one: what costs must not outgrow."""

from __future__ import annotations

import random
from contextlib import contextmanager

from benchmarks.cases.image_files import make_layer, make_rows
from core.build.cache import BuildCache, Layer
from core.config import load_config
from core.containers.configuration.options import ContainerOptions, Mount
from core.engine import Engine
from core.images.assemble import make_image
from core.images.manifest import Descriptor
from core.model import Port
from core.network.definition import NetworkOptions
from core.paths import Paths
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAYER_FILES = 25_000
LAYERS_EACH = 3
TAGS_EACH = 5
TIERS = 50
NAMES_A_REMOVAL = 4


class Amounts(Record):
    """How much of each there is."""

    containers: int = 1000
    running: int = 200
    ended: int = 100
    images: int = 5000
    layers: int = 80
    volumes: int = 500
    networks: int = 40
    removals: int = 100
    steps: int = 2000
    log_lines: int = 200_000
    written_files: int = 5000

    def part(self, share: int) -> Amounts:
        """Return one of `share` of everything."""
        return Amounts(**{name: getattr(self, name) // share for name in self.fields})


def paths_of(place: Path) -> Paths:
    """Return limpet's directories below one."""
    return Paths(f"{place}/data", f"{place}/run")


@contextmanager
def filled(place: Path, amounts: Amounts) -> Iterator[Engine]:
    """Fill a host; its containers and their networks go at the end."""
    engine = Engine(paths_of(place), load_config())
    noise = random.Random(8)
    try:
        _fill_images(engine, amounts, noise)
        _fill_build_cache(engine, amounts, noise)
        _fill_containers(engine, amounts)
        _fill_trash(engine, amounts)
        yield engine
    finally:
        for info in engine.containers.list():
            engine.containers.rm(info.id, force=True)
        for network in engine.network.all():
            if network.id:
                engine.network.remove(network.name, engine.connections.users_of)
        engine.network.teardown()
        engine.close()


def _fill_images(engine: Engine, amounts: Amounts, noise: random.Random) -> None:
    engine.images.make_starter().result()
    for number in range(amounts.layers):
        make_layer(engine, 100 + number, make_rows(noise, 1 + number, LAYER_FILES))
    for number in range(amounts.images):
        chosen = [_layer(100 + one) for one in noise.sample(range(amounts.layers), LAYERS_EACH)]
        config = {"author": str(number), "config": {"Labels": {"tier": str(number % TIERS)}}}
        name = engine.reference(f"app{number // TAGS_EACH}:{number % TAGS_EACH}").canonical
        make_image(engine.store, config, [(one.descriptor, one.diff_id) for one in chosen], [name])


def _fill_build_cache(engine: Engine, amounts: Amounts, noise: random.Random) -> None:
    cache = BuildCache(engine.database)
    for number in range(amounts.steps):
        layer = _layer(100 + noise.randrange(amounts.layers))
        cache.keep(_digest(number), layer, f"RUN make {number}", f"step {number % 40}", {})


def _fill_containers(engine: Engine, amounts: Amounts) -> None:
    """Make them: some write files or a log, some publish, most are on a network, half mount."""
    life = engine.containers
    for number in range(amounts.networks):
        engine.network.create(NetworkOptions(f"net-{number}"))
    for number in range(amounts.volumes):
        engine.volumes.create(f"volume-{number}", {"tier": str(number % TIERS)})
    for number in range(amounts.containers):
        volume = f"volume-{number % amounts.volumes}"
        runs = number < amounts.running
        made = life.create(ContainerOptions(
            "starter", ("sh", "-c", _script(number, amounts)) if runs else ("true",),
            name=f"load-{number}", network=_network(number, amounts),
            publish=(Port("127.0.0.1", 0, 80),) if number % 4 == 1 else (),
            mounts=(Mount(volume, "/data", kind="volume"),) if number % 2 else (),
            labels=(("tier", str(number % TIERS)),),
        ))  # fmt: skip
        if number < amounts.running + amounts.ended:
            life.start(made)
        if not runs and number < amounts.running + amounts.ended:
            life.wait(made)


def _script(number: int, amounts: Amounts) -> str:
    if number == 0:
        return f"seq 1 {amounts.log_lines}; exec sleep 36000"
    if number == 1:
        return f"mkdir /w; cd /w; seq 1 {amounts.written_files} | xargs touch; exec sleep 36000"
    return "echo begun; exec sleep 36000"


def _network(number: int, amounts: Amounts) -> str:
    return ("none", "bridge", *2 * (f"net-{number % amounts.networks}",))[number % 4]


def _fill_trash(engine: Engine, amounts: Amounts) -> None:
    for number in range(amounts.removals):
        names = [f"gone{number}:{one}" for one in range(NAMES_A_REMOVAL)]
        for name in names:
            engine.store.tag("app0:1", engine.reference(name).canonical)
        plan = engine.store.plan_removal(names, force=False, users={})
        engine.store.apply_removal(plan, engine.trash.open(f"rmi {' '.join(names)}"))


def _layer(number: int) -> Layer:
    blob = Descriptor("application/vnd.oci.image.layer.v1.tar", _digest(number), 1)
    return Layer(_digest(number), blob)


def _digest(number: int) -> str:
    return f"sha256:{number:064x}"
