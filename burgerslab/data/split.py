"""Which trajectories are trained on, validated on and tested on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Split:
    """A division of the trajectories of a store into training, validation and test.

    Args:
        fractions: Of the three parts, drawn at random.
        seed: Of the draw.
        train: Numbers of the trajectories to train on instead; give all three or none.
        val: Numbers of the trajectories to validate on.
        test: Numbers of the trajectories to test on.

    Raises:
        ValueError: If there are not three fractions, or only some of the three lists.
    """

    fractions: Sequence[float]
    seed: int = 0
    train: Sequence[int] | None = None
    val: Sequence[int] | None = None
    test: Sequence[int] | None = None

    def __post_init__(self) -> None:
        if len(self.fractions) != len(PARTS):
            raise ValueError(
                f"data.split needs 3 fractions, for training, validation and test, got {list(self.fractions)}"
            )
        if len({part is None for part in (self.train, self.val, self.test)}) > 1:
            raise ValueError(
                "data.train_sim_indices, data.val_sim_indices and data.test_sim_indices belong together: give all "
                "three, or none and data.split"
            )

    def parts(self, num_trajectories: int) -> dict[str, Indices]:
        """Trajectory numbers of ``train``, ``val`` and ``test`` in a store of so many.

        Raises:
            ValueError: If a trajectory does not exist or belongs to two parts, or fractions do not fit.
        """
        if self.train is None or self.val is None or self.test is None:
            return dict(zip(PARTS, split_trajectories(num_trajectories, self.fractions, self.seed), strict=True))
        parts = {
            name: check_indices(f"data.{name}_sim_indices", part, num_trajectories) if part else np.empty(0, np.int64)
            for name, part in zip(PARTS, (self.train, self.val, self.test), strict=True)
        }
        together, counts = np.unique(np.concatenate(list(parts.values())), return_counts=True)
        if (counts > 1).any():
            names = ", ".join(f"data.{name}_sim_indices" for name in PARTS)
            raise ValueError(
                f"{names} share trajectories {together[counts > 1].tolist()}; a trajectory belongs to one part only"
            )
        return parts


def split_trajectories(num_trajectories: int, fractions: Sequence[float], seed: int) -> tuple[Indices, ...]:
    """Divide trajectories at random into parts of given fractions.

    Every part of a non-zero fraction gets at least one trajectory. Fractions that sum to 1 use every trajectory;
    rounding favours the parts that lack most.

    Args:
        num_trajectories: Number of trajectories.
        fractions: Non-negative numbers that sum to at most 1.
        seed: Of the permutation.

    Returns:
        Sorted trajectory indices of each part.

    Raises:
        ValueError: If the fractions do not fit, or there are fewer trajectories than parts.
    """
    wanted = np.asarray(fractions, dtype=float) * num_trajectories
    if not (wanted >= 0).all() or wanted.sum() > num_trajectories * (1 + 1e-9):
        raise ValueError(f"split must be fractions between 0 and 1 that sum to at most 1, got {list(fractions)}")
    num_parts = int((wanted > 0).sum())
    if num_parts > num_trajectories:
        raise ValueError(
            f"split {list(fractions)} needs at least {num_parts} trajectories, got {num_trajectories}; use more "
            "trajectories or set some fractions to 0"
        )
    counts = np.where(wanted > 0, np.maximum(1, np.floor(wanted)), 0).astype(int)
    total = max(num_parts, int(wanted.sum() + 1e-6))
    while counts.sum() < total:
        counts[np.argmax(np.where(wanted > 0, wanted - counts, -np.inf))] += 1
    while counts.sum() > total:
        counts[np.argmin(np.where(counts > 1, wanted - counts, np.inf))] -= 1
    order = np.random.default_rng([seed, num_trajectories]).permutation(num_trajectories)
    bounds = np.concatenate([[0], np.cumsum(counts)])
    return tuple(np.sort(order[low:high]) for low, high in pairwise(bounds))


def check_indices(option: str, indices: Sequence[int] | None, num_trajectories: int) -> np.ndarray:
    """Indices of trajectories as an array.

    Raises:
        ValueError: If there are none, one is outside the store, or one comes twice.
    """
    if indices is None:
        return np.arange(num_trajectories)
    array = np.asarray(indices, dtype=np.int64)
    outside = array[(array < 0) | (array >= num_trajectories)]
    if len(outside):
        raise ValueError(
            f"{option} names trajectories {outside.tolist()}, but the store has {num_trajectories}: use 0 to "
            f"{num_trajectories - 1}"
        )
    if len(array) == 0:
        raise ValueError(f"{option} is empty; name at least one trajectory, or leave it out for all")
    if len(np.unique(array)) < len(array):
        raise ValueError(f"{option} names a trajectory twice: {array.tolist()}")
    return array
