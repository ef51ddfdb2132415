"""The Gauss-Newton matrix of a misfit whose trajectories have free numbers of their own."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import functional

from burgerslab.inversion.diverged_together import raise_together
from burgerslab.inversion.objective import Batch, Objective
from burgerslab.inversion.solvable import Total
from burgerslab.inversion.window_products import products
from burgerslab.physics import DivergedError


@dataclass(frozen=True)
class ArrowMatrix:
    """A symmetric matrix over shared numbers and numbers of each trajectory; trajectories do not couple.

    Args:
        shared: ``(P, P)``.
        coupling: ``(trajectory, P, Q)``, shared times own.
        own: ``(trajectory, Q, Q)``.
    """

    shared: Float[Tensor, "P P"]
    coupling: Float[Tensor, "W P Q"]
    own: Float[Tensor, "W Q Q"]

    def __add__(self, other: "ArrowMatrix") -> "ArrowMatrix":
        """Entry by entry."""
        return ArrowMatrix(self.shared + other.shared, self.coupling + other.coupling, self.own + other.own)

    @property
    def is_finite(self) -> bool:
        """Whether no entry is infinite or not a number."""
        return all(bool(torch.isfinite(part).all()) for part in (self.shared, self.coupling, self.own))

    def scaled(self, factor: float) -> "ArrowMatrix":
        """Entry by entry."""
        return ArrowMatrix(factor * self.shared, factor * self.coupling, factor * self.own)

    def with_all_but_own_diagonal_removed(self) -> "ArrowMatrix":
        """Without coupling, and own numbers without each other."""
        diagonal = torch.diag_embed(self.own.diagonal(dim1=1, dim2=2))
        return ArrowMatrix(self.shared, torch.zeros_like(self.coupling), diagonal)

    def dense(self) -> Float[Tensor, "F F"]:
        """The whole matrix, shared numbers first, then those of one trajectory after the other."""
        num_rows, num_shared, num_own = self.coupling.shape
        coupling = self.coupling.transpose(0, 1).reshape(num_shared, num_rows * num_own)
        own = torch.block_diag(*self.own) if num_own else self.shared[:0, :0]
        return torch.cat([torch.cat([self.shared, coupling], dim=1), torch.cat([coupling.mT, own], dim=1)])

    def gains(self) -> Float[Tensor, "W Q P"]:
        """own⁻¹ couplingᵀ: by how much a trajectory's best numbers fall when shared ones rise."""
        return torch.cholesky_solve(self.coupling.mT, torch.linalg.cholesky(self.own))

    def schur(self) -> Float[Tensor, "P P"]:
        """What the data say of the shared numbers when all others are fitted, too."""
        return self.shared - (self.coupling @ self.gains()).sum(dim=0)

    def solve(self, shared: Float[Tensor, " P"], own: Float[Tensor, "W Q"]) -> Float[Tensor, " F"]:
        """The vector, shared numbers first, that this matrix takes to a given one."""
        if not len(own[0] if len(own) else own):
            return torch.linalg.solve(self.shared, shared)
        factor = torch.linalg.cholesky(self.own)
        alone = torch.cholesky_solve(own[..., None], factor)
        found = torch.linalg.solve(self.schur(), shared - (self.coupling @ alone).sum(dim=0)[:, 0])
        rest = alone[..., 0] - self.gains() @ found
        return torch.cat([found, rest.reshape(-1)])


def gauss_newton(
    objective: Objective, flat: Float[Tensor, " F"], batches: Iterable[Batch], total: Total, weighted: bool = True
) -> tuple[float, ArrowMatrix]:
    """Σ w r² and Σ w ∂r ∂rᵀ over all windows of all processes, r the residuals.

    Args:
        objective: The misfit.
        flat: All free numbers.
        batches: The chunks of this process.
        total: Adds a tensor up over the processes.
        weighted: With the weights that residuals have in the objective; otherwise the observed ones count 1 and
            generated ones 0.

    Raises:
        DivergedError: If the rollout is not finite in any process; raised in all of them.
    """
    value, error = torch.zeros(1, dtype=torch.float64), None
    matrix, shared = _zeros(objective), slice(1, 1 + objective.num_shared)
    own = slice(shared.stop, None)
    try:
        for batch in batches:
            weights = objective.weights(batch) if weighted else batch["observed"].to(torch.float64)
            found = (weights[:, None, None] * products(objective, flat, batch)).cpu()
            rows = torch.tensor(objective.problem.rows(batch["trajectory"].tolist()))
            value += found[:, 0, 0].sum()
            matrix.shared.add_(found[:, shared, shared].sum(dim=0))
            matrix.coupling.index_add_(0, rows, found[:, shared, own])
            matrix.own.index_add_(0, rows, found[:, own, own])
    except DivergedError as diverged:
        error = diverged
    raise_together(error, total)
    parts = (total(part) for part in (matrix.shared, matrix.coupling, matrix.own))
    return float(total(value)), ArrowMatrix(*parts)


@torch.no_grad()
def value_of_misfit(objective: Objective, flat: Float[Tensor, " F"], batches: Iterable[Batch], total: Total) -> float:
    """The first of what `gauss_newton` returns, for the price of a rollout.

    Raises:
        DivergedError: If the rollout is not finite in any process; raised in all of them.
    """
    value, error = torch.zeros(1, dtype=torch.float64), None
    try:
        for batch in batches:
            value += objective.misfit(objective.unflatten(flat), batch).cpu()
    except DivergedError as diverged:
        error = diverged
    raise_together(error, total)
    return float(total(value))


def curvature_of_regularisation(objective: Objective, flat: Float[Tensor, " F"]) -> ArrowMatrix:
    """Half the second derivative of roughness and priors, as that of `gauss_newton` is half that of the misfit."""
    shared, own = objective.split(flat)

    def value(numbers: Tensor, rows: Tensor) -> Tensor:
        regular = objective.regularisation(objective.unflatten(torch.cat([numbers, rows.reshape(-1)])))
        nothing = 0.0 * (numbers.sum() + rows.sum())
        return nothing if regular is None else regular + nothing

    total = _zeros(objective)
    if objective.num_shared:
        total.shared.add_(functional.hessian(lambda numbers: value(numbers, own), shared) / 2)
    for column in range(objective.num_own):  # of all trajectories at once, since they do not couple
        direction = torch.zeros_like(own)
        direction[:, column] = 1.0
        total.own[:, column] = functional.hvp(lambda rows: value(shared, rows), own, direction)[1] / 2
    return total


def _zeros(objective: Objective) -> ArrowMatrix:
    shared, own, rows = objective.num_shared, objective.num_own, objective.num_rows
    sizes = (shared, shared), (rows, shared, own), (rows, own, own)
    return ArrowMatrix(*(torch.zeros(size, dtype=torch.float64) for size in sizes))
