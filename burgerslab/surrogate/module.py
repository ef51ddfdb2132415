"""Surrogate: a LightningModule that trains a network to advance the dynamic fields in time."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import lightning.pytorch as pl
import numpy as np
import torch
from jaxtyping import Float
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from burgerslab import metrics
from burgerslab.data import BurgersDataModule, DataDescription, Statistics
from burgerslab.physics import DivergedError
from burgerslab.surrogate.masked_loss import mean_observed, require_complete, with_interaction
from burgerslab.surrogate.unrolling import BackpropagationThroughTime, Curriculum, Unrolling

Batch = dict[str, Tensor]
MakeOptimizer = Callable[[Iterable], Optimizer]
MakeScheduler = Callable[[Optimizer], LRScheduler]
_STATISTICS = ("mean", "std", "increment_std", "static_mean", "static_std")


class Surrogate(pl.LightningModule):
    """A network as a time stepper: u(t + dt) = u(t) + σ network((u(t) - μ) / s, static fields).

    μ and s are the mean and standard deviation of the training trajectories, σ the root mean square of their change
    from frame to frame, per channel; all are kept in the checkpoint. The network sees ``(B, C + S, *N)``: dynamic,
    then static channels, each normalised; it returns ``(B, C, *N)``.

    Args:
        network: Any module from ``(B, C + S, *N)`` to ``(B, C, *N)``.
        optimizer: Makes the optimizer from the parameters.
        lr_scheduler: Makes the learning-rate scheduler from the optimizer.
        lr_scheduler_interval: Whether the scheduler advances per epoch or per step.
        unrolling: How windows are unrolled in training.
        curriculum: Growth of the rollout length over the epochs; None unrolls the whole window always.
        input_noise: Standard deviation of Gaussian noise on the initial frames of training windows, in units of s.
        compile_network: Run the network through ``torch.compile``.
        seed: Of every random draw in training. Draws are a function of (seed, rank, epoch, batch), so that a resumed
            run goes on as an undisturbed one would.

    Raises:
        ValueError: If ``input_noise`` is negative.
    """

    interaction_weight: float = 1.0  # of generated windows beside observed ones
    mean: Tensor
    std: Tensor
    increment_std: Tensor
    static_mean: Tensor
    static_std: Tensor

    def __init__(
        self,
        network: nn.Module,
        optimizer: MakeOptimizer = lambda parameters: torch.optim.Adam(parameters, lr=1.0e-3),
        lr_scheduler: MakeScheduler | None = None,
        lr_scheduler_interval: Literal["epoch", "step"] = "epoch",
        unrolling: Unrolling = BackpropagationThroughTime(),  # noqa: B008 - frozen
        curriculum: Curriculum | None = None,
        input_noise: float = 0.0,
        compile_network: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if input_noise < 0:
            raise ValueError(f"model.input_noise must not be negative, got {input_noise}")
        self.network = network
        self.unrolling = unrolling
        self.curriculum = curriculum
        self.input_noise = input_noise
        self.description: DataDescription | None = None
        self._optimizer = optimizer
        self._lr_scheduler = lr_scheduler
        self._lr_scheduler_interval = lr_scheduler_interval
        self.seed = seed
        for name in _STATISTICS:
            self.register_buffer(name, torch.empty(0))
        if compile_network:
            self.network.compile()

    def adopt(self, description: DataDescription, statistics: Statistics) -> None:
        """Take the facts and statistics of training data; `setup` does it when a datamodule is there.

        Raises:
            ValueError: If the network does not fit the channels; says what it was given and what came out.
        """
        self.description = description
        for name in _STATISTICS:
            setattr(self, name, getattr(statistics, name).to(self.device, torch.float32))
        self.check_network(description)

    def check_network(self, description: DataDescription) -> None:
        """Run the network once on zeros of the shape it will see.

        Raises:
            ValueError: If it does not map the channels and cells of the data; says what came out.
        """
        num_in = description.num_dynamic_channels + description.num_static_channels
        shape = (1, num_in, *description.domain.resolution)
        expected = (1, description.num_dynamic_channels, *description.domain.resolution)
        fields = [*description.dynamic_fields, *description.static_fields]
        facts = (
            f"the data have {description.num_dynamic_channels} dynamic and {description.num_static_channels} static "
            f"channels ({', '.join(fields)}), so model.network must map {shape} to {expected}"
        )
        was_training = self.network.training
        self.network.eval()
        try:
            with torch.no_grad():
                output = self.network(torch.zeros(shape, device=self.device))
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{facts}; {type(self.network).__name__} failed on it: {error}") from error
        finally:
            self.network.train(was_training)
        if tuple(output.shape) != expected:
            raise ValueError(f"{facts}; {type(self.network).__name__} gave {tuple(output.shape)}")

    def configure_model(self) -> None:
        """Take over what the data say before anything copies the module (weight averaging does)."""
        if self._trainer is not None:
            self._meet_data()

    def setup(self, stage: str) -> None:
        """Take over what the data say, or check that they say the same as the data trained on."""
        self._meet_data()

    def advance(self, state: Float[Tensor, "B C *N"], static: Float[Tensor, "B S *N"]) -> Float[Tensor, "B C *N"]:
        """One step, in physical units."""
        inputs = torch.cat(
            [
                (state - _per_channel(self.mean, state)) / _per_channel(self.std, state),
                (static - _per_channel(self.static_mean, state)) / _per_channel(self.static_std, state),
            ],
            dim=1,
        )
        return state + _per_channel(self.increment_std, state) * self.network(inputs).to(state.dtype)

    def rollout(
        self, initial: Float[Tensor, "B C *N"], num_steps: int, static: Float[Tensor, "B S *N"] | None = None
    ) -> Float[Tensor, "B T C *N"]:
        """Frames 1 to ``num_steps`` after the given one, in physical units; the initial frame is not included.

        Args:
            initial: First frames.
            num_steps: Number T of frames to predict, each ``description.dt`` after the one before.
            static: Static fields; may be left out when the surrogate has none.
        """
        if static is None:
            static = initial.new_empty((len(initial), 0, *initial.shape[2:]))
        frames = []
        state = initial
        for _ in range(num_steps):
            state = self.advance(state, static)
            frames.append(state)
        return torch.stack(frames, dim=1)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Make the random draws of this step (noise, dropout) a function of (seed, rank, epoch, batch)."""
        words = np.random.SeedSequence([self.seed, self.global_rank, self.current_epoch, batch_idx]).generate_state(2)
        torch.manual_seed(int(words[0]) << 32 | int(words[1]))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean squared error of the unrolled window where it is observed, in units of the training data's variance.

        Raises:
            DivergedError: If the loss is not finite; says when and what to change.
            ValueError: If a window's initial frame is hidden in part.
        """
        target = batch["target"]
        if "mask" in batch:
            require_complete(batch["mask"][:, 0])
            # what an unrolling picks from the targets then says itself what of it is hidden
            target = target.masked_fill(~batch["mask"][:, 1:], torch.nan)
        if self.curriculum is not None:
            target = target[:, : self.curriculum.num_steps(self.current_epoch, target.shape[1])]
        initial = batch["initial"]
        if self.input_noise > 0:
            noise = torch.randn_like(initial) * self.input_noise
            initial = initial + noise * _per_channel(self.std, initial)
        predicted, wanted = self.unrolling.unroll(lambda state: self.advance(state, batch["static"]), initial, target)
        error = (predicted - wanted) / _per_channel(self.std, initial)
        if bool(batch["observed"].all()):
            loss = mean_observed(error, wanted) if "mask" in batch else error.square().mean()
        else:
            loss, parts = with_interaction(error, wanted, batch["observed"], self.interaction_weight)
            for name, (part, size) in parts.items():
                self.log(f"train/{name}", part, on_step=False, on_epoch=True, batch_size=size)
        if not torch.isfinite(loss):
            raise DivergedError(
                f"the training loss became {loss.item()} in epoch {self.current_epoch}, step {self.global_step}. "
                "Lower the learning rate, set trainer.gradient_clip_val (1.0, say), or begin with short rollouts "
                "(model.curriculum). The last checkpoint was written before this step"
            )
        self.log("train/loss", loss, prog_bar=True, batch_size=len(initial))
        self.log("train/num_steps", float(target.shape[1]), batch_size=len(initial))
        return loss

    def on_validation_start(self) -> None:
        """Refuse an untrained surrogate."""
        self._require_training()

    def on_test_start(self) -> None:
        """Refuse an untrained surrogate."""
        self._require_training()

    def on_predict_start(self) -> None:
        """Refuse an untrained surrogate."""
        self._require_training()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Roll out whole trajectories and log the mean errors."""
        prediction = self.rollout(batch["initial"], batch["target"].shape[1], batch["static"])
        nrmse = metrics.nrmse(prediction, batch["target"])
        correlation = metrics.correlation(prediction, batch["target"])
        duration = metrics.correlation_time(correlation, self._times(correlation.shape[1]))
        self.log("val/nrmse", nrmse.mean(), prog_bar=True, batch_size=len(nrmse), sync_dist=True)
        self.log("val/correlation_time", duration.mean(), batch_size=len(nrmse), sync_dist=True)

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """Roll out whole trajectories; the errors of the surrogate and of persistence, per trajectory and frame."""
        assert self.description is not None
        target = batch["target"]
        persistence = batch["initial"][:, None].expand_as(target)
        prediction = self.rollout(batch["initial"], target.shape[1], batch["static"])
        extent = self.description.domain.extent
        forecasts = {"surrogate": prediction, "persistence": persistence}
        errors = {name: metrics.frame_metrics(forecast, target, extent) for name, forecast in forecasts.items()}
        for metric, values in errors["surrogate"].items():
            self.log(f"test/{metric}", values.mean(), batch_size=len(target), sync_dist=True)
        return {"errors": errors, "prediction": prediction}

    def predict_step(self, batch: Batch, batch_idx: int) -> Float[Tensor, "B T C *N"]:
        """Whole predicted trajectories, the initial frame included."""
        initial = batch["initial"]
        return torch.cat([initial[:, None], self.rollout(initial, batch["target"].shape[1], batch["static"])], dim=1)

    def configure_optimizers(self) -> Any:
        """The optimizer, and the scheduler if there is one."""
        optimizer = self._optimizer(self.parameters())
        if self._lr_scheduler is None:
            return optimizer
        scheduler = self._lr_scheduler(optimizer)
        settings: dict[str, Any] = {"scheduler": scheduler, "interval": self._lr_scheduler_interval}
        if isinstance(scheduler, ReduceLROnPlateau):
            settings["monitor"] = getattr(scheduler, "monitor", "val/nrmse")
        return {"optimizer": optimizer, "lr_scheduler": settings}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the facts of the data beside the weights."""
        if self.description is not None:
            checkpoint["description"] = self.description.to_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the facts of the data, and make room for their statistics."""
        if "description" not in checkpoint or not checkpoint["state_dict"].keys() >= set(_STATISTICS):
            raise ValueError("the checkpoint was not written by a Surrogate; choose one from a surrogate's run")
        self.description = DataDescription.from_dict(checkpoint["description"])
        for name in _STATISTICS:
            setattr(self, name, torch.empty_like(checkpoint["state_dict"][name], device=self.device))
        if self._trainer is not None:
            self._meet_data()

    def _times(self, num_frames: int) -> Tensor:
        assert self.description is not None
        return self.description.dt * torch.arange(1, num_frames + 1, device=self.device)

    def _require_training(self) -> None:
        if self.description is None:
            raise ValueError("this surrogate has not been trained; give its checkpoint with --ckpt_path")

    def _meet_data(self) -> None:
        datamodule = getattr(self.trainer, "datamodule", None)
        if not isinstance(datamodule, BurgersDataModule):
            if self.description is None:
                raise ValueError(
                    "Surrogate knows nothing of its data: fit it with a BurgersDataModule, or call "
                    "adopt(description, statistics) first"
                )
            return
        if self.description is None:
            if self.trainer.state.fn == TrainerFn.FITTING:
                self.adopt(datamodule.description, datamodule.statistics)
            return
        if differences := self.description.differences(datamodule.description):
            raise ValueError(
                f"the surrogate was trained on other data than {datamodule.store_path} ({'; '.join(differences)}); "
                "use a store with the same dt and fields, or train anew"
            )


def _per_channel(values: Tensor, like: Tensor) -> Tensor:
    """``(C,)`` in the shape that multiplies ``(B, C, *N)``."""
    return values.view(-1, *(1,) * (like.ndim - 2))
