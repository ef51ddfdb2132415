"""What must hold for a hybrid run, checked before anything is simulated or trained."""

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from burgerslab.data import BurgersDataModule
from burgerslab.inversion import Inversion
from burgerslab.surrogate import Surrogate


def check_run(
    trainer: pl.Trainer,
    hybrid: Callback,
    physical: Inversion,
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
    if trainer.world_size > 1:
        raise ValueError(f"Hybrid runs on one device, got {trainer.world_size}; set trainer.devices: 1")
    if trainer.limit_train_batches != 1.0 and not trainer.fast_dev_run:
        raise ValueError(
            f"trainer.limit_train_batches is {trainer.limit_train_batches}, which would hide generated windows; "
            "leave it out, and lower exchange.alpha for fewer"
        )
    if trainer.max_steps != -1 or trainer.overfit_batches:
        raise ValueError(
            "trainer.max_steps and trainer.overfit_batches would cut cycles short; leave them out, and set "
            "Hybrid.num_cycles and Hybrid.epochs_per_cycle"
        )
    if not physical.forecasts_any_trajectory:
        raise ValueError(
            "the inversion learns a viscosity for each trajectory and has none for new states; leave out "
            "each_trajectory"
        )
