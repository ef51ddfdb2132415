"""What a solve reports: its iterations, where it ended, and why."""

from dataclasses import dataclass

from burgerslab.inversion.record import Evaluation, Vector
from burgerslab.inversion.settings import LBFGSB


@dataclass(frozen=True)
class Iteration:
    """A point that the solver has accepted.

    Args:
        number: 1 for the first after the start.
        evaluation: Point, objective and gradient.
        gradient_norm: Largest component of the projected gradient, which `LBFGSB.abs_tol` is compared with.
        num_evaluations: Evaluations up to here, that of the start included.
    """

    number: int
    evaluation: Evaluation
    gradient_norm: float
    num_evaluations: int


@dataclass(frozen=True)
class Solution:
    """Where a solve has ended, and why.

    Args:
        x: The last accepted point, ``(P,)``.
        objective: f(x).
        gradient: ∇f(x), ``(P,)``.
        gradient_norm: Largest component of the projected gradient.
        converged: Whether a tolerance was met.
        message: The reason: scipy's, or who stopped the solve.
        num_iterations: Accepted points.
        num_evaluations: Evaluations of the objective, those answered from a record included.
        num_diverged: Those of them at which it was infinite or not a number.
        stopped_early: Whether someone else than the solver ended it.
    """

    x: Vector
    objective: float
    gradient: Vector
    gradient_norm: float
    converged: bool
    message: str
    num_iterations: int
    num_evaluations: int
    num_diverged: int
    stopped_early: bool


class ConvergenceError(ValueError):
    """A solve ended by itself without having met a tolerance.

    Args:
        solution: Where it ended.
        settings: What it ran with.
    """

    def __init__(self, solution: Solution, settings: LBFGSB) -> None:
        self.solution = solution
        diverged = f", {solution.num_diverged} of them diverged" if solution.num_diverged else ""
        super().__init__(
            f"L-BFGS-B did not converge ({solution.message.rstrip(': ')}) after {solution.num_iterations} iterations "
            f"and {solution.num_evaluations} evaluations{diverged}: objective {solution.objective:.6g}, projected "
            f"gradient {solution.gradient_norm:.3g}, solver.abs_tol {settings.abs_tol:g}. "
            f"{_advice(solution, settings)}, or set solver.suppress_convergence_errors: true to take the last "
            "point as it is"
        )


def _advice(solution: Solution, settings: LBFGSB) -> str:
    """What to change so that the solve converges."""
    if solution.num_iterations >= settings.max_iterations:
        return f"Raise solver.max_iterations (now {settings.max_iterations})"
    if solution.num_evaluations > settings.max_evaluations:
        return f"Raise solver.max_evaluations (now {settings.max_evaluations})"
    return (
        "The line search found no lower point: raise solver.abs_tol or solver.rel_tol above the rounding errors of "
        "the objective, evaluate it in float64, or start from another initial_guess"
    )
