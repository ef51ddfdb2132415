"""The weight of a smoothness penalty, from the corner of the L-curve."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.inversion.fields import ForcingField, ViscosityField
from burgerslab.inversion.gauss_newton import ArrowMatrix, gauss_newton
from burgerslab.inversion.learnable import Learnable
from burgerslab.inversion.objective import Objective
from burgerslab.inversion.scaled import ScaledObjective
from burgerslab.inversion.solve_again import SolveAgain, Solved

_NUM_WEIGHTS = 12
_LARGEST_RATIO = 1e8  # between the weights of a sweep


@dataclass(frozen=True)
class LCurve:
    """Misfit against roughness over a sweep of weights (Hansen, SIAM Rev. 34 (1992) 561).

    Args:
        weights: Ascending.
        misfit: Mean square error over the mean square of the data at each.
        roughness: What the weight multiplies, at each.
        chosen: The weight of the corner, where log roughness over log misfit bends most.
        has_corner: Whether the curve bends the right way anywhere; if not, the smallest weight is chosen.
    """

    weights: tuple[float, ...]
    misfit: tuple[float, ...]
    roughness: tuple[float, ...]
    chosen: float
    has_corner: bool


def asks_for_l_curve(learnables: Sequence[Learnable]) -> str | None:
    """Name of the coefficient whose smoothness is to be chosen; None where none is.

    Raises:
        ValueError: If there are two.
    """
    names = [it.name for it in learnables if _asks(it)]
    if len(names) > 1:
        raise ValueError(
            f"model.learnable_parameters: smoothness: l_curve chooses one weight, but {' and '.join(names)} ask for "
            "it; give one of them a number"
        )
    return names[0] if names else None


def choose_smoothness(again: SolveAgain, first: Solved, name: str) -> tuple[Solved, LCurve]:
    """The solution at the corner, and the curve.

    The sweep goes from a weight that hardly any mode feels to one that all do, each solve from the solution of the
    last.

    Args:
        again: Solves on the windows.
        first: The solution with some weight.
        name: Whose smoothness it is.
    """
    objective, flat = first.scaled.objective, first.flat
    _, curvature = gauss_newton(objective, flat, again.chunks, again.total)
    sweep, misfits, roughnesses = [], [], []
    weights = _weights(objective, curvature, name)
    for weight in weights:
        changed = _with_smoothness(objective, name, weight)
        scaled = ScaledObjective(changed, flat, again.chunks, again.total, curvature)
        solved = again(scaled, flat)
        flat = solved.flat
        roughness = float(_roughness(changed, flat, name)) / weight
        regular = changed.regularisation(changed.unflatten(flat))
        sweep.append(solved)
        roughnesses.append(roughness)
        misfits.append(solved.value - float(0.0 if regular is None else regular))
    bend = bending(np.log(misfits), np.log(roughnesses))
    corner = int(np.argmax(bend)) if bend.max() > 0 else 0
    curve = LCurve(tuple(weights), tuple(misfits), tuple(roughnesses), weights[corner], bool(bend.max() > 0))
    return sweep[corner], curve


def bending(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Curvature of a plane curve at its points, positive where it turns left, in a box that it just fits.

    Points closer than a fiftieth of the curve to the one before are passed over: their direction is rounding. At
    these and at both ends it is minus infinity.
    """
    points = np.stack([(x - x.min()) / max(np.ptp(x), 1e-300), (y - y.min()) / max(np.ptp(y), 1e-300)], axis=1)
    length = np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
    kept = [0]
    for number in range(1, len(points)):
        if np.linalg.norm(points[number] - points[kept[-1]]) > length / 50:
            kept.append(number)
    bend = np.full(len(points), -np.inf)
    for before, here, after in zip(kept, kept[1:], kept[2:], strict=False):
        one, two = points[here] - points[before], points[after] - points[here]
        turn = np.arctan2(one[0] * two[1] - one[1] * two[0], one @ two)
        bend[here] = 2 * turn / (np.linalg.norm(one) + np.linalg.norm(two))
    return bend


def _asks(learnable: Learnable) -> bool:
    return isinstance(learnable, ViscosityField | ForcingField) and learnable.smoothness == "l_curve"


def _with_smoothness(objective: Objective, name: str, weight: float) -> Objective:
    learnables = [replace(it, smoothness=weight) if it.name == name else it for it in objective.learnables.values()]
    return objective.changed(learnables)


def _weights(objective: Objective, curvature: ArrowMatrix, name: str) -> list[float]:
    """From a hundredth of the smallest to the largest ratio of what the data say of a mode and its roughness."""
    size = sum(objective.learnables[other].num_free(objective.problem) for other in objective.shared)
    position = 0
    for other in objective.shared[: objective.shared.index(name)]:
        position += objective.learnables[other].num_free(objective.problem)
    block = slice(position, position + objective.learnables[name].num_free(objective.problem))
    matrix = (curvature.schur() if objective.num_own else curvature.shared)[block, block]
    of_one = _with_smoothness(objective, name, 1.0)
    free = torch.zeros(len(objective.start()), dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(
        lambda numbers: _roughness(of_one, torch.cat([numbers, free[size:]]), name), free[:size]
    )
    roughness = hessian[block, block].diagonal() / 2
    rough = roughness > 0
    scale = roughness[rough].rsqrt()
    ratios = torch.linalg.eigvalsh(scale[:, None] * matrix[rough][:, rough] * scale)
    largest = float(ratios[-1])
    smallest = max(float(ratios[0]) / 100, largest / _LARGEST_RATIO)
    return np.geomspace(smallest, largest, _NUM_WEIGHTS).tolist()


def _roughness(objective: Objective, flat: Float[Tensor, " P"], name: str) -> Tensor:
    value = objective.learnables[name].roughness(objective.unflatten(flat)[name], objective.problem)
    assert value is not None
    return value
