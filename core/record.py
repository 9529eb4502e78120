"""Frozen value objects that cost nothing at start-up.

`dataclasses` pulls in `inspect` and `re`; on a path where a whole `limpet ps` takes
some twenty milliseconds that is a third of the bill.  `Record` gives the same surface
(positional and keyword construction, defaults, equality, repr, `replace`) from
annotations alone, and type checkers see it as a frozen dataclass.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, Self, TypeVar
    from typing import dataclass_transform as dataclass_transform

    T = TypeVar("T")
else:

    def dataclass_transform(**_: object) -> Callable[[T], T]:
        """Stand in for `typing.dataclass_transform`, which only type checkers need."""
        return lambda cls: cls


_set = object.__setattr__


@dataclass_transform(frozen_default=True, eq_default=True)
class Record:
    """Base of every plain value: subclass it and annotate the fields, defaults last.

    Annotations that start with `ClassVar` are not fields.  Defaults are shared, so they
    must be immutable.  Construction raises TypeError for missing or unknown fields.
    """

    fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        own = vars(cls).get("__annotations__", {})
        cls.fields += tuple(
            name
            for name, kind in own.items()
            if not str(kind).startswith("ClassVar") and name not in cls.fields
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        cls, fields = type(self), self.fields
        if len(args) > len(fields):
            raise TypeError(f"{cls.__name__} takes {len(fields)} values, got {len(args)}")
        # Always in the same order: instances then share one table of names.
        for name, value in zip(fields, args, strict=False):
            _set(self, name, value)
        for name in fields[len(args) :]:
            if name in kwargs:
                _set(self, name, kwargs.pop(name))
            elif hasattr(cls, name):
                _set(self, name, getattr(cls, name))
            else:
                raise TypeError(f"{cls.__name__}: {name!r} is missing")
        for name in kwargs:
            raise TypeError(f"{cls.__name__}: unexpected field {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen; use replace({name}=...)")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__[name] for name in self.fields))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={self.__dict__[name]!r}" for name in self.fields)
        return f"{type(self).__name__}({shown})"

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed; TypeError for an unknown field."""
        return type(self)(**{**self.as_dict(), **changes})

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name, shallow, in declaration order."""
        return {name: self.__dict__[name] for name in self.fields}
