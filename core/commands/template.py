"""The part of Go's text/template that docker's `--format` is used for.

Fields (`{{.Names}}`, `{{.State.Status}}`), `{{json .Config}}`, `upper`, `lower`, `len`,
`index`, `join`, `{{if}}…{{else}}…{{end}}`, `{{range}}…{{end}}` and the escapes `\\t` and
`\\n`.  https://pkg.go.dev/text/template
"""

from __future__ import annotations

import json

from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Node = tuple[Any, ...]

MAPS = {"Annotations", "Attributes", "ExposedPorts", "Labels", "Networks", "Options", "Ports"}
"""What has names of the user's own: one that is missing is no value, not a mistake."""

HINT = "fields are written {{.Name}}; --format json shows which there are"


class Template:
    """A parsed template; UsageError says what is wrong with one."""

    def __init__(self, text: str) -> None:
        self._text = text
        tokens = _tokens(text.replace("\\t", "\t").replace("\\n", "\n"))
        self._nodes, ended = self._block(tokens)
        if ended:
            raise self._error(f"{{{{{ended}}}}} without a beginning")

    def render(self, data: Any) -> str:
        """Return the text for one object; UsageError for a field it cannot have."""
        return "".join(self._render(self._nodes, data))

    def _block(self, tokens: Iterator[tuple[bool, str]]) -> tuple[list[Node], str]:
        nodes: list[Node] = []
        for is_action, text in tokens:
            word = text.split(maxsplit=1)[0] if text.split() else ""
            if not is_action:
                nodes.append(("text", text))
            elif word in ("end", "else"):
                return nodes, word
            elif word in ("if", "range"):
                body, ended = self._block(tokens)
                other: list[Node] = []
                if ended == "else":
                    other, ended = self._block(tokens)
                if ended != "end":
                    raise self._error(f"{{{{{text}}}}} has no {{{{end}}}}")
                nodes.append((word, text[len(word) :].strip(), body, other))
            else:
                nodes.append(("value", text.strip()))
        return nodes, ""

    def _render(self, nodes: list[Node], data: Any) -> Iterator[str]:
        for kind, text, *blocks in nodes:
            if kind == "text":
                yield text
            elif kind == "value":
                yield _show(self._evaluate(text, data))
            elif kind == "if":
                yield from self._render(blocks[0 if self._evaluate(text, data) else 1], data)
            else:
                items = self._evaluate(text, data) or ()
                if not isinstance(items, dict | list | tuple):
                    raise self._error(f"range goes through lists, and {text} is none")
                for item in items.values() if isinstance(items, dict) else items:
                    yield from self._render(blocks[0], item)
                if not items:
                    yield from self._render(blocks[1], data)

    def _evaluate(self, text: str, data: Any) -> Any:
        """Evaluate a pipeline: each command's value is the next one's last argument."""
        value: Any = None
        for number, words in enumerate(_commands(text)):
            if not words:
                raise self._error("an empty {{}}")
            extra = [value] if number else []
            if words[0] in FUNCTIONS:
                arguments = [self._operand(word, data) for word in words[1:]] + extra
                try:
                    value = FUNCTIONS[words[0]](*arguments)
                except (TypeError, KeyError, IndexError, AttributeError) as error:
                    raise self._error(f"{words[0]}: {error}") from error
            else:
                value = self._operand(words[0], data)
        return value

    def _operand(self, word: str, data: Any) -> Any:
        if word.startswith('"'):
            return word.strip('"')
        if word.removeprefix("-").isdecimal():
            return int(word)
        if not word.startswith("."):
            raise self._error(f"no function {word!r}")
        above = ""
        for name in filter(None, word.split(".")):
            if not isinstance(data, dict) or name not in data:
                if above in MAPS:
                    return None
                raise self._error(f"there is no field {word}", _fields_of(data))
            data, above = data[name], name
        return data

    def _error(self, problem: str, hint: str = HINT) -> UsageError:
        return UsageError(f"--format {self._text!r}: {problem}", hint=hint)


def _fields_of(data: Any) -> str:
    """Return what there is instead of a field that there is not."""
    names = [f".{name}" for name in data] if isinstance(data, dict) else []
    return f"there are {', '.join(names)}" if names else HINT


def _tokens(text: str) -> Iterator[tuple[bool, str]]:
    """Yield (is it an action, its text), trimming blanks beside `{{-` and `-}}`."""
    trim = False
    while text:
        before, opening, text = text.partition("{{")
        if trim:
            before = before.lstrip()
        if opening and text.startswith("- "):
            before, text = before.rstrip(), text[1:]
        if before:
            yield False, before
        if opening:
            action, closing, text = text.partition("}}")
            if not closing:
                raise UsageError("--format: {{ is not closed by }}", hint=HINT)
            trim = action.endswith(" -")
            yield True, action.removesuffix(" -")


def _commands(pipeline: str) -> list[list[str]]:
    """Return the words of each command of a pipeline; quoted, a blank or a | is a letter."""
    commands: list[list[str]] = [[]]
    word, quoted = "", False
    for letter in f"{pipeline} ":
        if letter == '"':
            quoted = not quoted
        if quoted or not (letter.isspace() or letter == "|"):
            word += letter
            continue
        if word:
            commands[-1].append(word)
            word = ""
        if letter == "|":
            commands.append([])
    return [*commands[:-1], [*commands[-1], word]] if word else commands


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = value.get(key, "") if isinstance(value, dict) else value[key]
    return value


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "json": lambda value: json.dumps(value, separators=(",", ":")),
    "upper": lambda value: str(value).upper(),
    "lower": lambda value: str(value).lower(),
    "len": len,
    "index": _index,
    "join": lambda parts, separator: separator.join(map(str, parts)),
    "println": lambda *values: " ".join(map(_show, values)) + "\n",
}


def _show(value: Any) -> str:
    """Return a value as Go prints it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "<no value>"
    if isinstance(value, list | tuple):
        return "[" + " ".join(map(_show, value)) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_show(item)}" for key, item in value.items()) + "]"
    return str(value)
