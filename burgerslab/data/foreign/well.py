"""HDF5 files in the layout of The Well."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from burgerslab.data.foreign.coordinates import Axis, evenly_spaced
from burgerslab.data.foreign.foreign_errors import ForeignFileError
from burgerslab.data.foreign.hdf5 import as_number, as_text, find_dataset, find_group, open_hdf5, read_rows
from burgerslab.data.foreign.reader import FileContents, ForeignFile, ForeignReader
from burgerslab.data.foreign.well_field import WellField
from burgerslab.physics.domain import AXIS_NAMES

_NAMES_OF_VISCOSITY = ("viscosity", "nu", "Nu", "Viscosity")


@dataclass(frozen=True)
class WellReader(ForeignReader):
    """HDF5 files in the layout of The Well (Ohana et al., NeurIPS 2024; its ``docs/data_format.md``).

    ``dimensions/time`` and one list of coordinates per name in ``dimensions@spatial_dims``;
    ``t1_fields/velocity (n_traj, T, *space, D)``; scalar fields in ``t0_fields``, vector fields in ``t1_fields``,
    with or without time and trajectories as ``time_varying`` and ``sample_varying`` say; ``boundary_conditions``, all
    of them periodic. Tensor fields and fields that do not vary along every axis are left out. The first name in
    ``spatial_dims`` becomes x.

    Args:
        velocity: Name of the velocity in ``t1_fields``.
        viscosity: Name of the viscosity in ``scalars``, or among the attributes of the file; by default
            ``viscosity`` or ``nu``.
        fields: Other fields to import; None is all. Not to be called ``viscosity``, which a store has already.
    """

    velocity: str = "velocity"
    viscosity: str | None = None
    fields: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.fields is not None:
            object.__setattr__(self, "fields", tuple(self.fields))

    @contextmanager
    def open(self, path: Path) -> Iterator[ForeignFile]:
        """Open a file; values are read when asked for."""
        with open_hdf5(path) as file:
            dimensions = find_group(file, "dimensions")
            axes = _axes(dimensions)
            _require_periodic(file, list(axes))
            stamps = find_dataset(dimensions, "time")
            times = evenly_spaced(read_rows(stamps), "dimensions/time")
            space = tuple(axis.num_points for axis in axes.values())
            velocity = find_dataset(find_group(file, "t1_fields"), self.velocity)
            if velocity.ndim != len(space) + 3:
                raise ForeignFileError(
                    f"{velocity.name} must be (n_traj, T, *space, D) = (n_traj, {times.count}, "
                    f"{', '.join(map(str, space))}, {len(space)}), got shape {velocity.shape}"
                )
            num_trajectories = velocity.shape[0]
            fields, left_out = self._find_fields(file, (num_trajectories, times.count, *space))
            viscosity, source = self._find_viscosity(file, num_trajectories)
            contents = FileContents(
                num_trajectories=num_trajectories,
                times=times,
                axes=tuple(axes.values()),
                fields=tuple(field.spec for field in fields),
                viscosity=viscosity,
                viscosity_source=source,
                notes=(f"left out: {', '.join(left_out)}",) if left_out else (),
            )
            yield ForeignFile(contents, lambda rows: {field.spec.name: field.read(rows) for field in fields})

    def _find_fields(self, file: Any, shape: tuple[int, ...]) -> tuple[list[WellField], list[str]]:
        """The velocity and the other fields; names of what no store holds."""
        fields: list[WellField] = []
        left_out: list[str] = []
        found = set()
        for group, num_components in (("t1_fields", len(shape) - 2), ("t0_fields", None), ("t2_fields", None)):
            present = find_group(file, group) if group in file else {}
            for name in sorted(present, key=lambda name: (name != self.velocity, name)):
                is_velocity = group == "t1_fields" and name == self.velocity
                found.add(name)
                if not is_velocity and self.fields is not None and name not in self.fields:
                    left_out.append(f"{group}/{name}")
                    continue
                if group == "t2_fields" or not np.all(present[name].attrs.get("dim_varying", True)):
                    left_out.append(f"{group}/{name}")
                    continue
                stored = "velocity" if is_velocity else name
                fields.append(WellField(find_dataset(present, name), stored, num_components, shape))
        if unknown := sorted(set(self.fields or ()) - found):
            raise ForeignFileError(
                f"there are no fields {unknown}, which --reader.fields names; it has {sorted(found)}"
            )
        return fields, left_out

    def _find_viscosity(self, file: Any, num_trajectories: int) -> tuple[np.ndarray | None, str]:
        """Viscosity of each trajectory, and where it was found."""
        names = _NAMES_OF_VISCOSITY if self.viscosity is None else (self.viscosity,)
        scalars = find_group(file, "scalars") if "scalars" in file else {}
        for name in names:
            if name in scalars:
                return _per_trajectory(find_dataset(scalars, name), num_trajectories), f"scalars/{name}"
            if name in file.attrs:
                value = as_number(file.attrs[name], f"the attribute {name}")
                return np.full(num_trajectories, value), f"the attribute {name}"
        return None, (
            f"none of {list(names)} is in scalars, which has {sorted(scalars)}, or among the attributes; "
            "--reader.viscosity names another"
        )


def _per_trajectory(scalar: Any, num_trajectories: int) -> np.ndarray:
    values = read_rows(scalar).reshape(-1)
    in_time = bool(np.any(scalar.attrs.get("time_varying", False)))
    if in_time or values.size not in (1, num_trajectories) or values.dtype.kind not in "fiu":
        raise ForeignFileError(
            f"{scalar.name[1:]} must be one number or one per trajectory, got {values.size} of {values.dtype}"
            f"{', which vary in time' if in_time else ''}"
        )
    return np.broadcast_to(values.astype(np.float64), num_trajectories).copy()


def _axes(dimensions: Any) -> dict[str, Axis]:
    if "spatial_dims" not in dimensions.attrs:
        raise ForeignFileError("dimensions lacks the attribute spatial_dims; this is not The Well's layout")
    names = [as_text(name) for name in np.atleast_1d(dimensions.attrs["spatial_dims"])]
    if not 1 <= len(names) <= len(AXIS_NAMES):
        raise ForeignFileError(f"dimensions@spatial_dims names {names}; 1, 2 or 3 axes are possible")
    axes = {}
    for name in names:
        coordinates = read_rows(find_dataset(dimensions, name))
        if coordinates.ndim != 1:
            raise ForeignFileError(
                f"dimensions/{name} must be one list of coordinates for all trajectories and times, got shape "
                f"{coordinates.shape}"
            )
        points = evenly_spaced(coordinates, f"dimensions/{name}")
        axes[name] = Axis(points.count, points)
    return axes


def _require_periodic(file: Any, names: list[str]) -> None:
    grid = as_text(file.attrs.get("grid_type", "cartesian"))
    if grid != "cartesian":
        raise ForeignFileError(f"grid_type is {grid!r}; only cartesian grids can be imported")
    kinds: dict[str, set[str]] = {name: set() for name in names}
    for condition in find_group(file, "boundary_conditions").values():
        kind = as_text(condition.attrs.get("bc_type", "unknown")).lower()
        for name in np.atleast_1d(condition.attrs.get("associated_dims", names)):
            kinds.setdefault(as_text(name), set()).add(kind)
    for name in names:
        if kinds[name] != {"periodic"}:
            found = " and ".join(sorted(kinds[name])) or "not given"
            raise ForeignFileError(
                f"the boundary condition along {name} is {found}; only periodic boxes can be imported"
            )
