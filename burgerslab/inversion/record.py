"""The record of a solver's evaluations, which continues an interrupted solve bit by bit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """An objective and its gradient at one point; where it is not defined, the objective is infinite.

    Args:
        x: The point, ``(P,)``.
        objective: f(x).
        gradient: ∇f(x), ``(P,)``.
    """

    x: Vector
    objective: float
    gradient: Vector

    @property
    def diverged(self) -> bool:
        """Whether the objective or its gradient is infinite or not a number."""
        return not (np.isfinite(self.objective) and np.isfinite(self.gradient).all())


class EvaluationRecord:
    """All evaluations of a solve, in order.

    L-BFGS-B cannot be started with the memory of an earlier run, but it is deterministic: given the same answers it
    asks the same questions. A second run whose first questions are answered from the record comes to the state of
    the first one bit by bit, without evaluating anything, and goes on from there.

    Args:
        evaluations: What is recorded already.
    """

    def __init__(self, evaluations: Sequence[Evaluation] = ()) -> None:
        self._evaluations = list(evaluations)
        self._position = 0

    def __len__(self) -> int:
        """Number of evaluations."""
        return len(self._evaluations)

    def __getitem__(self, number: int) -> Evaluation:
        """One evaluation, the first is 0."""
        return self._evaluations[number]

    def rewind(self) -> None:
        """Answer the next call from the first evaluation on."""
        self._position = 0

    def replay(self, x: Vector) -> Evaluation | None:
        """The recorded answer to the next call; None where the record ends.

        Raises:
            ValueError: If that call was at another point, be it in the last bit.
        """
        if self._position == len(self._evaluations):
            return None
        evaluation = self._evaluations[self._position]
        if not np.array_equal(evaluation.x, x):
            raise ValueError(
                f"the solve cannot be continued: evaluation {self._position + 1} of its record was at "
                f"{_first(evaluation.x)}, now the solver asks for {_first(x)}. The record belongs to another "
                "version of scipy or to another machine; continue there, or start a new solve without ckpt_path"
            )
        self._position += 1
        return evaluation

    def append(self, evaluation: Evaluation) -> None:
        """Add a new evaluation at the end, where the replay must have come to."""
        assert self._position == len(self._evaluations)
        self._evaluations.append(evaluation)
        self._position += 1

    def state_dict(self) -> dict[str, Tensor]:
        """Three float64 tensors: points ``(K, P)``, objectives ``(K,)`` and gradients ``(K, P)``."""
        return {
            "x": torch.from_numpy(np.array([evaluation.x for evaluation in self._evaluations])),
            "objective": torch.tensor(
                [evaluation.objective for evaluation in self._evaluations], dtype=torch.float64
            ),
            "gradient": torch.from_numpy(np.array([evaluation.gradient for evaluation in self._evaluations])),
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Tensor]) -> "EvaluationRecord":
        """The record whose `state_dict` this is."""
        rows = zip(state["x"], state["objective"], state["gradient"], strict=True)
        return cls([Evaluation(x.cpu().numpy(), float(value), slope.cpu().numpy()) for x, value, slope in rows])


def _first(x: Vector) -> str:
    numbers = ", ".join(repr(float(value)) for value in x[:3])
    return f"[{numbers}{', ...' if len(x) > 3 else ''}]"
