"""Completion for bash, zsh and fish: the shell asks limpet, which asks the grammar."""

from __future__ import annotations

from cli.render import out
from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SCRIPTS = {
    "bash": """\
_limpet() {
    local line="${COMP_LINE:0:COMP_POINT}"
    local word="${line##* }" reply
    local -a begun
    mapfile -t COMPREPLY < <(limpet completion ask "${line#* }" 2>/dev/null | cut -f1)
    # What only contains the word that was typed is offered when nothing begins with it.
    for reply in "${COMPREPLY[@]}"; do [[ $reply == "$word"* ]] && begun+=("$reply"); done
    ((${#begun[@]})) && COMPREPLY=("${begun[@]}")
    # bash ends words at : and =, too, and puts what it is given behind the last.
    COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*[:=]}"}"}")
    [[ ${COMPREPLY[0]} == */ ]] && compopt -o nospace
}
complete -F _limpet limpet
""",
    "zsh": """\
#compdef limpet
_limpet() {
    local line
    local -a found shown open
    limpet completion ask "${LBUFFER#* }" 2>/dev/null | while IFS= read -r line; do
        found+=("${line%%$'\\t'*}")
        shown+=("${line/$'\\t'/  }")
    done
    [[ $found[1] = */ ]] && open=(-S '')
    # What only contains the word that was typed is offered when nothing begins with it.
    compadd -Q "${(@)open}" -l -d shown -a found && return
    compstate[insert]=menu
    compadd -U -Q "${(@)open}" -l -d shown -a found
}
if [ "$funcstack[1]" = _limpet ]; then _limpet "$@"; else compdef _limpet limpet; fi
""",
    "fish": """\
function __limpet_complete
    limpet completion ask (commandline -cp | string replace -r '^\\S+\\s' '')
end
complete -c limpet -f -a '(__limpet_complete)'
""",
}


def completion(words: Sequence[str]) -> int:
    """Print the script for a shell, or with `ask LINE` the completions of a line."""
    if len(words) == 2 and words[0] == "ask":
        return _ask(words[1])
    if len(words) != 1 or words[0] not in SCRIPTS:
        raise UsageError(
            "which shell? completion bash, zsh or fish",
            hint='bash: eval "$(limpet completion bash)" in ~/.bashrc',
        )
    out(SCRIPTS[words[0]])
    return 0


def _ask(line: str) -> int:
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from core.commands.complete import LimpetCompleter
    from core.engine import open_engine

    completer = LimpetCompleter(open_engine())
    for found in completer.get_completions(Document(line), CompleteEvent()):
        out(f"{found.text}\t{found.display_meta_text}\n")
    return 0
