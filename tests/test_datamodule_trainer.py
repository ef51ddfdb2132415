"""What a real Trainer serves from BurgersDataModule: orders, resumed orders, ranks."""

import json
import subprocess
import sys
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch

from burgerslab.data import BurgersDataModule
from tests.small_stores import line_simulation

OPTIONS = {"num_predict_steps": 3, "split": (0.6, 0.2, 0.2), "batch_size": 8}  # 6 x 5 windows: 3 batches of 8


class Recorder(pl.LightningModule):
    """Trains one number and writes down what it was served."""

    def __init__(self):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.ones(()))
        self.served = {"train": [], "val": [], "test": []}

    def note(self, part, batch):
        pairs = zip(batch["trajectory"].tolist(), batch["start"].tolist(), strict=True)
        self.served[part].append([self.current_epoch, list(map(list, pairs))])

    def training_step(self, batch, batch_idx):
        self.note("train", batch)
        return (self.factor * batch["target"]).square().mean()

    def validation_step(self, batch, batch_idx):
        self.note("val", batch)

    def test_step(self, batch, batch_idx):
        self.note("test", batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(folder, **options):
    return pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        default_root_dir=folder,
        **options,
    )


def fit(folder, max_epochs, ckpt_path=None, **options):
    module = Recorder()
    run = trainer(folder, max_epochs=max_epochs, enable_checkpointing=False)
    run.fit(
        module,
        datamodule=BurgersDataModule(str(folder / "s.zarr"), line_simulation(), **{**OPTIONS, **options}),
        ckpt_path=ckpt_path,
    )
    run.save_checkpoint(folder / f"{max_epochs}.ckpt")
    return module.served


def test_a_resumed_run_serves_what_an_undisturbed_run_serves(tmp_path):
    whole = fit(tmp_path, 4)
    epochs = [
        [window for epoch, batch in whole["train"] if epoch == number for window in batch] for number in range(4)
    ]
    assert [len(epoch) for epoch in epochs] == [24] * 4
    assert len({tuple(map(tuple, epoch)) for epoch in epochs}) == 4, "every epoch has an order of its own"
    assert all(len({start for _, start in batch}) == 1 and batch[0][1] == 0 for _, batch in whole["val"])
    for options in ({}, {"num_workers": 1}):
        first = fit(tmp_path, 2, **options)
        second = fit(tmp_path, 4, ckpt_path=tmp_path / "2.ckpt", **options)
        assert first["train"] + second["train"] == whole["train"]


def test_testing_serves_whole_trajectories_once(tmp_path):
    module = Recorder()
    datamodule = BurgersDataModule(str(tmp_path / "s.zarr"), line_simulation(), **OPTIONS)
    trainer(tmp_path).test(module, datamodule=datamodule, verbose=False)
    assert module.served["test"] == [[0, [[index, 0] for index in datamodule.trajectories_of("test")]]]


@pytest.mark.filterwarnings("ignore:Total length of `list` across ranks is zero:UserWarning")
def test_a_run_without_validation_trajectories(tmp_path):
    served = fit(tmp_path, 1, split=(1.0, 0.0, 0.0))
    assert served["val"] == []
    assert sum(len(batch) for _, batch in served["train"]) == 48


@pytest.mark.slow
def test_two_processes_share_each_epoch(tmp_path):
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-m", __name__, str(tmp_path)], cwd=root, check=True, timeout=120)
    served = [json.loads((tmp_path / f"{rank}.json").read_text())["train"] for rank in (0, 1)]
    for number in range(2):
        windows = [{tuple(window) for epoch, batch in rank if epoch == number for window in batch} for rank in served]
        assert [len(part) for part in windows] == [12, 12]
        assert not windows[0] & windows[1]


def two_processes(folder):
    """Train two epochs on two ranks; each writes down what it was served."""
    module = Recorder()
    run = trainer(folder, max_epochs=2, enable_checkpointing=False, devices=2, strategy="ddp")
    options = {**OPTIONS, "batch_size": 4}
    run.fit(module, datamodule=BurgersDataModule(str(folder / "s.zarr"), line_simulation(), **options))
    (folder / f"{run.global_rank}.json").write_text(json.dumps(module.served))


if __name__ == "__main__":
    two_processes(Path(sys.argv[1]))
