"""The weight of generated windows that their disagreement with the data allows."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from scipy.stats import chi2
from torch import Tensor

from burgerslab.inversion.diverged_together import raise_together
from burgerslab.inversion.gauss_newton import ArrowMatrix
from burgerslab.inversion.objective import Batch, Objective
from burgerslab.inversion.solvable import Total
from burgerslab.inversion.window_products import products
from burgerslab.physics import DivergedError

# Of the largest curvature: what windows do not tell counts as told this little.
_SMALLEST = 1e-12
_NUM_HALVINGS = 60
# Probability that the variance is smaller than was claimed.
_RISK = 0.05


def calibrate(
    objective: Objective, flat: Float[Tensor, " P"], batches: Iterable[Batch], total: Total
) -> ArrowMatrix | None:
    """Set the weight of generated windows so that they claim no more than they agree with the observed ones.

    The P numbers that all trajectories share are told by two sources: by the data, with the covariance V that their
    noise leaves, and by the generated windows, with (w n H / σ²)⁻¹, where H is their curvature, n the number of
    observed values and σ² the variance of the data's residuals. Errors of a surrogate are alike in all its windows,
    so that the claim must come from what it is off, not from how many windows there are: if both covariances are
    right, the difference c of what the two sources alone would find has cᵀ (V + (w n H / σ²)⁻¹)⁻¹ c distributed as χ²
    of P degrees of freedom. (Paule and Mandel, J. Res. NBS 87 (1982) 377, find the variance between laboratories from
    that.) P numbers tell a variance but roughly; w is such that it is at the upper end of its one-sided 95 %
    interval, and at most that of `Objective.balance`. One number is then moved by less than 7 % of its standard
    deviation, and by hardly anything if the windows are far off; a number that the data do not tell is left to the
    generated windows.

    Both minima are those of Gauss-Newton's parabolas.

    Args:
        objective: Gets the weight.
        flat: Free numbers about which it is expanded.
        batches: The chunks of this process.
        total: Adds a tensor up over the processes.

    Returns:
        The curvature of the misfit with that weight, as `gauss_newton` finds it; None if nothing was generated.

    Raises:
        DivergedError: If the rollout from there is not finite.
    """
    objective.interaction_weight = 1.0
    if not objective.problem.num_generated:
        return None
    matrices, error = (), None
    try:
        matrices = _with_residuals(objective, flat, batches)
    except DivergedError as diverged:
        error = diverged
    raise_together(error, total)
    observed, generated = (
        ArrowMatrix(total(matrix.shared), total(matrix.coupling), total(matrix.own)) for matrix in matrices
    )
    num_shared = objective.num_shared
    sizes = [float(matrix.shared[-1, -1]) for matrix in (observed, generated)]
    weight = sizes[0] / sizes[1] if sizes[1] > 0 else 1.0
    if num_shared:
        num_values = objective.problem.num_observed / objective.problem.overlap
        weight = largest_weight(_reduced(observed), _reduced(generated), num_values - objective.num_free, weight)
    objective.interaction_weight = weight
    both = observed + generated.scaled(weight)
    return ArrowMatrix(both.shared[:num_shared, :num_shared], both.coupling[:, :num_shared], both.own)


def largest_weight(
    observed: Float[Tensor, "Q Q"], generated: Float[Tensor, "Q Q"], freedom: float, most: float
) -> float:
    """The largest weight at which two parabolas of P numbers do not contradict each other.

    Args:
        observed: Curvature of a mean square over the observed values, ``(P, P)``, half its gradient, in the last row
            and column, and in the corner its size.
        generated: The same over the generated values.
        freedom: Number of the observed values, less those that were fitted to them.
        most: What the weight may not exceed.
    """
    values, vectors = torch.linalg.eigh(observed[:-1, :-1])
    values = values.clamp_min(max(_SMALLEST * float(values[-1]), 1e-300))
    # In the coordinates z the curvature of the observed values is 1.
    to_z = (vectors * values.rsqrt()).mT
    levels, turn = torch.linalg.eigh(to_z @ generated[:-1, :-1] @ to_z.mT)
    levels = levels.clamp_min(_SMALLEST)
    of_observed = turn.mT @ to_z @ observed[:-1, -1]
    of_generated = turn.mT @ to_z @ generated[:-1, -1] / levels
    variance = (observed[-1, -1] - of_observed.square().sum()).clamp_min(1e-300) / max(1.0, freedom)
    squares = (of_generated - of_observed).square() / variance

    def contradiction(weight: float) -> float:
        return float((squares * weight * levels / (1 + weight * levels)).sum())

    allowed = float(chi2.ppf(_RISK, len(levels)))
    if contradiction(most) <= allowed:
        return most
    low, high = 0.0, most
    for _ in range(_NUM_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if contradiction(middle) <= allowed else (low, middle)
    return low


def _reduced(matrix: ArrowMatrix) -> Float[Tensor, "Q Q"]:
    """What is left of a parabola when the numbers of each trajectory are at their best."""
    scale = (
        matrix.own.diagonal(dim1=1, dim2=2).amax(dim=1, keepdim=True) if matrix.own.shape[1] else matrix.own.sum(2)
    )
    floors = torch.where(scale > 0, _SMALLEST * scale, 1.0).expand(matrix.own.shape[:2])
    return ArrowMatrix(matrix.shared, matrix.coupling, matrix.own + torch.diag_embed(floors)).schur()


def _with_residuals(
    objective: Objective, flat: Float[Tensor, " P"], batches: Iterable[Batch]
) -> tuple[ArrowMatrix, ArrowMatrix]:
    """Σ w ∂r ∂rᵀ over observed windows and over generated ones, the residual itself being the last shared ∂r."""
    rows, shared, own = objective.num_rows, objective.num_shared + 1, objective.num_own
    sizes = (shared, shared), (rows, shared, own), (rows, own, own)
    matrices = tuple(ArrowMatrix(*(torch.zeros(size, dtype=torch.float64) for size in sizes)) for _ in range(2))
    order = [*range(1, shared), 0]
    for batch in batches:
        found = (objective.weights(batch)[:, None, None] * products(objective, flat, batch)).cpu()
        numbers = torch.tensor(objective.problem.rows(batch["trajectory"].tolist()))
        is_observed = batch["observed"].cpu()
        for matrix, counts in zip(matrices, (is_observed, ~is_observed), strict=True):
            part = found * counts[:, None, None]
            matrix.shared.add_(part[:, order][:, :, order].sum(dim=0))
            matrix.coupling.index_add_(0, numbers, part[:, order][:, :, shared:])
            matrix.own.index_add_(0, numbers, part[:, shared:, shared:])
    return matrices
