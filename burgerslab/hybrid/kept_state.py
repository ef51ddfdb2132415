"""KeptState: what a fit leaves for the next one to go on from."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint


class KeptState(Checkpoint):
    """Writes a checkpoint at the end of every training epoch, for the next fit or for a run that was killed.

    A Trainer forgets optimizer, schedulers and averaged weights between fits; a checkpoint holds them. Only one that
    is written within the fit will do: when it ends, averaged weights have taken the place of those that were trained.
    Lightning moves callbacks of this kind behind all others, so that their state is the one after the epoch.
    """

    def __init__(self) -> None:
        self.path: Path | None = None
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
            self._next = folder / "checkpoints" / "hybrid.ckpt"

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the checkpoint."""
        if trainer.fast_dev_run:  # leaves no files
            return
        trainer.save_checkpoint(self._next, weights_only=False)  # said, or Lightning says so
        self.path = self._next

    def state_dict(self) -> dict[str, Any]:
        """Nothing: a checkpoint need not know where it lies."""
        return {}
