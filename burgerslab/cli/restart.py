"""How the run of a comparison goes on after it was killed, so that it ends as if nothing had been."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from burgerslab.hybrid import KeptState


def last_checkpoint(folder: Path) -> Path | None:
    """What a run has left to go on from; None if it has left nothing.

    Args:
        folder: Of the run, with a ``version_N`` for each time that it was begun.
    """
    return max(folder.rglob(KeptState.file_name), key=lambda path: path.stat().st_mtime, default=None)


def keep_folders(callbacks: Sequence[Callback], checkpoint: Path) -> None:
    """Let callbacks that keep best checkpoints go on where they are, so that they know the best of before.

    Args:
        callbacks: Of the Trainer that goes on.
        checkpoint: What it goes on from.
    """
    states = torch.load(checkpoint, map_location="cpu", weights_only=True)["callbacks"]
    for callback in callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.state_key in states:
            callback.dirpath = states[callback.state_key]["dirpath"]


class EndsAfter(Callback):
    """Ends training after a number of steps.

    ``trainer.max_steps`` would do so too, but with it Lightning 2.6 counts an epoch twice when a run goes on from the
    end of one, and windows come in the order of the epoch after it.

    Args:
        num_steps: Number of steps.
    """

    def __init__(self, num_steps: int) -> None:
        self._num_steps = num_steps

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Do nothing more, if a run goes on from its end."""
        trainer.should_stop = trainer.should_stop or trainer.global_step >= self._num_steps

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End after the last step."""
        trainer.should_stop = trainer.should_stop or trainer.global_step >= self._num_steps
