"""PDEBench's files of the one-dimensional Burgers equation."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from burgerslab.data.foreign.coordinates import Axis, evenly_spaced
from burgerslab.data.foreign.foreign_errors import ForeignFileError
from burgerslab.data.foreign.hdf5 import as_number, find_dataset, open_hdf5, read_rows
from burgerslab.data.foreign.reader import FileContents, ForeignFile, ForeignReader
from burgerslab.data.layout import FieldSpec

# Parameters of PDEBench's other equations in one dimension, whose files look the same otherwise.
_OTHER_EQUATIONS = {"beta": "advection", "rho": "reaction-diffusion", "eta": "compressible flow"}


@dataclass(frozen=True)
class PDEBenchReader(ForeignReader):
    """HDF5 files such as ``1D_Burgers_Sols_Nu0.01.hdf5`` (Takamoto et al., PDEBench, NeurIPS 2022).

    ``tensor (N, T, X)``, ``x-coordinate (X,)`` and ``t-coordinate (T + 1,)``, of which the last entry belongs to no
    frame. The equation is u_t + (u²/2)_x = (Nu/π) u_xx: the viscosity is Nu/π, where Nu is an attribute of the file
    or part of its name.
    """

    @contextmanager
    def open(self, path: Path) -> Iterator[ForeignFile]:
        """Open a file; its values are read when asked for."""
        with open_hdf5(path) as file:
            tensor = find_dataset(file, "tensor")
            if tensor.ndim != 3:
                raise ForeignFileError(f"tensor must be (trajectory, frame, x), got shape {tensor.shape}")
            for parameter, equation in _OTHER_EQUATIONS.items():
                if parameter in file.attrs:
                    raise ForeignFileError(
                        f"the attribute {parameter!r} tells PDEBench's {equation} equation, not Burgers'"
                    )
            yield ForeignFile(
                _contents(file, tensor, path), lambda rows: {"velocity": read_rows(tensor, rows)[:, :, None]}
            )


def _contents(file: Any, tensor: Any, path: Path) -> FileContents:
    num_trajectories, num_frames, num_points = tensor.shape
    x = evenly_spaced(read_rows(find_dataset(file, "x-coordinate")), "x-coordinate")
    if x.count != num_points:
        raise ForeignFileError(f"x-coordinate has {x.count} entries, but tensor has {num_points} cells")
    stamps = read_rows(find_dataset(file, "t-coordinate"))
    if stamps.ndim != 1 or stamps.size not in (num_frames, num_frames + 1):
        raise ForeignFileError(
            f"t-coordinate must have an entry for each of the {num_frames} frames, or one more, got shape "
            f"{stamps.shape}"
        )
    notes = ()
    if stamps.size > num_frames:
        notes = (f"t-coordinate has {stamps.size} entries for {num_frames} frames; the last belongs to none",)
    parameter, source = _parameter(file, path)
    return FileContents(
        num_trajectories=num_trajectories,
        times=evenly_spaced(stamps[:num_frames], "t-coordinate"),
        axes=(Axis(num_points, x),),
        fields=(FieldSpec("velocity", ("x",)),),
        viscosity=None if parameter is None else np.full(num_trajectories, parameter / math.pi),
        viscosity_source=source,
        notes=notes,
    )


def _parameter(file: Any, path: Path) -> tuple[float | None, str]:
    """PDEBench's Nu, and where it was found."""
    if "Nu" in file.attrs:
        parameter = as_number(file.attrs["Nu"], "the attribute Nu")
        return parameter, f"Nu / π, with Nu = {parameter:g} from the attribute"
    if found := re.search(r"(?:^|_)Nu(\d*\.?\d+(?:[eE][+-]?\d+)?)", path.stem):
        return float(found[1]), f"Nu / π, with Nu = {float(found[1]):g} from the name of the file"
    return None, "neither an attribute Nu nor the name of the file tells it; PDEBench's viscosity is Nu / π"
