"""How the misfit of windows changes with each free number, by forward-mode differentiation."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad

from burgerslab.inversion.objective import Batch, Free, Objective

# Values of the copies of a chunk that are followed at once, one copy for each direction.
_MOST_VALUES = 2_000_000


def sensitivities(objective: Objective, own: Free, batch: Batch) -> dict[str, Float[Tensor, "Q B S C *N"]]:
    """∂ residual / ∂ free number, for the windows of a chunk.

    A free number that a trajectory has of its own changes the windows of that trajectory alone: all trajectories
    follow their number q at once. Memory does not grow with the number of steps.

    Args:
        objective: The misfit.
        own: Where the derivative is taken, from `Objective.select`.
        batch: The chunk, float64.
    """
    result = {}
    for name, values in own.items():
        num_free = values.shape[-1]
        if objective.learnables[name].per_trajectory:
            size = max(1, _MOST_VALUES // batch["target"].numel())
            groups = [range(first, min(num_free, first + size)) for first in range(0, num_free, size)]
            result[name] = torch.cat([_along_copies(objective, own, batch, name, group) for group in groups])
        else:
            result[name] = torch.stack([_along(objective, own, batch, name, q) for q in range(num_free)])
    return result


def _along(objective: Objective, own: Free, batch: Batch, name: str, direction: int) -> Tensor:
    """Along one free number that all trajectories share."""
    tangent = torch.zeros_like(own[name])
    tangent[direction] = 1.0
    return _derivative(objective, own, batch, name, tangent)


def _along_copies(objective: Objective, own: Free, batch: Batch, name: str, directions: range) -> Tensor:
    """Along free numbers that each trajectory has of its own, in copies of the windows, one for each."""
    num_copies, num_windows = len(directions), len(batch["target"])
    copies = {key: values.repeat(num_copies, *(1,) * (values.ndim - 1)) for key, values in batch.items()}
    repeated = {
        key: values.repeat(num_copies, 1) if objective.learnables[key].per_trajectory else values
        for key, values in own.items()
    }
    tangent = torch.zeros_like(repeated[name])
    for copy, direction in enumerate(directions):
        tangent[copy * num_windows : (copy + 1) * num_windows, direction] = 1.0
    return _derivative(objective, repeated, copies, name, tangent).unflatten(0, (num_copies, num_windows))


def _derivative(objective: Objective, own: Free, batch: Batch, name: str, tangent: Tensor) -> Tensor:
    with torch.no_grad(), forward_ad.dual_level():
        dual = {**own, name: forward_ad.make_dual(own[name], tangent)}
        derivative = forward_ad.unpack_dual(objective.residual(dual, batch)).tangent
    if derivative is None:
        raise ValueError(f"the rollout does not depend on {name}; its scheme must be differentiable")
    return derivative
