"""Hybrid: a surrogate and an inversion that train in turn, each on the data and on what the other makes of them."""

import logging
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging

from burgerslab.data import BurgersDataModule, Trajectories
from burgerslab.hybrid.bookkeeping import CycleRecord, Ledger, compare_agents, numbers_of
from burgerslab.hybrid.exchange import Exchange, draw_states, trajectories_of_physics, trajectories_of_surrogate
from burgerslab.hybrid.guard import Guard
from burgerslab.hybrid.kept_state import KeptState
from burgerslab.hybrid.preconditions import check_run
from burgerslab.inversion import ConvergenceError, Inversion, InversionWarning
from burgerslab.surrogate import Surrogate

Agent = Literal["surrogate", "physical"]
_SURROGATE, _PHYSICS = 0, 1
_LOGGER = logging.getLogger(__name__)


class Hybrid(Callback):
    """HYCO: two agents minimise their error on the data plus a weighted error to each other.

    physical:  min over coefficients  MSE(physics, data)   + w · MSE(physics, surrogate held fixed)
    surrogate: min over weights       MSE(surrogate, data) + w · MSE(surrogate, physics held fixed)

    A run is a warm-up of the surrogate on the data alone, then cycles of one fit of each agent. Before each fit the
    other agent generates trajectories, and the datamodule serves their windows beside the observed ones. The
    surrogate's fits go on as one: optimizer, schedulers, averaged weights, epochs, loggers and checkpoints. The
    inversion starts from its last coefficients.

    Give it to a Trainer among its callbacks, then call `fit` in the place of ``trainer.fit``; on the command line
    ``burgerslab fit`` does so.

    Source: Liverani, Steynberg and Zuazua, arXiv 2509.14123.

    Args:
        physical: The inversion.
        num_cycles: Rounds of one fit of each agent.
        epochs_per_cycle: Epochs of the surrogate in a cycle.
        warmup_epochs: Epochs of the surrogate on the data alone, before the first cycle.
        max_iterations: Iterations of L-BFGS-B in a cycle.
        begin_with: Which agent is fitted first in a cycle.
        exchange: What agents generate for each other.
        surrogate_interaction_weight: Weight of generated windows in the surrogate's loss, per window; ``balanced``
            gives all of them together the weight of all observed ones.
        physical_interaction_weight: Weight of the mean square error of generated windows in the inversion's
            objective; ``balanced`` makes both terms equal where a fit begins, so that an agent counts as much as it
            can be trusted.
        physical_num_predict_steps: Target frames of the inversion's windows; None is that of the datamodule.
        physical_use_sliding_window: Whether the inversion's windows start at every frame; None is as in the
            datamodule.
        guard_margin: An agent goes back to its best state when a cycle has made its error on validation data worse
            than the best by more than this fraction; None never does.

    Raises:
        ValueError: If there is no inversion, or an option is out of range.
    """

    def __init__(
        self,
        physical: Inversion | None = None,
        num_cycles: int = 10,
        epochs_per_cycle: int = 1,
        warmup_epochs: int = 0,
        max_iterations: int = 5,
        begin_with: Agent = "physical",
        exchange: Exchange = Exchange(),  # noqa: B008 - frozen
        surrogate_interaction_weight: float | Literal["balanced"] = 1.0,
        physical_interaction_weight: float | Literal["balanced"] = "balanced",
        physical_num_predict_steps: int | None = None,
        physical_use_sliding_window: bool | None = None,
        guard_margin: float | None = None,
    ) -> None:
        if physical is None:
            raise ValueError(
                "Hybrid has no inversion to alternate with: add to it\n"
                "  physical:\n"
                "    class_path: burgerslab.inversion.Inversion\n"
                "    init_args:\n"
                "      learnable_parameters:\n"
                "      - class_path: burgerslab.inversion.Viscosity\n"
                "        init_args: {initial_guess: 0.05}"
            )
        for option, value, least in (
            ("num_cycles", num_cycles, 1),
            ("epochs_per_cycle", epochs_per_cycle, 1),
            ("warmup_epochs", warmup_epochs, 0),
            ("max_iterations", max_iterations, 1),
        ):
            if value < least:
                raise ValueError(f"Hybrid.{option} must be at least {least}, got {value}")
        if isinstance(surrogate_interaction_weight, float | int) and not surrogate_interaction_weight >= 0:
            raise ValueError(
                f"Hybrid.surrogate_interaction_weight must not be negative, got {surrogate_interaction_weight}"
            )
        self.physical = physical
        self.physical.interaction_weight = physical_interaction_weight
        self.num_cycles = num_cycles
        self.epochs_per_cycle = epochs_per_cycle
        self.warmup_epochs = warmup_epochs
        self.max_iterations = max_iterations
        self.exchange = exchange
        self.ledger = Ledger()
        self._phases: tuple[Agent, Agent] = (
            ("physical", "surrogate") if begin_with == "physical" else ("surrogate", "physical")
        )
        self._weight = surrogate_interaction_weight
        self._windows = (physical_num_predict_steps, physical_use_sliding_window)
        self._guard = Guard(guard_margin)
        self._windows_of_physics: BurgersDataModule | None = None
        self._driving = False
        self._cycle = 0
        self._done: list[str] = []

    def fit(
        self,
        trainer: pl.Trainer,
        surrogate: Surrogate,
        datamodule: BurgersDataModule,
        ckpt_path: str | Path | None = None,
    ) -> None:
        """Train both agents.

        Args:
            trainer: Trains the surrogate; this callback is among its callbacks.
            surrogate: The surrogate.
            datamodule: The data of both.
            ckpt_path: A checkpoint of a hybrid run to go on from, as if it had not stopped.

        Raises:
            ValueError: If an option would hide generated windows, or the checkpoint is of no hybrid run.
        """
        check_run(trainer, self, self.physical, surrogate, datamodule)
        self._guard.check(trainer, datamodule)
        if self.exchange.alpha == 0:
            _LOGGER.warning("exchange.alpha is 0: the agents train side by side and show each other nothing")
        datamodule.prepare_data()
        datamodule.setup("fit")
        self._windows_of_physics = datamodule.with_windows(*self._windows)
        kept = KeptState.of(trainer)
        self._cycle, self._done = 0, []
        if ckpt_path is not None:
            self._resume(ckpt_path)
        self._driving = True
        try:
            if self._cycle == 0:
                if self.warmup_epochs:
                    self._fit_surrogate(trainer, surrogate, datamodule, ckpt_path)
                self._cycle = 1
            while self._cycle <= self.num_cycles:
                for agent in self._phases:
                    if agent in self._done:
                        continue
                    if agent == "physical":
                        self._fit_physics(trainer, surrogate, self._windows_of_physics)
                    else:
                        self._fit_surrogate(trainer, surrogate, datamodule, kept.path or ckpt_path)
                    self._done.append(agent)
                self._close_cycle(trainer, surrogate, datamodule)
                self._cycle, self._done = self._cycle + 1, []
        finally:
            self._driving = False
            datamodule.set_generated([])

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse to be one fit only.

        Raises:
            ValueError: If the Trainer was started directly.
        """
        if not self._driving:
            raise ValueError(
                "Hybrid alternates fits of two models: call hybrid.fit(trainer, surrogate, datamodule) in the place "
                "of trainer.fit"
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Return the surrogate to its best weights, if the guard has said so; loading the checkpoint undid it."""
        self._guard.before_training(pl_module)

    def state_dict(self) -> dict[str, Any]:
        """The cycle, what has happened in it, and the inversion."""
        state: dict[str, Any] = {
            "cycle": self._cycle,
            "done": list(self._done),
            "settings": self._settings(),
            "records": self.ledger.state_dict(),
            "guard": self._guard.state_dict(),
        }
        physical: dict[str, Any] = {"state_dict": self.physical.state_dict()}
        if self.physical.description is not None:
            self.physical.on_save_checkpoint(physical)
            physical.pop("solve", None)
        return {**state, "physical": physical}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing: every fit of a run loads its checkpoint, and would set the inversion back; see `fit`."""

    def _resume(self, ckpt_path: str | Path) -> None:
        """Take cycle, inversion and records from a checkpoint; the Trainer takes the rest."""
        checkpoint = torch.load(ckpt_path, map_location="cpu", weights_only=True)
        state = checkpoint.get("callbacks", {}).get(self.state_key)
        if state is None:
            raise ValueError(
                f"ckpt_path: {ckpt_path} was not written by a hybrid run; give hybrid.ckpt of one, or leave it out"
            )
        if changes := [
            f"{name} was {before} and is {self._settings()[name]}"
            for name, before in state["settings"].items()
            if before != self._settings()[name]
        ]:
            raise ValueError(
                f"ckpt_path: the run of this checkpoint is another: {'; '.join(changes)}. Set it as it was, or start "
                "a new run without ckpt_path"
            )
        physical = state["physical"]
        if "inversion" in physical:
            self.physical.on_load_checkpoint(physical)
            self.physical.load_state_dict(physical["state_dict"])
        self.ledger.load_state_dict(state["records"])
        self._guard.load_state_dict(state["guard"])
        self._cycle, self._done = state["cycle"], list(state["done"])

    def _settings(self) -> dict[str, Any]:
        """Options that a resumed run must share; more cycles may be added."""
        return {
            "epochs_per_cycle": self.epochs_per_cycle,
            "warmup_epochs": self.warmup_epochs,
            "max_iterations": self.max_iterations,
            "phases": list(self._phases),
            "exchange": repr(self.exchange),
        }

    def _fit_surrogate(
        self,
        trainer: pl.Trainer,
        surrogate: Surrogate,
        datamodule: BurgersDataModule,
        path: str | Path | None,
    ) -> None:
        generated = [] if self._cycle == 0 else self._of_physics(datamodule)
        datamodule.set_generated(generated)
        windows = datamodule.training_windows()
        num_generated = len(windows) - windows.num_observed
        surrogate.interaction_weight = (
            windows.num_observed / max(1, num_generated) if self._weight == "balanced" else float(self._weight)
        )
        # Without this, Lightning takes the work for done.
        trainer.fit_loop.max_epochs = self.warmup_epochs + self._cycle * self.epochs_per_cycle
        trainer.fit(surrogate, datamodule=datamodule, ckpt_path=path, weights_only=True)
        for callback in trainer.callbacks:
            if isinstance(callback, WeightAveraging):  # a fit that had nothing left to do has not done it
                callback.on_train_end(trainer, surrogate)

    def _of_physics(self, datamodule: BurgersDataModule) -> list[Trajectories]:
        """Trajectories for the surrogate to learn from."""
        number = self.exchange.num_trajectories_for(datamodule)
        if number == 0:
            return []
        if not self.physical.is_ready:  # the surrogate is first, and nothing was inverted yet
            assert self._windows_of_physics is not None
            self.physical.begin(self._windows_of_physics)
        states = draw_states(datamodule, self.exchange, number, self._cycle, _PHYSICS)
        steps = self.exchange.num_steps_for(datamodule)
        return [trajectories_of_physics(self.physical, states, steps, self._cycle)]

    def _of_surrogate(self, surrogate: Surrogate, datamodule: BurgersDataModule) -> list[Trajectories]:
        """Trajectories for the inversion to learn from."""
        number = self.exchange.num_trajectories_for(datamodule)
        if number == 0 or surrogate.description is None:  # in the first cycle without a warm-up it knows nothing
            return []
        states = draw_states(datamodule, self.exchange, number, self._cycle, _SURROGATE)
        steps = self.exchange.num_steps_for(datamodule)
        return [trajectories_of_surrogate(surrogate, states, steps, self._cycle)]

    def _fit_physics(self, trainer: pl.Trainer, surrogate: Surrogate, datamodule: BurgersDataModule) -> None:
        datamodule.set_generated(self._of_surrogate(surrogate, datamodule))
        # A Trainer of its own: one that is shared would mix up epochs, steps and logged names of the two.
        own = pl.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=self.max_iterations,
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
                own.fit(self.physical, datamodule=datamodule)
        except ConvergenceError as error:  # the coefficients stay at the last accepted point
            _LOGGER.warning("cycle %d: %s", self._cycle, error)
        datamodule.set_generated([])

    def _close_cycle(self, trainer: pl.Trainer, surrogate: Surrogate, datamodule: BurgersDataModule) -> None:
        windows = datamodule.training_windows()
        comparison = compare_agents(surrogate, self.physical, datamodule, self.exchange, self._cycle)
        record = CycleRecord(
            cycle=self._cycle,
            epoch=trainer.current_epoch,
            num_observed=windows.num_observed,
            num_generated=len(windows) - windows.num_observed,
            **asdict(comparison),
            parameters=numbers_of(self.physical),
            doubts=[] if self.physical.result is None else list(self.physical.result.warnings),
            returned=self._guard.judge(comparison, surrogate, self.physical),
        )
        self.ledger.add(record)
        if trainer.is_global_zero and not trainer.fast_dev_run:
            self.ledger.write(Path(trainer.log_dir or trainer.default_root_dir) / "hybrid.json")
        for logger in trainer.loggers:
            logger.log_metrics(record.scalars(), step=trainer.global_step)
