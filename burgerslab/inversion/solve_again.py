"""Further solves of a problem that has been solved: from elsewhere, or with something changed."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.inversion.chunks import Chunks
from burgerslab.inversion.lbfgsb import Bounds, solve
from burgerslab.inversion.objective import Objective
from burgerslab.inversion.scaled import ScaledObjective
from burgerslab.inversion.settings import LBFGSB
from burgerslab.inversion.solution import Solution
from burgerslab.inversion.solvable import Total
from burgerslab.inversion.summation import SummedObjective
from burgerslab.physics import DivergedError


@dataclass(frozen=True)
class Solved:
    """The end of a solve.

    Args:
        scaled: What was minimised.
        flat: Free numbers found, ``(P,)``.
        solution: How it went.
    """

    scaled: ScaledObjective
    flat: Float[Tensor, " P"]
    solution: Solution

    @property
    def value(self) -> float:
        """J, in its own unit."""
        return self.solution.objective * self.scaled.unit


@dataclass(frozen=True)
class SolveAgain:
    """Solves on the same windows; all processes take part, and find the same.

    Args:
        chunks: Windows of this process, float64.
        total: Adds a tensor up over the processes.
        device: Where the windows are.
        settings: Tolerances and limits.
    """

    chunks: Chunks
    total: Total
    device: torch.device
    settings: LBFGSB

    def scale(self, objective: Objective, flat: Float[Tensor, " P"]) -> ScaledObjective:
        """The objective in variables that are round about some free numbers.

        Raises:
            DivergedError: If the rollout from there is not finite.
        """
        return ScaledObjective(objective, flat, self.chunks, self.total)

    def attempt(self, objective: Objective, flat: Float[Tensor, " P"]) -> Solved | None:
        """Minimise from some free numbers on; None if the rollout from there diverges."""
        try:
            scaled = self.scale(objective, flat)
        except DivergedError:
            return None
        return self(scaled, flat)

    def __call__(self, scaled: ScaledObjective, flat: Float[Tensor, " P"], bounds: Bounds | None = None) -> Solved:
        """Minimise from some free numbers on.

        Args:
            scaled: The objective.
            flat: Where to start.
            bounds: Of round variables; None takes those of the objective.
        """
        summed = SummedObjective(scaled.misfit, scaled.penalty, self.chunks, self.device, self.total)
        start = scaled.to_rounded(flat).numpy()
        solution = solve(summed, start, scaled.bounds() if bounds is None else bounds, self.settings)
        return Solved(scaled, scaled.to_flat(torch.from_numpy(solution.x)), solution)
