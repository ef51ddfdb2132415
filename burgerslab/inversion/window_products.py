"""What the misfit, its gradient and its Gauss-Newton matrix are sums of: products of residuals and sensitivities."""

import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.inversion.objective import Batch, Objective
from burgerslab.inversion.sensitivity import linearised

# Along up to so many directions, a rollout with its derivatives takes no longer than one with its backward pass.
_FEW = 2


def few_directions(objective: Objective) -> bool:
    """Whether forward differentiation is the cheapest way to the gradient."""
    return objective.num_shared + objective.num_own <= _FEW and objective.rollout.scheme.capturable


@torch.no_grad()
def products(objective: Objective, flat: Float[Tensor, " P"], batch: Batch) -> Float[Tensor, "B R R"]:
    """Σ a b over the values of every window, a and b its residual and its sensitivities.

    Row 0 is the residual, then come the shared free numbers and those of the window's trajectory. Few of them are
    kept until another point is asked for, since a solve looks more than once at its start and at its end.

    Args:
        objective: The misfit.
        flat: All free numbers.
        batch: The chunk, float64.

    Raises:
        DivergedError: If the rollout is not finite.
    """

    def compute() -> Float[Tensor, "B R R"]:
        residual, found = linearised(objective, objective.select(objective.unflatten(flat), batch), batch)
        names = (*objective.shared, *objective.own)
        rows = torch.cat([residual[None], *(found[name] for name in names)]).flatten(2).transpose(0, 1)
        return rows @ rows.mT

    return objective.kept.look_up(flat, batch, compute) if few_directions(objective) else compute()


def misfit(objective: Objective, flat: Float[Tensor, " P"], batch: Batch) -> Float[Tensor, ""]:
    """`Objective.misfit`, its gradient from `products` where that is cheap; such a one has no second derivative.

    Args:
        objective: The misfit.
        flat: All free numbers; the gradient flows to them.
        batch: The chunk, float64.

    Raises:
        DivergedError: If the rollout is not finite.
    """
    if not few_directions(objective):
        return objective.misfit(objective.unflatten(flat), batch)
    point = flat.detach()
    weighted = objective.weights(batch)[:, None] * products(objective, point, batch)[:, 0]
    gradient = 2 * over_windows(objective, weighted[:, 1:], batch)
    return (weighted[:, 0].sum().cpu() + gradient @ (flat - point)).to(batch["target"].device)


def over_windows(objective: Objective, of_windows: Float[Tensor, "B R"], batch: Batch) -> Float[Tensor, " F"]:
    """Sums over the windows of a chunk of one number for each shared free number and each of their trajectory."""
    shared, own = of_windows.cpu().split([objective.num_shared, objective.num_own], dim=1)
    rows = torch.tensor(objective.problem.rows(batch["trajectory"].tolist()))
    of_trajectories = own.new_zeros(objective.num_rows, objective.num_own).index_add_(0, rows, own)
    return torch.cat([shared.sum(dim=0), of_trajectories.reshape(-1)])
