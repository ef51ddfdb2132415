"""Bounded minimisation by scipy's L-BFGS-B, with a record, a say after each iteration, and an honest end."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import minimize

from burgerslab.inversion.record import Evaluation, EvaluationRecord, Vector
from burgerslab.inversion.settings import LBFGSB
from burgerslab.inversion.solution import Iteration, Solution
from burgerslab.physics import DivergedError

Bounds = Sequence[tuple[float | None, float | None]]

_SLOPE_LEFT = 0.9  # of that where the search begins, at which L-BFGS-B's line search is content


def solve(
    evaluate: Callable[[Vector], tuple[float, Vector]],
    start: Vector,
    bounds: Bounds | None = None,
    settings: LBFGSB = LBFGSB(),  # noqa: B008 - frozen
    record: EvaluationRecord | None = None,
    on_iteration: Callable[[Iteration], str | None] | None = None,
) -> Solution:
    """Minimise f(x) within bounds.

    Iterates are those of ``scipy.optimize.minimize(method="L-BFGS-B")``, bit by bit. Where a trial point diverges,
    f is replaced by a parabola along the search direction that is higher than the last accepted point and has its
    minimum a tenth of the way to the trial; hence the line search goes back there. Such a point is never accepted
    and never enters the memory of curvatures. A line search ends the solve as converged where gradients find its
    minimum, but the decrease that they tell is below ``rel_tol``: rounding errors may hide it from f, and scipy would
    search on to its limit of trials.

    Args:
        evaluate: f and ∇f at a point. Where f is not defined it may raise `DivergedError` or return infinities or
            not-a-numbers.
        start: First point, ``(P,)`` float64.
        bounds: Lower and upper bound of each component; None is none.
        settings: Tolerances and limits.
        record: Answers the first calls in place of ``evaluate``, and is extended by the others.
        on_iteration: Is told each accepted point. A text returned is the reason to stop, which is done unless the
            solver finds that the point meets a tolerance.

    Raises:
        ValueError: If the start is not finite or outside the bounds, if f is not finite there, or if the record is
            of another solve.
    """
    start = np.asarray(start, dtype=np.float64)
    _check_start(start, bounds)
    run = _Run(evaluate, EvaluationRecord() if record is None else record, bounds, on_iteration, settings.rel_tol)
    options = {
        "gtol": settings.abs_tol,
        "ftol": settings.rel_tol,
        "maxiter": settings.max_iterations,
        "maxfun": settings.max_evaluations,
        "maxcor": settings.history_size,
    }
    try:
        result = minimize(
            run.answer, start, jac=True, method=settings.method, bounds=bounds, callback=run.accept, options=options
        )
    except _SettledError:
        return run.solution(True, "CONVERGENCE: DECREASE LEFT <= REL_TOL", stopped_early=False)
    except _StopError as stop:
        return run.solution(False, f"stopped by {stop.reason}", stopped_early=True)
    return run.solution(bool(result.success), str(result.message), stopped_early=False)


def projected_gradient_norm(x: Vector, gradient: Vector, bounds: Bounds | None) -> float:
    """Largest component of P(x - ∇f) - x, where P cuts off at the bounds; 0 at a minimum within them."""
    lower, upper = limits(len(x), bounds)
    return float(np.max(np.abs(np.clip(x - gradient, lower, upper) - x), initial=0.0))


def limits(size: int, bounds: Bounds | None) -> tuple[Vector, Vector]:
    """Lower and upper bounds as arrays ``(P,)``, infinite where there is none."""
    pairs = [(None, None)] * size if bounds is None else bounds
    lower = np.array([-np.inf if low is None else low for low, _ in pairs], dtype=np.float64)
    upper = np.array([np.inf if high is None else high for _, high in pairs], dtype=np.float64)
    return lower, upper


class _StopError(Exception):
    """Carries a reason to stop through scipy."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _SettledError(Exception):
    """Carries it through scipy that no line search can do better."""


