"""Which frames of a trajectory are observed."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass


class FramePattern(ABC):
    """A choice of frames, the same for every trajectory."""

    @abstractmethod
    def frames(self, num_frames: int) -> Sequence[int]:
        """Numbers of the observed frames.

        Args:
            num_frames: Frames of a trajectory in use, the initial one included.
        """


@dataclass(frozen=True)
class Endpoints(FramePattern):
    """The first and the last frame."""

    def frames(self, num_frames: int) -> list[int]:
        """First and last number."""
        return [0, num_frames - 1]


@dataclass(frozen=True)
class EveryKthFrame(FramePattern):
    """Frames 0, k, 2k, and so on.

    Args:
        k: Distance between observed frames.

    Raises:
        ValueError: If ``k`` is below 1.
    """

    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"EveryKthFrame.k must be at least 1, got {self.k}")

    def frames(self, num_frames: int) -> list[int]:
        """Multiples of k."""
        return list(range(0, num_frames, self.k))


@dataclass(frozen=True)
class FrameFractions(FramePattern):
    """The frames nearest to given fractions of the time from the first to the last.

    Args:
        fractions: Numbers from 0, the first frame, to 1, the last; halfway between two frames, the even one.

    Raises:
        ValueError: If there are none, or one is outside 0 to 1.
    """

    fractions: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.fractions or not all(0 <= fraction <= 1 for fraction in self.fractions):
            raise ValueError(
                f"FrameFractions.fractions must be numbers from 0, the first frame, to 1, the last, got "
                f"{list(self.fractions)}"
            )

    def frames(self, num_frames: int) -> list[int]:
        """Nearest frames, each once, in ascending order."""
        return sorted({round(fraction * (num_frames - 1)) for fraction in self.fractions})
