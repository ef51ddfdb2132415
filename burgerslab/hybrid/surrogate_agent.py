"""SurrogateAgent: the surrogate in a hybrid run, whose fits go on as one."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelSummary, WeightAveraging

from burgerslab.data import BurgersDataModule, HybridDataset, Trajectories
from burgerslab.physics import DivergedError
from burgerslab.surrogate import Surrogate

_MOST_WINDOWS = 64


class SurrogateAgent:
    """Fits of one surrogate that go on as one.

    Args:
        interaction_weight: Weight of generated windows in the loss; see `Hybrid`.

    Raises:
        ValueError: If it is negative.
    """

    def __init__(self, interaction_weight: float | Literal["balanced"]) -> None:
        if interaction_weight != "balanced" and not interaction_weight >= 0:
            raise ValueError(f"Hybrid.surrogate_interaction_weight must not be negative, got {interaction_weight}")
        self._weight = interaction_weight
        self.num_windows = (0, 0)
        """Observed and generated windows of the last fit."""
        self._balanced: dict[int, float] = {}
        self._windows: HybridDataset | None = None

    def fit(
        self,
        trainer: pl.Trainer,
        surrogate: Surrogate,
        datamodule: BurgersDataModule,
        generated: Sequence[Trajectories],
        last_epoch: int,
        path: str | Path | None,
    ) -> None:
        """Go on to an epoch with other generated windows.

        Args:
            trainer: The Trainer of all fits.
            surrogate: The surrogate.
            datamodule: The data.
            generated: Trajectories that the physics has made.
            last_epoch: Epochs in all up to the end of this fit.
            path: Checkpoint of the last fit's end; None begins.
        """
        datamodule.set_generated(generated)
        self._windows = windows = datamodule.training_windows()
        self.num_windows = (windows.num_observed, len(windows) - windows.num_observed)
        # Without this, Lightning takes the work for done.
        trainer.fit_loop.max_epochs = last_epoch
        with warnings.catch_warnings():
            if path is not None:  # so it is meant: the checkpoints of the fits before
                warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
            trainer.fit(surrogate, datamodule=datamodule, ckpt_path=path, weights_only=True)
        for callback in trainer.callbacks:
            if isinstance(callback, WeightAveraging):  # a fit that had nothing left to do has not done it
                callback.on_train_end(trainer, surrogate)
        # What has been said and checked once.
        trainer.callbacks = [callback for callback in trainer.callbacks if not isinstance(callback, ModelSummary)]
        trainer.num_sanity_val_steps = 0

    def begin_phase(self, trainer: pl.Trainer, surrogate: Surrogate, cycle: int) -> None:
        """Make sure of the windows, and set the weight of generated ones, once the network's weights are in place.

        Args:
            trainer: The Trainer, its loader in place.
            surrogate: The surrogate.
            cycle: Number of the cycle; a run that goes on in the middle of a phase has its weight from its beginning.

        Raises:
            DivergedError: If terms are to be balanced and the surrogate runs away.
            ValueError: If the loader serves other windows, as one does that was kept from an earlier fit.
        """
        served = getattr(trainer.train_dataloader, "dataset", None)
        if served is not self._windows:
            raise ValueError(
                "the loader of data.train_dataloader does not serve the windows of data.training_windows, so that "
                "generated ones would be hidden: make a new DataLoader of them in each call, and keep none from an "
                "earlier fit (persistent_workers would keep their old windows, too)"
            )
        if self._weight != "balanced":
            surrogate.interaction_weight = float(self._weight)
            return
        if cycle not in self._balanced:
            assert self._windows is not None
            self._balanced = {cycle: balanced_weight(surrogate, self._windows)}
        surrogate.interaction_weight = self._balanced[cycle]

    def state_dict(self) -> dict[str, Any]:
        """The weight of the phase that is under way."""
        return {"balanced": dict(self._balanced)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self._balanced = dict(state["balanced"])


@torch.no_grad()
def balanced_weight(surrogate: Surrogate, windows: HybridDataset) -> float:
    """The weight at which generated windows have, all together, the same share in the loss as the observed ones.

    Args:
        surrogate: With the weights at which the shares are equal.
        windows: What it trains on; up to 64 of each kind are looked at.

    Raises:
        DivergedError: If its rollouts are not finite.
    """
    if len(windows) == windows.num_observed:
        return 1.0
    was_training = surrogate.training
    surrogate.eval()
    sizes = []
    for first, end in ((0, windows.num_observed), (windows.num_observed, len(windows))):
        chosen = np.unique(np.linspace(first, end - 1, _MOST_WINDOWS).astype(int))
        batch = windows.batch(chosen)
        place = {"device": surrogate.device, "dtype": surrogate.dtype}
        target = batch["target"].to(**place)
        if surrogate.curriculum is not None:
            target = target[:, : surrogate.curriculum.num_steps(surrogate.current_epoch, target.shape[1])]
        made = surrogate.rollout(batch["initial"].to(**place), target.shape[1], batch["static"].to(**place))
        error = (made - target) / surrogate.std.view(-1, *(1,) * (target.ndim - 3))
        if "mask" in batch:
            error = error[batch["mask"][:, 1 : 1 + target.shape[1]].to(surrogate.device).expand_as(error)]
        sizes.append((end - first) * float(error.float().square().mean()))
    surrogate.train(was_training)
    if not np.isfinite(sizes).all():
        raise DivergedError(
            "the surrogate's rollouts are not finite, so Hybrid.surrogate_interaction_weight cannot be balanced: "
            "raise Hybrid.warmup_epochs, or give the weight as a number"
        )
    return sizes[0] / sizes[1] if sizes[1] > 0 else 1.0
