"""The one grammar: each verb is declared once, everything else is read off that.

A verb is a class of annotated fields (its arguments) and a function that takes the
engine and that class and returns data.  Parsing, the live colours of the command bar,
completion, help, shell completion files and key bindings all come from the declaration.

`assign` is the heart: it says for every word what it is.  `parse` makes values of that;
`core.commands.scan` makes colours and completions of the same.
"""

from __future__ import annotations

from core.errors import UsageError
from core.record import Record, dataclass_transform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, ClassVar, TypeVar

    from core.commands.result import Result
    from core.engine import Engine

    A = TypeVar("A", bound="Args")
    Run = Callable[[Engine, A], Result]

MISSING: Any = object()


def text(value: str) -> str:
    """Take any word."""
    return value


class Arg(Record):
    """The declaration of one argument."""

    help: str
    flags: tuple[str, ...] = ()
    """`-e`, `--env`; empty for a positional argument."""
    default: Any = MISSING
    is_flag: bool = False
    many: bool = False
    rest: bool = False
    """Takes every following word as it stands, dashes included."""
    metavar: str = ""
    convert: Callable[[str], Any] = text
    """Makes the value of a word; raises ValueError with what was expected."""
    complete: str = ""
    """Where completions come from: image, container, running, path, …"""
    choices: tuple[str, ...] = ()
    writes: bool = False
    """Whether the value names a file of this host that is written; `-` is stdout."""
    name: str = ""
    """The field's name; filled in by `Args`."""

    @property
    def required(self) -> bool:
        """Whether leaving it out is an error."""
        return self.default is MISSING

    @property
    def shown(self) -> str:
        """How usage lines name it."""
        name = self.metavar or self.name.upper().replace("_", "-")
        if not self.flags:
            return f"{name}…" if self.many or self.rest else name
        return self.flags[-1] if self.is_flag else f"{self.flags[-1]} {name}"


def positional(
    help: str,  # noqa: A002 - the field's own word
    *,
    default: Any = MISSING,
    many: bool = False,
    metavar: str = "",
    convert: Callable[[str], Any] = text,
    complete: str = "",
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare an argument that is known by its place."""
    return Arg(
        help,
        (),
        default,
        many=many,
        metavar=metavar,
        convert=convert,
        complete=complete,
        choices=choices,
    )


def rest(help: str, *, default: Any = (), metavar: str = "", complete: str = "") -> Any:  # noqa: A002
    """Declare the tail of the line, taken as it stands: a container's command."""
    return Arg(help, (), default, rest=True, metavar=metavar, complete=complete)


def flag(*flags: str, help: str, default: bool = False) -> Any:  # noqa: A002
    """Declare a switch."""
    return Arg(help, flags, default, is_flag=True)


def option(
    *flags: str,
    help: str,  # noqa: A002
    default: Any = "",
    many: bool = False,
    metavar: str = "",
    convert: Callable[[str], Any] = text,
    complete: str = "",
    choices: tuple[str, ...] = (),
    writes: bool = False,
) -> Any:
    """Declare an option with a value; `many` collects a tuple."""
    return Arg(
        help,
        flags,
        () if many and default == "" else default,
        many=many,
        metavar=metavar,
        convert=convert,
        complete=complete,
        choices=choices,
        writes=writes,
    )


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(positional, rest, flag, option)
)
class Args(Record):
    """Base of a verb's arguments; annotate fields with `positional`, `flag`, `option`, `rest`."""

    declared: ClassVar[tuple[Arg, ...]] = ()
    absent: ClassVar[dict[str, str]] = {}
    """Options of docker's that there are not, each with what to do instead."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        found = []
        for name in cls.fields:
            arg = getattr(cls, name)
            if not arg.name:
                arg = arg.replace(name=name)
                setattr(cls, name, arg)
            found.append(arg)
        cls.declared = tuple(found)


class Listing(Args):
    """Options of every verb that answers with a table."""

    format: str = option(
        "--format",
        help="table, json, or a Go-like template",
        metavar="FORMAT",
        choices=("table", "json"),
    )
    quiet: bool = flag("-q", "--quiet", help="print only the identifiers")


class Removing(Args):
    """Options of verbs that remove things by a plan."""

    dry_run: bool = flag("--dry-run", help="only show what would go, and how many bytes come back")


class Verb(Record):
    """One verb of the grammar."""

    name: str
    """Noun and verb, `container ls`."""
    summary: str
    args: type[Args]
    run: Callable[[Engine, Any], Result]
    aliases: tuple[str, ...] = ()
    """docker's short words for it, `ps`."""
    changes: bool = True
    """Whether it alters anything; a read-only front end refuses those."""
    examples: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """The shortest way to say it."""
        return next((alias for alias in self.aliases if " " not in alias), self.name)

    @property
    def usage(self) -> str:
        """One line: the word, its options and its arguments."""
        places = [arg for arg in self.args.declared if not arg.flags]
        shown = [arg.shown if arg.required else f"[{arg.shown}]" for arg in places]
        options = ["[OPTIONS]"] if len(places) < len(self.args.declared) else []
        return " ".join([self.word, *options, *shown])


REGISTRY: dict[str, Verb] = {}
"""Every verb of the modules loaded so far, by name and by alias."""


def verb(
    name: str,
    args: type[A],
    summary: str,
    *aliases: str,
    changes: bool = True,
    examples: tuple[str, ...] = (),
) -> Callable[[Run[A]], Run[A]]:
    """Declare the decorated function as what the verb `name` does."""

    def register(run: Run[A]) -> Run[A]:
        declared = Verb(name, summary, args, run, aliases, changes, examples)
        for word in (name, *aliases):
            REGISTRY[word] = declared
        return run

    return register


