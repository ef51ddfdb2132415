"""A foreign file as a store sees it: one period of each axis, float32, every value finite."""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from burgerslab.data.foreign.coordinates import is_flat_at_the_seam, repeats_first_point, seam_ratio
from burgerslab.data.foreign.foreign_errors import ForeignFileError
from burgerslab.data.foreign.reader import ForeignFile
from burgerslab.data.layout import CHUNK_BYTES, FieldSpec, StoreLayout
from burgerslab.physics.domain import AXIS_NAMES, Domain

# Ends that differ so many times more than any neighbours raise doubts.
_SUSPICIOUS = 10.0

# The largest difference between two values, as a part of the largest value, that counts as none.
_SAME = 1e-5


class PeriodicFile:
    """The trajectories of an open file on one period of each axis.

    Args:
        file: The file.

    Attributes:
        layout: Shape and physical facts of the store.
        dtype: Type of the velocity in the file.
        notes: What the user should know, one sentence each.
        repeated: For each axis, whether the file repeats the first point at the end; it is left out here.

    Raises:
        ForeignFileError: If no store can hold what the file holds.
    """

    def __init__(self, file: ForeignFile) -> None:
        self._file = file
        contents = file.contents
        if len(contents.axes) not in (1, 2, 3):
            raise ForeignFileError(f"the data have {len(contents.axes)} axes of space; 1, 2 or 3 are possible")
        if contents.num_trajectories < 1 or min(axis.num_points for axis in contents.axes) < 2:
            raise ForeignFileError(
                f"the file is empty: {contents.num_trajectories} trajectories on "
                f"{' x '.join(str(axis.num_points) for axis in contents.axes)} points"
            )
        per_trajectory = 4 * contents.times.count * math.prod(axis.num_points for axis in contents.axes)
        sample = self._velocity(range(min(contents.num_trajectories, max(1, CHUNK_BYTES // per_trajectory))))
        self.dtype = sample.dtype
        num_axes = len(contents.axes)
        sample = sample.astype(np.result_type(sample, np.float32), copy=False)  # differences of integers wrap
        with np.errstate(invalid="ignore"):  # infinite values are refused when everything is read
            self.repeated = tuple(repeats_first_point(sample, index - num_axes) for index in range(num_axes))
            self.notes = [*contents.notes, *_doubts(sample, self.repeated)]
        try:
            self.layout = self._layout()
        except ForeignFileError:
            raise
        except ValueError as error:  # of the box or the layout
            raise ForeignFileError(str(error)) from None

    def _layout(self) -> StoreLayout:
        contents = self._file.contents
        extent, resolution = [], []
        for axis, repeated, label in zip(contents.axes, self.repeated, AXIS_NAMES, strict=False):
            if repeated and axis.points is None:
                raise ForeignFileError(
                    f"the last point along {label} repeats the first, so that length does not tell the spacing; "
                    f"leave the last point out, or add the coordinates {label}"
                )
            resolution.append(axis.num_points - repeated)
            extent.append(axis.extent(resolution[-1], label))
        domain = Domain(tuple(extent), tuple(resolution))
        times = contents.times
        return StoreLayout(domain, contents.num_trajectories, times.count, times.spacing, contents.fields)

    def grid(self) -> dict[str, dict[str, str | float | bool]]:
        """How the points of each axis lie: centring, origin in the file's coordinates, repeated end point."""
        axes = zip(self._file.contents.axes, self.repeated, self.layout.domain.resolution, AXIS_NAMES, strict=False)
        return {
            name: {"centring": axis.centring(cells), "origin": axis.origin, "end_point_repeated": repeated}
            for axis, repeated, cells, name in axes
        }

    def read(self, trajectories: range) -> dict[str, np.ndarray]:
        """Values of every field, float32, shapes as in `StoreWriter.write`.

        Args:
            trajectories: Consecutive trajectories.

        Raises:
            ForeignFileError: If a field has another shape or type, values are not finite, or the end of an axis
                repeats the beginning in the first trajectories but not in these.
        """
        values = self._file.read(trajectories)
        return {
            spec.name: self._one_period(spec, self._single(spec, values, trajectories), trajectories)
            for spec in self._file.contents.fields
        }

    def _velocity(self, trajectories: range) -> np.ndarray:
        spec = self._file.contents.fields[0]
        return self._declared(spec, self._file.read(trajectories), trajectories)

    def _declared(self, spec: FieldSpec, fields: Mapping[str, np.ndarray], trajectories: range) -> np.ndarray:
        """A field as it is in the file, if it has the declared shape."""
        contents = self._file.contents
        frames = () if spec.static else (contents.times.count,)
        shape = (len(trajectories), *frames, len(spec.components), *(axis.num_points for axis in contents.axes))
        values = fields[spec.name]
        if values.shape != shape or values.dtype.kind not in "fiu":
            raise ForeignFileError(
                f"{spec.name} of trajectories {trajectories.start} to {trajectories.stop - 1} must be real numbers "
                f"of shape {shape}, got {values.dtype} of shape {values.shape}"
            )
        return values

    def _single(self, spec: FieldSpec, fields: Mapping[str, np.ndarray], trajectories: range) -> np.ndarray:
        values = self._declared(spec, fields, trajectories)
        with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold is refused next
            single = values.astype(np.float32, copy=False)
        finite = np.isfinite(single).reshape(len(trajectories), -1).all(axis=1)
        if finite.all():
            return single
        wrong = np.flatnonzero(~finite)
        listed = f"{[trajectories[index] for index in wrong[:5]]}{' and more' if len(wrong) > 5 else ''}"
        place = np.argwhere(~np.isfinite(single[wrong[0]]))[0]
        where = "" if spec.static else f", there first in frame {place[0]}"
        raise ForeignFileError(
            f"{spec.name} is NaN, infinite or too large for float32 in trajectories {listed}{where}; leave these "
            "trajectories out of the file"
        )

    def _one_period(self, spec: FieldSpec, values: np.ndarray, trajectories: range) -> np.ndarray:
        largest = float(np.abs(values).max())
        for index in np.flatnonzero(self.repeated):
            axis = int(index) - len(self.repeated)
            seam = values.take(-1, axis) - values.take(0, axis)
            if float(np.abs(seam).max()) > _SAME * largest:
                raise ForeignFileError(
                    f"the last point along {AXIS_NAMES[index]} repeats the first in the velocity of the first "
                    f"trajectories, but not in {spec.name} of trajectories {trajectories.start} to "
                    f"{trajectories.stop - 1}; the data must be periodic"
                )
            values = values.take(range(values.shape[axis] - 1), axis)
        return values


def _doubts(velocity: np.ndarray, repeated: tuple[bool, ...]) -> Iterator[str]:
    """What the first trajectories leave open of the period of each axis."""
    for index, label in enumerate(AXIS_NAMES[: len(repeated)]):
        ratio = seam_ratio(velocity, index - len(repeated))
        if ratio > _SUSPICIOUS:
            yield f"the ends along {label} differ {ratio:.0f} times more than any neighbours do: is the box periodic?"
        if not repeated[index] and is_flat_at_the_seam(velocity, index - len(repeated)):
            yield (
                f"the velocity is flat where the ends along {label} meet: it does not tell whether the last point "
                "repeats the first, and counts as one more cell; if it does, leave it out of the file"
            )
