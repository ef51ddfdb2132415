"""MATLAB files of one solution, such as Raissi's Burgers data."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from burgerslab.data.foreign.coordinates import Axis, evenly_spaced
from burgerslab.data.foreign.foreign_errors import ForeignFileError
from burgerslab.data.foreign.reader import FileContents, ForeignFile, ForeignReader
from burgerslab.data.layout import FieldSpec


@dataclass(frozen=True)
class MatReader(ForeignReader):
    """Files such as ``burgers_shock.mat`` of Raissi et al. (Physics-informed neural networks, 2019).

    One trajectory in one dimension: points ``(X, 1)``, times ``(T, 1)`` and the solution ``(X, T)``. Raissi's runs
    from x = -1 to 1, both included, so that the last point repeats the first. The file does not say its viscosity.

    Args:
        space: Name of the points.
        time: Name of the times.
        solution: Name of the solution.
    """

    space: str = "x"
    time: str = "t"
    solution: str = "usol"

    @contextmanager
    def open(self, path: Path) -> Iterator[ForeignFile]:
        """Read a file; such files are small, so all of it."""
        arrays = _load(path)
        if missing := [name for name in (self.space, self.time, self.solution) if name not in arrays]:
            raise ForeignFileError(
                f"there is no variable {missing[0]!r}; it has {sorted(arrays)}. Options such as --reader.solution "
                "name others"
            )
        x, times = (evenly_spaced(arrays[name], name) for name in (self.space, self.time))
        solution = arrays[self.solution]
        if np.iscomplexobj(solution) and not solution.imag.any():
            solution = solution.real
        if solution.shape != (x.count, times.count):
            raise ForeignFileError(
                f"{self.solution} must be (points, times) = {(x.count, times.count)} as {self.space} and "
                f"{self.time}, got shape {solution.shape}"
            )
        contents = FileContents(
            num_trajectories=1,
            times=times,
            axes=(Axis(x.count, x),),
            fields=(FieldSpec("velocity", ("x",)),),
            viscosity=None,
            viscosity_source="files of this format do not tell it; for Raissi's burgers_shock.mat it is 0.01/π = "
            "0.0031830988618379067",
        )
        yield ForeignFile(contents, lambda rows: {"velocity": solution.T[None, :, None]})


def _load(path: Path) -> dict[str, Any]:
    """Variables of a MATLAB file by name."""
    import zlib

    import scipy.io
    import scipy.sparse
    from scipy.io.matlab import MatReadError

    try:
        arrays = scipy.io.loadmat(path)
    except NotImplementedError as error:
        raise ForeignFileError("MATLAB's format 7.3 is not read here; save the file with save(..., '-v7')") from error
    # the last three are what scipy meets in bytes that are no MATLAB file
    except (MatReadError, ValueError, OSError, EOFError, zlib.error, TypeError, IndexError, KeyError) as error:
        raise ForeignFileError(
            f"this is no MATLAB file, or damaged ({error}); check FORMAT and the download"
        ) from error
    return {
        name: values.toarray() if scipy.sparse.issparse(values) else values
        for name, values in arrays.items()
        if not name.startswith("__")
    }
