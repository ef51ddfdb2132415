"""Guard: takes an agent back to its best state when a cycle has made it worse."""

import copy
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from burgerslab.data import BurgersDataModule
from burgerslab.hybrid.bookkeeping import Comparison
from burgerslab.hybrid.physical_agent import PhysicalAgent
from burgerslab.surrogate import Surrogate


class Guard:
    """Compares each agent's error on validation data with its best so far.

    Args:
        margin: By which fraction an error may exceed the best; None lets everything pass.

    Raises:
        ValueError: If the margin is negative.
    """

    def __init__(self, margin: float | None) -> None:
        if margin is not None and not margin >= 0:
            raise ValueError(f"Hybrid.guard_margin must not be negative, got {margin}")
        self._margin = margin
        self._best: dict[str, float] = {}
        self._weights: dict[str, Tensor] = {}
        self._physical: dict[str, Any] = {}
        self._pending = False

    def check(self, trainer: pl.Trainer, datamodule: BurgersDataModule) -> None:
        """Refuse where it cannot work.

        Raises:
            ValueError: If there is no validation data, or averaged weights.
        """
        if self._margin is None:
            return
        if len(datamodule.trajectories_of("val")) == 0:
            raise ValueError(
                "Hybrid.guard_margin compares errors on validation data, and there are none: change data.split, or "
                "leave guard_margin out"
            )
        if any(isinstance(callback, WeightAveraging) for callback in trainer.callbacks):
            raise ValueError(
                "Hybrid.guard_margin sets weights back, but not their average: leave out guard_margin or the "
                "WeightAveraging callback"
            )

    def judge(self, comparison: Comparison, surrogate: Surrogate, physical: PhysicalAgent) -> list[str]:
        """Remember an agent that is at its best; take one back that is worse by more than the margin.

        Returns:
            The agents that were taken back.
        """
        returned = []
        if self._margin is None:
            return returned
        errors = {"surrogate": comparison.surrogate_val_nrmse, "physical": comparison.physical_val_nrmse}
        for agent, error in errors.items():
            assert error is not None
            if error <= self._best.get(agent, float("inf")):
                self._best[agent] = error
                if agent == "surrogate":
                    self._weights = copy.deepcopy(surrogate.state_dict())
                else:
                    self._physical = physical.best_state()
            elif not error <= (1 + self._margin) * self._best[agent]:
                returned.append(agent)
                if agent == "surrogate":
                    surrogate.load_state_dict(self._weights)
                    self._pending = True
                else:
                    physical.take_back(self._physical)
        return returned

    def before_training(self, surrogate: pl.LightningModule) -> None:
        """Set the best weights, if the surrogate was taken back; loading a checkpoint has undone it."""
        if self._pending:
            surrogate.load_state_dict(self._weights)
            self._pending = False

    def state_dict(self) -> dict[str, Any]:
        """Best errors and states."""
        return {
            "best": dict(self._best),
            "weights": self._weights,
            "physical": self._physical,
            "pending": self._pending,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self._best, self._weights = dict(state["best"]), dict(state["weights"])
        self._physical, self._pending = dict(state["physical"]), state["pending"]
