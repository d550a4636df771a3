"""Removing what crashed tests left behind, outside the controller's event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue


class Quarantine:
    """Runs one clean-up per crashed case in a thread and remembers how it went.

    Every clean-up has a result: the callable's, or that it took too long. So nobody waits forever.
    """

    def __init__(self, cleanup: Callable[[str], None], seconds: float) -> None:
        """Take the callable that removes what a case left, and the real seconds after which it counts as failed."""
        self._cleanup = cleanup
        self._seconds = seconds
        self._results = SimpleQueue[tuple[str, str | None]]()

    def begin(self, case: str, wake: Callable[[], None]) -> None:
        """Clean up after ``case``; ``wake`` is called from a thread as soon as there is a result."""
        timer = threading.Timer(self._seconds, self._finish, (case, f"no end after {self._seconds:.0f} s", wake))
        timer.daemon = True
        timer.start()
        threading.Thread(target=self._run, args=(case, timer, wake), name=f"cleanup {case}", daemon=True).start()

    def results(self) -> Iterator[tuple[str, str | None]]:
        """Case and error, or None when all is gone, of what came in since the last call.

        A clean-up that was given up and ends after all has two results.
        """
        while True:
            try:
                yield self._results.get_nowait()
            except Empty:
                return

    def _run(self, case: str, timer: threading.Timer, wake: Callable[[], None]) -> None:
        error = None
        try:
            self._cleanup(case)
        except Exception as caught:  # whatever it is, the slot must not be given away
            error = f"{type(caught).__name__}: {caught}"
        timer.cancel()
        self._finish(case, error, wake)

    def _finish(self, case: str, error: str | None, wake: Callable[[], None]) -> None:
        self._results.put((case, error))
        wake()
