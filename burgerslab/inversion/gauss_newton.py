"""The Gauss-Newton matrix of a misfit whose trajectories have free numbers of their own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import functional

from burgerslab.inversion.objective import Batch, Free, Objective
from burgerslab.inversion.sensitivity import sensitivities


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


def gauss_newton(objective: Objective, free: Free, batches: Iterable[Batch], weighted: bool = True) -> ArrowMatrix:
    """Σ w ∂r ∂rᵀ over chunks of windows, r the residuals.

    Args:
        objective: The misfit.
        free: Where it is taken.
        batches: The chunks; matrices of several sets add up.
        weighted: With the weights that residuals have in the objective; otherwise the observed ones count 1 and
            generated ones 0.
    """
    total = _zeros(objective)
    for batch in batches:
        found = sensitivities(objective, objective.select(free, batch), batch)
        weights = objective.weights(batch) if weighted else batch["observed"].to(torch.float64)
        shared, own = (_stacked(found, names, batch) for names in (objective.shared, objective.own))
        rows = torch.tensor(objective.problem.rows(batch["trajectory"].tolist()))
        total.shared.add_(torch.einsum("pbn,qbn,b->pq", shared, shared, weights).cpu())
        total.coupling.index_add_(0, rows, torch.einsum("pbn,qbn,b->bpq", shared, own, weights).cpu())
        total.own.index_add_(0, rows, torch.einsum("pbn,qbn,b->bpq", own, own, weights).cpu())
    return total


def curvature_of_regularisation(objective: Objective, free: Free) -> ArrowMatrix:
    """Half the second derivative of roughness and priors, as `gauss_newton` is half that of the misfit."""
    shared, own = objective.split(objective.flatten(free))

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


def _stacked(found: dict[str, Tensor], names: Sequence[str], batch: Batch) -> Float[Tensor, "Q B M"]:
    """Sensitivities of several parameters, the values of each window in a row."""
    if not names:
        return batch["target"].new_zeros((0, len(batch["target"]), 1))
    return torch.cat([found[name] for name in names]).flatten(2)