class Role(Record):
    """What one word, or one letter of a cluster such as `-it`, is."""

    index: int
    """Which word."""
    kind: str
    """flag, value, argument, rest, end (`--`), unknown (flag) or extra (argument)."""
    arg: Arg | None
    value: str = ""
    attached: bool = False
    """The value stands in the same word as its flag: `--name=web`, `-p80:80`."""


def assign(verb: Verb, words: Sequence[str]) -> list[Role]:
    """Say what each word after the verb is.

    An option that waits for its value at the end is the last role, of kind flag, with
    `value` empty and a non-flag `arg`.
    """
    declared = verb.args.declared
    places = [arg for arg in declared if not arg.flags]
    tail = next((arg for arg in places if arg.rest), None)
    roles: list[Role] = []
    waiting: Arg | None = None
    position = 0
    only_places = False
    for index, word in enumerate(words):
        if waiting:
            roles.append(Role(index, "value", waiting, word))
            waiting = None
        elif only_places or word == "-" or not word.startswith("-"):
            place = places[position] if position < len(places) else None
            if place is None:
                roles.append(Role(index, "extra", None, word))
                continue
            roles.append(Role(index, "rest" if place.rest else "argument", place, word))
            position += not (place.rest or place.many)
            only_places = only_places or tail is not None
        elif word == "--":
            roles.append(Role(index, "end", None, word))
            only_places = True
        elif word.startswith("--"):
            waiting = _long(declared, index, word, roles)
        else:
            waiting = _cluster(declared, index, word, roles)
    return roles


def _long(declared: Sequence[Arg], index: int, word: str, roles: list[Role]) -> Arg | None:
    name, equals, value = word.partition("=")
    arg = _by_flag(declared, name)
    if arg is None:
        roles.append(Role(index, "unknown", None, name))
    elif equals:
        roles.append(Role(index, "flag", arg, value, attached=True))
    else:
        roles.append(Role(index, "flag", arg))
        return None if arg.is_flag else arg
    return None


def _cluster(declared: Sequence[Arg], index: int, word: str, roles: list[Role]) -> Arg | None:
    for place in range(1, len(word)):
        arg = _by_flag(declared, "-" + word[place])
        if arg is None:
            roles.append(Role(index, "unknown", None, "-" + word[place]))
            return None
        if not arg.is_flag:
            value = word[place + 1 :].removeprefix("=")
            roles.append(Role(index, "flag", arg, value, attached=bool(value)))
            return None if value else arg
        roles.append(Role(index, "flag", arg))
    return None


def _by_flag(declared: Sequence[Arg], name: str) -> Arg | None:
    return next((arg for arg in declared if name in arg.flags), None)


def asks_for_help(verb: Verb, words: Sequence[str]) -> bool:
    """Tell whether a `-h` or `--help` is limpet's own, and not for a container's command."""
    tail = [role.index for role in assign(verb, words) if role.kind in ("rest", "end")]
    taken = {name for arg in verb.args.declared for name in arg.flags}
    return any(
        word in ("-h", "--help") and word not in taken
        for word in words[: tail[0] if tail else None]
    )


def parse(verb: Verb, words: Sequence[str]) -> Args:
    """Make the verb's arguments of the words after it.

    Raises UsageError naming the word, what is wrong with it and the usage.
    """
    values: dict[str, Any] = {}
    roles = assign(verb, words)
    for role in roles:
        arg = role.arg
        if arg is None:
            if role.kind != "end":
                raise _bad_word(verb, role)
        elif role.kind == "flag" and arg.is_flag:
            values[arg.name] = _switch(verb, role) if role.attached else True
        elif role.kind != "flag" or role.attached:
            value = convert(verb, arg, role.value)
            if arg.many or arg.rest:
                values[arg.name] = (*values.get(arg.name, ()), value)
            else:
                values[arg.name] = value
    last = roles[-1] if roles else None
    if last and last.arg and last.kind == "flag" and not (last.arg.is_flag or last.attached):
        raise usage_error(verb, f"{last.arg.flags[-1]} needs a value: {last.arg.help}")
    for arg in verb.args.declared:
        if arg.name not in values:
            if arg.required:
                raise usage_error(verb, f"{arg.shown} is missing: {arg.help}")
            values[arg.name] = arg.default
    return verb.args(**values)


def convert(verb: Verb, arg: Arg, word: str) -> Any:
    """Return the value that `word` stands for; UsageError says what was expected."""
    if arg.choices and arg.convert is text and arg.name != "format" and word not in arg.choices:
        raise usage_error(verb, f"{arg.shown}: {word!r} is none of {', '.join(arg.choices)}")
    try:
        return arg.convert(word)
    except ValueError as error:
        raise usage_error(verb, f"{arg.shown}: {error}") from error


def _switch(verb: Verb, role: Role) -> bool:
    if role.value not in ("true", "false"):
        raise usage_error(verb, f"{role.arg.flags[-1]} takes true or false" if role.arg else "")
    return role.value == "true"


def _bad_word(verb: Verb, role: Role) -> UsageError:
    if role.kind == "extra":
        return usage_error(verb, f"{role.value!r} is one word too many")
    from difflib import get_close_matches

    if instead := verb.args.absent.get(role.value.partition("=")[0]):
        return UsageError(f"{verb.word} has no option {role.value}", hint=instead)
    known = [name for arg in verb.args.declared for name in arg.flags]
    near = get_close_matches(role.value, known, 1)
    guess = f", did you mean {near[0]}?" if near else ""
    return usage_error(verb, f"{verb.word} has no option {role.value}{guess}")


def usage_error(verb: Verb, message: str) -> UsageError:
    """Return an error that shows the verb's usage and where its help is."""
    return UsageError(
        message, hint=f"usage: {verb.usage}\n{verb.word} --help tells more", subject=verb.word
    )
