"""KeptState: what a fit leaves for the next one to go on from."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, Checkpoint


class KeptState(Checkpoint):
    """Writes a checkpoint at the end of every training epoch, for the next fit or for a run that was killed.

    A Trainer forgets optimizer, schedulers and averaged weights between fits; a checkpoint holds them. Only one that
    is written within the fit will do: when it ends, averaged weights have taken the place of those that were trained.
    It stands behind all other callbacks, so that their state is the one after the epoch. A new checkpoint takes the
    place of the last at once: a process that is killed while it writes, and a full disk, leave the last one.
    """

    file_name = "hybrid.ckpt"

    def __init__(self) -> None:
        self.path: Path | None = None
        """The checkpoint of this process; None before its first."""
        self.seconds_before = 0.0
        """Time that runs have taken of which this one is the continuation."""
        self._began = time.perf_counter()
        self._next = Path()

    @classmethod
    def of(cls, trainer: pl.Trainer) -> "KeptState":
        """The Trainer's, or a new one that it is given."""
        for callback in trainer.callbacks:
            if isinstance(callback, cls):
                return callback
        kept = cls()
        trainer.callbacks.append(kept)
        return kept

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Find the folder; it stays the same over all fits of a run."""
        if stage == "fit" and self.path is None:
            folder = trainer.strategy.broadcast(Path(trainer.log_dir or trainer.default_root_dir))
            self._next = folder / "checkpoints" / self.file_name

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the checkpoint."""
        if trainer.fast_dev_run:  # leaves no files
            return
        with self._replacing(trainer) as unfinished:
            trainer.save_checkpoint(unfinished, weights_only=False)  # said, or Lightning says so
        self.path = self._next

    def renew(self, trainer: pl.Trainer, callback: Callback) -> None:
        """Bring the state of one callback up to date, that has gone on since the epoch ended.

        Args:
            trainer: The Trainer of the fits.
            callback: The callback.
        """
        if self.path is None or not trainer.is_global_zero:
            return
        checkpoint = torch.load(self.path, map_location="cpu", weights_only=True)
        checkpoint["callbacks"][callback.state_key] = callback.state_dict()
        with self._replacing(trainer) as unfinished:
            torch.save(checkpoint, unfinished)

    @contextmanager
    def _replacing(self, trainer: pl.Trainer) -> Iterator[Path]:
        unfinished = self._next.with_suffix(".unfinished")
        try:
            yield unfinished
            if trainer.is_global_zero:
                os.replace(unfinished, self._next)
        finally:
            unfinished.unlink(missing_ok=True)

    def state_dict(self) -> dict[str, Any]:
        """How long the run has taken."""
        return {"seconds": self.seconds_before + time.perf_counter() - self._began}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the time of a run that was killed; later fits load what this process has written."""
        if self.path is None:
            self.seconds_before = state_dict["seconds"]
