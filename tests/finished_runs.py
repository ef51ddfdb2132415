"""A finished inversion and a finished hybrid run, of seconds each, through the command line."""

import os

from burgerslab.cli import main
from tests import small_inversion
from tests.hybrid_config import CONFIG as HYBRID_CONFIG
from tests.hybrid_run import make_store

NETWORK = '''
"""A network of a user's own, in the working directory of the run."""

import torch


class Net(torch.nn.Conv1d):
    def __init__(self, in_channels: int, out_channels: int, width: int = 3):
        super().__init__(in_channels, out_channels, width, padding=width // 2, padding_mode="circular")
'''


def fit_inversion_and_hybrid(folder):
    """Fit both; the hybrid's network is a user's own class, and its weights are averaged."""
    inversion, hybrid = folder / "inversion.yaml", folder / "hybrid.yaml"
    inversion.write_text(small_inversion.CONFIG.format(store=folder / "inversion.zarr"))
    small_inversion.make(folder / "inversion.zarr")
    text = HYBRID_CONFIG.format(store=make_store(folder / "hybrid.zarr"))
    text = text.replace("burgerslab.surrogate.UNet, init_args: {filters: 4, levels: 1}", "own_network.Net")
    text = text.replace("num_cycles: 2", "num_cycles: 1")
    average = "- class_path: lightning.pytorch.callbacks.EMAWeightAveraging\n    init_args: {decay: 0.5}\n"
    hybrid.write_text(text.replace("  enable_progress", f"  {average}  enable_progress"))
    (folder / "own_network.py").write_text(NETWORK)
    before = os.getcwd()
    os.chdir(folder)
    try:
        for config in (inversion, hybrid):
            assert main(["fit", f"--config={config}", f"--trainer.default_root_dir={folder / config.stem}"]) == 0
    finally:
        os.chdir(before)
    return {"inversion": folder / "inversion" / "version_0", "hybrid": folder / "hybrid" / "version_0"}
