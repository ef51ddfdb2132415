"""Index arithmetic of windows: which frames of which trajectory, and in which order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch.utils.data import DistributedSampler

from burgerslab.data.mask import Mask

BoolArray = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """The windows of equally long trajectories, numbered trajectory by trajectory.

    A window is an initial frame and the ``num_predict_steps`` frames after it.

    Args:
        num_trajectories: Number of trajectories.
        num_frames: Frames of each, the initial one included.
        num_predict_steps: Target frames of a window.
        sliding: Start a window at every frame that leaves room for its targets; otherwise one window per
            trajectory, at its first frame.

    Raises:
        ValueError: If a trajectory is too short for one window.
    """

    num_trajectories: int
    num_frames: int
    num_predict_steps: int
    sliding: bool = True

    def __post_init__(self) -> None:
        if self.num_predict_steps < 1:
            raise ValueError(f"num_predict_steps must be at least 1, got {self.num_predict_steps}")
        if self.num_predict_steps >= self.num_frames:
            raise ValueError(
                f"num_predict_steps {self.num_predict_steps} needs trajectories of at least "
                f"{self.num_predict_steps + 1} frames, got {self.num_frames}: set num_predict_steps to "
                f"{self.num_frames - 1} or less, or use longer trajectories"
            )

    @property
    def num_per_trajectory(self) -> int:
        """Windows in one trajectory."""
        return self.num_frames - self.num_predict_steps if self.sliding else 1

    def __len__(self) -> int:
        """Windows in all trajectories."""
        return self.num_trajectories * self.num_per_trajectory

    def of(self, trajectories: Indices) -> Indices:
        """Numbers of the windows of some trajectories."""
        return (trajectories[:, None] * self.num_per_trajectory + np.arange(self.num_per_trajectory)).ravel()

    def locate(self, windows: Sequence[int] | Indices) -> tuple[Indices, Indices]:
        """Trajectory and first frame of each window.

        Raises:
            IndexError: If a window does not exist.
        """
        return np.divmod(_existing(windows, len(self)), self.num_per_trajectory)


class ListedWindows:
    """Windows that start at given frames of each trajectory, numbered trajectory by trajectory.

    Args:
        starts: First frames of the windows of each trajectory.
    """

    def __init__(self, starts: Sequence[Sequence[int] | Indices]) -> None:
        self._starts = np.concatenate([np.asarray(each, dtype=np.int64) for each in starts])
        self._bounds = np.concatenate([[0], np.cumsum([len(each) for each in starts])])

    def __len__(self) -> int:
        """Windows in all trajectories."""
        return len(self._starts)

    def of(self, trajectories: Indices) -> Indices:
        """Numbers of the windows of some trajectories."""
        return np.concatenate([np.arange(*self._bounds[number : number + 2]) for number in trajectories.tolist()])

    def locate(self, windows: Sequence[int] | Indices) -> tuple[Indices, Indices]:
        """Trajectory and first frame of each window.

        Raises:
            IndexError: If a window does not exist.
        """
        windows = _existing(windows, len(self))
        return np.searchsorted(self._bounds, windows, side="right") - 1, self._starts[windows]


def observed_starts(observed: BoolArray, num_predict_steps: int, sliding: bool = True) -> list[int]:
    """Where windows of a partly observed trajectory start.

    A window starts at an observed frame and has an observed frame among its targets.

    Args:
        observed: True for every frame of which something is observed, ``(T,)``.
        num_predict_steps: Target frames of a window.
        sliding: Start wherever a window fits; otherwise at the first observed frame only.
    """
    starts = np.flatnonzero(observed).tolist()
    return [
        start
        for start in (starts if sliding else starts[:1])
        if start + num_predict_steps < len(observed) and observed[start + 1 : start + 1 + num_predict_steps].any()
    ]


def windows_of(
    num_trajectories: int, num_frames: int, num_predict_steps: int, sliding: bool, mask: Mask | None
) -> Windows | ListedWindows:
    """The windows of trajectories that are observed in full, or where a mask says so.

    Args:
        num_trajectories: Number of trajectories.
        num_frames: Frames of each, the initial one included.
        num_predict_steps: Target frames of a window.
        sliding: See `Windows` and `observed_starts`.
        mask: Which points are observed; None is all.

    Raises:
        ValueError: If a trajectory is too short, or nothing that is observed makes a window.
    """
    complete = Windows(num_trajectories, num_frames, num_predict_steps, sliding)
    if mask is None:
        return complete
    starts = [
        observed_starts(mask.frames(trajectory), num_predict_steps, sliding) for trajectory in range(num_trajectories)
    ]
    if not any(starts):
        raise ValueError(
            f"observation leaves no window of num_predict_steps {num_predict_steps}: a window starts at an observed "
            f"frame and has an observed point in the {num_predict_steps} frames after it. Raise num_predict_steps "
            f"(up to {num_frames - 1}), or observe more frames"
        )
    return ListedWindows(starts)


class EpochSampler(DistributedSampler[int]):
    """A shuffled order of windows that is a function of (seed, epoch) alone, shared out among ranks.

    Windows come in blocks: those of trajectories that are decoded together. Blocks are visited in shuffled groups
    and windows are shuffled within a group, so that a source which holds a group decodes each block once per
    epoch. One group is a full shuffle. Ranks get equal numbers of windows; the few that are left over differ from
    epoch to epoch. Lightning leaves subclasses of ``DistributedSampler`` as they are and calls their
    ``set_epoch``.

    Args:
        blocks: Window numbers of each block; together 0, 1, 2, ...
        seed: Of the shuffle.
        group_size: Blocks per group; None is all.
        rank: This process.
        num_ranks: Number of processes.
        shuffle: False keeps the order of the blocks and of their windows.
    """

    def __init__(
        self,
        blocks: Sequence[Sequence[int] | Indices],
        seed: int = 0,
        group_size: int | None = None,
        rank: int = 0,
        num_ranks: int = 1,
        shuffle: bool = True,
    ) -> None:
        self._blocks = [np.asarray(block, dtype=np.int64) for block in blocks]
        num_windows = sum(map(len, self._blocks))
        super().__init__(range(num_windows), num_ranks, rank, shuffle, seed, drop_last=True)  # type: ignore[arg-type]
        self._group_size = len(self._blocks) if group_size is None else group_size
        self.num_samples = num_windows // num_ranks

    def __iter__(self) -> Iterator[int]:
        """Window numbers of this rank in this epoch."""
        return iter(self.order()[self.rank :: self.num_replicas][: self.num_samples].tolist())

    def order(self) -> Indices:
        """Every window of this epoch, in order, for all ranks together."""
        if not self.shuffle:
            return np.concatenate(self._blocks)
        generator = np.random.default_rng([self.seed, self.epoch])
        visits = generator.permutation(len(self._blocks))
        groups = []
        for first in range(0, len(visits), self._group_size):
            members = visits[first : first + self._group_size]
            groups.append(generator.permutation(np.concatenate([self._blocks[i] for i in members])))
        return np.concatenate(groups)


class SolveSampler(DistributedSampler[int]):
    """Every window once, in ascending order: rank r takes r, r + num_ranks, r + 2 num_ranks, and so on.

    Nothing is left out and nothing comes twice, so that sums over all ranks are sums over all windows; some ranks
    may have one window more than others, or none. Lightning leaves subclasses of ``DistributedSampler`` as they are.

    Args:
        num_windows: Number of windows.
        rank: This process.
        num_ranks: Number of processes.
    """

    def __init__(self, num_windows: int, rank: int = 0, num_ranks: int = 1) -> None:
        super().__init__(range(num_windows), num_ranks, rank, shuffle=False)  # type: ignore[arg-type]
        self._windows = range(rank, num_windows, num_ranks)

    def __iter__(self) -> Iterator[int]:
        """Window numbers of this rank."""
        return iter(self._windows)

    def __len__(self) -> int:
        """Windows of this rank."""
        return len(self._windows)


def _existing(windows: Sequence[int] | Indices, count: int) -> Indices:
    windows = np.asarray(windows, dtype=np.int64)
    if len(windows) and not (0 <= windows.min() and windows.max() < count):
        raise IndexError(f"windows {windows.min()} to {windows.max()} are not all in 0..{count - 1}")
    return windows
