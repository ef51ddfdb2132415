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
from burgerslab.hybrid import Exchange, Hybrid
from burgerslab.inversion import Inversion, Viscosity
from burgerslab.physics import ColeHopf, ConstantViscosity, Domain, RandomFourier
from burgerslab.surrogate import Surrogate, UNet

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


def data(store: Path, **options: Any) -> BurgersDataModule:
    parts = {"train_sim_indices": [0, 1, 2], "val_sim_indices": [3], "test_sim_indices": [4, 5]}
    return BurgersDataModule(str(store), **{"num_predict_steps": 2, "batch_size": 8, **parts, **options})


class Dropping(torch.nn.Module):
    """A UNet behind a dropout."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network, self.dropout = network, torch.nn.Dropout(0.1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.network(self.dropout(inputs))


def surrogate(datamodule: BurgersDataModule, num_epochs: int, dropout: bool = False) -> Surrogate:
    """Adam, a cosine over all epochs, noise on the inputs."""
    torch.manual_seed(1)
    network = UNet(datamodule.in_channels, datamodule.out_channels, datamodule.dimension, filters=4, levels=1)

    def cosine(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=num_epochs)

    return Surrogate(Dropping(network) if dropout else network, lr_scheduler=cosine, input_noise=0.01)


@dataclass
class Stop:
    """What happens in the middle of a phase of cycle 2: the process is killed, or a user presses Ctrl-C."""

    phase: str
    by_kill: bool

    def __call__(self) -> None:
        if self.by_kill:
            os.kill(os.getpid(), signal.SIGKILL)
        raise KeyboardInterrupt


class StopInSurrogate(Callback):
    """In the second epoch of cycle 2, at its third batch."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if (trainer.current_epoch, batch_idx) == (1 + 2 + 1, 2):
            self.stop()


class StoppedInversion(Inversion):
    """After the second iteration of its second fit."""

    stop: Stop | None = None
    num_fits = 0

    def setup(self, stage: str) -> None:
        super().setup(stage)
        self.num_fits += 1

    def on_train_batch_end(self, outputs, batch, batch_idx) -> None:
        super().on_train_batch_end(outputs, batch, batch_idx)
        if self.stop is not None and self.num_fits == 2 and len(self.history) == 2:
            self.stop()


def run(
    store: Path,
    folder: Path,
    begin_with: str,
    stop: Stop | None = None,
    ckpt_path: Path | None = None,
    **options: Any,
) -> tuple[torch.Tensor, Hybrid]:
    """Three cycles after a warm-up of one epoch, with averaged weights: the weights at the end, and the callback."""
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
    if stop is not None and stop.phase == "physical":
        inversion.stop = stop
    elif stop is not None:
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
        Stop(sys.argv[4], by_kill=True),
        exchange=Exchange(alpha=0.5),
    )
