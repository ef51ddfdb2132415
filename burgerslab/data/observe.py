"""Observation: what of the training trajectories is seen, and through how much noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from burgerslab.data.cell_patterns import CellPattern
from burgerslab.data.frame_patterns import FramePattern
from burgerslab.data.mask import BoolArray, Indices, Mask

# Last words of the entropy of a draw: they keep apart what else would share a seed.
_NOISE, _POINTS = 1, 2


@dataclass(frozen=True)
class RandomPoints:
    """Points drawn at random in space and time, for each trajectory anew, without replacement.

    Args:
        number: Points of each trajectory.
        seed: Of the draw; the points are a function of (seed, number of the trajectory in its store).

    Raises:
        ValueError: If ``number`` is below 1 or ``seed`` is negative.
    """

    number: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.number < 1 or self.seed < 0:
            raise ValueError(
                f"RandomPoints.number must be at least 1 and RandomPoints.seed not negative, got {self.number} and "
                f"{self.seed}"
            )

    def draw(self, candidates: Indices, trajectory: int) -> Indices:
        """Some of the candidates, ascending.

        Raises:
            ValueError: If there are too few.
        """
        if self.number > len(candidates):
            raise ValueError(
                f"RandomPoints.number is {self.number}, but a trajectory has {len(candidates)} points to draw from; "
                f"use {len(candidates)} at most"
            )
        generator = np.random.default_rng([self.seed, trajectory, 0, _POINTS])
        return np.sort(candidates[generator.choice(len(candidates), self.number, replace=False, shuffle=False)])


@dataclass(frozen=True)
class Observation:
    """What is seen of trajectories: v = u + noise·s·ε at observed points, nothing elsewhere.

    ε is standard normal, independent at every point and component. s is the standard deviation of the clean field u
    over its whole trajectory in the store, all frames and cells, observed or not; the components of one field share
    it (root mean square of theirs), each about its own mean. So the level is a fact of the trajectory and the
    instrument, and the same point has the same value whatever else is observed. With one component it is the
    ``noise * std(u) * randn`` of Raissi, Perdikaris and Karniadakis (2019), J. Comput. Phys. 378, 686, but for their
    std, which is over the points that they observe. ε is a function of (``seed``, number of the trajectory in the
    store, frame) alone.

    Patterns combine: a point is observed where ``frames`` and ``cells`` both say so, and with ``points`` only if it
    was drawn from there. Components share it.

    Args:
        noise: Standard deviation of the noise in units of s: 0.01 is 1 %.
        frames: Which frames are observed, counted over the frames in use; None is all.
        cells: Which cells are observed; None is all.
        points: Random points among those that ``frames`` and ``cells`` leave; None is all.
        initial_known: Frame 0 of each trajectory is complete and free of noise, whatever else is said; ``points``
            are drawn from the frames after it.
        seed: Of the noise.

    Raises:
        ValueError: If ``noise`` or ``seed`` is negative.
    """

    noise: float = 0.0
    frames: FramePattern | None = None
    cells: CellPattern | None = None
    points: RandomPoints | None = None
    initial_known: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.noise < np.inf:
            raise ValueError(f"observation.noise must be a number from 0 on, got {self.noise}")
        if self.seed < 0:
            raise ValueError(f"observation.seed must not be negative, got {self.seed}")

    def mask(
        self, trajectories: Sequence[int] | Indices, num_frames: int, resolution: tuple[int, ...]
    ) -> Mask | None:
        """Which points are observed; None when all are.

        Args:
            trajectories: Numbers of the trajectories in their store.
            num_frames: Frames of each in use.
            resolution: Cells along each axis.

        Raises:
            ValueError: If a pattern does not fit, or observes nothing.
        """
        observed = self._frames(num_frames).reshape(-1, *(1,) * len(resolution)) & self._cells(resolution)
        points = None
        if self.points is not None:
            if self.initial_known:
                observed[0] = False
            candidates = np.flatnonzero(observed)
            try:
                points = [self.points.draw(candidates, int(trajectory)) for trajectory in trajectories]
            except ValueError as error:
                raise ValueError(f"observation.points: {error}") from error
            observed = np.zeros_like(observed)
        if self.initial_known:
            observed[0] = True
        return None if observed.all() else Mask(observed, points)

    def apply(
        self,
        values: npt.NDArray[np.float32],
        deviation: npt.NDArray[np.float64],
        trajectories: Indices,
        observed: Sequence[BoolArray] | None,
    ) -> None:
        """Add noise to clean values and set hidden ones to 0, in place.

        Args:
            values: Dynamic fields of some trajectories from their first frame on, ``(n, T, C, *N)``.
            deviation: s of each channel, ``(n, C)``; see `spread`.
            trajectories: Their numbers in their store, ``(n,)``.
            observed: Their masks, ``(T, *N)`` each; None where nothing is hidden.
        """
        for number, trajectory in enumerate(trajectories.tolist()):
            if self.noise > 0:
                level = (self.noise * deviation[number]).astype(np.float32)
                level = level.reshape(-1, *(1,) * (values.ndim - 3))
                for frame in range(int(self.initial_known), values.shape[1]):
                    generator = np.random.default_rng([self.seed, trajectory, frame, _NOISE])
                    values[number, frame] += level * generator.standard_normal(values.shape[2:], np.float32)
            if observed is not None:
                values[number].swapaxes(0, 1)[:, ~observed[number]] = 0

    def _frames(self, num_frames: int) -> BoolArray:
        if self.frames is None:
            return np.ones(num_frames, dtype=bool)
        numbers = list(self.frames.frames(num_frames))
        outside = [number for number in numbers if not 0 <= number < num_frames]
        if outside or not numbers:
            raise ValueError(
                f"observation.frames: {self.frames} names frames {numbers}; name at least one of 0 to "
                f"{num_frames - 1}"
            )
        observed = np.zeros(num_frames, dtype=bool)
        observed[numbers] = True
        return observed

    def _cells(self, resolution: tuple[int, ...]) -> BoolArray:
        if self.cells is None:
            return np.ones(resolution, dtype=bool)
        try:
            observed = self.cells.cells(resolution)
        except ValueError as error:
            raise ValueError(f"observation.cells: {error}") from error
        if observed.shape != resolution or not observed.any():
            raise ValueError(
                f"observation.cells: {self.cells} must choose at least one of {' x '.join(map(str, resolution))} "
                f"cells, got {int(observed.sum())} of {' x '.join(map(str, observed.shape))}"
            )
        return observed


def spread(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Standard deviation s of one field over each whole trajectory, for the unit of `Observation.noise`.

    Args:
        values: All frames of a field, ``(n, T, C, *N)``.

    Returns:
        The same number for each of its components, ``(n, C)``.
    """
    axes = (1, *range(3, values.ndim))
    variance = values.var(axis=axes, dtype=np.float64).mean(axis=1, keepdims=True)
    return np.repeat(np.sqrt(variance), values.shape[2], axis=1)
