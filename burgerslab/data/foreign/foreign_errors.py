"""What is wrong with a foreign file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ForeignFileError(ValueError):
    """A file cannot be imported as asked; the message says what is wrong with it and what to do."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the file in front of what the body finds wrong with it.

    Args:
        path: The file.

    Yields:
        Nothing; the body reads the file.

    Raises:
        ForeignFileError: The body's own, with the file's name.
    """
    try:
        yield
    except ForeignFileError as error:
        raise ForeignFileError(f"{path}: {error}") from error