class _Run:
    """One solve: what scipy calls, and what is remembered between its calls."""

    def __init__(
        self,
        evaluate: Callable[[Vector], tuple[float, Vector]],
        record: EvaluationRecord,
        bounds: Bounds | None,
        on_iteration: Callable[[Iteration], str | None] | None,
        rel_tol: float,
    ) -> None:
        self._evaluate = evaluate
        self._rel_tol = rel_tol
        self._record = record
        self._bounds = bounds
        self._on_iteration = on_iteration
        self._accepted: Evaluation | None = None
        self._last: Evaluation | None = None
        self._reason: str | None = None
        self._num_iterations = self._num_evaluations = self._num_diverged = 0
        record.rewind()

    def answer(self, x: Vector) -> tuple[float, Vector]:
        """What scipy is told of a point."""
        if self._reason is not None:  # only now, for scipy tests the tolerances before it asks again
            raise _StopError(self._reason)
        if self._is_settled():
            raise _SettledError
        evaluation = self._look_up(x.copy())
        self._num_evaluations += 1
        self._last = evaluation
        if self._accepted is None:
            self._accepted = evaluation
        if evaluation.diverged:
            self._num_diverged += 1
            return _wall(self._accepted, x)
        return evaluation.objective, evaluation.gradient.copy()

    def _is_settled(self) -> bool:
        """Whether scipy has refused a trial that, by its gradients, is as good as it could tell from f."""
        accepted, trial = self._accepted, self._last
        if accepted is None or trial is None or trial is accepted or trial.diverged:
            return False
        step = trial.x - accepted.x
        before, after = float(accepted.gradient @ step), float(trial.gradient @ step)
        # The trapezoidal rule for f(trial) - f(accepted), and the condition of scipy's line search on the slope.
        return abs(before + after) / 2 <= self._rel_tol * max(abs(accepted.objective), 1.0) and abs(after) <= (
            _SLOPE_LEFT * abs(before)
        )

    def accept(self, intermediate_result: object) -> None:
        """Take the point evaluated last; scipy calls this with what it has accepted."""
        assert self._last is not None
        assert not self._last.diverged
        self._accepted = self._last
        self._num_iterations += 1
        if self._on_iteration is not None:
            norm = projected_gradient_norm(self._accepted.x, self._accepted.gradient, self._bounds)
            self._reason = self._on_iteration(
                Iteration(self._num_iterations, self._accepted, norm, self._num_evaluations)
            )

    def solution(self, converged: bool, message: str, stopped_early: bool) -> Solution:
        assert self._accepted is not None
        x, gradient = self._accepted.x, self._accepted.gradient
        return Solution(
            x=x.copy(),
            objective=self._accepted.objective,
            gradient=gradient.copy(),
            gradient_norm=projected_gradient_norm(x, gradient, self._bounds),
            converged=converged,
            message=message,
            num_iterations=self._num_iterations,
            num_evaluations=self._num_evaluations,
            num_diverged=self._num_diverged,
            stopped_early=stopped_early,
        )

    def _look_up(self, x: Vector) -> Evaluation:
        evaluation = self._record.replay(x)
        if evaluation is not None:
            return evaluation
        cause = None
        try:
            objective, gradient = self._evaluate(x.copy())
        except DivergedError as error:
            objective, gradient, cause = math.inf, np.zeros_like(x), error
        evaluation = Evaluation(x, float(objective), np.array(gradient, dtype=np.float64))
        if evaluation.diverged and self._accepted is None:
            raise ValueError(
                "the objective or its gradient is infinite or not a number at the start"
                f"{f' ({cause})' if cause else ''}: start from another initial_guess, or take smaller time steps"
            ) from cause
        self._record.append(evaluation)
        return evaluation


def _wall(accepted: Evaluation, x: Vector) -> tuple[float, Vector]:
    """A value and a gradient that make scipy's line search go back to a tenth of the way from the accepted point.

    With slope -s along the step to x, the parabola f - s t + 5 s t² over the way t has its minimum at t = 1/10, the
    value f + 4 s and the slope 9 s at t = 1; cubic and quadratic interpolation agree on it (Moré and Thuente, 1994).
    """
    slope = float(accepted.gradient @ (x - accepted.x))
    return accepted.objective + 4 * abs(slope), -9 * accepted.gradient


def _check_start(start: Vector, bounds: Bounds | None) -> None:
    if not np.isfinite(start).all():
        raise ValueError(f"the start must be finite numbers, got {start.tolist()}")
    if bounds is not None and len(bounds) != len(start):
        raise ValueError(f"{len(start)} numbers need {len(start)} pairs of bounds, got {len(bounds)}")
    lower, upper = limits(len(start), bounds)
    for number in np.flatnonzero(~((lower <= start) & (start <= upper)))[:1]:
        raise ValueError(
            f"number {number} of the start, {start[number]:g}, is outside its bounds [{lower[number]:g}, "
            f"{upper[number]:g}]; start within them, or widen them"
        )
