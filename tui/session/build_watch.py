"""A build that is done again whenever its context changes, followed by the app."""

from __future__ import annotations

import threading

from tui.answers import progress, summary
from tui.session.live import Look
from tui.theme import glyphs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.commands.result import Building
    from core.jobs import Job


class BuildWatch:
    """Builds again in a thread until `cancel`, as `build --watch` does without the app."""

    def __init__(self, building: Building) -> None:
        self.building = building
        """The build that goes on, or was last."""
        self.count = 1
        self._stop = threading.Event()
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="limpet-build-watch", daemon=True).start()

    @property
    def job(self) -> Job:
        """The job of the build that goes on, or was last."""
        return self.building.job

    @property
    def ended(self) -> bool:
        """Whether no change will be built any more."""
        return self._ended.is_set()

    def _watch(self) -> None:
        try:
            while True:
                self.job.wait()
                if self.job.cancelled or self._stop.is_set() or self.building.again is None:
                    return
                following = self.building.again(self._stop.is_set)
                if following is None:
                    return
                self.building = following
                self.count += 1
        finally:
            self._ended.set()

    def look(self) -> Look:
        """Return how the build that goes on looks, or that a change is waited for."""
        view = self.job.snapshot()
        note = summary(view).removeprefix(view.title).strip()
        if view.state != "running" and not self.ended:
            note = f"{view.state}; builds again when something changes"
        return Look(progress(view, glyphs()), note, self.ended)

    def cancel(self) -> None:
        """End the build that goes on, and the watch."""
        self._stop.set()
        self.job.cancel()
