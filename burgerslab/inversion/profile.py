"""Profile likelihood: the interval of a number from the misfit itself, all others fitted anew."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator

from burgerslab.inversion.objective import Objective
from burgerslab.inversion.posterior import QUANTILE, Posterior
from burgerslab.inversion.solve_again import SolveAgain, Solved

_OFFSETS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)


@dataclass(frozen=True)
class Profile:
    """2 ΔNLL of a number, the lowest over all others.

    Args:
        values: Of the coefficient, ascending, in its units.
        rise: 2 (NLL - least NLL) at each; a quadratic where Laplace's approximation is right.
        low: Where it crosses 3.84 below the estimate; infinite if not within three standard deviations.
        high: Where it does above.
    """

    values: tuple[float, ...]
    rise: tuple[float, ...]
    low: float
    high: float


def profile_likelihoods(again: SolveAgain, best: Solved, posterior: Posterior) -> dict[str, Profile]:
    """Of each coefficient that is one number with bounds, shared by all trajectories.

    The number is held at its estimate ± 0.5 to 3 standard deviations of the free number, one after the other from the
    estimate outwards, and the rest is fitted. The noise is held at what the best fit leaves, so that for a linear
    model the interval is that of Laplace. Numbers of which Laplace knows no standard deviation are left out.

    Args:
        again: Solves on the windows.
        best: The minimum.
        posterior: Laplace's approximation there.
    """
    objective = best.scaled.objective
    scaled = again.scale(objective, best.flat)
    least = again(scaled, best.flat)
    problem = objective.problem
    unit = scaled.unit * problem.num_observed * problem.scale**2 / problem.overlap / posterior.noise_std**2
    profiles = {}
    position = 0
    for name in objective.shared:
        size = objective.learnables[name].num_free(problem)
        std = float(posterior.shared[position, position].sqrt())
        if size == 1 and None not in objective.bounds()[position] and math.isfinite(std):
            below = _walk(again, least, position, -std)
            above = _walk(again, least, position, std)
            points = [*reversed(below), (float(least.flat[position]), least.solution.objective), *above]
            profiles[name] = _profile(objective, name, points, least.solution.objective, unit)
        position += size
    return profiles


def _walk(again: SolveAgain, least: Solved, position: int, std: float) -> list[tuple[float, float]]:
    """Free numbers and objectives, from the minimum outwards, up to a bound."""
    scaled = least.scaled
    low, high = scaled.objective.bounds()[position]
    points, flat = [], least.flat
    for offset in _OFFSETS:
        number = float(least.flat[position]) + offset * std
        if not low <= number <= high:
            break
        flat = flat.clone()
        flat[position] = number
        rounded = float(scaled.to_rounded(flat)[position])
        bounds = list(scaled.bounds())
        bounds[position] = (rounded, rounded)
        solved = again(scaled, flat, bounds)
        flat = solved.flat
        points.append((number, solved.solution.objective))
    return points


def _profile(
    objective: Objective, name: str, points: list[tuple[float, float]], least: float, unit: float
) -> Profile:
    learnable = objective.learnables[name]
    free = np.array([number for number, _ in points])
    rise = unit * np.array([value - least for _, value in points]).clip(0)
    centre = int(np.argmin(rise))
    signed = np.sqrt(rise) * np.where(np.arange(len(free)) < centre, -1, 1)

    def value(number: float) -> float:
        return float(learnable.coefficient(torch.tensor([number], dtype=torch.float64), objective.problem))

    ends = [_crossing(free, signed, sign * QUANTILE) for sign in (-1, 1)]
    low, high = (sign * math.inf if end is None else value(end) for sign, end in zip((-1, 1), ends, strict=True))
    return Profile(tuple(value(number) for number in free), tuple(rise.tolist()), low, high)


def _crossing(free: np.ndarray, signed: np.ndarray, level: float) -> float | None:
    """Where the signed root of the rise has a value; it is nearly a straight line, and monotone near the minimum."""
    rising = np.concatenate([[True], np.diff(signed) > 0])
    if not rising.all() or not signed[0] <= level <= signed[-1]:
        return None
    return float(PchipInterpolator(signed, free)(level))
