"""A rollout that diverges in one process is an error in all of them, since they wait for each other's sums."""

import torch

from burgerslab.inversion.solvable import Total
from burgerslab.physics import DivergedError


def raise_together(error: DivergedError | None, total: Total) -> None:
    """Raise in every process what one of them met; all must call it.

    Args:
        error: What this process met.
        total: Adds a tensor up over the processes.

    Raises:
        DivergedError: If any process met one.
    """
    if total(torch.tensor([float(error is not None)], dtype=torch.float64)) > 0:
        raise DivergedError(str(error) if error else "a rollout diverged in another process") from error
