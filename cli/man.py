"""The manual page, made from the grammar: `limpet man | man -l -`."""

from __future__ import annotations

import os
import time

from core.commands.keys import DEFAULT, keys_of, sign

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.commands.grammar import Arg, Verb

FILES = (
    ("/etc/limpet/config.toml, ~/.config/limpet/config.toml", "Settings; the later one wins."),
    ("/var/lib/limpet", "Images, volumes and containers (LIMPET_DATA_ROOT)."),
    ("/run/limpet", "Sockets and locks (LIMPET_RUN_ROOT)."),
    ("~/.local/state/limpet", "The history of command lines, and how the app was left."),
)
VARIABLES = (
    ("LIMPET_DATA_ROOT, LIMPET_RUN_ROOT", "Other places for data and for sockets."),
    ("LIMPET_ASCII", "1: the app draws with ASCII signs only."),
    ("LIMPET_PLAIN", "1: tables as sentences, progress as lines: for screen readers."),
    ("LIMPET_FRAME_DIFF", "0: the app paints whole regions, as Textual does."),
    ("NO_COLOR", "Set: no colours."),
)
CODES = (
    ("0", "It was done."),
    ("1", "It could not be done, or was not confirmed."),
    ("2", "The command line is wrong."),
    ("125", "run, create, exec: limpet itself failed."),
    ("126, 127", "run, exec: the program cannot be executed, or is not there."),
    ("other", "run, exec, start -a: the exit code of the program."),
)


def page() -> str:
    """Return the source of limpet(1), for man(7)'s macros."""
    from cli.help import groups
    from core.commands import load_all
    from core.commands.system.system import VERSION

    known = load_all()
    verbs = {verb.name: verb for verb in known.values()}
    lines = [
        f'.TH LIMPET 1 "{_installed()}" "limpet {VERSION}" "User Commands"',
        ".SH NAME",
        r"limpet \- a container shell without a daemon",
        ".SH SYNOPSIS",
        r".B limpet",
        r"[\fB\-\-read\-only\fR] [\fB\-\-record\fR \fIFILE\fR] [\fICOMMAND\fR ...]",
        ".SH DESCRIPTION",
        "Without a command limpet opens the app: live tables of containers, images and "
        "registries, and a command bar with the commands below.",
        r"\fBlimpet shell\fR opens a prompt, \fBlimpet shell \-\-plain\fR one without any "
        "drawing, which also reads scripts.",
    ]
    for title, mine in groups(sorted(verbs.values(), key=lambda verb: verb.word)):
        lines.append(f".SH {_plain(title.upper())}")
        for verb in mine:
            lines += _verb(verb, known)
    lines.append(".SH KEYS OF THE APP")
    for key in DEFAULT:
        place = f" ({key.place})" if key.place else ""
        lines += [".TP", rf"\fB{_plain(sign(key.key))}\fR{_plain(place)}", _plain(key.help)]
    for title, pairs in (("EXIT STATUS", CODES), ("ENVIRONMENT", VARIABLES), ("FILES", FILES)):
        lines.append(f".SH {title}")
        for name, words in pairs:
            lines += [".TP", rf"\fB{_plain(name)}\fR", _plain(words)]
    return "\n".join(lines) + "\n"


def _installed() -> str:
    """Return the day from which this limpet is."""
    return time.strftime("%Y-%m-%d", time.gmtime(os.path.getmtime(__file__)))


def _verb(verb: Verb, known: dict[str, Verb]) -> list[str]:
    lines = [f".SS {_plain(verb.usage)}", _plain(verb.summary) + "."]
    names = [name for name in (verb.name, *verb.aliases) if name != verb.word]
    if names:
        lines.append(f"Also {_plain(', '.join(names))}.")
    keys = keys_of(verb, DEFAULT, known)
    if keys:
        lines.append(f"In the app: {_plain(', '.join(keys))}.")
    for arg in verb.args.declared:
        lines += [".TP", rf"\fB{_plain(_shown(arg))}\fR", _plain(arg.help)]
    if verb.examples:
        lines += [".PP", "Examples:"]
        for line in verb.examples:
            lines += [".br", rf"\fBlimpet {_plain(line)}\fR"]
    return lines


def _shown(arg: Arg) -> str:
    if not arg.flags:
        return arg.shown
    return ", ".join(arg.flags) + ("" if arg.is_flag else f" {arg.metavar or 'VALUE'}")


def _plain(text: str) -> str:
    """Return text in which nothing means anything to the formatter."""
    # An ellipsis as dots: a plain terminal's formatter has none, and would leave it out.
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    text = "".join(letter if letter.isascii() else f"\\[u{ord(letter):04X}]" for letter in text)
    return "\\&" + text if text[:1] in (".", "'") else text
