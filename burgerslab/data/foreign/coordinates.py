"""Coordinates and time stamps of files: equal spacing up to rounding, and where on a periodic axis the points lie."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from burgerslab.data.foreign.foreign_errors import ForeignFileError

# Largest departure from equal spacing, as a part of the spacing, that rounding may have added up to.
_LARGEST_DRIFT = 0.01
_FLOAT32_ROUNDING = float(np.finfo(np.float32).eps)
_FLOAT64_ROUNDING = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class EvenlySpaced:
    """Numbers at equal intervals.

    Args:
        first: The first.
        spacing: The mean interval.
        count: How many there are.
        uncertainty: Relative uncertainty of the spacing, from the precision that the numbers were written with.
    """

    first: float
    spacing: float
    count: int
    uncertainty: float = 0.0


def evenly_spaced(values: npt.ArrayLike, name: str) -> EvenlySpaced:
    """Fit equal intervals to increasing numbers.

    Each number may be off by what rounding to float32 does to it, and by what such roundings add up to in a clock
    that was advanced step by step, up to 1 % of an interval. The interval is the mean one; of the numbers that
    agree with it within the precision of the values the shortest in decimal digits is taken, 0.01 rather than
    0.009999999776.

    Args:
        values: At least 2 numbers; axes of length 1 are dropped.
        name: What they are called in the file, for the message.

    Raises:
        ForeignFileError: If they are not such numbers; says where.
    """
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "fiu" or numbers.size < 2 or max(numbers.shape) != numbers.size:
        raise ForeignFileError(
            f"{name} must be a list of at least 2 real numbers, got shape {numbers.shape} of {numbers.dtype}"
        )
    numbers = numbers.reshape(-1)
    if not np.isfinite(numbers).all():
        raise ForeignFileError(
            f"{name} holds values that are not finite, at positions {_some(~np.isfinite(numbers))}"
        )
    exact = numbers.astype(np.float64)
    steps = np.diff(exact)
    if (steps < 0).all():
        raise ForeignFileError(f"{name} decreases; reverse it, and the data along it")
    if not (steps > 0).all():
        raise ForeignFileError(f"{name} must increase; it does not after positions {_some(~(steps > 0))}")
    first, count = float(exact[0]), len(exact)
    spacing = float(exact[-1] - exact[0]) / (count - 1)
    largest = float(np.abs(exact).max())
    departure = np.abs(exact - (first + spacing * np.arange(count)))
    allowed = min(count * _FLOAT32_ROUNDING * largest, _LARGEST_DRIFT * spacing) + 2 * _FLOAT32_ROUNDING * largest
    if (departure > allowed).any():
        at = int(np.argmax(departure))
        raise ForeignFileError(
            f"{name} is not evenly spaced: entry {at} is {exact[at]:.9g} instead of {first + spacing * at:.9g} "
            "(rounding to float32 is allowed for); interpolate the data to equal intervals first"
        )
    # float64 files are often filled with float32 numbers
    is_single = bool((numbers.astype(np.float32).astype(np.float64) == exact).all())
    rounding = _FLOAT32_ROUNDING if is_single else _FLOAT64_ROUNDING
    uncertainty = min(2 * rounding * largest / (exact[-1] - first), _LARGEST_DRIFT)
    return EvenlySpaced(first, shortest(spacing, float(uncertainty)), count, float(uncertainty))


@dataclass(frozen=True)
class Axis:
    """The points of one periodic axis of a file.

    Args:
        num_points: Number of points, with the end point if it repeats the first.
        points: Their coordinates, units L; None if the file gives a length only.
        length: Period of the axis, units L; None if it follows from the coordinates.
    """

    num_points: int
    points: EvenlySpaced | None
    length: float | None = None

    def extent(self, num_cells: int, name: str) -> float:
        """Period of the axis, units L.

        Args:
            num_cells: Number of points in one period.
            name: Of the axis, for the message.

        Raises:
            ForeignFileError: If length and coordinates contradict each other.
        """
        if self.points is None:
            assert self.length is not None
            return self.length
        period = shortest(num_cells * self.points.spacing, self.points.uncertainty)
        if self.length is None:
            return period
        if not math.isclose(self.length, period, rel_tol=max(1e-6, 4 * self.points.uncertainty)):
            raise ForeignFileError(
                f"length along {name} is {self.length:g}, but {num_cells} points at intervals of "
                f"{self.points.spacing:g} have the period {period:g}; correct one of them, or leave length out"
            )
        return self.length

    def centring(self, num_cells: int) -> str:
        """Whether the points are ``cell`` centres or ``node`` points of the box, or ``unknown``.

        A box begins at a multiple of half its length, as [0, L] and [-L/2, L/2] do. Points that begin there are
        nodes, points that begin half a spacing later are centres. Points of which the last repeats the first are
        nodes.

        Args:
            num_cells: Number of points in one period.
        """
        if num_cells < self.num_points:
            return "node"
        if self.points is None:
            return "unknown"
        half = num_cells * self.points.spacing / 2
        tolerance = 0.05 * self.points.spacing / half
        for name, begin in (("cell", self.points.first - self.points.spacing / 2), ("node", self.points.first)):
            if abs(begin / half - round(begin / half)) < tolerance:
                return name
        return "unknown"

    @property
    def origin(self) -> float:
        """Coordinate in the file of the store's 0, units L: values stay where they are, the origin moves.

        The store's first cell has its centre at half a spacing.
        """
        if self.points is None:
            return 0.0
        return self.points.first - self.points.spacing / 2


def repeats_first_point(values: np.ndarray, axis: int) -> bool:
    """Whether the last point along an axis of a periodic field repeats the first.

    That is so if they differ by much less than neighbours do, and by no more than rounding.

    Args:
        values: The field, at least 2 points along the axis.
        axis: The axis.
    """
    first, second, last = (np.take(values, index, axis).astype(np.float64) for index in (0, 1, -1))
    seam = float(np.abs(last - first).max())
    return seam < 0.01 * float(np.abs(second - first).max()) and seam <= 1e-5 * float(np.abs(values).max())


def is_flat_at_the_seam(values: np.ndarray, axis: int) -> bool:
    """Whether the first two points of an axis and the last are equal up to rounding.

    Such values do not tell whether the last point repeats the first.

    Args:
        values: The field, at least 2 points along the axis.
        axis: The axis.
    """
    first, second, last = (np.take(values, index, axis).astype(np.float64) for index in (0, 1, -1))
    largest = max(float(np.abs(last - first).max()), float(np.abs(second - first).max()))
    return largest <= 1e-5 * float(np.abs(values).max())


def seam_ratio(values: np.ndarray, axis: int) -> float:
    """Largest difference between the last and the first point of an axis, over the largest between neighbours.

    Far above 1, the field is not periodic, or has an unresolved shock in this very place.

    Args:
        values: The field, at least 2 points along the axis.
        axis: The axis.
    """
    seam = float(np.abs(np.take(values, -1, axis) - np.take(values, 0, axis)).max())
    largest = float(np.abs(np.diff(values, axis=axis)).max())
    return seam / largest if largest > 0 else 0.0


def shortest(value: float, uncertainty: float) -> float:
    """The number with the fewest decimal digits within a relative uncertainty of another."""
    for digits in range(1, 17):
        candidate = float(f"{value:.{digits}g}")
        if abs(candidate - value) <= uncertainty * abs(value):
            return candidate
    return value


def _some(wrong: np.ndarray) -> str:
    positions = np.flatnonzero(wrong)
    return f"{positions[:5].tolist()}{' and more' if len(positions) > 5 else ''}"
