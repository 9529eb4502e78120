"""Instructions as values: what each asks for.

Variables are still unexpanded: what they mean depends on the build.
"""

from __future__ import annotations

from core.build.dockerfile.mounts import RunMount
from core.build.dockerfile.reader import Instruction
from core.record import Record


class Step(Record):
    """One instruction; `at` is how the file has it."""

    at: Instruction


class From(Step):
    """FROM IMAGE [AS NAME]."""

    image: str
    name: str
    platform: str


class Arg(Step):
    """ARG NAME[=DEFAULT] …: (name, default or None)."""

    names: tuple[tuple[str, str | None], ...]


class Run(Step):
    """RUN in its shell form (`script`) or its exec form (`argv`)."""

    script: str
    argv: tuple[str, ...] | None
    mounts: tuple[RunMount, ...]
    network: str


class Copy(Step):
    """COPY or ADD."""

    add: bool
    sources: tuple[str, ...]
    target: str
    stage: str
    """--from: a stage, its number, or an image."""
    chown: str
    chmod: str
    link: bool
    parents: bool
    exclude: tuple[str, ...]
    checksum: str
    unpack: bool | None


class Pairs(Step):
    """ENV and LABEL: (name, value), both unexpanded."""

    pairs: tuple[tuple[str, str], ...]


class Words(Step):
    """EXPOSE, VOLUME, USER, WORKDIR, STOPSIGNAL, MAINTAINER: words, unexpanded."""

    words: tuple[str, ...]


class Command(Step):
    """CMD, ENTRYPOINT and SHELL; `argv` is None for the shell form."""

    script: str
    argv: tuple[str, ...] | None


class Healthcheck(Step):
    """HEALTHCHECK, as the image's config has it; times in nanoseconds."""

    test: tuple[str, ...]
    times: tuple[tuple[str, int], ...]


class Onbuild(Step):
    """ONBUILD: the text of an instruction for images made from this one."""

    text: str
