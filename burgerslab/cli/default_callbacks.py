"""The callbacks that a run has unless its config names others of their kind."""

from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, Checkpoint, ModelCheckpoint, ProgressBar, RichProgressBar
from lightning.pytorch.callbacks.progress.rich_progress import RichProgressBarTheme

from burgerslab.evaluation import InversionReport, PredictionWriter, TestReport
from burgerslab.inversion import Inversion
from burgerslab.surrogate import Surrogate

_KINDS = (Checkpoint, ProgressBar, TestReport, PredictionWriter, InversionReport)


def default_callbacks(
    model: pl.LightningModule, given: Sequence[Callback], options: Mapping[str, Any], fits: bool, has_validation: bool
) -> list[Callback]:
    """Reports, checkpoints and a progress bar, but for those of whose kind the config has one.

    Args:
        model: What is run.
        given: Callbacks of the config.
        options: Options of the Trainer.
        fits: Whether the model is to be fitted.
        has_validation: Whether there are validation trajectories.
    """
    callbacks: list[Callback] = [TestReport(), PredictionWriter()]
    if fits and isinstance(model, Inversion):
        callbacks.append(InversionReport())
    if fits and options["enable_checkpointing"] is not False and not options["fast_dev_run"]:
        validated = has_validation and options["limit_val_batches"] != 0
        callbacks += _checkpoints(validated and isinstance(model, Surrogate))
    if options["enable_progress_bar"] is not False:
        # Three decimals, the default, show an objective of 1e-4 as 0.
        callbacks.append(RichProgressBar(leave=False, theme=RichProgressBarTheme(metrics_format=".4g")))
    taken = tuple(kind for kind in _KINDS if any(isinstance(callback, kind) for callback in given))
    return [callback for callback in callbacks if not isinstance(callback, taken)]


def _checkpoints(with_best: bool) -> list[Callback]:
    """The best weights and the last ones; only the last where nothing tells which are best, or the last are."""
    # At the end of an epoch, so that a resumed run goes on bit by bit. One callback would not do: with a monitor,
    # Lightning writes the last checkpoint only together with a new best one.
    each_epoch = {"save_on_train_epoch_end": True, "enable_version_counter": False}
    last = ModelCheckpoint(filename="last", **each_epoch)
    return [ModelCheckpoint(filename="best", monitor="val/nrmse", **each_epoch), last] if with_best else [last]
