"""The periodic box and its grid of cells."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

AXIS_NAMES = ("x", "y", "z")


@dataclass(frozen=True)
class Domain:
    """A periodic box [0, extent) in 1, 2 or 3 dimensions, divided into equal cells.

    Values live at cell centres, ``(i + 1/2) * spacing``. Axis 0 of every array of cells is x.

    Args:
        extent: Length of the box along each axis, units L.
        resolution: Number of cells along each axis.

    Raises:
        ValueError: If the two differ in length, there are more than three axes, a length is not
            positive, or an axis has fewer than 8 cells (the widest stencil spans 7).
    """

    extent: tuple[float, ...] = (1.0,)
    resolution: tuple[int, ...] = (128,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "extent", tuple(float(length) for length in self.extent))
        object.__setattr__(self, "resolution", tuple(int(cells) for cells in self.resolution))
        if len(self.extent) != len(self.resolution):
            raise ValueError(
                f"domain.extent has {len(self.extent)} axes and domain.resolution has {len(self.resolution)}; "
                "give one number per axis in both, as in extent: [1.0, 1.0], resolution: [64, 64]"
            )
        if not 1 <= len(self.extent) <= 3:
            raise ValueError(f"domain.extent has {len(self.extent)} axes; 1, 2 or 3 are supported")
        if not all(np.isfinite(length) and length > 0 for length in self.extent):
            raise ValueError(f"domain.extent must be positive and finite, got {list(self.extent)}")
        if min(self.resolution) < 8:
            raise ValueError(
                f"domain.resolution must be at least 8 cells along each axis, got {list(self.resolution)}"
            )

    @property
    def dimension(self) -> int:
        """Number of axes: 1, 2 or 3."""
        return len(self.extent)

    @property
    def axis_names(self) -> tuple[str, ...]:
        """Names of the axes: x, y, z."""
        return AXIS_NAMES[: self.dimension]

    @property
    def spacing(self) -> tuple[float, ...]:
        """Cell size along each axis, units L."""
        return tuple(length / cells for length, cells in zip(self.extent, self.resolution, strict=True))

    @property
    def num_cells(self) -> int:
        """Number of cells of the whole box."""
        return int(np.prod(self.resolution))

    def centres(self) -> tuple[npt.NDArray[np.float64], ...]:
        """Coordinates of the cell centres along each axis, units L."""
        return tuple(
            (np.arange(cells) + 0.5) * step for cells, step in zip(self.resolution, self.spacing, strict=True)
        )

    def refined(self, factor: int) -> "Domain":
        """The same box with ``factor`` times as many cells along each axis."""
        return Domain(self.extent, tuple(factor * cells for cells in self.resolution))
