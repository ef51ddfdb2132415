"""SIGTERM as an exception, in whatever phase of a run it comes."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lightning.pytorch.utilities.exceptions import SIGTERMException

_EXIT_CODE = 128 + signal.SIGTERM


@contextmanager
def sigterm_ends_the_run() -> Iterator[None]:
    """Let SIGTERM raise while the body runs, so that it cleans up.

    A Trainer notes the signal and looks at the note at the end of its next step; between two fits, and where the last
    step is behind it, nobody does. A second signal acts as before. Outside the main thread nothing is changed.

    Yields:
        Nothing.

    Raises:
        SIGTERMException: At once when the signal comes; its exit code is 143.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, before)
        raise SIGTERMException(_EXIT_CODE)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
