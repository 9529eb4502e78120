"""Pulling: from a name to an image in the store.

Layers are fetched side by side and unpacked while they are still on their way.  Nothing
but whole, verified things ever shows: the image is added last, in one step, and what an
interrupted pull has fetched serves the next one.
"""

from __future__ import annotations

from core.errors import (
    ConfigError,
    Corrupt,
    NotFound,
    RegistryError,
    UnsupportedMedia,
    UsageError,
)
from core.images.manifest import (
    MAX_SIZE,
    Entry,
    Index,
    Manifest,
    choose,
    diff_ids,
    parse,
    parse_config,
    platform_of,
)
from core.images.reference import parse_host
from core.images.unpacking.unpack import Unpacker
from core.record import Record
from core.registry.status import note_use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.config import Config
    from core.images.manifest import Descriptor
    from core.images.reference import Reference
    from core.images.store import ImageStore
    from core.jobs import Job
    from core.model import ImageInfo
    from core.registry.client import RegistryClient

SHORT_DIGEST = 12


class Layer(Record):
    """A layer as its manifest and its image's config name it."""

    descriptor: Descriptor
    diff_id: str

    @property
    def name(self) -> str:
        """What it is called in progress."""
        return self.descriptor.digest.partition(":")[2][:SHORT_DIGEST]


class Found(Record):
    """An image as the registry has it."""

    content: bytes
    manifest: Manifest
    source_digest: str
    """Of what the name stands for: an index, or the manifest itself."""
    config: bytes
    layers: tuple[Layer, ...]


def pull(
    store: ImageStore, config: Config, reference: Reference, platform: str, job: Job
) -> ImageInfo:
    """Fetch an image for a platform (empty: this host's) and return it.

    Raises NotFound, RegistryError, ImageError or HostError, each naming host, repository and
    cause, and Cancelled.  Progress is told per layer, with the notes exists, waiting,
    downloading, verifying, unpacking and done.
    """
    *mirrors, own = places(config, reference)
    name = reference.replace(tag="") if reference.digest else reference
    with Unpacker() as unpacker:
        if not store.is_name(name.canonical):
            # It gets ready while this process imports what speaks HTTP.
            unpacker.prepare()
        for place in mirrors:
            try:
                found = _bring(store, config, place, platform, job, unpacker)
                break
            except (RegistryError, NotFound, Corrupt) as error:
                job.say(f"mirror {place.host}: {error.message}; asking the next")
        else:
            found = _bring(store, config, own, platform, job, unpacker)
    job.check()
    return store.add_image(
        found.content,
        found.manifest.media_type,
        found.config,
        tags=(name.canonical,),
        source_digest=found.source_digest,
    )


def places(config: Config, reference: Reference) -> list[Reference]:
    """Return where to ask for an image: the mirrors of its registry, then that itself.

    Raises ConfigError for a mirror that is no `HOST[:PORT][/PREFIX]`.
    """
    found = []
    for mirror in config.mirrors.get(reference.host, "").split():
        host, _, prefix = mirror.partition("/")
        try:
            host = parse_host(host)
        except UsageError as error:
            raise ConfigError(
                f"mirrors of {reference.host}: {error.message}",
                hint="a mirror is HOST[:PORT][/PREFIX], several are separated by blanks",
                subject=mirror,
            ) from None
        path = f"{prefix.strip('/')}/{reference.path}".lstrip("/")
        found.append(reference.replace(host=host, path=path))
    return [*found, reference]


def _bring(
    store: ImageStore,
    config: Config,
    place: Reference,
    platform: str,
    job: Job,
    unpacker: Unpacker,
) -> Found:
    """Bring manifest, config and layers from one place."""
    from core.registry.client import RegistryClient
    from core.registry.layers import Layers

    with RegistryClient(place.host, config, check=job.check) as client:
        try:
            found = find(client, place, platform, job.say)
            Layers(store, config, client, place.path, job, unpacker).bring(found)
        except RegistryError as error:
            note_use(store.database, client, error)
            raise
    if client.quota:
        job.say(f"{client.host} still grants {client.quota.describe()}")
    note_use(store.database, client)
    return found


def find(
    client: RegistryClient, reference: Reference, platform: str, say: Callable[[str], None]
) -> Found:
    """Ask for manifest and config of an image; warns through `say` of a foreign platform."""
    what = reference.familiar
    content, media_type, source_digest = client.manifest(
        reference.path, reference.digest or reference.tag
    )
    document = parse(content, media_type, what)
    if isinstance(document, Index):
        chosen = choose(document, platform, what)
        content, media_type, _ = client.manifest(reference.path, chosen.digest)
        document = parse(content, media_type, f"{what} ({chosen.digest})")
    if isinstance(document, Index):
        raise UnsupportedMedia(f"{what} is an index of indexes", subject=what)
    config = client.small_blob(reference.path, document.config.digest, MAX_SIZE)
    parsed = parse_config(config, f"{what}, config")
    names = diff_ids(parsed)
    if len(names) != len(document.layers):
        raise Corrupt(
            f"{what}: layers: {len(document.layers)}, diff_ids in its config: {len(names)}",
            subject=what,
        )
    _check_platform(document, platform_of(parsed), platform, what, say)
    layers = tuple(map(Layer, document.layers, names))
    return Found(content, document, source_digest, config, layers)


def _check_platform(
    manifest: Manifest, actual: str, wanted: str, what: str, say: Callable[[str], None]
) -> None:
    """Refuse an image that is not for the platform asked for; warn if it is not the host's."""
    only = Index(manifest.media_type, (Entry(manifest.config, actual),))
    try:
        choose(only, wanted, what)
    except NotFound:
        if wanted:
            raise
        say(f"{what} is for {actual}: this host runs it only through an emulator (binfmt_misc)")
