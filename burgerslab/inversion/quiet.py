"""Lightning's messages of every fit, where many fits are one run."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.rank_zero")


@contextmanager
def without_repetition(repeats: bool = True) -> Iterator[None]:
    """Hide what Lightning tells of devices and checkpoints while the body runs, but no warning.

    Args:
        repeats: Whether it has been told before; if not, nothing is hidden.

    Yields:
        Nothing.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS] if repeats else []
    for logger in loggers:
        logger.addFilter(_is_warning)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_is_warning)


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING
