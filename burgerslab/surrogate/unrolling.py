"""How a training window is unrolled: which steps are predicted, and through which ones gradients flow."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Step = Callable[[Tensor], Tensor]


class Unrolling(ABC):
    """A way to train on windows of several steps."""

    @abstractmethod
    def unroll(
        self, step: Step, initial: Float[Tensor, "B C *N"], target: Float[Tensor, "B T C *N"]
    ) -> tuple[Float[Tensor, "B K C *N"], Float[Tensor, "B K C *N"]]:
        """Predict from the initial frame.

        Args:
            step: Advances frames ``(B, C, *N)`` by one step.
            initial: First frames.
            target: The frames after them.

        Returns:
            Predictions and what each is to be compared with.
        """


@dataclass(frozen=True)
class BackpropagationThroughTime(Unrolling):
    """Predict every step from the step before; gradients flow through the whole rollout."""

    def unroll(
        self, step: Step, initial: Float[Tensor, "B C *N"], target: Float[Tensor, "B T C *N"]
    ) -> tuple[Float[Tensor, "B K C *N"], Float[Tensor, "B K C *N"]]:
        """All T predictions with all T targets."""
        frames = []
        state = initial
        for _ in range(target.shape[1]):
            state = step(state)
            frames.append(state)
        return torch.stack(frames, dim=1), target


@dataclass(frozen=True)
class Pushforward(Unrolling):
    """The pushforward trick: learn the first step, and the last step from the network's own errors.

    The steps between are predicted without gradients. Needs as much memory as two steps, however long the window.
    Source: Brandstetter, Worrall and Welling (2022), arXiv 2202.03376, section 3.1.
    """

    def unroll(
        self, step: Step, initial: Float[Tensor, "B C *N"], target: Float[Tensor, "B T C *N"]
    ) -> tuple[Float[Tensor, "B K C *N"], Float[Tensor, "B K C *N"]]:
        """The first and the last prediction; one of them when the window has one step."""
        first = step(initial)
        if target.shape[1] == 1:
            return first[:, None], target
        with torch.no_grad():
            state = first.detach()
            for _ in range(target.shape[1] - 2):
                state = step(state)
        return torch.stack([first, step(state)], dim=1), target[:, [0, -1]]


@dataclass(frozen=True)
class Curriculum:
    """A rollout length that grows with the epochs, up to the window's.

    Args:
        start: Steps in the first epoch.
        epochs_per_step: Epochs before each lengthening by one.
    """

    start: int = 1
    epochs_per_step: int = 1

    def __post_init__(self) -> None:
        if self.start < 1 or self.epochs_per_step < 1:
            raise ValueError(
                f"curriculum.start and curriculum.epochs_per_step must be at least 1, got {self.start} and "
                f"{self.epochs_per_step}"
            )

    def num_steps(self, epoch: int, longest: int) -> int:
        """Steps to unroll in an epoch, counted from 0."""
        return min(longest, self.start + epoch // self.epochs_per_step)
