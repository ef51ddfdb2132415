"""An affine change of variables in which the objective is round, so that L-BFGS-B needs few evaluations."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from burgerslab.inversion.gauss_newton import ArrowMatrix
from burgerslab.inversion.learnable import Bound
from burgerslab.inversion.objective import Objective

# Of the largest curvature: what the data do not tell is not blown up further.
_SMALLEST = 1e-10
# Free numbers are of order 1. Where the start tells little of one (a viscosity while nothing is advected), its
# curvature asks for a first step of many orders of magnitude, from which the solver needs long to come back.
_LARGEST_SCALE = 1.0


@dataclass(frozen=True)
class Conditioning:
    """shared = o + T y_shared and own = q + L⁻ᵀ y_own - G (shared - o): in y the objective has unit curvature.

    Free numbers with bounds are scaled alone, so that their bounds stay bounds; those without are turned, and sheared
    so that a step in a number with bounds takes along what they would best change by. Likewise a step in a shared
    number takes along those of each trajectory. Own numbers that have bounds, too, are scaled alone.

    The curvature of a shared number with bounds is less than 1 where its scale would be above 1: the first step,
    which scipy takes as long as the gradient, then changes none by more than √2, be its curvature ever so small.

    Args:
        turn: T, ``(P, P)``; the column of a number with bounds has its scale on the diagonal, and so has its row
            nothing else.
        origin: o, shared numbers where the curvature was taken, ``(P,)``; y is 0 there, to the last bit.
        own_origin: q, those of each trajectory there, ``(trajectory, Q)``.
        gains: G, ``(trajectory, Q, P)``.
        factor: Lower Cholesky factor L of the own curvature, ``(trajectory, Q, Q)``.
    """

    turn: Float[Tensor, "P P"]
    origin: Float[Tensor, " P"]
    own_origin: Float[Tensor, "W Q"]
    gains: Float[Tensor, "W Q P"]
    factor: Float[Tensor, "W Q Q"]

    @classmethod
    def of(cls, curvature: ArrowMatrix, objective: Objective, flat: Float[Tensor, " N"]) -> "Conditioning":
        """From the curvature of the objective at some free numbers."""
        origin, own = objective.split(flat)
        has_bounds = torch.tensor([low is not None or high is not None for low, high in objective.bounds()]).bool()
        if bool(has_bounds[objective.num_shared :].any()):
            curvature = curvature.with_all_but_own_diagonal_removed()
        largest = curvature.own.diagonal(dim1=1, dim2=2).amax(dim=1) if own.shape[1] else own.sum(dim=1)
        floors = (_SMALLEST * largest).clamp_min(1e-300)[:, None, None] * torch.eye(own.shape[1], dtype=own.dtype)
        safe = ArrowMatrix(curvature.shared, curvature.coupling, curvature.own + floors)
        turn = _turn(_safe(safe.schur()), has_bounds[: objective.num_shared])
        return cls(turn, origin, own, safe.gains(), torch.linalg.cholesky(safe.own))

    def to_flat(self, rounded: Float[Tensor, " N"], objective: Objective) -> Float[Tensor, " N"]:
        """All free numbers in a row, from y; differentiable."""
        y_shared, y_own = objective.split(rounded)
        step = self.turn @ y_shared
        turned = torch.linalg.solve_triangular(self.factor.mT, y_own[..., None], upper=True)[..., 0]
        own = self.own_origin + turned - self.gains @ step
        return torch.cat([self.origin + step, own.reshape(-1)])

    def to_rounded(self, flat: Float[Tensor, " N"], objective: Objective) -> Float[Tensor, " N"]:
        """The inverse of `to_flat`."""
        shared, own = objective.split(flat)
        step = shared - self.origin
        unsheared = own - self.own_origin + self.gains @ step
        y_own = (self.factor.mT @ unsheared[..., None])[..., 0]
        return torch.cat([torch.linalg.solve(self.turn, step), y_own.reshape(-1)])

    def bounds(self, objective: Objective) -> list[Bound]:
        """Bounds of y."""
        own_scale = self.factor.diagonal(dim1=1, dim2=2).reciprocal().reshape(-1)
        scales = torch.cat([self.turn.diagonal(), own_scale]).tolist()
        origins = torch.cat([self.origin, self.own_origin.reshape(-1)]).tolist()
        return [
            (None if low is None else (low - origin) / scale, None if high is None else (high - origin) / scale)
            for (low, high), origin, scale in zip(objective.bounds(), origins, scales, strict=True)
        ]


def _safe(matrix: Float[Tensor, "P P"]) -> Float[Tensor, "P P"]:
    """Positive definite: eigenvalues that are too small, or below zero by rounding, are raised."""
    if not len(matrix):
        return matrix
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    return (vectors * values.clamp_min(max(_SMALLEST * float(values[-1]), 1e-300))) @ vectors.mT


def _turn(curvature: Float[Tensor, "P P"], has_bounds: Bool[Tensor, " P"]) -> Float[Tensor, "P P"]:
    """T: Tᵀ curvature T is 1 but for what numbers with bounds have to do with each other."""
    fixed, free = has_bounds.nonzero()[:, 0], (~has_bounds).nonzero()[:, 0]
    turn = torch.zeros_like(curvature)
    factor = torch.linalg.cholesky(curvature[free][:, free])
    shear = torch.cholesky_solve(curvature[free][:, fixed], factor)
    left = curvature[fixed][:, fixed] - curvature[fixed][:, free] @ shear
    scale = left.diagonal().clamp_min(_LARGEST_SCALE**-2).rsqrt()
    turn[fixed, fixed] = scale
    turn[free[:, None], fixed] = -shear * scale
    identity = torch.eye(len(free), dtype=curvature.dtype)
    turn[free[:, None], free] = torch.linalg.solve_triangular(factor.mT, identity, upper=True)
    return turn
