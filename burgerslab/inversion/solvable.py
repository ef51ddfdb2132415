"""What a LightningModule must offer to be fitted by L-BFGS-B instead of stochastic gradients."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from burgerslab.inversion.chunks import Batch, Chunks
from burgerslab.inversion.lbfgsb import Bounds
from burgerslab.inversion.record import Vector
from burgerslab.inversion.settings import LBFGSB
from burgerslab.inversion.solution import Solution
from burgerslab.inversion.state import Plain, SolveState
from burgerslab.inversion.summation import SummedObjective

Total = Callable[[Tensor], Tensor]
Gather = Callable[[Any], list[Any]]


class Solvable(pl.LightningModule, ABC):
    """A module whose unknowns are found by minimising one deterministic number over all training windows.

    `lightning.pytorch.Trainer.fit` runs the solve: an accepted iteration is a step and an epoch, so that callbacks,
    loggers, validation and the Trainer's limits act on each. Metrics ``train/objective``, ``train/gradient_norm``
    and ``train/num_evaluations`` are logged.

    The solver sees the unknowns as one float64 vector ``(P,)``, scaled so that a change of 1 is a large one in
    each component. `misfit` and `penalty` are functions of that vector alone: they read no parameter of the module.
    Parameters are set by `adopt`, only at accepted points.

    A fit starts a new solve where the parameters stand; one with ``ckpt_path`` continues the solve of a checkpoint,
    bit by bit, without repeating an evaluation. A subclass that overrides `setup`, `on_train_batch_end`,
    `on_save_checkpoint` or `on_load_checkpoint` calls that of this class.
    """

    solution: Solution | None = None
    """Where the last fit has ended, an interrupted one too; None before."""

    solve_state: SolveState | None = None
    """The solve so far, as checkpoints hold it."""

    @property
    @abstractmethod
    def solver(self) -> LBFGSB:
        """Tolerances and limits."""

    def on_solve_begin(self, chunks: Chunks, total: Total, gather: Gather) -> None:
        """Look at the windows before the solve begins, or goes on; called before `start` and `bounds`.

        Args:
            chunks: The batches of this process.
            total: Adds a tensor up over the processes; all must call it.
            gather: Collects an object from every process, in the order of their ranks; all must call it.
        """

    @abstractmethod
    def start(self) -> Vector:
        """The unknowns as they stand, ``(P,)`` float64; read once, before ``on_train_start``."""

    @abstractmethod
    def bounds(self) -> Bounds:
        """Lower and upper bound of each unknown, or None."""

    @abstractmethod
    def misfit(self, vector: Tensor, batch: Batch) -> tuple[Tensor, float | Tensor]:
        """Weighted sum ``()`` over the windows of a batch, and the weight that it is divided by.

        The objective is the sum of these over all batches of all processes by the sum of the weights, plus
        `penalty`.

        Args:
            vector: Unknowns, ``(P,)`` float64 on the module's device; the sum is differentiated with respect to it.
            batch: Windows on the module's device.

        Raises:
            DivergedError: If a rollout diverges; the solver then takes a shorter step.
        """

    @abstractmethod
    def adopt(self, x: Vector) -> None:
        """Set the parameters to an accepted point, ``(P,)``."""

    def penalty(self, vector: Tensor) -> Tensor:
        """What is added to the objective once, whatever the windows, ``()``: priors and smoothness."""
        return vector.new_zeros(())

    def problem(self) -> Mapping[str, Plain]:
        """Options that the objective depends on, by name; a solve is continued only if they are the same."""
        return {}

    def on_solution(self, solution: Solution, objective: SummedObjective) -> None:
        """Take the result of a solve that came to an end, converged or not, before ``on_train_end``.

        It is called in all processes, with the parameters at the solution. After an interrupt or an error it is
        not called. What `solution` then is decides whether the fit has failed: a module that solves once more may
        replace it.

        Args:
            solution: Where it ended, and why.
            objective: f and its gradient at any point; ``objective.chunks`` are the batches of this process.
        """

    def setup(self, stage: str) -> None:
        """Put the solver in the place of the Trainer's loop."""
        if stage == "fit":
            from burgerslab.inversion.loop import install  # which must know this class

            self.solution = self.solve_state = None
            install(self)

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Never run; Lightning asks for it."""
        raise RuntimeError(
            f"{type(self).__name__}.setup did not call that of Solvable, so there is no solver to fit it"
        )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One that Lightning can keep, and nobody runs."""
        return torch.optim.SGD(self.parameters(), lr=0.0)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log the iteration."""
        for name, shown in (("objective", True), ("gradient_norm", True), ("num_evaluations", False)):
            value = torch.tensor(float(outputs[name]), dtype=torch.float64)
            self.log(
                f"train/{name}", value, prog_bar=shown, on_step=False, on_epoch=True, batch_size=1, sync_dist=True
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the solve so far."""
        if self.solve_state is not None:
            checkpoint["solve"] = self.solve_state.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the solve so far; a fit with ``ckpt_path`` goes on from it."""
        if "solve" in checkpoint:
            self.solve_state = SolveState.from_state_dict(checkpoint["solve"])
