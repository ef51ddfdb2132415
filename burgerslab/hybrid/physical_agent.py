"""PhysicalAgent: the inversion in a hybrid run, with windows and fits of its own."""

import logging
import warnings
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl

from burgerslab.data import BurgersDataModule, Trajectories
from burgerslab.hybrid.bookkeeping import numbers_of
from burgerslab.inversion import ConvergenceError, Inversion, InversionWarning

_LOGGER = logging.getLogger(__name__)


class PhysicalAgent:
    """An inversion that is fitted again and again, each time from where it stands.

    Args:
        inversion: The inversion.
        num_predict_steps: Target frames of its windows; None is that of the datamodule.
        use_sliding_window: Whether its windows start at every frame; None is as in the datamodule.
    """

    def __init__(
        self, inversion: Inversion, num_predict_steps: int | None = None, use_sliding_window: bool | None = None
    ) -> None:
        self.inversion = inversion
        self.numbers: dict[str, dict[str, Any]] = {}
        """Coefficients that are single numbers after the last fit, as `CycleRecord` holds them."""
        self.doubts: list[str] = []
        """What the last fit gave to doubt."""
        self.num_evaluations = 0
        """Evaluations of the objective in the last fit."""
        self._windows = (num_predict_steps, use_sliding_window)
        self._datamodule: BurgersDataModule | None = None

    @property
    def datamodule(self) -> BurgersDataModule:
        """The data, in the windows of the inversion."""
        assert self._datamodule is not None, "meet comes first"
        return self._datamodule

    def meet(self, datamodule: BurgersDataModule) -> None:
        """Take the data that both agents learn from.

        Raises:
            ValueError: If its trajectories are too short for the inversion's windows.
        """
        self._datamodule = datamodule.with_windows(*self._windows)

    def begin(self) -> None:
        """Take the initial guesses, if nothing was fitted yet."""
        if not self.inversion.is_ready:
            self.inversion.begin(self.datamodule)

    def fit(self, trainer: pl.Trainer, generated: Sequence[Trajectories], max_iterations: int, cycle: int) -> None:
        """Fit to the data and to what the surrogate has generated.

        Args:
            trainer: The surrogate's.
            generated: Trajectories that the surrogate has made.
            max_iterations: Iterations of the solver.
            cycle: Number of the cycle, for messages.
        """
        self.datamodule.set_generated(generated)
        # A Trainer of its own: one that is shared would mix up epochs, steps and logged names of the two.
        own = pl.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=max_iterations,
            default_root_dir=trainer.default_root_dir,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_val_batches=0,
            num_sanity_val_steps=0,
        )
        try:
            with warnings.catch_warnings():
                # Halfway, both are as they should be; the records keep the doubts.
                warnings.filterwarnings("ignore", "the solve has not converged: stopped by trainer.max_epochs")
                warnings.simplefilter("ignore", InversionWarning)
                own.fit(self.inversion, datamodule=self.datamodule)
        except ConvergenceError as error:  # the coefficients stay at the last accepted point
            _LOGGER.warning("cycle %d: %s", cycle, error)
        finally:
            self.datamodule.set_generated([])
        self.numbers = numbers_of(self.inversion)
        self.num_evaluations = 0 if self.inversion.solution is None else self.inversion.solution.num_evaluations
        self.doubts = [] if self.inversion.result is None else list(self.inversion.result.warnings)

    def best_state(self) -> dict[str, Any]:
        """What `take_back` needs, in tensors and plain values."""
        return {"free": self.inversion.free.clone(), "numbers": self.numbers, "doubts": self.doubts}

    def take_back(self, state: dict[str, Any]) -> None:
        """Return to an earlier state, and to what was said of it."""
        self.inversion.free = state["free"].clone()
        self.numbers, self.doubts = state["numbers"], list(state["doubts"])

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next fit depends on, in tensors and plain values."""
        state: dict[str, Any] = {
            "state_dict": self.inversion.state_dict(),
            "numbers": self.numbers,
            "doubts": self.doubts,
            "num_evaluations": self.num_evaluations,
        }
        if self.inversion.description is not None:
            self.inversion.on_save_checkpoint(state)
            state.pop("solve", None)  # which is over
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.numbers, self.doubts = state["numbers"], list(state["doubts"])
        self.num_evaluations = state["num_evaluations"]
        if "inversion" in state:
            self.inversion.on_load_checkpoint(state)
            self.inversion.load_state_dict(state["state_dict"])
