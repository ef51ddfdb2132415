"""Rollouts that run away."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class DivergedError(ValueError):
    """A rollout became infinite or not a number."""


def check_finite(frames: Float[Tensor, "B T C *N"], dt: float, first: int = 1) -> None:
    """Refuse frames that are not finite.

    Args:
        frames: Frames of a rollout.
        dt: Time between them, units T.
        first: Number of the first of them.

    Raises:
        DivergedError: Says which trajectory and frame is the first.
    """
    finite: Bool[Tensor, "B T"] = torch.isfinite(frames).flatten(2).all(dim=2)
    if bool(finite.all()):
        return
    trajectory = int((~finite).any(dim=1).nonzero()[0])
    frame = int((~finite[trajectory]).nonzero()[0]) + first
    num_bad = int((~finite).any(dim=1).sum())
    raise DivergedError(
        f"the rollout is not finite in {num_bad} of {len(frames)} trajectories, first in trajectory {trajectory} at "
        f"frame {frame} (time {frame * dt:.3g}). Use more substeps, a finer resolution or refine (the cell Péclet "
        "number |u| dx / viscosity should stay below 5) or a larger viscosity"
    )
