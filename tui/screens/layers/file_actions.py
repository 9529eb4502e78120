"""What is done with the files of the layer browser: found, opened, compared, extracted."""

from __future__ import annotations

import posixpath
from functools import partial

from textual import on

from core.commands.read_only import FILES
from core.commands.show import size
from core.images.files.contents import MOST_HITS, Hit
from core.images.files.file_tree import REMOVED
from tui.answers import failure, visible
from tui.screens.file_view import FileScreen
from tui.screens.layers.panes import LayerPanes
from tui.screens.pick import Choice, Picked, PickScreen
from tui.theme import plain
from tui.widgets.ask_line import AskLine
from tui.widgets.file_tree import FileTree, name_test

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.images.files.file_tree import Row

MOST_WASTED = 100


class FileActions(LayerPanes, inherit_bindings=False):
    """The panes, with what acts on the file under the cursor."""

    _wanted = ""
    """What a name is to hold."""
    _finds_later = False
    """Whether it may stand in what is not read yet."""

    @on(FileTree.Entered)
    def _entered(self, event: FileTree.Entered) -> None:
        entry = event.row.node.entry
        if entry is not None and entry.kind == "symlink" and event.row.node.status != REMOVED:
            target = link_target(event.row.path, entry.link)
            if not self.file_list.reveal(target):
                self._foot.say(f"it leads to /{target}, which is not in this tree; t: whole image")
            return
        found = self._contents.holders(event.row.path, self._number)
        if found:
            self.app.push_screen(self._file_screen(event.row.path, found[-1]))
        else:
            self._foot.say("there is no content to show")

    def _file_screen(self, path: str, number: int) -> FileScreen:
        return FileScreen(
            path, self._contents.opener(path, number), where=f"as in layer {number + 1}"
        )

    def action_version(self) -> None:
        """Go to the layer with the version before this one; from the first to the last."""
        row = self.file_list.row
        found = self._contents.stack.versions(row.path) if row else []
        if row is None or not found:
            return
        before = [number for number, _ in found if number < self._number]
        number = before[-1] if before else found[-1][0]
        words = ", ".join(f"{place + 1}{'' if entry else ' removed'}" for place, entry in found)
        path, self._whole = row.path, False
        self.action_layer(number - self._number)
        self.file_list.reveal(path)
        others = f"versions in layers {words}" if len(found) > 1 else "there is no other version"
        self._foot.say(f"layer {number + 1}; {others}")

    def action_diff(self) -> None:
        """Show how the file differs from the version before it."""
        row = self.file_list.row
        found = self._contents.holders(row.path, self._number) if row else []
        if row is None or len(found) < 2:
            self._foot.say("there is no earlier version of it")
            return
        old, new = found[-2:]
        path, contents = row.path, self._contents
        self.app.push_screen(
            FileScreen(
                path, contents.opener(path, new), where=f"from layer {old + 1} to layer {new + 1}",
                lines=lambda: contents.difference(path, old, new),
            )
        )  # fmt: skip

    def action_extract(self) -> None:
        """Let the person say where to write the file, or a tar archive of the directory."""
        row = self.file_list.row
        if self.app.read_only:
            self._foot.say(FILES)
        elif row is not None:
            name = row.node.name + (".tar" if row.node.is_directory else "")
            self.ask_line.ask("extract", "extract to ", name)

    def _start(self, words: str, work: Callable[[], Callable[[], None]]) -> None:
        """Do something in a thread; what that returns is called here when it has ended."""
        if self._working:
            self._foot.say("something still goes on; escape ends it")
            return
        self._working = True
        self._halt.clear()
        self._foot.say(words)
        ticks = self.set_interval(0.2, self._tell)

        def end(then: Callable[[], None]) -> None:
            self._working = False
            ticks.stop()
            then()

        def run() -> None:
            try:
                then = work()
            except Exception as error:  # noqa: BLE001 - shown on the screen, bugs included
                said = "stopped" if self._halt.is_set() else plain(failure(error)[0])
                then = partial(self._foot.say, said)
            if not self._left.is_set():
                self.app.call_from_thread(end, then)

        self.run_worker(run, thread=True)

    def _extract(self, row: Row, target: str) -> Callable[[], None]:
        return partial(self._foot.say, self._contents.extract(row, self._number, target))

    # Finding

    def action_find(self) -> None:
        """Begin to type a part of a name."""
        self.ask_line.ask("find", "/", "")

    def action_ask(self) -> None:
        """Begin to type what files hold."""
        self.ask_line.ask("content", "files that hold ", "")

    def _search(self, wanted: str) -> Callable[[], None]:
        """Look for bytes in all files up to the chosen layer, then offer those that hold them."""
        hits = self._contents.search(wanted, self._number, self._ended)
        return partial(self._offer, hits, wanted)

    def _ended(self) -> bool:
        return self._left.is_set() or self._halt.is_set()

    def _offer(self, hits: list[Hit], wanted: str) -> None:
        if not hits:
            self._foot.say(f"no file holds {wanted}")
            return
        self._foot.say("")
        choices = [Choice(hit.path, words=visible(hit.words)) for hit in hits]
        many = f"{len(hits)}{' or more' * (len(hits) == MOST_HITS)}"
        title = f"{many} file{'s' * (len(hits) != 1)} up to layer {self._number + 1} with {wanted}"
        self._pick(title, choices, self._number)

    def action_wasted(self) -> None:
        """Offer the files that several layers hold, which count once: those with most bytes."""
        found = self._contents.stack.inefficient(MOST_WASTED)
        if not found:
            self._foot.say("no file is in more than one layer")
            return
        choices = [
            Choice(path, words=f"{size(total)} in {count} layers") for path, count, total in found
        ]
        self._pick("files that waste most", choices, len(self._contents.stack) - 1)

    def _pick(self, title: str, choices: list[Choice], number: int) -> None:
        """Let a path be picked, and go there in the whole image up to a layer."""

        def go(picked: Picked | None) -> None:
            if picked is not None:
                self._whole, self._goal = True, choices[picked.number].name
                self.layer_list.go(number)
                self._choose(number)

        self.app.push_screen(PickScreen(title, choices), go)

    @on(AskLine.Answered)
    def _answered(self, event: AskLine.Answered) -> None:
        self.file_list.focus()
        row = self.file_list.row
        if event.question == "content":
            if event.text:
                words = f"looking for {event.text} in every file up to layer {self._number + 1} …"
                self._start(words, partial(self._search, event.text))
        elif event.question == "extract":
            if event.text and row is not None:
                self._start(f"writing {event.text} …", partial(self._extract, row, event.text))
        elif event.text:
            self._wanted = event.text
            self.action_next(1)

    def action_next(self, by: int) -> None:
        """Go to the next file whose name holds what was typed, or to the one before."""
        self._finds_later = bool(self._wanted) and not self.file_list.is_ready
        if self._finds_later:
            self._foot.say("still reading the layer")
        elif self._wanted and not self.file_list.find(self._wanted, by):
            self._find_elsewhere()

    def _came(self) -> None:
        if self._finds_later:
            self._foot.forget()
            self.action_next(1)

    def _find_elsewhere(self) -> None:
        """Go to another layer for a file that the one shown has not."""
        found = self._contents.stack.find(name_test(self._wanted))
        if found is None:
            self._foot.say(f"no file's name holds {self._wanted}")
            return
        self._goal, number = found
        self._statuses, self._whole = frozenset(), False
        self.layer_list.go(number)
        self._choose(number)
        self._foot.say(f"it is in layer {number + 1}; v: its versions")


def link_target(path: str, link: str) -> str:
    """Return where a symlink leads, as a path from the root of the image."""
    return posixpath.normpath(posixpath.join("/", posixpath.dirname(path), link)).lstrip("/")
