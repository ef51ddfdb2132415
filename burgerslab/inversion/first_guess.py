"""Where a solve begins."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.inversion.fields import InitialState
from burgerslab.inversion.objective import Batch, Objective
from burgerslab.inversion.solvable import Total


def first_guess(objective: Objective, chunks: Iterable[Batch], total: Total) -> Float[Tensor, " P"]:
    """Free numbers of the initial guesses; initial states begin with the first frames of the data.

    Args:
        objective: The misfit.
        chunks: The windows of this process, float64.
        total: Adds a tensor up over the processes.
    """
    flat = objective.start()
    learnable = objective.learnables.get("initial_state")
    if not isinstance(learnable, InitialState):
        return flat
    free = objective.unflatten(flat)
    rows = torch.zeros_like(free["initial_state"])
    for batch in chunks:
        mask = batch["mask"][:, 0] if "mask" in batch else None
        found = learnable.from_frames(batch["initial"], mask, objective.problem)
        rows[objective.problem.rows(batch["trajectory"].tolist())] = found.cpu()
    return objective.flatten({**free, "initial_state": total(rows)})
