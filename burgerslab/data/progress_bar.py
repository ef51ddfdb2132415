"""The progress bar of work on trajectories, in terminals and in Jupyter."""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import get_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bar(description: str, total: int, shown: bool, done: int = 0) -> Iterator[Callable[[int], None]]:
    """A bar while the body runs.

    Rich draws it in a terminal. In Jupyter rich shows nothing without ipywidgets, and with them redraws ten times a
    second; there tqdm draws it, as a widget if there are ipywidgets and as one line of text if not.

    Args:
        description: What is done.
        total: Number of items.
        shown: Whether there is a bar at all.
        done: Items that were finished before, which say nothing about the speed.

    Yields:
        A function that is told how many items are finished.
    """
    if shown and get_console().is_jupyter:
        if importlib.util.find_spec("ipywidgets") is None:  # tqdm.auto would complain
            from tqdm import tqdm
        else:
            from tqdm.auto import tqdm
        with tqdm(desc=description, total=total, initial=done) as line:
            yield lambda finished: line.update(finished - line.n)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not shown) as bar:
        task = bar.add_task(description, total=total, completed=done)
        yield lambda finished: bar.update(task, completed=finished)
