"""The screens of the app, each opened by a method of its own."""

from __future__ import annotations

from core.commands.keys import CONTAINERS, IMAGES
from tui.tty.frame_diff import FrameDiffApp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.screen import Screen

    from core.engine import Engine
    from tui.bridge import Bridge
    from tui.screens.dashboard.screen import DashboardScreen
    from tui.session.session import Session


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

        self.show_screen(images.layers(self.engine, image), f"images {image} layers")

    def open_container_layers(self, container: str) -> None:
        """Show the layers of a container, with what it wrote as the uppermost, live."""
        from core.commands.scan import quote
        from tui.views import containers

        screen = containers.layers(self.engine, container)
        self.show_screen(screen, f"containers {quote(container)} layers")

    def open_remote_layers(self, image: str) -> None:
        """Show the layers and files of an image that is in a registry."""
        from tui.views import registries

        self.show_screen(registries.layers(self.engine, image), f"registries {image} layers")

    def open_container(self, container: str, tab: str = "") -> None:
        """Show everything about a container; `tab`: the one to begin with."""
        from core.commands.scan import quote
        from tui.views import containers

        def back_to(line: str, otherwise: str = "") -> Callable[[], None]:
            """Return to the dashboard and run a line, another one where nothing runs."""

            def run() -> None:
                self.pop_screen()
                states = {info.name: info.state for info in self.bridge.latest.containers}
                idle = states.get(container) in ("exited", "created", "dead")
                self.submit(otherwise if otherwise and idle else line)

            return run

        name = quote(container)
        keys = {
            "l": ("logs", lambda: self.open_logs([container])),
            "v": ("layers", lambda: self.open_container_layers(container)),
            "e": ("exec", back_to(f"exec -it {name} sh")),
            "a": ("attach", back_to(f"attach {name}")),
            "s": ("stop, start", back_to(f"stop {name}", f"start {name}")),
            "r": ("restart", back_to(f"restart {name}")),
            "d": ("rm", back_to(f"rm {name}")),
            "m": ("all actions", self._menu(CONTAINERS, container)),
        }
        if self.read_only:
            keys = {key: keys[key] for key in ("l", "v", "m")}
        screen = containers.container(self.engine, container, keys, tab)
        self.show_screen(screen, f"containers {name} {tab}".rstrip())

    def open_image(self, image: str, tab: str = "") -> None:
        """Show everything about an image; `tab`: the one to begin with."""
        from tui.views import images

        keys = {
            "v": ("layers", lambda: self.open_layers(image)),
            "m": ("all actions", self._menu(IMAGES, image)),
        }
        screen = images.image(self.engine, image, keys, tab)
        self.show_screen(screen, f"images {image} {tab}".rstrip())

    def _menu(self, kind: str, name: str) -> Callable[[], None]:
        def run() -> None:
            states = {info.name: info.state for info in self.bridge.latest.containers}
            state = states.get(name, "") if kind == CONTAINERS else ""
            self.open_menu(kind, name, [name], state)

        return run

    def open_logs(self, containers: Sequence[str]) -> None:
        """Follow the log of a container, or of several as one, on a screen of its own."""
        from tui.views.containers import logs

        address = f"containers {','.join(containers)} logs"
        self.show_screen(logs(self.engine, containers), address)

    def open_comparison(self, old: str, new: str) -> None:
        """Show how one image differs from another."""
        from tui.views.images import compare

        self.show_screen(compare(self.engine, old, new), f"compare {old} {new}")

    def action_help(self) -> None:
        """Show every key and every command."""
        from core.commands import load_all
        from tui.screens.help import HelpScreen, key_sections, verb_section

        keys = key_sections(self.dashboard.keymap)
        self.push_screen(HelpScreen(keys, [verb_section(load_all(), self.dashboard.keymap.keys)]))

    def action_help_here(self) -> None:
        """Show what can be done on the screen that is shown."""
        from tui.screens.help import HelpScreen, sections_here

        self.push_screen(HelpScreen(sections_here(self.screen), []))

    def open_menu(self, kind: str, name: str, names: Sequence[str], state: str) -> None:
        """Let the person choose from all that can be done with a thing, or with several."""
        from core.commands import load_all
        from tui.screens.pick import Choice, Picked, PickScreen
        from tui.views.menu import entries

        verbs = set(load_all().values())
        keys = self.dashboard.keymap.keys
        found = entries(kind, state, keys, verbs, read_only=self.read_only)

        async def act(picked: Picked | None) -> None:
            if picked is None:
                return
            command = found[picked.number].command
            if self.screen is not self.dashboard:
                self.pop_screen()
            each = [name] if "{names}" in command or picked.edit or "…" in command else names
            for one in each:
                await self.dashboard.do(command, one, names, edit=picked.edit)

        title = name if len(names) < 2 else f"{len(names)} marked"
        choices = [Choice(entry.word, entry.key, entry.words) for entry in found]
        self.push_screen(PickScreen(title, choices, edits=True), act)

    def open_listing(self, name: str) -> bool:
        """Show a command's table on a screen of its own; False where there is none."""
        from tui.views import events
        from tui.views.listings import listing

        if name == "events":
            self.show_screen(events.events(self.engine), name)
            return True
        screen = listing(self.engine, name, self.submit, self.dashboard.keymap.refuses)
        if screen is not None:
            self.show_screen(screen, name)
        return screen is not None

    def open_answer(self, line: str) -> None:
        """Show what a command answers on a screen of its own, read again and again.

        Raises UsageError for a line that is none, or that would change something.
        """
        from tui.views.answers import answer_screen

        self.show_screen(answer_screen(self.engine, line, self.submit), line)

    def open_registry(self, place: str) -> None:
        """Show a registry's repositories, a repository's tags, or an image: HOST[/NAME[:TAG]]."""
        from tui.views.registries import registry

        def run(line: str) -> None:
            while not line.startswith("go ") and len(self.screen_stack) > 1:
                self.pop_screen()
            self.submit(line)

        screen = registry(self.engine, place, run, self.dashboard.keymap.refuses)
        self.show_screen(screen, f"registries {place}")

    def open_job(self, number: int) -> bool:
        """Show how far a job is and what it said; False for a job that there is not."""
        from tui.views.jobs import job_screen

        job = self.engine.jobs.get(number)
        if job is not None:
            self.show_screen(job_screen(job, self.session.watch_of(job)), f"job {number}")
        return job is not None

    def action_tour(self) -> None:
        """Show a newcomer around."""
        from tui.screens.tour import TourScreen

        self.push_screen(TourScreen())
