"""Settings of the solver."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class LBFGSB:
    """Settings of L-BFGS-B (Byrd, Lu, Nocedal and Zhu, 1995), a quasi-Newton method with bounds.

    Both tolerances are tested after every iteration; the first that is met ends the solve as converged. They are
    absolute for objectives below 1: scale the objective so that it is of order 1 at the start or in the noise.

    Args:
        abs_tol: Largest component of the projected gradient at which the solve has converged.
        rel_tol: Relative decrease (f_k - f_{k+1}) / max(|f_k|, |f_{k+1}|, 1) at which it has.
        max_iterations: Accepted points after which it has failed.
        max_evaluations: Evaluations of the objective after which it has failed; tested between iterations, which
            take one evaluation each but where a step is too long.
        history_size: Pairs of steps and gradient changes that approximate the curvature.
        suppress_convergence_errors: Take the last point for the result where the solve has failed, with a warning.
        method: The name that ``phi.math.Solve`` and ``scipy.optimize.minimize`` know it by; there is no other.

    Raises:
        ValueError: If a tolerance is negative or not finite, or a count is less than 1.
    """

    abs_tol: float = 1.0e-8
    rel_tol: float = 1.0e-13
    max_iterations: int = 200
    max_evaluations: int = 1000
    history_size: int = 10
    suppress_convergence_errors: bool = False
    method: Literal["L-BFGS-B"] = "L-BFGS-B"

    def __post_init__(self) -> None:
        if self.method != "L-BFGS-B":
            raise ValueError(f"solver.method must be L-BFGS-B, got {self.method}")
        for option in ("abs_tol", "rel_tol"):
            value = getattr(self, option)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"solver.{option} must be a finite number and not negative, got {value}")
        for option in ("max_iterations", "max_evaluations", "history_size"):
            if getattr(self, option) < 1:
                raise ValueError(f"solver.{option} must be at least 1, got {getattr(self, option)}")
