"""The screens of the app, each opened by a method of its own."""

from __future__ import annotations

from functools import partial

from core.commands.keys import ACTION, CONTAINERS, FILL, IMAGES, REGISTRIES
from tui.addresses import address_of, go
from tui.keymap import fill
from tui.tty.frame_diff import FrameDiffApp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from textual.screen import Screen

    from core.engine import Engine
    from tui.bridge import Bridge
    from tui.screens.dashboard.screen import DashboardScreen
    from tui.screens.detail.own_key import OwnKey
    from tui.session.session import Session
    from tui.views.menu import Entry


class OpensScreens(FrameDiffApp):
    """An app on one engine, with everything that can be shown beside its dashboard."""

    engine: Engine
    bridge: Bridge
    dashboard: DashboardScreen
    read_only: bool
    session: Session

    def submit(self, line: str) -> None:
        """Carry out what a line stands for."""
        raise NotImplementedError

    def show_screen(self, screen: Screen[None], address: str) -> None:
        """Show a screen that can be come back to by its address."""
        raise NotImplementedError

    def open_layers(self, image: str) -> None:
        """Show the layers and files of an image."""
        from tui.views import images

        self.show_screen(images.layers(self.engine, image), address_of(IMAGES, image, "layers"))

    def open_container_layers(self, container: str) -> None:
        """Show the layers of a container, with what it wrote as the uppermost, live."""
        from tui.views import containers

        screen = containers.layers(self.engine, container)
        self.show_screen(screen, address_of(CONTAINERS, container, "layers"))

    def open_remote_layers(self, image: str) -> None:
        """Show the layers and files of an image that is in a registry."""
        from tui.views import registries

        self.show_screen(
            registries.layers(self.engine, image), address_of(REGISTRIES, image, "layers")
        )

    def open_container(self, container: str, tab: str = "") -> None:
        """Show everything about a container; `tab`: the one to begin with."""
        from tui.views import containers

        opens = {
            "@logs": lambda: self.open_logs([container]),
            "@layers": lambda: self.open_container_layers(container),
        }
        keys = self._keys_of(CONTAINERS, container, opens)
        screen = containers.container(self.engine, container, keys, tab)
        self.show_screen(screen, address_of(CONTAINERS, container, tab))

    def open_image(self, image: str, tab: str = "") -> None:
        """Show everything about an image; `tab`: the one to begin with."""
        from tui.views import images

        keys = self._keys_of(IMAGES, image, {"@layers": lambda: self.open_layers(image)})
        screen = images.image(self.engine, image, keys, tab)
        self.show_screen(screen, address_of(IMAGES, image, tab))

    def _keys_of(
        self, kind: str, name: str, opens: Mapping[str, Callable[[], None]]
    ) -> dict[str, OwnKey]:
        """Return the keys of a table for the screen of one of its rows.

        `opens` are actions that open another screen; no other action is taken.
        """
        from tui.screens.detail.own_key import OwnKey

        keymap = self.dashboard.keymap
        words: dict[str, list[str]] = {}
        for key in sorted(keymap.keys, key=lambda key: not key.hint):
            known = key.command in opens or not key.command.startswith(ACTION)
            here = key.place == kind and key.key != "enter"
            if here and known and not keymap.refuses(key.command):
                words.setdefault(key.key, []).append(key.help)

        def now(pressed: str) -> str:
            state = self._state_of(kind, name)
            key = keymap.find(kind, pressed, state)
            return key.help if key is not None and key.is_offered(state) else ""

        def act(pressed: str) -> None:
            key = keymap.find(kind, pressed, self._state_of(kind, name))
            if key is not None and key.command in opens:
                opens[key.command]()
            elif key is not None:
                self.pop_screen()
                self.call_next(self.dashboard.do, key.command, name, [name])

        found = {
            key: OwnKey(", ".join(helps), partial(act, key), partial(now, key))
            for key, helps in words.items()
        }
        menu = next((key.key for key in keymap.keys if key.command == "@menu"), "")
        return found | ({menu: OwnKey("all actions", self._menu(kind, name))} if menu else {})

    def _state_of(self, kind: str, name: str) -> str:
        states = {info.name: info.state for info in self.bridge.latest.containers}
        return states.get(name, "") if kind == CONTAINERS else ""

    def _menu(self, kind: str, name: str) -> Callable[[], None]:
        return lambda: self.open_menu(kind, name, [name], self._state_of(kind, name))

    def open_logs(self, containers: Sequence[str]) -> None:
        """Follow the log of a container, or of several as one, on a screen of its own."""
        from tui.views.containers import logs

        screen = logs(self.engine, containers)
        self.show_screen(screen, address_of(CONTAINERS, ",".join(containers), "logs"))

    def open_comparison(self, old: str, new: str) -> None:
        """Show how one image differs from another."""
        from tui.views.images import compare

        self.show_screen(compare(self.engine, old, new), address_of("compare", old, new))

    def action_help(self) -> None:
        """Show every key and every command."""
        from core.commands import load_all
        from tui.screens.help import HelpScreen, key_sections, verb_section

        keys = key_sections(self.dashboard.keymap, self.dashboard.place)
        self.push_screen(HelpScreen(keys, [verb_section(load_all(), self.dashboard.keymap.keys)]))

    def action_help_here(self) -> None:
        """Show what can be done on the screen that is shown."""
        from tui.screens.help import HelpScreen, sections_here

        self.push_screen(HelpScreen(sections_here(self.screen), []))

    def open_menu(self, kind: str, name: str, names: Sequence[str], state: str) -> None:
        """Let the person choose from all that can be done with a thing, or with several."""
        from core.commands import load_all
        from tui.views.menu import entries

        verbs = set(load_all().values())
        keys = self.dashboard.keymap.keys
        found = entries(kind, state, keys, verbs, read_only=self.read_only)
        self._offer(name if len(names) < 2 else f"{len(names)} marked", found, name, names)

    def _offer(self, title: str, found: Sequence[Entry], name: str, names: Sequence[str]) -> None:
        """Let the person choose what to do with a thing, with several, or with none."""
        from tui.screens.pick import Choice, Picked, PickScreen

        async def act(picked: Picked | None) -> None:
            if picked is None:
                return
            command = found[picked.number].command
            while len(self.screen_stack) > 1:
                self.pop_screen()
            each = [name] if "{names}" in command or picked.edit or FILL in command else names
            for one in each or [name]:
                await self.dashboard.do(command, one, names, edit=picked.edit)

        choices = [
            Choice(one.word, one.key, fill(one.words, name, names) if name else one.words, one.also)
            for one in found
        ]
        self.push_screen(PickScreen(title, choices, edits=True), act)

    def action_commands(self) -> None:
        """Let the person choose from all commands there are."""
        from core.commands import load_all
        from tui.views.menu import all_entries

        found = all_entries(self.dashboard.keymap.keys, load_all(), read_only=self.read_only)
        self._offer("all commands", found, "", ())

    def open_listing(self, name: str) -> bool:
        """Show a command's table on a screen of its own; False where there is none."""
        from tui.views import events
        from tui.views.listings import listing

        if name == "events":
            self.show_screen(events.events(self.engine), name)
            return True
        screen = listing(self.engine, name, self.submit, self.dashboard.keymap)
        if screen is not None:
            self.show_screen(screen, name)
        return screen is not None

    def open_answer(self, line: str) -> None:
        """Show what a command answers on a screen of its own, read again and again or followed.

        Raises UsageError for a line that is none, or that would change something.
        """
        from tui.views.commands import answer_screen, stream

        if words := stream(line):
            go(self, words)
            return
        self.show_screen(answer_screen(self.engine, line, self.submit, self.dashboard.keymap), line)

    def open_registry(self, place: str) -> None:
        """Show a registry's repositories, a repository's tags, or an image: HOST[/NAME[:TAG]]."""
        from tui.views.registries import registry

        def run(line: str) -> None:
            while not line.startswith("go ") and len(self.screen_stack) > 1:
                self.pop_screen()
            self.submit(line)

        screen = registry(self.engine, place, run, self.dashboard.keymap)
        self.show_screen(screen, address_of(REGISTRIES, place))

    def open_job(self, number: int) -> bool:
        """Show how far a job is and what it said; False for a job that there is not."""
        from tui.views.jobs import job_screen

        job = self.engine.jobs.get(number)
        if job is not None:
            self.show_screen(
                job_screen(job, self.session.watch_of(job)), address_of("job", str(number))
            )
        return job is not None

    def action_tour(self) -> None:
        """Show a newcomer around."""
        from tui.screens.tour import TourScreen

        self.push_screen(TourScreen())
