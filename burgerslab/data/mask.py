"""Mask: which points of trajectories are observed."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


class Mask:
    """Which points (frame, cell) of equally long trajectories are observed; components share it.

    Nothing of the size of the trajectories is held: one array for all of them, and lists of points.

    Args:
        always: True where every trajectory is observed, ``(T, *N)``.
        points: What is observed of each trajectory besides: numbers of points in ``(T, *N)`` read row by row,
            ascending; None is nothing.
    """

    def __init__(self, always: BoolArray, points: Sequence[Indices] | None = None) -> None:
        self._always = always
        self._points = points
        self._always_frames = always.reshape(len(always), -1).any(axis=1)
        self._num_cells = int(np.prod(always.shape[1:]))

    def of(self, trajectory: int) -> BoolArray:
        """True where a trajectory is observed, ``(T, *N)``; do not write to it."""
        if self._points is None:
            return self._always
        observed = self._always.copy()
        observed.reshape(-1)[self._points[trajectory]] = True
        return observed

    def frames(self, trajectory: int) -> BoolArray:
        """True for every frame with an observed cell, ``(T,)``."""
        observed = self._always_frames.copy()
        if self._points is not None:
            observed[self._points[trajectory] // self._num_cells] = True
        return observed

    def read(self, trajectories: Indices, starts: Indices, length: int) -> BoolArray:
        """The mask of ``length`` frames from a start of each trajectory, ``(B, length, *N)``."""
        observed = self._always[starts[:, None] + np.arange(length)]
        if self._points is not None:
            for row, trajectory, start in zip(observed, trajectories.tolist(), starts.tolist(), strict=True):
                points = self._points[trajectory]
                bounds = start * self._num_cells, (start + length) * self._num_cells
                first, last = np.searchsorted(points, bounds)
                row.reshape(-1)[points[first:last] - bounds[0]] = True
        return observed
