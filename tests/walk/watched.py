"""The app, as `bin/limpet` starts it, which also writes down what it shows.

Each line of the file: `key NAME SCREEN FOCUS` before a key is acted upon; `here SCREEN FOCUS
ADDRESS KEY…` once all that was typed before focus came back (CSI I) has been acted upon;
`picture JSON` when SIGUSR2 asks for one; `away` and `back` around a time without the terminal;
`bug TEXT` for what would be lost elsewhere.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from textual.events import Event

    from tui.app import LimpetApp


NOBODY = "nobody"
"""What has the focus when nothing that is shown has it."""
HELD_S = 0.01
"""After so long keys that wait for others are looked for again."""


def watch(path: str) -> None:
    """Let the app write to `path` from now on."""
    import faulthandler
    import signal
    import threading
    import traceback
    from contextlib import contextmanager

    from textual.events import AppFocus, Key

    from tests.walk.pictures import Pictures
    from tui.app import LimpetApp

    told = open(path, "a", buffering=1, encoding="utf-8")  # noqa: SIM115 - as long as the app

    def tell(*words: str) -> None:
        told.write("\t".join(words) + "\n")

    def bug(error: BaseException | None) -> None:
        if error is not None:
            text = "".join(traceback.format_exception(error))
            tell("bug", text.replace("\n", "\\n"))

    async def on_event(self: LimpetApp, event: Event) -> None:
        if isinstance(event, Key):
            tell("key", event.key, *_place(self))
        elif isinstance(event, AppFocus):
            if "pictures" not in vars(self):
                vars(self)["pictures"] = Pictures(self, tell)
            _when_done(self, tell)
        await plain_event(self, event)

    @contextmanager
    def suspend(self: LimpetApp) -> Iterator[None]:
        with plain_suspend(self):
            caller = sys._getframe(2)
            tell("away", str(getattr(caller.f_locals.get("foreground"), "title", "editor")))
            yield
        tell("back")

    def fatal(self: LimpetApp) -> None:
        bug(sys.exception())
        plain_fatal(self)

    plain_event, plain_suspend = LimpetApp.on_event, LimpetApp.suspend
    LimpetApp.on_event = on_event  # type: ignore[method-assign]
    LimpetApp.suspend = suspend  # type: ignore[method-assign]
    plain_fatal = LimpetApp._fatal_error
    LimpetApp._fatal_error = fatal  # type: ignore[method-assign,assignment]
    faulthandler.register(signal.SIGUSR1, open(f"{path}.stacks", "w"))  # noqa: SIM115 - as long
    threading.excepthook = lambda args: bug(args.exc_value)
    sys.unraisablehook = lambda args: bug(args.exc_value)


def _when_done(app: LimpetApp, tell: Any) -> None:
    def here() -> None:
        if app._typed_ahead._held:  # keys that were typed before are yet to be handed on
            app.set_timer(HELD_S, lambda: _when_done(app, tell))
            return
        address = app._addresses.get(app.screen, app.dashboard.place)
        keys = sorted(app.screen.active_bindings)
        tell("here", *_place(app), address.replace("\t", " ").replace("\n", " "), *keys)

    (app.focused or app.screen).call_later(app.call_later, here)


def _place(app: LimpetApp) -> tuple[str, str]:
    focus = type(app.focused).__name__ if app.focused in app.screen.focus_chain else NOBODY
    return type(app.screen).__name__, focus


def main() -> int:
    """Start as `bin/limpet` does."""
    root, packages, path = sys.argv[1:4]
    sys.argv[:] = ["limpet", *sys.argv[4:]]
    sys.path += [root, packages]
    from core.lean_import import install

    install()
    watch(path)
    from cli.main import main as limpet

    return limpet()


if __name__ == "__main__":
    sys.exit(main())
