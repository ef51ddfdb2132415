"""The loss where only part of a window is observed."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def require_complete(mask: Bool[Tensor, "B 1 *N"]) -> None:
    """Refuse initial frames of which a network would read placeholders.

    Args:
        mask: True where the initial frames are observed.

    Raises:
        ValueError: If something is hidden; says what to set.
    """
    hidden = (~mask).sum().item()
    if hidden:
        raise ValueError(
            f"data.observation hides {hidden} of {mask.numel()} cells of the initial frames of this batch, and a "
            "network would read placeholders there. Set data.observation.initial_known: true and "
            "data.use_sliding_window: false, or observe all cells of the frames that windows start from (leave out "
            "data.observation.cells and data.observation.points)"
        )


def mean_observed(error: Float[Tensor, "B K C *N"], wanted: Float[Tensor, "B K C *N"]) -> Float[Tensor, ""]:
    """Mean square over the values that are observed; 0 if none is, as when a curriculum stops short of the first.

    Args:
        error: What to square.
        wanted: Targets; NaN where they are hidden.
    """
    observed = ~wanted.isnan()
    return torch.where(observed, error, 0.0).square().sum() / observed.sum().clamp(min=1)
