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


def warm_start(
    objective: Objective, guess: Float[Tensor, " P"], previous: Objective, found: Float[Tensor, " P"]
) -> Float[Tensor, " P"]:
    """Free numbers of an earlier solve, with guesses for trajectories that it did not see.

    Args:
        objective: What is to be solved.
        guess: Its free numbers from `first_guess`.
        previous: What was solved, with the same parameters.
        found: Free numbers that were found.
    """
    shared, own = (part.clone() for part in objective.split(guess))
    found_shared, found_own = previous.split(found)
    known = [
        trajectory for trajectory in objective.problem.trajectories if trajectory in previous.problem.trajectories
    ]
    if known:
        own[objective.problem.rows(known)] = found_own[previous.problem.rows(known)]
    assert len(shared) == len(found_shared)
    return torch.cat([found_shared, own.reshape(-1)])
