"""By how much the error of the grid moves what was learned: one Gauss-Newton step towards a finer one."""

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.inversion.gauss_newton import ArrowMatrix
from burgerslab.inversion.objective import Batch, Objective
from burgerslab.inversion.solvable import Total
from burgerslab.physics import DivergedError, Rollout

# A cube of 256: beyond it a finer frame takes more memory than the trajectory itself.
_MOST_CELLS = 2**24


def discretisation_shift(
    objective: Objective,
    flat: Float[Tensor, " P"],
    curvature: ArrowMatrix,
    chunks: Iterable[Batch],
    total: Total,
) -> tuple[Float[Tensor, " P"] | None, str]:
    """Estimated free numbers of a grid without error minus those found; or None, and why.

    With the residuals r of the grid and r' of one twice as fine, at half the step, δ = -H⁻¹ Σ w ∂rᵀ (r' - r): where
    a minimum on the finer grid would be, to first order. It costs one evaluation and one rollout on the finer grid.

    Args:
        objective: The misfit.
        flat: Its minimum.
        curvature: H, half the second derivative of J there.
        chunks: The windows of this process, float64.
        total: Adds a tensor up over the processes.
    """
    coarse = objective.rollout
    cells = math.prod(coarse.domain.refined(2 * coarse.refine).resolution)
    if cells > _MOST_CELLS:
        return None, f"the error of the grid was not estimated: a grid twice as fine has {cells} cells"
    fine = objective.changed(
        rollout=Rollout(coarse.scheme, coarse.domain, coarse.dt, 2 * coarse.substeps, 2 * coarse.refine)
    )
    slope, diverged = torch.zeros_like(flat), torch.zeros(1, dtype=torch.float64)
    try:
        for batch in chunks:
            slope += _slope(objective, fine, flat, batch)
    except DivergedError:  # the other processes wait for this one's sums
        diverged += 1
    slope, diverged = total(slope), total(diverged)
    if diverged > 0:
        return None, "the error of the grid was not estimated: the rollout on a grid twice as fine diverges"
    return -curvature.solve(*objective.split(slope)), ""


def _slope(objective: Objective, fine: Objective, flat: Tensor, batch: Batch) -> Float[Tensor, " P"]:
    """Σ w ∂rᵀ (r' - r) over a chunk."""
    with torch.no_grad():
        finer = fine.residual(fine.select(fine.unflatten(flat), batch), batch)
    with torch.enable_grad():
        numbers = flat.detach().clone().requires_grad_()
        residual = objective.residual(objective.select(objective.unflatten(numbers), batch), batch)
        weights = objective.weights(batch) * batch["observed"]
        weighted = weights.to(residual)[:, None] * (finer - residual.detach()).flatten(1)
        return torch.autograd.grad((weighted * residual.flatten(1)).sum(), numbers)[0]
