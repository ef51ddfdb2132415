"""An affine change of variables in which the objective is round, so that L-BFGS-B needs few evaluations."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
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
    """shared = s · y_shared and own = L⁻ᵀ y_own - G (shared - origin): in y the objective has unit curvature.

    Or less: s is 1 at most, so that the first step, which scipy takes as long as the gradient, changes no shared
    number by more than √2, be its curvature ever so small.

    Shared numbers are scaled alone, so that their bounds stay bounds. Those of a trajectory are turned and sheared: a
    step in a shared number takes along what they would best change by. Where they have bounds, too, they are scaled
    alone.

    Args:
        scale: s, ``(P,)``.
        origin: Shared numbers where the curvature was taken, ``(P,)``.
        gains: G, ``(trajectory, Q, P)``.
        factor: Lower Cholesky factor L of the own curvature, ``(trajectory, Q, Q)``.
    """

    scale: Float[Tensor, " P"]
    origin: Float[Tensor, " P"]
    gains: Float[Tensor, "W Q P"]
    factor: Float[Tensor, "W Q Q"]

    @classmethod
    def of(cls, curvature: ArrowMatrix, objective: Objective, flat: Float[Tensor, " N"]) -> "Conditioning":
        """From the curvature of the objective at some free numbers."""
        origin, own = objective.split(flat)
        scale = curvature.shared.diagonal().clamp_min(_LARGEST_SCALE**-2).rsqrt()
        if any(bound is not None for pair in objective.bounds()[objective.num_shared :] for bound in pair):
            curvature = curvature.with_all_but_own_diagonal_removed()
        largest = curvature.own.diagonal(dim1=1, dim2=2).amax(dim=1) if own.shape[1] else own.sum(dim=1)
        floors = (_SMALLEST * largest).clamp_min(1e-300)[:, None, None] * torch.eye(own.shape[1], dtype=own.dtype)
        safe = ArrowMatrix(curvature.shared, curvature.coupling, curvature.own + floors)
        return cls(scale, origin, safe.gains(), torch.linalg.cholesky(safe.own))

    def to_flat(self, rounded: Float[Tensor, " N"], objective: Objective) -> Float[Tensor, " N"]:
        """All free numbers in a row, from y; differentiable."""
        y_shared, y_own = objective.split(rounded)
        shared = self.scale * y_shared
        turned = torch.linalg.solve_triangular(self.factor.mT, y_own[..., None], upper=True)[..., 0]
        own = turned - self.gains @ (shared - self.origin)
        return torch.cat([shared, own.reshape(-1)])

    def to_rounded(self, flat: Float[Tensor, " N"], objective: Objective) -> Float[Tensor, " N"]:
        """The inverse of `to_flat`."""
        shared, own = objective.split(flat)
        unsheared = own + self.gains @ (shared - self.origin)
        y_own = (self.factor.mT @ unsheared[..., None])[..., 0]
        return torch.cat([shared / self.scale, y_own.reshape(-1)])

    def bounds(self, objective: Objective) -> list[Bound]:
        """Bounds of y."""
        own_scale = self.factor.diagonal(dim1=1, dim2=2).reciprocal().reshape(-1)
        scales = torch.cat([self.scale, own_scale]).tolist()
        return [
            (None if low is None else low / scale, None if high is None else high / scale)
            for (low, high), scale in zip(objective.bounds(), scales, strict=True)
        ]
