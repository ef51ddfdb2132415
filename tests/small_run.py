"""A training run of a second, through the command line."""

import lightning.pytorch  # noqa: F401 - its log handler keeps the stream it finds first, which must outlive a test

from burgerslab.cli import main

CONFIG = """
data:
  store: {folder}/store.zarr
  simulation:
    domain: {{extent: [1.0], resolution: [32]}}
    viscosity: 0.02
    dt: 0.02
    num_frames: 7
    substeps: 4
    num_trajectories: 6
  num_predict_steps: 2
  batch_size: 4
model:
  network:
    class_path: burgerslab.surrogate.UNet
    init_args: {{filters: 4, levels: 1}}
trainer:
  max_epochs: 1
  accelerator: cpu
  default_root_dir: {folder}/runs
"""


def split(train, val, test):
    """Options that name the trajectories of each part."""
    return [f"--data.train_sim_indices={train}", f"--data.val_sim_indices={val}", f"--data.test_sim_indices={test}"]


class SmallRun:
    """A config, its store and the folder of a finished fit."""

    def __init__(self, folder):
        self.folder = folder
        self.config = folder / "config.yaml"
        self.config.write_text(CONFIG.format(folder=folder))
        self.store = folder / "store.zarr"
        self.run = folder / "runs" / "version_0"
        self.best = self.run / "checkpoints" / "best.ckpt"
        self.last = self.run / "checkpoints" / "last.ckpt"

    def main(self, command, root, *options):
        """Run a command with this config, into another run folder."""
        return main([command, f"--config={self.config}", f"--trainer.default_root_dir={root}", *map(str, options)])
