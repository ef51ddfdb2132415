"""HDF5 files: opening them, finding what is in them, and reading rows, each with one clear error."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from burgerslab.data.foreign.foreign_errors import ForeignFileError


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """Open an HDF5 file for reading.

    Args:
        path: The file.

    Yields:
        The `h5py.File`.

    Raises:
        ForeignFileError: If it is no HDF5 file, or damaged.
    """
    import h5py

    if not h5py.is_hdf5(path):
        raise ForeignFileError("this is no HDF5 file (it lacks the signature); check FORMAT and the download")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ForeignFileError(f"HDF5 cannot open it ({error}); is it complete?") from error
    with file:
        yield file


def find_dataset(group: Any, name: str) -> Any:
    """A data set of a group, by its name.

    Raises:
        ForeignFileError: If there is none; lists what there is.
    """
    import h5py

    found = group.get(name)
    if not isinstance(found, h5py.Dataset):
        where = f" in {group.name}" if group.name != "/" else ""
        raise ForeignFileError(f"there is no data set {name!r}{where}; it has {_names(group)}. Check FORMAT")
    return found


def find_group(group: Any, name: str) -> Any:
    """A group of a file, by its name.

    Raises:
        ForeignFileError: If there is none; lists what there is.
    """
    import h5py

    found = group.get(name)
    if not isinstance(found, h5py.Group):
        raise ForeignFileError(f"there is no group {name!r}; the file has {_names(group)}. Check FORMAT")
    return found


def _names(group: Any) -> list[str]:
    try:
        return sorted(map(str, group))
    except (RuntimeError, KeyError) as error:
        raise ForeignFileError(f"the contents cannot be listed ({error}); the file is damaged") from error


def read_rows(dataset: Any, rows: range | None = None) -> np.ndarray:
    """Values of a data set.

    Args:
        dataset: The `h5py.Dataset`.
        rows: Consecutive positions along its first axis; None is all of it.

    Raises:
        ForeignFileError: If the file is damaged there.
    """
    try:
        return np.asarray(dataset[()] if rows is None else dataset[rows.start : rows.stop])
    except OSError as error:  # also of a filter that this installation lacks
        raise ForeignFileError(f"{dataset.name} cannot be read ({error})") from error


def as_text(value: Any) -> str:
    """An attribute as text, whether it was written as text or as bytes."""
    plain = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    return plain.decode("utf-8", "replace") if isinstance(plain, bytes) else str(plain)


def as_number(value: Any, name: str) -> float:
    """An attribute or a data set of one number.

    Raises:
        ForeignFileError: If it is not that.
    """
    number = np.asarray(value)
    if number.size != 1 or number.dtype.kind not in "fiu":
        raise ForeignFileError(f"{name} must be one number, got {number.dtype} of shape {number.shape}")
    return float(number.reshape(()))
