"""What must hold for a hybrid run, checked before anything is simulated or trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from burgerslab.data import BurgersDataModule
from burgerslab.hybrid.schedule import Schedule
from burgerslab.inversion import Inversion
from burgerslab.surrogate import Surrogate

_LIGHTNINGS_DEFAULT = 1000  # epochs, where neither max_epochs nor max_steps is set


def check_run(
    trainer: pl.Trainer,
    hybrid: Callback,
    physical: Inversion,
    schedule: Schedule,
    surrogate: pl.LightningModule,
    datamodule: pl.LightningDataModule,
) -> None:
    """Refuse options that would hide generated windows, cut cycles short, or that do not go together.

    Raises:
        ValueError: Says which, and what to set.
    """
    if not isinstance(surrogate, Surrogate):
        raise ValueError(f"Hybrid trains a Surrogate beside its inversion, got model: {type(surrogate).__name__}")
    if not isinstance(datamodule, BurgersDataModule):
        raise ValueError(f"Hybrid learns from a BurgersDataModule only, got data: {type(datamodule).__name__}")
    if hybrid not in trainer.callbacks:
        raise ValueError("Hybrid must be among the Trainer's callbacks: pl.Trainer(callbacks=[hybrid])")
    if trainer.current_epoch > 0:
        raise ValueError(
            f"this Trainer has trained {trainer.current_epoch} epochs already; give Hybrid.fit a new one, and "
            "ckpt_path to go on"
        )
    if trainer.world_size > 1:
        raise ValueError(f"Hybrid runs on one device, got {trainer.world_size}; set trainer.devices: 1")
    limit = trainer.limit_train_batches
    if (limit != 1.0 or isinstance(limit, int)) and not trainer.fast_dev_run:  # 1 is one batch, 1.0 are all
        raise ValueError(
            f"trainer.limit_train_batches is {limit}, which would hide generated windows; "
            "leave it out, and lower exchange.alpha for fewer"
        )
    if (trainer.max_steps != -1 and not trainer.fast_dev_run) or trainer.overfit_batches:
        raise ValueError(
            "trainer.max_steps and trainer.overfit_batches would cut cycles short; leave them out, and set "
            "Hybrid.num_cycles and Hybrid.epochs_per_cycle"
        )
    if trainer.max_epochs not in (None, -1, _LIGHTNINGS_DEFAULT, schedule.num_epochs) and not trainer.fast_dev_run:
        raise ValueError(
            f"trainer.max_epochs is {trainer.max_epochs}, but a hybrid run has Hybrid.warmup_epochs + "
            f"Hybrid.num_cycles * Hybrid.epochs_per_cycle = {schedule.num_epochs}; leave it out"
        )
    if not physical.forecasts_any_trajectory:
        raise ValueError(
            "the inversion learns a viscosity for each trajectory and has none for new states; leave out "
            "each_trajectory"
        )


def check_checkpoint(path: str | Path, state: Mapping[str, Any] | None, settings: Mapping[str, Any]) -> None:
    """Refuse to go on from a checkpoint of another run.

    Args:
        path: Where it lies.
        state: What the callback has written into it; None if nothing.
        settings: Of this run.

    Raises:
        ValueError: Says what differs.
    """
    if state is None:
        raise ValueError(
            f"ckpt_path: {path} was not written by a hybrid run; give hybrid.ckpt of one, or leave it out"
        )
    changes = [
        f"{name} was {before} and is {settings[name]}"
        for name, before in state["settings"].items()
        if before != settings[name]
    ]
    if changes:
        raise ValueError(
            f"ckpt_path: the run of this checkpoint is another: {'; '.join(changes)}. Set it as it was, or start a "
            "new run without ckpt_path"
        )
