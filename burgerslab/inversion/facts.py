"""One pass over the windows of an inversion: what there is to compare."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch

from burgerslab.data import DataDescription
from burgerslab.inversion.objective import Batch
from burgerslab.inversion.problem import Problem
from burgerslab.inversion.solvable import Gather


@dataclass
class _Counts:
    """Sums over windows, of one process or of all."""

    viscosity: dict[tuple[int, int], float] = field(default_factory=dict)
    values_of_frame: dict[tuple[int, int], int] = field(default_factory=dict)
    num_observed: int = 0
    num_generated: int = 0
    sum_of_squares: float = 0.0
    speed: np.ndarray | None = None
    num_steps: int = 0


def survey(
    batches: Iterable[Batch], description: DataDescription, with_initial: bool, gather: Gather, initial_is_known: bool
) -> Problem:
    """The facts of all windows of all processes.

    Args:
        batches: Chunks of windows of this process, float64.
        description: Facts of the data set.
        with_initial: Whether first frames are compared, too.
        gather: Collects an object from every process.
        initial_is_known: Whether the first frames of trajectories are free of noise, whatever later ones are.

    Raises:
        ValueError: If there is nothing to compare.
    """
    counts = _Counts()
    for batch in batches:
        _count(counts, batch, with_initial)
    total = _together(gather(counts))
    if total.num_observed == 0:
        raise ValueError("no value of the training windows is observed; let data.observation leave some")
    if total.sum_of_squares == 0:
        raise ValueError("every observed value of the training windows is 0, which tells nothing; give other data")
    viscosity: dict[int, float] = {}
    for (trajectory, _), value in sorted(total.viscosity.items()):
        viscosity.setdefault(trajectory, value)
    return Problem(
        domain=description.domain,
        dt=description.dt,
        windows=tuple(sorted(total.viscosity)),
        num_steps=total.num_steps,
        num_observed=total.num_observed,
        num_generated=total.num_generated,
        overlap=max(1.0, total.num_observed / max(1, sum(total.values_of_frame.values()))),
        scale=float(np.sqrt(total.sum_of_squares / total.num_observed)),
        speed=tuple(total.speed.tolist()),
        viscosity=np.array(list(viscosity.values())),
        initial_is_known=initial_is_known and all(start == 0 for _, start in total.viscosity),
    )


def _count(counts: _Counts, batch: Batch, with_initial: bool) -> None:
    """Take in a chunk."""
    frames = torch.cat([batch["initial"][:, None], batch["target"]], dim=1)
    known = batch["mask"].expand_as(frames) if "mask" in batch else torch.ones_like(frames, dtype=torch.bool)
    if not with_initial and not bool(known[:, 0].all()):
        raise ValueError(
            "the first frames of some windows are partly hidden, and nothing says what is there: learn the "
            "initial_state too, or set data.observation.initial_known: true if it is known"
        )
    first = 0 if with_initial else 1
    num_values = known[:, first:].flatten(2).sum(dim=2)
    for row, (trajectory, start) in enumerate(
        zip(batch["trajectory"].tolist(), batch["start"].tolist(), strict=True)
    ):
        counts.viscosity[trajectory, start] = float(batch["viscosity"][row])
        if not bool(batch["observed"][row]):
            counts.num_generated += int(num_values[row].sum())
            continue
        counts.num_observed += int(num_values[row].sum())
        for offset, number in enumerate(num_values[row].tolist(), start=start + first):
            counts.values_of_frame[trajectory, offset] = number
    seen = (known[:, first:] & batch["observed"].reshape(-1, *(1,) * (known.ndim - 1))).to(frames.dtype)
    counts.sum_of_squares += float((frames[:, first:].square() * seen).sum())
    speed = (frames.abs() * known).amax(dim=(0, 1, *range(3, frames.ndim))).cpu().numpy()
    counts.speed = speed if counts.speed is None else np.maximum(counts.speed, speed)
    counts.num_steps = batch["target"].shape[1]


def _together(parts: list[_Counts]) -> _Counts:
    """The counts of all processes."""
    total = _Counts()
    for part in parts:
        total.viscosity |= part.viscosity
        total.values_of_frame |= part.values_of_frame
        total.num_observed += part.num_observed
        total.num_generated += part.num_generated
        total.sum_of_squares += part.sum_of_squares
        total.num_steps = max(total.num_steps, part.num_steps)
        if part.speed is not None:
            total.speed = part.speed if total.speed is None else np.maximum(total.speed, part.speed)
    return total
