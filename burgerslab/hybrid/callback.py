"""Hybrid: a surrogate and an inversion that train in turn, each on the data and on what the other makes of them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from burgerslab.data import BurgersDataModule
from burgerslab.hybrid.bookkeeping import CycleRecord, Ledger, compare_agents
from burgerslab.hybrid.exchange import Exchange
from burgerslab.hybrid.generation import Generation
from burgerslab.hybrid.guard import Guard
from burgerslab.hybrid.kept_state import KeptState
from burgerslab.hybrid.physical_agent import PhysicalAgent
from burgerslab.hybrid.preconditions import check_checkpoint, check_run
from burgerslab.hybrid.schedule import Agent, Progress, Schedule
from burgerslab.hybrid.sigterm import sigterm_ends_the_run
from burgerslab.hybrid.surrogate_agent import SurrogateAgent
from burgerslab.inversion import Inversion
from burgerslab.inversion.quiet import without_repetition
from burgerslab.surrogate import Surrogate

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
            gives all of them together, where a phase begins, the same share in the loss as all observed ones.
        physical_interaction_weight: Weight of the mean square error of generated windows in the inversion's
            objective. ``balanced`` makes both terms equal where a fit begins. ``calibrated`` gives no more than that,
            and no more than the surrogate agrees with the data on the coefficients: it moves what the data tell by a
            small part of its standard deviation, and decides what they do not tell.
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
        physical_interaction_weight: float | Literal["balanced", "calibrated"] = "calibrated",
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
        self.schedule = Schedule(num_cycles, epochs_per_cycle, warmup_epochs, max_iterations, begin_with)
        self.physical = physical
        self.physical.interaction_weight = physical_interaction_weight
        self.exchange = exchange
        self.ledger = Ledger()
        self._physical = PhysicalAgent(physical, physical_num_predict_steps, physical_use_sliding_window)
        self._surrogate = SurrogateAgent(surrogate_interaction_weight)
        self._guard = Guard(guard_margin)
        self._generation = Generation(exchange)
        self._progress = Progress()
        self._driving = False
        self._seeds: dict[str, int] = {}

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
        check_run(trainer, self, self.physical, self.schedule, surrogate, datamodule)
        self._guard.check(trainer, datamodule)
        self._seeds = {"data.seed": datamodule.seed, "model.seed": surrogate.seed}
        if self.exchange.alpha == 0:
            _LOGGER.warning("exchange.alpha is 0: the agents train side by side and show each other nothing")
        datamodule.prepare_data()
        datamodule.setup("fit")
        self._physical.meet(datamodule)
        if self.exchange.alpha > 0:
            self.exchange.check(datamodule, self._physical.datamodule)
        self._progress = Progress()
        self.ledger.load_state_dict([])
        if ckpt_path is not None:
            self._resume(ckpt_path)
        schedule = self.schedule.shortened() if trainer.fast_dev_run else self.schedule
        with self._clean_up(datamodule):
            self._run(trainer, surrogate, datamodule, schedule, ckpt_path)

    def windows_of_physics(self, datamodule: BurgersDataModule) -> BurgersDataModule:
        """The data in the windows of the inversion, for fitting it alone."""
        self._physical.meet(datamodule)
        return self._physical.datamodule

    def _run(
        self,
        trainer: pl.Trainer,
        surrogate: Surrogate,
        datamodule: BurgersDataModule,
        schedule: Schedule,
        ckpt_path: str | Path | None,
    ) -> None:
        kept = KeptState.of(trainer)
        progress = self._progress
        while progress.cycle <= schedule.num_cycles and not trainer.should_stop:
            # A run that was resumed goes through the phases of its checkpoint again: they have nothing left to do.
            for agent in schedule.phases if progress.cycle else ("surrogate",):
                if agent in progress.done or schedule.last_epoch(progress.cycle) == 0:
                    continue
                cycle, folder = progress.cycle, _run_folder(trainer)
                generated = self._generation.for_agent(agent, surrogate, self._physical, datamodule, cycle, folder)
                with without_repetition(agent == "physical" or kept.path is not None):
                    if agent == "physical":
                        self._physical.fit(trainer, generated, schedule.max_iterations, progress.cycle)
                    else:
                        last, path = schedule.last_epoch(progress.cycle), kept.path or ckpt_path
                        self._surrogate.fit(trainer, surrogate, datamodule, generated, last, path)
                progress.done.append(agent)
                if agent == "physical" == schedule.phases[-1]:  # no epoch is still to come that would write it down
                    kept.renew(trainer, self)
            if progress.cycle:
                self._record(trainer, surrogate, datamodule)
            datamodule.set_generated([])
            self._generation.drop()
            progress.next_cycle()
        if trainer.should_stop and progress.cycle <= schedule.num_cycles:
            _LOGGER.warning("a callback has stopped the run at the end of cycle %d", progress.cycle - 1)

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
        """Do what must follow the loading of the checkpoint: the guard's best weights, the balance of the terms."""
        assert isinstance(pl_module, Surrogate)
        self._guard.before_training(pl_module)
        self._surrogate.begin_phase(trainer, pl_module, self._progress.cycle)

    def state_dict(self) -> dict[str, Any]:
        """The cycle, what has happened in it, and the inversion."""
        return {
            "cycle": self._progress.cycle,
            # A fit of the surrogate that has nothing left to do takes its weights from the checkpoint.
            "done": [agent for agent in self._progress.done if agent != "surrogate"],
            "settings": self._settings(),
            "records": self.ledger.state_dict(),
            "guard": self._guard.state_dict(),
            "physical": self._physical.state_dict(),
            "surrogate": self._surrogate.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing: every fit of a run loads its checkpoint, and would set the inversion back; see `fit`."""

    def _resume(self, ckpt_path: str | Path) -> None:
        """Take cycle, inversion and records from a checkpoint; the Trainer takes the rest."""
        checkpoint = torch.load(ckpt_path, map_location="cpu", weights_only=True)
        state = checkpoint.get("callbacks", {}).get(self.state_key)
        check_checkpoint(ckpt_path, state, self._settings())
        self._physical.load_state_dict(state["physical"])
        self._surrogate.load_state_dict(state["surrogate"])
        self.ledger.load_state_dict(state["records"])
        self._guard.load_state_dict(state["guard"])
        self._progress = Progress(state["cycle"], list(state["done"]))
        self._generation.remove_what_was_left(Path(ckpt_path).absolute().parent.parent, self._progress.cycle)

    def _settings(self) -> dict[str, Any]:
        """What a resumed run must share with the one it goes on from."""
        learned = [repr(learnable) for learnable in self.physical.posing.learnables]
        return {
            **self.schedule.must_stay(),
            **self._seeds,
            "exchange": self.exchange.draws(),
            "physical.learnable_parameters": learned,
        }

    def _record(self, trainer: pl.Trainer, surrogate: Surrogate, datamodule: BurgersDataModule) -> None:
        """Write down where the agents are at the end of a cycle."""
        comparison = compare_agents(surrogate, self.physical, datamodule, self.exchange, self._progress.cycle)
        num_observed, num_generated = self._surrogate.num_windows
        returned = self._guard.judge(comparison, surrogate, self._physical)
        record = CycleRecord(
            cycle=self._progress.cycle,
            epoch=trainer.current_epoch,
            num_observed=num_observed,
            num_generated=num_generated,
            **asdict(comparison),
            num_evaluations=self._physical.num_evaluations,
            parameters=self._physical.numbers,
            doubts=self._physical.doubts,
            returned=returned,
        )
        self.ledger.add(record)
        for agent in record.returned:
            _LOGGER.warning("cycle %d made the %s worse; it goes back to its best state", record.cycle, agent)
        if trainer.is_global_zero and not trainer.fast_dev_run:
            self.ledger.write(_run_folder(trainer) / "hybrid.json")
        for logger in trainer.loggers:
            logger.log_metrics(record.scalars(), step=trainer.global_step)
            logger.save()

    @contextmanager
    def _clean_up(self, datamodule: BurgersDataModule) -> Iterator[None]:
        """Leave nothing generated behind, after an error, Ctrl-C or SIGTERM either."""
        self._driving = True
        try:
            with sigterm_ends_the_run():
                yield
        finally:
            self._driving = False
            datamodule.set_generated([])
            self._generation.drop()


def _run_folder(trainer: pl.Trainer) -> Path:
    return Path(trainer.log_dir or trainer.default_root_dir)
