"""Trajectories as the windows read them, and those that are held in memory."""

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from burgerslab.data.mask import Mask

Array = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

VISCOSITY_FIELD = "viscosity"


class Trajectories(ABC):
    """Equally long trajectories of one domain, numbered from 0.

    Attributes:
        indices: Number of each trajectory in its store, ``(trajectory,)``.
        viscosity: Of each trajectory, ``(trajectory,)``, units L²/T.
        num_frames: Frames of each.
        num_held: How many blocks (see `blocks`) stay decoded; None is all.
        observed: True for data, False for what a model has generated.
        mask: Which points are observed; None is all. Hidden values read as 0.
    """

    indices: Indices
    viscosity: npt.NDArray[np.float64]
    num_frames: int
    num_held: int | None = None
    observed: bool = True
    mask: Mask | None = None

    def __len__(self) -> int:
        """Number of trajectories."""
        return len(self.indices)

    @abstractmethod
    def frames(self, trajectory: int) -> Array:
        """Dynamic fields of one trajectory, ``(T, C, *N)``; do not write to it."""

    @abstractmethod
    def static(self, trajectory: int) -> Array:
        """Static fields of one trajectory, ``(S, *N)``; S is 0 without static fields."""

    @abstractmethod
    def read(self, trajectories: Indices, starts: Indices, length: int) -> tuple[Array, Array]:
        """Copies of ``length`` frames from a start of each trajectory, ``(B, length, C, *N)``, and of static fields.

        Args:
            trajectories: Numbers of trajectories, ``(B,)``.
            starts: First frame in each, ``(B,)``.
            length: Number of frames.
        """

    @abstractmethod
    def blocks(self) -> list[Indices]:
        """Trajectories that are decoded together; reading them one block after the other is fastest."""


class TrajectoriesInMemory(Trajectories):
    """Trajectories held as arrays, observed or generated.

    Args:
        frames: Dynamic fields, ``(trajectory, frame, C, *N)``.
        viscosity: Of each trajectory, ``(trajectory,)``, units L²/T.
        static: Static fields, ``(trajectory, S, *N)``.
        indices: Number of each trajectory in its store; counted from 0 if not given.
        observed: True for data, False for what a model has generated.
        mask: Which points are observed; None is all.

    Raises:
        ValueError: If the numbers of trajectories differ or are 0.
    """

    def __init__(
        self,
        frames: Array,
        viscosity: npt.NDArray[np.float64],
        static: Array | None = None,
        indices: Indices | None = None,
        observed: bool = True,
        mask: Mask | None = None,
    ) -> None:
        if static is None:
            static = np.empty((len(frames), 0, *frames.shape[3:]), dtype=np.float32)
        if indices is None:
            indices = np.arange(len(frames))
        if not len(frames) == len(viscosity) == len(static) == len(indices) or len(frames) == 0:
            raise ValueError(
                f"frames, viscosity, static and indices must have one entry per trajectory and at least one, got "
                f"{len(frames)}, {len(viscosity)}, {len(static)} and {len(indices)}"
            )
        self._frames = frames
        self._static = static
        self.viscosity = viscosity
        self.indices = indices
        self.num_frames = frames.shape[1]
        self.observed = observed
        self.mask = mask

    def frames(self, trajectory: int) -> Array:
        """Dynamic fields of one trajectory, ``(T, C, *N)``, a view."""
        return self._frames[trajectory]

    def static(self, trajectory: int) -> Array:
        """Static fields of one trajectory, ``(S, *N)``, a view."""
        return self._static[trajectory]

    def read(self, trajectories: Indices, starts: Indices, length: int) -> tuple[Array, Array]:
        """Frames ``(B, length, C, *N)`` and static fields ``(B, S, *N)``, gathered at once."""
        # numpy asks the system for huge pages, torch does not: half the time for large batches
        frames = self._frames[trajectories[:, None], starts[:, None] + np.arange(length)]
        return frames, self._static[trajectories]

    def blocks(self) -> list[Indices]:
        """Each trajectory alone: nothing is left to decode."""
        return list(np.arange(len(self))[:, None])
