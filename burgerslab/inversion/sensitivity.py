"""How the residual of windows changes with each free number, by forward-mode differentiation."""

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad

from burgerslab.inversion.objective import Batch, Free, Objective

# Values of all directions of a chunk that are followed at once.
_MOST_VALUES = 2_000_000

Tangents = dict[str, Tensor]
"""By name, the shape of the coefficient after a leading axis of directions."""


def sensitivities(objective: Objective, own: Free, batch: Batch) -> dict[str, Float[Tensor, "Q B S C *N"]]:
    """∂ residual / ∂ free number, for the windows of a chunk; see `linearised`."""
    return linearised(objective, own, batch)[1]


def linearised(
    objective: Objective, own: Free, batch: Batch
) -> tuple[Float[Tensor, "B S C *N"], dict[str, Float[Tensor, "Q B S C *N"]]]:
    """The residual, and ∂ residual / ∂ free number, for the windows of a chunk.

    A free number that a trajectory has of its own changes the windows of that trajectory alone: all trajectories
    follow their number q at once. Many numbers are followed in one rollout, along as many directions. Memory does not
    grow with the number of steps.

    Args:
        objective: The misfit.
        own: Where the derivative is taken, from `Objective.select`.
        batch: The chunk, float64.

    Raises:
        DivergedError: If the rollout is not finite.
        ValueError: If a coefficient that is learned does not change the rollout.
    """
    device = batch["target"].device
    coefficients = {"viscosity": batch["viscosity"], "initial_state": batch["initial"]}
    tangents: Tangents = {}
    for name, learnable in objective.learnables.items():
        coefficients[name] = learnable.coefficient(own[name], objective.problem).detach().to(device)
        rows = [_tangent(objective, own, name, q) for q in range(own[name].shape[-1])]
        tangents[name] = torch.stack(rows).to(device)
    numbers = [(name, q) for name, rows in tangents.items() for q in range(len(rows))]
    num_groups = math.ceil(len(numbers) / max(1, _MOST_VALUES // batch["initial"].numel()))
    size = math.ceil(len(numbers) / num_groups)  # alike, since a step is recorded for each size
    parts = [
        _followed(objective, coefficients, _directions(coefficients, tangents, numbers[first : first + size], size))
        for first in range(0, len(numbers), size)
    ]
    residual = parts[0][0] - torch.cat([batch["initial"][:, None], batch["target"]], dim=1)
    derivatives = torch.cat([part for _, part in parts])[: len(numbers)]
    if "mask" in batch:
        residual, derivatives = (torch.where(batch["mask"], part, 0.0) for part in (residual, derivatives))
    if not objective.learns_initial_state:
        residual, derivatives = residual[:, 1:], derivatives[:, :, 1:]
    return residual, dict(zip(tangents, derivatives.split([len(rows) for rows in tangents.values()]), strict=True))


def _tangent(objective: Objective, own: Free, name: str, direction: int) -> Float[Tensor, "*V"]:
    """∂ coefficient / ∂ one free number, of all trajectories at once where each has its own."""
    along = torch.zeros_like(own[name])
    along[..., direction] = 1.0
    with torch.no_grad(), forward_ad.dual_level():
        dual = forward_ad.make_dual(own[name], along)
        tangent = forward_ad.unpack_dual(objective.learnables[name].coefficient(dual, objective.problem)).tangent
    if tangent is None:
        raise ValueError(f"{name} does not depend on its free number {direction}; make its coefficient do so")
    return tangent


def _directions(
    coefficients: Mapping[str, Tensor], tangents: Tangents, numbers: Sequence[tuple[str, int]], size: int
) -> Tangents:
    """Directions along some free numbers, filled up with zeros."""
    result = {name: coefficients[name].new_zeros(size, *coefficients[name].shape) for name in tangents}
    for row, (name, q) in enumerate(numbers):
        result[name][row] = tangents[name][q]
    return result


def _followed(
    objective: Objective, coefficients: Mapping[str, Tensor], directions: Tangents
) -> tuple[Float[Tensor, "B T C *N"], Float[Tensor, "K B T C *N"]]:
    """The frames and their derivatives, of the initial one too."""
    given = dict(coefficients)
    initial = given.pop("initial_state")
    size = len(next(iter(directions.values())))
    first = directions.get("initial_state", initial.new_zeros(size, *initial.shape))
    along = {name: tangent for name, tangent in directions.items() if name != "initial_state"}
    rollout, num_steps = objective.rollout, objective.problem.num_steps
    if rollout.scheme.capturable:
        along["velocity"] = first
        stream = rollout.sensitivities(initial, num_frames=num_steps, directions=along, **given)
        frames, derivatives = zip((initial, first), *stream, strict=True)
        return torch.stack(frames, dim=1), torch.stack(derivatives, dim=2)
    rows = []
    with torch.no_grad():
        for row in range(size):
            with forward_ad.dual_level():
                duals = {name: forward_ad.make_dual(given[name], tangent[row]) for name, tangent in along.items()}
                start = forward_ad.make_dual(initial, first[row])
                later, tangent = forward_ad.unpack_dual(rollout(start, num_frames=num_steps, **{**given, **duals}))
                rows.append(tangent)
    return torch.cat([initial[:, None], later], dim=1), torch.cat([first[:, :, None], torch.stack(rows)], dim=2)
