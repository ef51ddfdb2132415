"""What can be wrong with a store, one exception each."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class StoreError(ValueError):
    """A store cannot be used as asked; the message says what, where and what to do."""


class StoreMissingError(StoreError):
    """There is no store at the path."""


class StoreIncompleteError(StoreError):
    """The store is only partly generated."""


class StoreMismatchError(StoreError):
    """The store was made with other settings, another layout or another schema version."""


class StoreCorruptError(StoreError):
    """A file of the store is missing or holds other bytes than were written."""


class StoreBusyError(StoreError):
    """Another process is using the store in a way that excludes the request."""


@contextmanager
def explained_os_errors(path: Path) -> Iterator[None]:
    """Turn a refusal of the operating system into one `StoreError` about the store.

    Args:
        path: The store that is being written.

    Yields:
        Nothing; the body is what touches the disk.

    Raises:
        StoreError: On any ``OSError`` of the body, which stays attached as its cause.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = (
                "the disk or the quota is full. Blocks finished so far are kept: free some space and run "
                "the same command again to resume"
            )
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            advice = (
                "this location is not writable. Generating, resuming and repairing need write permission for "
                "the directory that holds the store (reading a complete store does not): choose another path "
                "or change the permissions"
            )
        else:
            advice = "blocks finished so far are kept; run the same command again to resume"
        raise StoreError(f"{path}: {reason} ({error.filename or 'no file named'}); {advice}") from error
