"""Solves from several starts: whether they find the same, and the best of them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.inversion.cluster_starts import attempt_on_cluster
from burgerslab.inversion.objective import Objective
from burgerslab.inversion.scaled import ScaledObjective
from burgerslab.inversion.solve_again import SolveAgain, Solved
from burgerslab.physics import DivergedError

_SAME = 1e-6  # relative difference of objectives that are taken for one minimum
_AT_BEST = (1e-3, 1e-12)  # relative, and absolute, of objectives that are reported as the lowest one


@dataclass(frozen=True)
class Start:
    """One of several solves.

    Args:
        guess: Where it began, the coefficients that are single numbers.
        estimate: Where it ended.
        objective: J there; infinite where the rollout from the start diverged.
        converged: Whether a tolerance was met.
        num_evaluations: Evaluations it took.
        message: Why it ended.
    """

    guess: dict[str, float]
    estimate: dict[str, float]
    objective: float
    converged: bool
    num_evaluations: int
    message: str

    @classmethod
    def of(cls, solved: Solved, began: Float[Tensor, " P"]) -> "Start":
        """What a solve from some free numbers found."""
        objective, solution = solved.scaled.objective, solved.solution
        guess, estimate = _numbers(objective, began), _numbers(objective, solved.flat)
        end = (solution.converged, solution.num_evaluations, solution.message)
        return cls(guess, estimate, solved.value, *end)

    @classmethod
    def diverged(cls, objective: Objective, began: Float[Tensor, " P"]) -> "Start":
        """Free numbers that no solve can begin with."""
        return cls(_numbers(objective, began), {}, math.inf, False, 1, "the rollout from the start diverges")


@dataclass(frozen=True)
class Begun:
    """Where the first solve begins.

    Args:
        scaled: The objective in variables that are round there.
        origin: Free numbers, ``(P,)``.
        number: Of the start: 0 is the guess; those before it diverge.
    """

    scaled: ScaledObjective
    origin: Float[Tensor, " P"]
    number: int


def begin(
    scale: Callable[[Float[Tensor, " P"]], ScaledObjective],
    objective: Objective,
    guess: Float[Tensor, " P"],
    num_starts: int,
    spread: float,
) -> Begun:
    """The first of several starts whose rollout does not diverge.

    Args:
        scale: The objective in variables that are round about some free numbers.
        objective: What is to be solved.
        guess: Free numbers of the first start, ``(P,)``.
        num_starts: Number of starts.
        spread: As in `solve_from_elsewhere`.

    Raises:
        DivergedError: If all diverge.
    """
    errors = []
    for number in range(num_starts):
        origin = _draw(objective, guess, number, spread)
        try:
            return Begun(scale(origin), origin, number)
        except DivergedError as error:
            errors.append(error)
    raise DivergedError(
        f"at the initial guess ({_in_words(_numbers(objective, guess))}) {errors[0]} to start from"
    ) from errors[0]


def solve_from_elsewhere(
    again: SolveAgain, first: Solved, begun: Begun, num_starts: int, spread: float, cluster: str | None = None
) -> tuple[Solved, list[Start]]:
    """The best of several solves, one that has converged if there is one, and all of them, by number.

    Starts are drawn by the number of the start alone, so they are the same in each run and process. Initial states
    begin where that of the first solve began.

    Args:
        again: Solves on the windows.
        first: A solve, converged or not.
        begun: Where that began.
        num_starts: Number of solves, the given one included.
        spread: Positive parameters begin between their guess / spread and guess · spread.
        cluster: A Dask cluster whose workers solve, see `connected`; None solves here. The numbers are the same.

    Raises:
        ClusterError: If the cluster cannot be used.
    """
    objective = first.scaled.objective
    failed = [_draw(objective, objective.start(), number, spread) for number in range(begun.number)]
    starts = [*(Start.diverged(objective, flat) for flat in failed), Start.of(first, begun.origin)]
    best = first
    origins = [_draw(objective, begun.origin, number, spread) for number in range(begun.number + 1, num_starts)]
    if cluster is None:
        found = [again.attempt(objective, origin) for origin in origins]
    else:
        found = attempt_on_cluster(cluster, again, objective, origins)
    for origin, solved in zip(origins, found, strict=True):
        if solved is None:
            starts.append(Start.diverged(objective, origin))
            continue
        starts.append(Start.of(solved, origin))
        if (solved.solution.converged, -solved.value) > (best.solution.converged, -best.value * (1 - _SAME)):
            best = solved
    return best, starts


def starts_as_dict(starts: Sequence[Start]) -> dict[str, Any]:
    """Plain values: every start, and over the converged ones the ends of objective and estimates."""
    converged = [start for start in starts if start.converged]
    return {
        "num_converged": len(converged),
        "num_at_best": len(_at_best(converged)),
        "objective_range": _ends([start.objective for start in converged]),
        "estimate_range": {
            name: _ends([start.estimate[name] for start in converged])
            for name in (converged[0].estimate if converged else {})
        },
        "each": [
            {
                "initial_guess": start.guess,
                "estimate": start.estimate,
                "objective": start.objective,
                "converged": start.converged,
                "evaluations": start.num_evaluations,
                "message": start.message,
            }
            for start in starts
        ],
    }


def doubts_of_starts(starts: Sequence[Start]) -> list[str]:
    """What several starts that failed, or that end in different minima, say against the result."""
    messages = []
    failed = [start for start in starts if not start.converged]
    if failed:
        each = "; ".join(f"from {_in_words(start.guess)}: {start.message.rstrip(': ')}" for start in failed[:3])
        more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
        messages.append(
            f"{len(failed)} of {len(starts)} starts failed ({each}{more}): give model.learnable_parameters narrower "
            "bounds, or lower model.start_spread"
        )
    converged = [start for start in starts if start.converged]
    best = _at_best(converged)
    if len(best) < len(converged):
        others = [start for start in converged if start not in best]
        messages.append(
            f"{len(others)} of {len(converged)} converged starts ended in a higher minimum than the result, at "
            f"{'; '.join(_in_words(start.estimate) for start in others[:3])}: the objective has several minima, so "
            "give guesses or bounds that single out the one that is meant"
        )
    return messages


def _draw(objective: Objective, origin: Float[Tensor, " P"], number: int, spread: float) -> Float[Tensor, " P"]:
    if number == 0:
        return origin
    generator = np.random.default_rng([number, 20_231])
    free = dict(objective.unflatten(origin))
    for name, learnable in objective.learnables.items():
        drawn = learnable.free_draw(objective.problem, spread, generator)
        if drawn is not None:
            free[name] = drawn.expand_as(free[name])
    bounds = objective.bounds()
    low = torch.tensor([-math.inf if low is None else low for low, _ in bounds], dtype=torch.float64)
    high = torch.tensor([math.inf if high is None else high for _, high in bounds], dtype=torch.float64)
    return objective.flatten(free).clamp(low, high)


def _numbers(objective: Objective, flat: Float[Tensor, " P"]) -> dict[str, float]:
    """The coefficients that are single numbers; of those of each trajectory, and of viscosity fields, the mean."""
    coefficients = objective.coefficients(objective.unflatten(flat))
    return {
        name: float(value.mean()) for name, value in coefficients.items() if value.ndim == 0 or name == "viscosity"
    }


def _at_best(converged: Sequence[Start]) -> list[Start]:
    lowest = min((start.objective for start in converged), default=math.inf)
    return [start for start in converged if start.objective <= lowest * (1 + _AT_BEST[0]) + _AT_BEST[1]]


def _in_words(numbers: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in numbers.items()) or "the initial guess"


def _ends(numbers: Sequence[float]) -> list[float]:
    return [min(numbers), max(numbers)] if numbers else []
