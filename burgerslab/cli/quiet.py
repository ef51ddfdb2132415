"""Warnings and log lines of other packages that say nothing to the user of this one."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import burgerslab


@contextmanager
def quiet(trained_elsewhere: bool = False) -> Iterator[None]:
    """Hide them while the body runs; everything else is shown.

    Args:
        trained_elsewhere: Whether a checkpoint is only evaluated, and callbacks of its training need not be there.

    Yields:
        Nothing.
    """
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    with warnings.catch_warnings():
        # Lightning 2.6 asks torch in a way that torch 2.13 has renamed.
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
        # Windows lie in memory: loader processes would make reading slower.
        warnings.filterwarnings("ignore", r"The '\w+' does not have many workers")
        # So it is meant: `main` may be called with arguments.
        warnings.filterwarnings("ignore", "LightningCLI's args parameter is intended to run from within Python")
        # Steps are counted over all epochs, hence losses are logged although an epoch is shorter than the interval.
        warnings.filterwarnings("ignore", r"The number of training batches \(\d+\) is smaller than the logging")
        # No validation trajectories is a choice, and the datamodule says so with an empty list.
        warnings.filterwarnings("ignore", "Total length of `list` across ranks is zero")
        # The surrogate's configure_model measures the data; it shards nothing.
        warnings.filterwarnings("ignore", "You're using the WeightAveraging callback with a model that overrides the")
        # fit says so in its own words.
        warnings.filterwarnings("ignore", "The dirpath has changed from")
        if trained_elsewhere:
            warnings.filterwarnings("ignore", "You're using the WeightAveraging callback, but loading a checkpoint")
            warnings.filterwarnings("ignore", "Be aware that when using `ckpt_path`, callbacks used to create")
        # Lightning 2.6 calls methods of jsonargparse by their old names.
        for message in ("By default only one Jsonargparse", "``instantiate_classes`` was", "skip_none parameter was"):
            warnings.filterwarnings("ignore", rf"\s*{message}", DeprecationWarning)
        warnings.showwarning = _show
        # PhiFlow 3.4 calls PhiML functions by their old names.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"phi(ml)?\b")
        logger.addFilter(_is_no_advertisement)
        try:
            yield
        finally:
            logger.removeFilter(_is_no_advertisement)


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """One line for a warning of this package, which is about the run; that of others says where it comes from."""
    own = filename.startswith(str(Path(burgerslab.__file__).parent))
    text = f"warning: {message}\n" if own else warnings.formatwarning(message, category, filename, lineno, line)
    (file or sys.stderr).write(text)


def _is_no_advertisement(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("💡 Tip")
