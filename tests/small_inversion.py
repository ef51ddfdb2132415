"""Inversions of a second on exact data, in this process or one of their own."""

import os
import signal
import sys
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from burgerslab.data import BurgersDataModule, Simulation, generate
from burgerslab.inversion import Advection, InitialState, Inversion, Viscosity
from burgerslab.physics import ColeHopf, ConstantViscosity, Domain, RandomFourier

VISCOSITY = 0.05
CONFIG = """
data:
  store: {store}
  use_sliding_window: false
  num_predict_steps: 8
  train_sim_indices: [0, 1, 2]
  val_sim_indices: [3]
  test_sim_indices: [4]
  batch_size: 2
model:
  class_path: Inversion
  init_args:
    learnable_parameters:
    - class_path: Viscosity
      init_args: {{initial_guess: 0.2}}
trainer:
  accelerator: cpu
"""
QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "max_epochs": -1,
}


def simulation(**changes):
    """Five exact trajectories of 9 frames on 32 cells."""
    settings = {
        "domain": Domain((1.0,), (32,)),
        "viscosity": ConstantViscosity(VISCOSITY),
        "dt": 0.02,
        "num_frames": 9,
        "num_trajectories": 5,
        "initial": RandomFourier(amplitude=0.5, max_mode=2),
        "scheme": ColeHopf(),
    }
    return Simulation(**{**settings, **changes})


def make(path, **changes):
    """A store of exact trajectories."""
    return generate(simulation(**changes), path)


def data(path, **changes):
    """Whole trajectories, three of which are fitted."""
    settings = {
        "num_predict_steps": 8,
        "use_sliding_window": False,
        "train_sim_indices": [0, 1, 2],
        "val_sim_indices": [3],
        "test_sim_indices": [],
        "batch_size": 2,
    }
    return BurgersDataModule(str(path), **{**settings, **changes})


def fit(path, learnables=None, module=None, trainer=None, options=None, ckpt_path=None, **changes):
    """The module after a fit; ``options`` are of the Inversion, ``changes`` of the data."""
    module = module or Inversion(learnables or [Viscosity(0.2)], **(options or {}))
    run = pl.Trainer(**{**QUIET, **(trainer or {})})
    run.fit(module, datamodule=data(path, **changes), ckpt_path=ckpt_path)
    return module


class SendSignal(Callback):
    """Sends this process a signal in the middle of the evaluation that follows so many steps."""

    def __init__(self, number: int, after: int) -> None:
        self.number = number
        self.after = after

    def on_train_epoch_end(self, trainer, pl_module):
        if trainer.global_step == self.after:
            pl_module.objective.select = lambda *given: os.kill(os.getpid(), self.number)


def learned(name):
    """What the runs in processes of their own learn, and from which windows."""
    if name == "sliding":  # 3 trajectories of 7 windows each: an odd number
        return [Viscosity(0.2), Advection(0.5)], {"use_sliding_window": True, "num_predict_steps": 2}
    return [Viscosity(0.2), InitialState(num_modes=4)], {"batch_size": 1}


if __name__ == "__main__":
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(sys.argv[1])
    learnables, changes = learned(sys.argv[2])
    found = fit(folder / "store.zarr", learnables, trainer={"devices": 2, "strategy": "ddp"}, **changes)
    rank = found.trainer.global_rank
    torch.save((found.free, found.result.to_dict()), folder / f"{sys.argv[2]}{rank}.pt")
