"""What the two agents show each other: trajectories that one generates and the other trains on."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.data import BurgersDataModule, HybridDataset
from burgerslab.hybrid.generated import Batch
from burgerslab.hybrid.schedule import Agent
from burgerslab.inversion import Inversion
from burgerslab.physics import DivergedError
from burgerslab.surrogate import Surrogate

# Trajectories rolled out at once.
_BATCH_SIZE = 64
# Numbers of generated trajectories begin here, above those of any store.
_FIRST_NUMBER = 10**9
_PER_CYCLE = 10**6


@dataclass(frozen=True)
class Exchange:
    """How many windows agents generate for each other, and from where.

    Args:
        alpha: Generated windows per observed window; each counts as much as an observed one, but for the agent's
            interaction weight. 0 lets the agents learn side by side.
        new_states: Share of the generated trajectories that start from new states, of the same distribution as the
            data; the others start from observed first frames. New states are drawn by ``data.simulation.initial``, or
            where data were imported, they are observed frames that are moved and mirrored at random, which the
            equation allows.
        physical_num_steps: Frames after the first of a trajectory that the physics generates; None is as many as a
            window of the surrogate has targets.
        surrogate_num_steps: Frames after the first of a trajectory that the surrogate generates; None is as many as a
            window of the inversion has targets.
        seed: Of all draws; they are a function of (seed, cycle, agent).
        memory_budget_gib: Up to this size the trajectories that one agent generates in a cycle are held in memory,
            GiB; larger ones are written to a store in the run's folder, which is removed when the cycle ends.
        keep_generated: Write a store in any case, and keep it.

    Raises:
        ValueError: If a number is out of range.
    """

    alpha: float = 1.0
    new_states: float = 0.5
    physical_num_steps: int | None = None
    surrogate_num_steps: int | None = None
    seed: int = 0
    memory_budget_gib: float = 2.0
    keep_generated: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and self.alpha >= 0):
            raise ValueError(f"exchange.alpha must be a number from 0 on, got {self.alpha}")
        if not 0 <= self.new_states <= 1:
            raise ValueError(f"exchange.new_states must be between 0 and 1, got {self.new_states}")
        for option in ("physical_num_steps", "surrogate_num_steps"):
            value = getattr(self, option)
            if value is not None and value < 1:
                raise ValueError(f"exchange.{option} must be at least 1, got {value}")
        if self.seed < 0:
            raise ValueError(f"exchange.seed must not be negative, got {self.seed}")
        if not self.memory_budget_gib >= 0:
            raise ValueError(f"exchange.memory_budget_gib must not be negative, got {self.memory_budget_gib}")

    def draws(self) -> dict[str, Any]:
        """What the generated trajectories depend on."""
        return {
            "alpha": self.alpha,
            "new_states": self.new_states,
            "physical_num_steps": self.physical_num_steps,
            "surrogate_num_steps": self.surrogate_num_steps,
            "seed": self.seed,
        }

    def check(self, datamodule: BurgersDataModule, of_inversion: BurgersDataModule) -> None:
        """Refuse, before anything is trained, what nothing can be generated for.

        Args:
            datamodule: The data in the windows of the surrogate.
            of_inversion: The data in those of the inversion.

        Raises:
            ValueError: If a trajectory would be too short for a window, or no window starts from a complete frame.
        """
        for maker, windows in (("physical", datamodule), ("surrogate", of_inversion)):
            self.num_steps_of(maker, windows)
            _windows_with_complete_first_frame(windows.training_windows())

    def num_steps_of(self, maker: Agent, datamodule: BurgersDataModule) -> int:
        """Frames after the first of a trajectory that one agent generates for the windows of the other.

        Args:
            maker: The agent that generates.
            datamodule: The data in the windows of the other one.

        Raises:
            ValueError: If they are too few for one window.
        """
        given = self.physical_num_steps if maker == "physical" else self.surrogate_num_steps
        least = datamodule.num_predict_steps
        if given is not None and given < least:
            raise ValueError(
                f"exchange.{maker}_num_steps is {given}, but a window needs {least} frames after its first; raise "
                "it, or lower num_predict_steps"
            )
        return given or least

    def num_trajectories_of(self, maker: Agent, datamodule: BurgersDataModule) -> int:
        """Trajectories that give the other agent ``alpha`` windows per observed one, rounded up."""
        per_trajectory = 1
        if datamodule.use_sliding_window:
            per_trajectory += self.num_steps_of(maker, datamodule) - datamodule.num_predict_steps
        return math.ceil(self.alpha * datamodule.training_windows().num_observed / per_trajectory)


@dataclass(frozen=True)
class States:
    """First frames to roll out from.

    Args:
        frames: Dynamic fields, ``(B, C, *N)``, float32.
        static: Static fields, ``(B, S, *N)``, float32.
        viscosity: That the data carry, ``(B,)``, float64, units L²/T.
    """

    frames: Float[Tensor, "B C *N"]
    static: Float[Tensor, "B S *N"]
    viscosity: Float[Tensor, " B"]

    def followed_by(self, frames: Float[Tensor, "b T C *N"], rows: Tensor) -> Batch:
        """Some of the states with the frames that come after them."""
        return Batch(torch.cat([self.frames[rows, None], frames], dim=1), self.static[rows])


def draw_states(datamodule: BurgersDataModule, exchange: Exchange, number: int, cycle: int, agent: int) -> States:
    """States for the trajectories of one cycle and one agent.

    Args:
        datamodule: Where observed states come from.
        exchange: How many of them are new.
        number: How many.
        cycle: Number of the cycle.
        agent: 0 for the surrogate, 1 for the physics.

    Raises:
        ValueError: If no window starts from a complete frame.
    """
    generator = np.random.default_rng([exchange.seed, cycle, agent])
    windows = datamodule.training_windows()
    complete = _windows_with_complete_first_frame(windows)
    batch = windows.batch(generator.choice(complete, number, replace=number > len(complete)))
    frames = batch["initial"].clone()
    initial = None if datamodule.simulation is None else datamodule.simulation.initial
    for row in range(round((1 - exchange.new_states) * number), number):
        if initial is None:
            frames[row] = _moved_and_mirrored(frames[row], generator)
        else:
            frames[row] = torch.from_numpy(initial.sample(datamodule.layout.domain, generator))
    return States(frames, batch["static"], batch["viscosity"].double())


def _windows_with_complete_first_frame(windows: HybridDataset) -> np.ndarray:
    """Numbers of the observed windows of which nothing is hidden at the start."""
    numbers = np.arange(windows.num_observed)
    complete = []
    for part in np.array_split(numbers, max(1, len(numbers) // _BATCH_SIZE)):
        batch = windows.batch(part)
        if "mask" not in batch:
            return numbers
        complete.append(part[batch["mask"][:, 0].flatten(1).all(dim=1).numpy()])
    if not sum(map(len, complete)):
        raise ValueError(
            "every first frame of the observed windows is hidden in part, so there is nothing to roll out from: set "
            "data.observation.initial_known: true, or observe whole frames"
        )
    return np.concatenate(complete)


def _moved_and_mirrored(frame: Float[Tensor, "C *N"], generator: np.random.Generator) -> Float[Tensor, "C *N"]:
    """u(x + a), or -u(a - x): both solve the equation if u does."""
    axes = list(range(1, frame.ndim))
    moved = torch.roll(frame, [int(generator.integers(frame.shape[axis])) for axis in axes], axes)
    return -moved.flip(axes) if generator.random() < 0.5 else moved


def trajectories_of_physics(inversion: Inversion, states: States, num_steps: int) -> Iterator[Batch]:
    """Trajectories that the inversion's solver makes from states, batch by batch."""
    for rows in torch.arange(len(states.frames)).split(_BATCH_SIZE):
        with torch.no_grad():
            frames = inversion.rollout(states.frames[rows], num_steps, viscosity=states.viscosity[rows]).float()
        yield states.followed_by(frames, rows)


def trajectories_of_surrogate(surrogate: Surrogate, states: States, num_steps: int) -> Iterator[Batch]:
    """Trajectories that the surrogate makes from states, batch by batch.

    Raises:
        DivergedError: If the surrogate runs away.
    """
    for rows in torch.arange(len(states.frames)).split(_BATCH_SIZE):
        # A Trainer with precision bf16-true has made the weights so.
        start, static = (it[rows].to(surrogate.device, surrogate.dtype) for it in (states.frames, states.static))
        was_training = surrogate.training
        surrogate.eval()
        with torch.no_grad():
            frames = surrogate.rollout(start, num_steps, static).cpu().float()
        surrogate.train(was_training)  # at once: who takes the batches may stop at any of them
        if not bool(torch.isfinite(frames).all()):
            raise DivergedError(
                f"the surrogate's rollouts of {num_steps} frames are not finite, so that the physics cannot learn "
                "from them: raise Hybrid.warmup_epochs, or lower exchange.surrogate_num_steps"
            )
        yield states.followed_by(frames, rows)


def first_number(cycle: int, agent: int) -> int:
    """Number of the first trajectory that one agent gets in one cycle."""
    return _FIRST_NUMBER + (2 * cycle + agent) * _PER_CYCLE
