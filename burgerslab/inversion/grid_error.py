"""By how much the error of the grid moves what was learned: one Gauss-Newton step towards a finer one."""

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.inversion.gauss_newton import ArrowMatrix
from burgerslab.inversion.objective import Batch, Objective
from burgerslab.inversion.sensitivity import linearised
from burgerslab.inversion.solvable import Total
from burgerslab.inversion.window_products import few_directions, over_windows
from burgerslab.physics import DivergedError, Rollout

# A cube of 256: beyond it a finer frame takes more memory than the trajectory itself.
_MOST_CELLS = 2**24
_FEWEST_WINDOWS = 4


def discretisation_shift(
    objective: Objective,
    flat: Float[Tensor, " P"],
    curvature: ArrowMatrix,
    chunks: Iterable[Batch],
    total: Total,
) -> tuple[Float[Tensor, " P"] | None, str]:
    """Estimated free numbers of a grid without error minus those found; or None, and why.

    With the residuals r of the grid and r' of one twice as fine, at half the step, δ = -H⁻¹ Σ w ∂rᵀ (r' - r): where
    a minimum on the finer grid would be, to first order. It costs one evaluation and a rollout on the finer grid, of
    some windows only where all trajectories share the few numbers sought: their δ stands for that of all.

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
    slope, seen = torch.zeros_like(flat), torch.zeros_like(curvature.shared)
    diverged = torch.zeros(1, dtype=torch.float64)
    windows = _enough_windows(objective)
    try:
        for batch in chunks:
            if not few_directions(objective):
                slope += _slope(objective, fine, flat, batch)
                continue
            of_chunk, matrix = _forward_slope(objective, fine, flat, batch, windows)
            slope += of_chunk
            seen += matrix
    except DivergedError:  # the other processes wait for this one's sums
        diverged += 1
    slope, seen, diverged = total(slope), total(seen), total(diverged)
    if diverged > 0:
        return None, "the error of the grid was not estimated: the rollout on a grid twice as fine diverges"
    if len(windows) < len(objective.problem.windows):  # of what all windows tell, these tell a share
        slope = slope / (torch.linalg.solve(curvature.shared, seen).trace() / len(seen))
    return -curvature.solve(*objective.split(slope)), ""


def _enough_windows(objective: Objective) -> set[tuple[int, int]]:
    """Some windows, so few that the finer grid costs about as much as an evaluation."""
    windows = objective.problem.windows
    number = max(_FEWEST_WINDOWS, len(windows) // 2**objective.problem.domain.dimension)
    if objective.num_own or not few_directions(objective) or number >= len(windows):
        return set(windows)
    return {windows[i * len(windows) // number] for i in range(number)}


def _slope(objective: Objective, fine: Objective, flat: Tensor, batch: Batch) -> Float[Tensor, " P"]:
    """Σ w ∂rᵀ (r' - r) over a chunk."""
    with torch.no_grad():
        finer = fine.residual(fine.select(fine.unflatten(flat), batch), batch)
    with torch.enable_grad():
        numbers = flat.detach().clone().requires_grad_()
        residual = objective.residual(objective.select(objective.unflatten(numbers), batch), batch)
        return torch.autograd.grad(
            (_weights(objective, residual, batch) * (finer - residual.detach()) * residual).sum(), numbers
        )[0]


@torch.no_grad()
def _forward_slope(
    objective: Objective, fine: Objective, flat: Tensor, batch: Batch, windows: set[tuple[int, int]]
) -> tuple[Float[Tensor, " P"], Float[Tensor, "S S"]]:
    """Σ w ∂rᵀ (r' - r) and, of shared numbers, Σ w ∂r ∂rᵀ over some windows of a chunk."""
    names = zip(batch["trajectory"].tolist(), batch["start"].tolist(), strict=True)
    rows = torch.tensor([window in windows for window in names], device=batch["target"].device)
    if not bool(rows.any()):
        return torch.zeros_like(flat), torch.zeros(objective.num_shared, objective.num_shared, dtype=flat.dtype)
    residual, found = linearised(objective, objective.select(objective.unflatten(flat), batch), batch)
    some = {name: values[rows] for name, values in batch.items()}
    finer = fine.residual(fine.select(fine.unflatten(flat), some), some)
    along = torch.cat([found[name] for name in (*objective.shared, *objective.own)])[:, rows]
    weighted = (_weights(objective, finer, some) * along).flatten(2)
    slopes = (weighted * (finer - residual[rows]).flatten(1)).sum(dim=2)
    matrix = torch.einsum("pbn,qbn->pq", weighted, along.flatten(2))[: objective.num_shared, : objective.num_shared]
    return over_windows(objective, slopes.T, some), matrix.cpu()


def _weights(objective: Objective, residual: Tensor, batch: Batch) -> Float[Tensor, "B 1 ..."]:
    """Of observed windows, to be multiplied with residuals."""
    return (objective.weights(batch) * batch["observed"]).reshape(-1, *(1,) * (residual.ndim - 1))
