"""One array of an npz file, read row by row without loading the rest."""

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.lib import format as npy

from burgerslab.data.foreign.foreign_errors import ForeignFileError


class NpzArray:
    """An array of an open npz file.

    Rows are read from the archive when asked for; in order, each is read once. An array that was saved in Fortran
    order has no rows that lie together, and is read as a whole.

    Args:
        archive: The npz file.
        name: Name of the array.

    Attributes:
        shape: Its shape.
        dtype: Type of its values.

    Raises:
        ForeignFileError: If there is no such array, or it holds Python objects, or the file is damaged.
    """

    def __init__(self, archive: ZipFile, name: str) -> None:
        self._name = name
        if name not in array_names(archive):
            raise ForeignFileError(f"there is no array {name!r}; it has {array_names(archive)}")
        with _explained(name):
            self._stream = archive.open(f"{name}.npy")
            version = npy.read_magic(self._stream)
            read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            self.shape, fortran_order, self.dtype = read_header(self._stream)
        if self.dtype.hasobject:
            raise ForeignFileError(f"{name} holds Python objects; save it as an array of numbers")
        self._begin = self._stream.tell()
        self._whole: np.ndarray | None = None
        if fortran_order and len(self.shape) > 1:
            self._whole = self._read(0, math.prod(self.shape)).reshape(self.shape, order="F")

    def __enter__(self) -> "NpzArray":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def rows(self, rows: range) -> np.ndarray:
        """Consecutive positions along the first axis."""
        if self._whole is not None:
            return self._whole[rows.start : rows.stop]
        size = math.prod(self.shape[1:])
        return self._read(rows.start * size, len(rows) * size).reshape(len(rows), *self.shape[1:])

    def values(self) -> np.ndarray:
        """All of it."""
        if self._whole is not None:
            return self._whole
        return self._read(0, math.prod(self.shape)).reshape(self.shape)

    def _read(self, first: int, count: int) -> np.ndarray:
        buffer = bytearray(count * self.dtype.itemsize)
        view, filled = memoryview(buffer), 0
        with _explained(self._name):
            self._stream.seek(self._begin + first * self.dtype.itemsize)
            while filled < len(buffer):
                read = self._stream.readinto(view[filled:])
                if not read:
                    raise ForeignFileError(f"{self._name} ends early; the file is not complete")
                filled += read
        return np.frombuffer(buffer, self.dtype)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what zipfile and numpy raise for damaged bytes into one error."""
    try:
        yield
    except ForeignFileError:
        raise
    except (BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise ForeignFileError(f"{name} cannot be read ({error}); the file is damaged") from error


def array_names(archive: ZipFile) -> list[str]:
    """Names of the arrays of an npz file."""
    return sorted(name.removesuffix(".npy") for name in archive.namelist())
