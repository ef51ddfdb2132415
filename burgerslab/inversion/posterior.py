"""How sure an inversion is: the Laplace approximation at its optimum."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd import functional

from burgerslab.inversion.gauss_newton import ArrowMatrix
from burgerslab.inversion.objective import Free, Objective

QUANTILE = 1.959963984540054
"""Half the width of a 95 % interval in standard deviations of a Gaussian."""

_LARGEST_CONDITION = 1e12
# Of values than of numbers that are fitted to them; less is rounding.
_FEWEST_MORE = 1e-6
# Share of a number, in squares, that lies along what the data do not tell.
_UNTOLD = 1e-6


@dataclass(frozen=True)
class Posterior:
    """Covariances of the free numbers, the noise estimated from the residuals.

    With the residuals r and H = Σ ∂r ∂rᵀ + σ² Λ, Λ the curvature of roughness and priors, the covariance is σ² H⁻¹,
    and σ² = Σ r² / (n - p) for n values, p being the trace of H⁻¹ Σ ∂r ∂rᵀ: the number of free numbers, less what
    roughness and priors say of them. Values that several windows share count once: n, Σ r² and Σ ∂r ∂rᵀ are divided
    by `Problem.overlap`. Unless there are more than p values, nothing is known.

    Args:
        noise_std: σ, units L/T.
        shared: Covariance of the free numbers that all trajectories share, ``(P, P)``; infinite where the data do
            not tell them.
        own: Covariance of those of each trajectory, ``(trajectory, Q, Q)``; infinite in the same case.
    """

    noise_std: float
    shared: Float[Tensor, "P P"]
    own: Float[Tensor, "W Q Q"]


@dataclass(frozen=True)
class Estimate:
    """A coefficient and its uncertainty, entry by entry in one shape.

    Args:
        value: The coefficient, in its units.
        std: Standard deviation to first order.
        low: Lower end of the 95 % interval.
        high: Upper end of the 95 % interval.
        shift: By how much the error of the grid is estimated to move the value, to be added to it; the interval, but
            not the standard deviation, makes allowance for as much. None if it is not known.
        noise_shift: The same of the noise of first frames that are taken for exact; None if it is not known, or there
            is none.
    """

    value: Tensor
    std: Tensor
    low: Tensor
    high: Tensor
    shift: Tensor | None = None
    noise_shift: Tensor | None = None

    def __str__(self) -> str:
        """One line: value, standard deviation and interval of a number, the ranges of a field."""
        if self.value.ndim == 0:
            return f"{self.value:.6g} ± {self.std:.2g}, 95 % interval {self.low:.6g} to {self.high:.6g}"
        shape = " x ".join(map(str, self.value.shape))
        return f"{shape} values from {self.value.min():.4g} to {self.value.max():.4g}, ± {self.std.max():.2g} at most"


def laplace(
    objective: Objective,
    information: ArrowMatrix,
    regular: ArrowMatrix,
    sum_of_squares: float,
) -> Posterior:
    """Covariances at the optimum.

    Args:
        objective: The misfit.
        information: Σ ∂r ∂rᵀ over the observed windows, not weighted, from `gauss_newton`.
        regular: From `curvature_of_regularisation`.
        sum_of_squares: Σ r² over the observed windows.
    """
    problem = objective.problem
    # J is the misfit over num_observed · scale²: its regularisation in the units of Σ r² / overlap.
    of_priors = regular.scaled(problem.num_observed * problem.scale**2 / problem.overlap)
    matrix = information.scaled(1 / problem.overlap) + of_priors
    alone, untold = _inverses(matrix.own)
    gains = alone @ matrix.coupling.mT
    shared = _inverse(matrix.shared - (matrix.coupling @ gains).sum(dim=0))
    own = alone + gains @ shared @ gains.mT
    from_priors = float((shared * of_priors.shared).sum() + (own * of_priors.own).sum())
    num_free = objective.num_free - (from_priors if math.isfinite(from_priors) else 0.0)
    freedom = problem.num_observed / problem.overlap - num_free
    variance = sum_of_squares / problem.overlap / max(1.0, freedom)
    if freedom < _FEWEST_MORE:
        return Posterior(math.sqrt(variance), *(torch.full_like(part, torch.inf) for part in (shared, own)))
    own = torch.where(untold[:, :, None] | untold[:, None, :], torch.inf, variance * own)
    return Posterior(math.sqrt(variance), variance * shared, own)


def estimates(
    objective: Objective,
    free: Free,
    posterior: Posterior,
    shift: Float[Tensor, " F"] | None = None,
    noise_shift: Float[Tensor, " F"] | None = None,
) -> dict[str, Estimate]:
    """Every coefficient with its standard deviation and interval.

    A coefficient that is a function of one free number each, a viscosity and its logarithm, has the interval of that
    number mapped; others have ± 1.96 standard deviations. With a shift δ of the free numbers, intervals are those of
    the covariance plus δ δᵀ.

    Args:
        objective: The misfit.
        free: Where it is least.
        posterior: Covariances there.
        shift: From `discretisation_shift`, ``(F,)``; None is not known.
        noise_shift: From `first_frame_noise`, ``(F,)``; None is not known.
    """
    wider = posterior
    for moved in (shift, noise_shift):
        if moved is not None:
            of_shared, of_own = objective.split(moved)
            wider = Posterior(
                posterior.noise_std,
                wider.shared + of_shared[:, None] * of_shared,
                wider.own + of_own[:, :, None] * of_own[:, None, :],
            )
    narrow, wide = _estimates(objective, free, posterior), _estimates(objective, free, wider)
    shifts, noise_shifts = (_of_coefficients(objective, free, moved) for moved in (shift, noise_shift))
    return {
        name: replace(
            narrow[name],
            low=wide[name].low,
            high=wide[name].high,
            shift=shifts.get(name),
            noise_shift=noise_shifts.get(name),
        )
        for name in objective.learnables
    }


def _of_coefficients(objective: Objective, free: Free, shift: Float[Tensor, " F"] | None) -> dict[str, Tensor]:
    """What a shift of the free numbers is to every coefficient, to first order."""
    if shift is None:
        return {}
    moved = objective.unflatten(shift)
    return {
        name: functional.jvp(
            lambda numbers, it=it: it.coefficient(numbers, objective.problem), free[name], moved[name]
        )[1]
        for name, it in objective.learnables.items()
    }


def _estimates(objective: Objective, free: Free, posterior: Posterior) -> dict[str, Estimate]:
    result = {}
    position = {"shared": 0, "own": 0}
    for name in (*objective.shared, *objective.own):
        learnable = objective.learnables[name]
        kind = "own" if learnable.per_trajectory else "shared"
        size = free[name].shape[-1]
        block = slice(position[kind], position[kind] + size)
        position[kind] += size
        covariance = posterior.own[:, block, block] if kind == "own" else posterior.shared[block, block]
        if size == 1:
            result[name] = _of_numbers(objective, name, free[name], covariance)
        elif kind == "shared":
            result[name] = _of_field(objective, name, free[name], covariance)
        else:
            rows = [
                _of_field(objective, name, row, matrix) for row, matrix in zip(free[name], covariance, strict=True)
            ]
            result[name] = Estimate(*(torch.stack(parts) for parts in zip(*map(_parts, rows), strict=True)))
    return result


def correlation(posterior: Posterior) -> Float[Tensor, "P P"]:
    """Correlation matrix of the shared free numbers."""
    std = posterior.shared.diagonal().sqrt()
    return posterior.shared / std[:, None] / std


def _of_numbers(objective: Objective, name: str, free: Tensor, covariance: Tensor) -> Estimate:
    learnable, problem = objective.learnables[name], objective.problem
    std_of_free = covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    value, slope = functional.jvp(
        lambda numbers: learnable.coefficient(numbers, problem), free, torch.ones_like(free)
    )
    ends = [learnable.coefficient(free + sign * QUANTILE * std_of_free, problem) for sign in (-1, 1)]
    low, high = torch.minimum(*ends), torch.maximum(*ends)
    return Estimate(value, (slope.abs() * std_of_free.reshape(slope.shape)), low, high)


def _of_field(objective: Objective, name: str, free: Tensor, covariance: Tensor) -> Estimate:
    learnable, problem = objective.learnables[name], objective.problem
    value = learnable.coefficient(free, problem)
    jacobian = functional.jacobian(lambda numbers: learnable.coefficient(numbers, problem), free).flatten(0, -2)
    std = torch.einsum("np,pq,nq->n", jacobian, covariance, jacobian).clamp_min(0).sqrt().reshape(value.shape)
    if not bool(torch.isfinite(covariance).all()):
        std = torch.full_like(value, torch.inf)
    return Estimate(value, std, value - QUANTILE * std, value + QUANTILE * std)


def _parts(estimate: Estimate) -> tuple[Tensor, ...]:
    return estimate.value, estimate.std, estimate.low, estimate.high


def _inverse(matrix: Float[Tensor, "P P"]) -> Float[Tensor, "P P"]:
    """Inverse of a symmetric matrix; infinite along what it does not determine."""
    if not len(matrix):
        return matrix
    scale = matrix.diagonal().clamp_min(1e-300).sqrt()
    values, vectors = torch.linalg.eigh(matrix / scale[:, None] / scale)
    if values[0] * _LARGEST_CONDITION <= values[-1]:
        return torch.full_like(matrix, torch.inf)
    return (vectors / values) @ vectors.T / scale[:, None] / scale


def _inverses(matrices: Float[Tensor, "W Q Q"]) -> tuple[Float[Tensor, "W Q Q"], Bool[Tensor, "W Q"]]:
    """Inverses of symmetric matrices, on what they determine; and which numbers they do not."""
    untold = torch.zeros(matrices.shape[:2], dtype=torch.bool)
    if not matrices.shape[1]:
        return matrices, untold
    scale = matrices.diagonal(dim1=1, dim2=2).clamp_min(0).sqrt()
    scale = torch.where(scale > 0, scale, 1.0)
    matrices = matrices / scale[:, :, None] / scale[:, None, :]
    factor, failed = torch.linalg.cholesky_ex(matrices)
    singular = (failed > 0) | (factor.diagonal(dim1=1, dim2=2).amin(dim=1) ** 2 * _LARGEST_CONDITION <= 1)
    factor[singular] = torch.eye(factor.shape[1], dtype=factor.dtype)
    inverses = torch.cholesky_inverse(factor)
    for row in singular.nonzero()[:, 0]:
        values, vectors = torch.linalg.eigh(matrices[row])
        kept = values * _LARGEST_CONDITION > values[-1].clamp_min(1e-300)
        inverses[row] = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
        untold[row] = vectors[:, ~kept].square().sum(dim=1) > _UNTOLD
    return inverses / scale[:, :, None] / scale[:, None, :], untold
