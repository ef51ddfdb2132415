"""Solves from several starts: whether they find the same, and the best of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.inversion.objective import Objective
from burgerslab.inversion.solve_again import SolveAgain, Solved
from burgerslab.physics import DivergedError

_SAME = 1e-6  # relative difference of objectives that are taken for one minimum


@dataclass(frozen=True)
class Start:
    """One of several solves.

    Args:
        guess: Where it began, the coefficients that are single numbers.
        estimate: Where it ended.
        objective: J there; infinite where the rollout from the start diverged.
        converged: Whether a tolerance was met.
        num_evaluations: Evaluations it took.
    """

    guess: dict[str, float]
    estimate: dict[str, float]
    objective: float
    converged: bool
    num_evaluations: int

    @classmethod
    def of(cls, solved: Solved, began: Float[Tensor, " P"]) -> "Start":
        """What a solve from some free numbers found."""
        objective, solution = solved.scaled.objective, solved.solution
        guess, estimate = _numbers(objective, began), _numbers(objective, solved.flat)
        return cls(guess, estimate, solved.value, solution.converged, solution.num_evaluations)


def solve_from_elsewhere(
    again: SolveAgain, first: Solved, origin: Float[Tensor, " P"], num_starts: int, spread: float
) -> tuple[Solved, list[Start]]:
    """The best of several solves, and all of them, the given one first.

    Starts are drawn by the number of the start alone, so they are the same in each run and process. Initial states
    begin where that of the first solve began.

    Args:
        again: Solves on the windows.
        first: A solve.
        origin: Where that began, ``(P,)``.
        num_starts: Number of solves, the given one included.
        spread: Positive parameters begin between their guess / spread and guess · spread.
    """
    objective = first.scaled.objective
    best, starts = first, [Start.of(first, origin)]
    for number in range(1, num_starts):
        flat = _draw(objective, origin, number, spread)
        try:
            scaled = again.scale(objective, flat)
        except DivergedError:
            starts.append(Start(_numbers(objective, flat), {}, math.inf, False, 1))
            continue
        solved = again(scaled, flat)
        starts.append(Start.of(solved, flat))
        if (solved.solution.converged, -solved.value) > (best.solution.converged, -best.value * (1 - _SAME)):
            best = solved
    return best, starts


def starts_as_dict(starts: Sequence[Start]) -> dict[str, Any]:
    """Plain values: every start, and over the converged ones the ends of objective and estimates."""
    converged = [start for start in starts if start.converged]
    lowest = min((start.objective for start in converged), default=math.inf)
    return {
        "num_converged": len(converged),
        "num_at_best": sum(start.objective <= lowest * (1 + 1e-3) for start in converged),
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
            }
            for start in starts
        ],
    }


def _draw(objective: Objective, origin: Float[Tensor, " P"], number: int, spread: float) -> Float[Tensor, " P"]:
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


def _ends(numbers: Sequence[float]) -> list[float]:
    return [min(numbers), max(numbers)] if numbers else []
