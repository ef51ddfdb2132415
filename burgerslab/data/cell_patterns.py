"""Which cells of a frame are observed."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
_ROUNDING = 1e-9  # (i + 0.5) / N, compared with a fraction given in decimals


class CellPattern(ABC):
    """A choice of cells, the same for every frame and every trajectory."""

    @abstractmethod
    def cells(self, resolution: tuple[int, ...]) -> BoolArray:
        """True where a cell is observed, ``(*N)``.

        Args:
            resolution: Cells along each axis.

        Raises:
            ValueError: If the pattern does not fit the grid.
        """


@dataclass(frozen=True)
class CellRange(CellPattern):
    """The cells whose centres lie in a box.

    Args:
        low: Lower corner (inside), per axis, as a fraction of the domain's extent.
        high: Upper corner (outside), likewise.

    Raises:
        ValueError: If an axis is empty or outside 0 to 1.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        axes = len(self.low) == len(self.high)
        if not axes or not all(0 <= low < high <= 1 for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(
                "CellRange.low and CellRange.high must be fractions of the box, one per axis, with 0 <= low < high "
                f"<= 1, got {list(self.low)} and {list(self.high)}"
            )

    def cells(self, resolution: tuple[int, ...]) -> BoolArray:
        """True in the box."""
        if len(self.low) != len(resolution):
            raise ValueError(
                f"CellRange.low and CellRange.high need one fraction per axis, {len(resolution)} of them, got "
                f"{list(self.low)} and {list(self.high)}"
            )
        inside = [
            (low - _ROUNDING <= centres) & (centres < high - _ROUNDING)
            for low, high, centres in zip(self.low, self.high, _centres(resolution), strict=True)
        ]
        return _product(inside)


@dataclass(frozen=True)
class Centre(CellPattern):
    """The cells in the middle of the box.

    Args:
        fraction: Of the box, along each axis.

    Raises:
        ValueError: If it is not above 0 and at most 1.
    """

    fraction: float

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise ValueError(f"Centre.fraction must be above 0 and at most 1, got {self.fraction}")

    def cells(self, resolution: tuple[int, ...]) -> BoolArray:
        """True where the centre of a cell is at most half the fraction away from the middle, along each axis."""
        return _product([np.abs(centres - 0.5) <= self.fraction / 2 + _ROUNDING for centres in _centres(resolution)])


@dataclass(frozen=True)
class EveryKthCell(CellPattern):
    """Cells 0, k, 2k, and so on along each axis.

    Args:
        k: Distance between observed cells, in cells.

    Raises:
        ValueError: If ``k`` is below 1.
    """

    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"EveryKthCell.k must be at least 1, got {self.k}")

    def cells(self, resolution: tuple[int, ...]) -> BoolArray:
        """True at multiples of k."""
        return _product([np.arange(size) % self.k == 0 for size in resolution])


@dataclass(frozen=True)
class RandomCells(CellPattern):
    """Cells drawn at random without replacement: sensors that stay where they are.

    Args:
        number: How many cells; give this or ``fraction``.
        fraction: Which part of the cells, rounded to a whole number, at least one.
        seed: Of the draw.

    Raises:
        ValueError: If both or neither are given, or one is out of range.
    """

    number: int | None = None
    fraction: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.number is None) == (self.fraction is None):
            raise ValueError(
                f"give RandomCells.number or RandomCells.fraction, got {self.number} and {self.fraction}"
            )
        if self.number is not None and self.number < 1:
            raise ValueError(f"RandomCells.number must be at least 1, got {self.number}")
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise ValueError(f"RandomCells.fraction must be above 0 and at most 1, got {self.fraction}")
        if self.seed < 0:
            raise ValueError(f"RandomCells.seed must not be negative, got {self.seed}")

    def cells(self, resolution: tuple[int, ...]) -> BoolArray:
        """True at the drawn cells."""
        total = int(np.prod(resolution))
        number = self.number if self.fraction is None else max(1, round(self.fraction * total))
        if number > total:
            raise ValueError(f"RandomCells.number is {number}, but a frame has {total} cells; use {total} at most")
        chosen = np.zeros(total, dtype=bool)
        chosen[np.random.default_rng(self.seed).choice(total, number, replace=False)] = True
        return chosen.reshape(resolution)


def _centres(resolution: tuple[int, ...]) -> list[npt.NDArray[np.float64]]:
    """Centres of the cells along each axis, as fractions of the extent."""
    return [(np.arange(size) + 0.5) / size for size in resolution]


def _product(axes: list[BoolArray]) -> BoolArray:
    """True where every axis says so."""
    return np.logical_and.reduce(np.meshgrid(*axes, indexing="ij"))
