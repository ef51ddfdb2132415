"""Whether the cells are small enough for the fronts that the viscosity allows."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.physics.domain import Domain

LARGEST_RESOLVED_CELL_PECLET = 2.0

# Percent by which `FiniteDifference(6)` at most missed the viscosity of exact Cole-Hopf data, by cell Péclet number:
# medians over windows of 8 frames that start at early and late times, on 64 to 256 cells. One long window from a
# smooth first frame misses it several times less (benchmarks/viscosity_bias.py).
_PECLET = (1.0, 2.0, 5.0, 10.0)
_BIAS = (0.02, 0.4, 3.0, 25.0)


def cell_peclet(
    velocity: Float[Tensor, "B ..."], domain: Domain, viscosity: float | Float[Tensor, "*V"]
) -> Float[Tensor, "B"]:
    """Largest cell Péclet number |u| dx / ν of each trajectory, without unit.

    A front between u and -u is about 4 ν / |u| wide, that is 4 / Péclet cells. Where cells are not square, |u| dx is
    (Σ_i u_i² dx_i²)^½. The mean flow counts, although it steepens nothing.

    Args:
        velocity: ``(B, C, *N)`` or ``(B, T, C, *N)``, units L/T. The maximum is taken over all that is given.
        domain: Box and grid.
        viscosity: One number, or one per trajectory ``(B,)``, units L²/T. Where it is 0, what moves has an infinite
            number, and what rests has 0.
    """
    component = velocity.ndim - domain.dimension - 1
    spacing = torch.tensor(domain.spacing, dtype=velocity.dtype, device=velocity.device)
    weights = spacing.reshape(-1, *(1,) * domain.dimension)
    crossing = (velocity * weights).square().sum(dim=component).sqrt()
    largest = crossing.flatten(1).amax(dim=1)
    return torch.where(largest > 0, largest / viscosity, torch.zeros_like(largest))


def likely_bias(peclet: float) -> float:
    """Percent by which a viscosity recovered with `FiniteDifference(6)` on this grid may be off.

    Args:
        peclet: Cell Péclet number; above 10 the answer grows in proportion, which is a guess.
    """
    if peclet <= 0:
        return 0.0
    inside = float(np.exp(np.interp(np.log(peclet), np.log(_PECLET), np.log(_BIAS))))
    return inside * max(1.0, peclet / _PECLET[-1])


def explain_under_resolution(peclet: Float[Tensor, "B"], refine: int = 1) -> str | None:
    """What to expect and what to do where cell Péclet numbers exceed 2; None where none does.

    Args:
        peclet: Cell Péclet number of each trajectory.
        refine: How many times finer than these cells the grid is that is solved on: so many times smaller are the
            numbers that count.
    """
    peclet = peclet / refine
    above = peclet > LARGEST_RESOLVED_CELL_PECLET
    if not bool(above.any()):
        return None
    largest = float(peclet.max())
    if math.isinf(largest):
        return (
            f"the viscosity is 0 in {int(peclet.isinf().sum())} of {len(peclet)} trajectories: fronts have no width, "
            "which no grid resolves, and a viscosity recovered there is that of the scheme"
        )
    if largest > _PECLET[-1]:
        bias = f"by more than {_BIAS[-1]:.0f} %"
    else:
        bias = f"by about {likely_bias(largest):.2g} %"
    finer = math.ceil(largest * refine / LARGEST_RESOLVED_CELL_PECLET)
    return (
        f"the cell Péclet number |u| dx / viscosity is above 2 in {int(above.sum())} of {len(peclet)} trajectories "
        f"and reaches {largest:.3g}: the grid does not resolve the shocks, and FiniteDifference(6) is likely to "
        f"recover a viscosity that is off {bias} (0.02 % at 1, 0.4 % at 2, 1 to 3 % at 5, 25 % at 10). "
        f"Set refine: {finer} or more to solve on a finer grid, and let "
        "windows start at early frames, before shocks form: no grid can bring back what a frame does not hold"
    )
