"""The config of a hybrid run of seconds."""

import os
import signal
from pathlib import Path

from lightning.pytorch.callbacks import Callback

from tests.hybrid_run import make_store

CONFIG = """
data:
  store: {store}
  train_sim_indices: [0, 1, 2]
  val_sim_indices: [3]
  test_sim_indices: [4, 5]
  num_predict_steps: 2
  batch_size: 8
model:
  network: {{class_path: burgerslab.surrogate.UNet, init_args: {{filters: 4, levels: 1}}}}
trainer:
  callbacks:
  - class_path: burgerslab.hybrid.Hybrid
    init_args:
      num_cycles: 2
      epochs_per_cycle: 1
      warmup_epochs: 1
      exchange: {{alpha: 1.0}}
      physical:
        class_path: burgerslab.inversion.Inversion
        init_args:
          learnable_parameters:
          - {{class_path: burgerslab.inversion.Viscosity, init_args: {{initial_guess: 0.06}}}}
  enable_progress_bar: false
  accelerator: cpu
"""


def write_config(folder: Path) -> Path:
    """The config and its store, of exact trajectories."""
    path = folder / "config.yaml"
    path.write_text(CONFIG.format(store=make_store(folder / "exact.zarr")))
    return path


class KilledOnce(Callback):
    """Kills the process in the third epoch of a Trainer's folder, the first time only, unless it is spared."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        mark = Path(trainer.default_root_dir) / "killed"
        if trainer.current_epoch == 2 and batch_idx == 1 and not os.environ["SPARED"] and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
