"""A solve without a run around it: for scripts and notebooks that solve many times."""

import lightning.pytorch as pl

from burgerslab.data import BurgersDataModule
from burgerslab.inversion.module import Inversion
from burgerslab.inversion.quiet import without_repetition
from burgerslab.inversion.result import InversionResult


def solve_alone(inversion: Inversion, datamodule: BurgersDataModule, max_iterations: int = -1) -> InversionResult:
    """Fit an inversion on this process's CPU, and leave nothing behind: neither log, checkpoint nor progress bar.

    What it finds is what ``Trainer.fit`` would find; warnings and errors are the same.

    Args:
        inversion: What is to be found.
        datamodule: Its data.
        max_iterations: Iterations after which the solve is stopped; -1 goes on to the minimum.

    Returns:
        The result of the inversion.

    Raises:
        ConvergenceError: If the solver gave up.
    """
    with without_repetition():
        trainer = pl.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=max_iterations,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_val_batches=0,
        )
        trainer.fit(inversion, datamodule=datamodule)
    assert inversion.result is not None
    return inversion.result
