"""What a limpet that only reads refuses: to change anything of the engine's or of this host.

Its own memory of what was typed and looked at (history, bookmarks, the theme) is kept all the same.
"""

from __future__ import annotations

from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.commands.grammar import Args, Verb

FILES = "a read-only limpet writes no files of this host"
PROGRAMS = "a read-only limpet starts no programs of this host"
STDOUT = ("", "-")


def check(verb: Verb, args: Args) -> None:
    """Raise UsageError for a command that changes something, or writes a file of this host."""
    if verb.changes:
        raise refusal(f"{verb.word} changes things, and this limpet is read-only", verb.word)
    for arg in verb.args.declared:
        if arg.writes and getattr(args, arg.name) not in STDOUT:
            raise refusal(f"{FILES}, and {arg.flags[-1]} names one", verb.word)


def refusal(words: str, subject: str = "") -> UsageError:
    """Return the error that says so, and what to do instead."""
    return UsageError(words, hint="start limpet without --read-only", subject=subject)
