"""A hybrid run of seconds; as a script it kills itself in the middle of a phase."""

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from torch.nn.utils import parameters_to_vector

from burgerslab.data import BurgersDataModule, Simulation, generate
from burgerslab.hybrid import Exchange, Hybrid, exchange
from burgerslab.inversion import Inversion, Viscosity
from burgerslab.physics import ColeHopf, ConstantViscosity, Domain, RandomFourier
from burgerslab.surrogate import Curriculum, Surrogate, UNet

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}


def make_store(path: Path) -> Path:
    """Exact trajectories, viscosity 0.03."""
    simulation = Simulation(
        domain=Domain((1.0,), (32,)),
        viscosity=ConstantViscosity(0.03),
        dt=0.02,
        num_frames=11,
        num_trajectories=6,
        initial=RandomFourier(amplitude=0.4, max_mode=2),
        scheme=ColeHopf(),
    )
    generate(simulation, path, progress=False)
    return path


def data(store: Path, kind: type[BurgersDataModule] = BurgersDataModule, **options: Any) -> BurgersDataModule:
    parts = {"train_sim_indices": [0, 1, 2], "val_sim_indices": [3], "test_sim_indices": [4, 5]}
    return kind(str(store), **{"num_predict_steps": 2, "batch_size": 8, **parts, **options})


class Dropping(torch.nn.Module):
    """A UNet behind a dropout."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network, self.dropout = network, torch.nn.Dropout(0.1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.network(self.dropout(inputs))


def surrogate(
    datamodule: BurgersDataModule, num_epochs: int, dropout: bool = False, curriculum: Curriculum | None = None
) -> Surrogate:
    """Adam, a cosine over all epochs, noise on the inputs."""
    torch.manual_seed(1)
    network = UNet(datamodule.in_channels, datamodule.out_channels, datamodule.dimension, filters=4, levels=1)

    def cosine(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=num_epochs)

    return Surrogate(
        Dropping(network) if dropout else network,
        lr_scheduler=cosine,
        input_noise=0.01,
        curriculum=curriculum,
    )


@dataclass
class Stop:
    """What happens in the middle of a phase of cycle 2: a signal.

    Args:
        phase: ``surrogate``, ``physical``, or ``generating``: while the physics makes the surrogate's windows.
        number: Of the signal.
    """

    phase: str
    number: int

    def __call__(self) -> None:
        if self.number == signal.SIGINT:  # which the process that runs the tests may have made something of
            raise KeyboardInterrupt
        os.kill(os.getpid(), self.number)


class StopInSurrogate(Callback):
    """In the second epoch of cycle 2, at its third batch."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if (trainer.current_epoch, batch_idx) == (1 + 2 + 1, 2):
            self.stop()


class StoppedInversion(Inversion):
    """After the second iteration of its second fit, or in the second batch of rollouts that follow it."""

    stop: Stop | None = None
    num_fits = num_rollouts = 0

    def setup(self, stage: str) -> None:
        super().setup(stage)
        self.num_fits += 1

    def on_train_batch_end(self, outputs, batch, batch_idx) -> None:
        super().on_train_batch_end(outputs, batch, batch_idx)
        if self.stop is not None and self.stop.phase == "physical" and self.num_fits == 2 and len(self.history) == 2:
            self.stop()

    def rollout(self, *args, **kwargs) -> torch.Tensor:
        if self.stop is not None and self.stop.phase == "generating" and self.num_fits == 2:
            self.num_rollouts += 1
            if self.num_rollouts == 2:
                self.stop()
        return super().rollout(*args, **kwargs)


def run(
    store: Path,
    folder: Path,
    begin_with: str,
    stop: Stop | None = None,
    ckpt_path: Path | None = None,
    **options: Any,
) -> tuple[torch.Tensor, Hybrid]:
    """Three cycles after a warm-up of one epoch, with averaged weights: the weights at the end, and the callback."""
    exchange._BATCH_SIZE = 8  # so that generated stores have several blocks
    datamodule = data(store)
    model = surrogate(datamodule, 7)
    inversion = StoppedInversion([Viscosity(0.06)])
    hybrid = Hybrid(
        inversion,
        num_cycles=3,
        epochs_per_cycle=2,
        warmup_epochs=1,
        max_iterations=3,
        begin_with=begin_with,
        **options,
    )
    callbacks = [hybrid, EMAWeightAveraging(decay=0.9)]
    inversion.stop = stop
    if stop is not None and stop.phase == "surrogate":
        callbacks.append(StopInSurrogate(stop))
    trainer = pl.Trainer(accelerator="cpu", default_root_dir=folder, callbacks=callbacks, **QUIET)
    hybrid.fit(trainer, model, datamodule, ckpt_path=ckpt_path)
    assert trainer.current_epoch == 7
    return parameters_to_vector(model.parameters()).detach(), hybrid


def fit(store, folder, hybrid: Hybrid, *callbacks: Callback, datamodule=None, trainer=None) -> Surrogate:
    """A run of up to four epochs; the surrogate."""
    datamodule = data(store) if datamodule is None else datamodule
    model = surrogate(datamodule, 4)
    options = {"accelerator": "cpu", "default_root_dir": folder, "callbacks": [hybrid, *callbacks], **QUIET}
    hybrid.fit(pl.Trainer(**options, **(trainer or {})), model, datamodule)
    return model


if __name__ == "__main__":
    run(
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        sys.argv[3],
        Stop(sys.argv[4], signal.SIGKILL),
        exchange=Exchange(alpha=float(sys.argv[5]), memory_budget_gib=float(sys.argv[6])),
    )
