"""The filters of `images` and `image prune`, with docker's meaning: labels all, references any."""

from __future__ import annotations

from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.engine import Engine
    from core.model import ImageInfo

    Test = Callable[[ImageInfo], bool]

WILD = frozenset("*?[")
FILTERS = ("dangling", "label", "label!", "reference", "before", "since", "until")


def select(engine: Engine, images: Sequence[ImageInfo], filters: Sequence[str]) -> list[ImageInfo]:
    """Return the images that fit filters such as `label=a=b`, in their order.

    Raises UsageError for a filter or a value that there is not, NotFound for an image that
    `before` or `since` names.
    """
    tests, patterns = [], []
    for word in filters:
        key, equals, value = word.partition("=")
        if not equals or key not in FILTERS:
            raise UsageError(
                f"{word!r} is no filter", hint=f"filters are KEY=VALUE: {', '.join(FILTERS)}"
            )
        if key == "reference":
            patterns.append(value)
        else:
            tests.append(_test(engine, key, value))
    if patterns:
        tests.append(
            lambda image: any(is_called(tag, one) for tag in image.tags for one in patterns)
        )
    return [image for image in images if all(test(image) for test in tests)]


def is_called(name: str, pattern: str) -> bool:
    """Return whether a name, or its repository, is one that a shell's pattern means."""
    repository = name.partition("@")[0].rpartition(":")[0]
    if not WILD.intersection(pattern):
        return pattern in (name, repository)
    from fnmatch import fnmatchcase

    return fnmatchcase(name, pattern) or fnmatchcase(repository, pattern)


def label_test(engine: Engine, value: str) -> Test:
    """Return what tells whether an image has a label, NAME or NAME=VALUE."""
    name, equals, wanted = value.partition("=")

    def test(image: ImageInfo) -> bool:
        labels = (engine.store.config(image.digest).get("config") or {}).get("Labels") or {}
        return labels.get(name) == wanted if equals else name in labels

    return test


def _test(engine: Engine, key: str, value: str) -> Test:
    if key == "dangling":
        if value not in ("true", "false"):
            raise UsageError(f"dangling={value} is neither true nor false")
        return lambda image: bool(image.tags) == (value == "false")
    if key == "label":
        return label_test(engine, value)
    if key == "label!":
        has = label_test(engine, value)
        return lambda image: not has(image)
    if key == "until":
        from core.commands.options.values import moment

        try:
            limit = moment(value)
        except ValueError as error:
            raise UsageError(str(error)) from None
        return lambda image: image.created < limit
    created = engine.store.resolve(value).created
    if key == "before":
        return lambda image: image.created < created
    return lambda image: image.created > created
