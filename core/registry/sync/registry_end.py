"""Repositories of a registry as an end of a copy."""

from __future__ import annotations

import threading

from core.errors import ConfigError, NotFound, UsageError
from core.images.manifest import MAX_SIZE, contents
from core.images.reference import parse_host, parse_reference
from core.registry.browse import delete_manifest, referrers_pages
from core.registry.client import RegistryClient
from core.registry.sync.referrers import list_in, listed_in, referrer_tag
from core.registry.upload import has_blob, put_manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from core.config import Config
    from core.registry.sync.ends import End, Found


class RegistryEnd:
    """Repositories of a registry: `HOST/PATH`, or all below `HOST/PATH/*`."""

    by_host = False
    """Whether names of repositories begin with a host."""

    def __init__(self, text: str, config: Config, check: Callable[[], None]) -> None:
        body = text.removeprefix("docker://")
        self.many = body.endswith("/*")
        host, self._path = _split(text, body.removesuffix("/*"), config["registry", "default"])
        self.client = RegistryClient(host, config, check=check)
        self.name = f"{host}/{self._path}".rstrip("/")
        self._lists_referrers = True
        self._listing = threading.Lock()

    def path(self, repository: str) -> str:
        """Return a repository's path in the registry."""
        return f"{self._path}/{repository}".strip("/")

    def show(self, repository: str, tag: str) -> str:
        """Return the name of an image as people write it."""
        return f"{self.client.host}/{self.path(repository)}:{tag}"

    def place_of(self, source: End, repository: str) -> str:
        """Return the repository here that one of a source is copied to."""
        if source.by_host:
            return repository.partition("/")[2]
        return repository

    def repositories(self) -> list[str]:
        """Return the repositories, relative to the end; "" is the end itself."""
        if not self.many:
            return [""]
        prefix = f"{self._path}/" if self._path else ""
        found = (name for name in self.client.catalog() if name.startswith(prefix))
        return sorted(name.removeprefix(prefix) for name in found)

    def tags(self, repository: str) -> list[str]:
        """Return a repository's tags; none for one that is not there."""
        try:
            return list(self.client.tags(self.path(repository)))
        except NotFound:
            return []

    def digest(self, repository: str, tag: str) -> str:
        """Return what a tag stands for, "" for nothing: one request."""
        return self.client.digest_of_manifest(self.path(repository), tag)

    def manifest(self, repository: str, reference: str) -> Found:
        """Return content, media type and digest."""
        return self.client.manifest(self.path(repository), reference)

    def small_blob(self, repository: str, digest: str) -> bytes:
        """Return a config."""
        return self.client.small_blob(self.path(repository), digest, MAX_SIZE)

    def has_blob(self, repository: str, digest: str) -> bool:
        """Return whether a repository has a blob: one request."""
        return has_blob(self.client, self.path(repository), digest)

    def put(self, repository: str, tag: str, found: Found, source_digest: str = "") -> None:
        """Store a manifest under a tag, or with none under its digest."""
        content, media_type, digest = found
        put_manifest(self.client, self.path(repository), tag or digest, content, media_type)

    def referrers(self, repository: str, subject: str, tags: Collection[str]) -> frozenset[str]:
        """Return the digests of what refers to a manifest; `tags` are the repository's."""
        if self._lists_referrers:
            pages = referrers_pages(self.client, self.path(repository), subject)
            if pages:
                what = f"referrers of {subject}"
                entries = [entry for page in pages for entry in contents(page, what)[1]]
                return frozenset(entry.descriptor.digest for entry in entries)
            self._lists_referrers = False
        return (
            listed_in(self, repository, subject) if referrer_tag(subject) in tags else frozenset()
        )

    def put_referrer(self, repository: str, subject: str, found: Found) -> None:
        """Store a manifest that refers to another, and list it where the registry does not."""
        content, media_type, digest = found
        path = self.path(repository)
        if not put_manifest(self.client, path, digest, content, media_type):
            with self._listing:
                list_in(self, repository, subject, found)

    def delete(self, repository: str, tag: str, kept: set[str]) -> None:
        """Take a tag away; `kept` are the digests that other tags stand for."""
        path = self.path(repository)
        if delete_manifest(self.client, path, tag):
            return
        digest = self.digest(repository, tag)
        if digest in kept:
            raise ConfigError(
                f"{self.show(repository, tag)} stays: its registry deletes by digest only, and "
                "other tags that are wanted stand for the same",
                subject=tag,
            )
        if digest:
            delete_manifest(self.client, path, digest)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


def _split(text: str, body: str, default: str) -> tuple[str, str]:
    """Return host and path of a registry's end; the path is empty for a host alone."""
    try:
        if "/" not in body and (":" in body or "." in body or body == "localhost"):
            return parse_host(body), ""
        reference = parse_reference(body, default)
    except UsageError as error:
        raise ConfigError(error.message, hint=error.hint, subject=text) from None
    if reference.digest or ":" in body.rpartition("/")[2]:
        raise ConfigError(
            f"{text} names one image: a rule's tags are chosen by its own keys",
            hint=f'write {reference.repository}, and tags = ["{reference.tag}"]',
            subject=text,
        )
    return reference.host, reference.path
