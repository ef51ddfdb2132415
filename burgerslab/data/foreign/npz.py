"""Files of numpy's savez, with the arrays that this package documents."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from burgerslab.data.foreign.coordinates import Axis, EvenlySpaced, evenly_spaced
from burgerslab.data.foreign.foreign_errors import ForeignFileError
from burgerslab.data.foreign.npz_array import NpzArray, array_names
from burgerslab.data.foreign.reader import FileContents, ForeignFile, ForeignReader
from burgerslab.data.layout import FieldSpec
from burgerslab.physics.domain import AXIS_NAMES


@dataclass(frozen=True)
class NpzReader(ForeignReader):
    """``numpy.savez(FILE, velocity=..., dt=..., length=..., viscosity=...)``.

    ``velocity (trajectory, frame, component, *space)`` with one component per axis of space; ``dt``, the time between
    frames; ``length``, the period of all axes or of each; ``viscosity``, one number or one per trajectory. In place
    of ``length``, or to check it, the coordinates of the points: ``x``, ``y``, ``z``. Compressed files are read as
    well, but reading them in pieces is fast in order only.
    """

    @contextmanager
    def open(self, path: Path) -> Iterator[ForeignFile]:
        """Open a file; velocities are read when asked for."""
        try:
            archive = ZipFile(path)
        except BadZipFile as error:
            raise ForeignFileError(f"this is no npz file, or damaged ({error}); check FORMAT") from error
        with archive, NpzArray(archive, "velocity") as velocity:
            contents = _contents(archive, velocity.shape)
            yield ForeignFile(contents, lambda rows: {"velocity": velocity.rows(rows)})


def _contents(archive: ZipFile, shape: tuple[int, ...]) -> FileContents:
    num_axes = len(shape) - 3
    if not 1 <= num_axes <= 3 or shape[2] != num_axes:
        raise ForeignFileError(
            "velocity must be (trajectory, frame, component, *space) with as many components as axes of space, 1 to "
            f"3, got shape {shape}. In one dimension, velocity[:, :, None] adds the axis of the component"
        )
    num_trajectories, num_frames, points = shape[0], shape[1], shape[3:]
    dt = _numbers(archive, "dt")
    if dt.size != 1 or not dt.reshape(-1)[0] > 0:
        raise ForeignFileError(f"dt must be one positive number, the time between frames, got {dt.tolist()}")
    axes = AXIS_NAMES[:num_axes]
    known = {"velocity", "dt", "length", "viscosity", *axes}
    left_out = [name for name in array_names(archive) if name not in known]
    return FileContents(
        num_trajectories=num_trajectories,
        times=EvenlySpaced(0.0, float(dt.reshape(-1)[0]), num_frames),
        axes=_axes(archive, points),
        fields=(FieldSpec("velocity", axes),),
        viscosity=_viscosity(archive, num_trajectories),
        viscosity_source="the array viscosity" if "viscosity" in array_names(archive) else "there is no such array",
        notes=(f"left out: {', '.join(left_out)}",) if left_out else (),
    )


def _axes(archive: ZipFile, points: tuple[int, ...]) -> tuple[Axis, ...]:
    labels = AXIS_NAMES[: len(points)]
    names = array_names(archive)
    lengths: list[float | None] = [None] * len(points)
    if "length" in names:
        given = _numbers(archive, "length")
        if given.size not in (1, len(points)) or not (given > 0).all():
            raise ForeignFileError(
                f"length must be one positive number, or one for each of the {len(points)} axes, got {given.tolist()}"
            )
        lengths = [float(length) for length in np.broadcast_to(given.reshape(-1), len(points))]
    elif missing := [label for label in labels if label not in names]:
        raise ForeignFileError(
            f"there is neither an array 'length' nor coordinates {missing[0]!r}; it has {names}. Add length, the "
            "period of the box"
        )
    axes = []
    for label, num_points, length in zip(labels, points, lengths, strict=True):
        coordinates = evenly_spaced(_numbers(archive, label), label) if label in names else None
        if coordinates is not None and coordinates.count != num_points:
            raise ForeignFileError(
                f"{label} has {coordinates.count} entries, but velocity has {num_points} points there"
            )
        axes.append(Axis(num_points, coordinates, length))
    return tuple(axes)


def _viscosity(archive: ZipFile, num_trajectories: int) -> np.ndarray | None:
    if "viscosity" not in array_names(archive):
        return None
    given = _numbers(archive, "viscosity").astype(np.float64)
    if given.size != 1 and given.shape != (num_trajectories,):
        raise ForeignFileError(
            f"viscosity must be one number or one for each of the {num_trajectories} trajectories, got shape "
            f"{given.shape}"
        )
    return np.broadcast_to(given.reshape(-1), num_trajectories).copy()


def _numbers(archive: ZipFile, name: str) -> np.ndarray:
    with NpzArray(archive, name) as array:
        values = array.values()
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise ForeignFileError(f"{name} must be finite real numbers, got {values.dtype}: {values}")
    return values
