import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from burgerslab.data import BurgersDataModule, Simulation
from burgerslab.evaluation import TestReport
from burgerslab.physics import DivergedError, Domain, LogUniformViscosity, RandomFourier
from burgerslab.surrogate import Curriculum, Surrogate, UNet

QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
}


def simulation(**changes: object) -> Simulation:
    settings = {
        "domain": Domain((1.0,), (16,)),
        "viscosity": LogUniformViscosity(0.02, 0.1),
        "initial": RandomFourier(0.5, 2),
        "dt": 0.02,
        "num_frames": 8,
        "num_trajectories": 6,
    }
    return Simulation(**{**settings, **changes})


@pytest.fixture
def datamodule(tmp_path: Path) -> BurgersDataModule:
    module = BurgersDataModule(
        str(tmp_path / "a.zarr"), simulation(), num_predict_steps=3, static_fields=["viscosity"], batch_size=4
    )
    module.prepare_data()
    module.setup("fit")
    return module


def surrogate(network: nn.Module | None = None, **options: object) -> Surrogate:
    torch.manual_seed(1)
    return Surrogate(network or UNet(2, 1, 1, filters=4, levels=1), **options)


class Doubler(nn.Module):
    """Increments of 2 standard units in the dynamic channel."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.seen = inputs
        return torch.full_like(inputs[:, :1], 2.0)


def test_advance_adds_scaled_increments_to_the_last_frame(datamodule: BurgersDataModule) -> None:
    model = surrogate(Doubler())
    model.adopt(datamodule.description, datamodule.statistics)
    statistics = datamodule.statistics
    state = torch.rand(2, 1, 16)
    static = torch.full((2, 1, 16), -3.0)
    advanced = model.advance(state, static)
    torch.testing.assert_close(advanced, state + 2 * statistics.increment_std.float().view(1, 1, 1))
    wanted = (state - statistics.mean.float().view(1, 1, 1)) / statistics.std.float().view(1, 1, 1)
    torch.testing.assert_close(model.network.seen[:, :1], wanted)
    wanted = (-3.0 - statistics.static_mean.float()) / statistics.static_std.float()
    torch.testing.assert_close(model.network.seen[:, 1, 0], wanted.expand(2))


def test_rollout_repeats_advance_and_leaves_out_the_initial_frame(datamodule: BurgersDataModule) -> None:
    model = surrogate(Doubler())
    model.adopt(datamodule.description, datamodule.statistics)
    initial = torch.zeros(1, 1, 16)
    frames = model.rollout(initial, 3, torch.zeros(1, 1, 16))
    step = 2 * datamodule.statistics.increment_std.float().item()
    torch.testing.assert_close(frames[0, :, 0, 0], torch.tensor([step, 2 * step, 3 * step]))


def test_a_network_that_starts_at_zero_predicts_persistence(datamodule: BurgersDataModule) -> None:
    model = surrogate()
    model.adopt(datamodule.description, datamodule.statistics)
    batch = next(iter(datamodule.train_dataloader()))
    frames = model.rollout(batch["initial"], 2, batch["static"])
    torch.testing.assert_close(frames, batch["initial"][:, None].expand_as(frames))


@pytest.mark.parametrize(
    ("network", "complaint"),
    [
        (UNet(1, 1, 1, filters=4, levels=1), r"must map \(1, 2, 16\) to \(1, 1, 16\); UNet failed on it"),
        (UNet(2, 2, 1, filters=4, levels=1), r"must map \(1, 2, 16\) to \(1, 1, 16\); UNet gave \(1, 2, 16\)"),
        (nn.Conv2d(2, 1, 1), r"must map \(1, 2, 16\) to \(1, 1, 16\); Conv2d failed on it"),
    ],
)
def test_a_network_of_other_channels_is_refused(
    datamodule: BurgersDataModule, network: nn.Module, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        surrogate(network).adopt(datamodule.description, datamodule.statistics)


def test_a_loss_that_is_not_finite_says_when_and_what_to_do(datamodule: BurgersDataModule) -> None:
    model = surrogate(optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1e30))
    with pytest.raises(DivergedError, match=r"training loss became (nan|inf) in epoch \d+, step \d+\. Lower the"):
        pl.Trainer(max_epochs=20, **QUIET).fit(model, datamodule=datamodule)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_input_noise_has_the_given_size(datamodule: BurgersDataModule, noise: float) -> None:
    model = surrogate(Doubler(), input_noise=noise)
    model.adopt(datamodule.description, datamodule.statistics)
    model.log = lambda *args, **kwargs: None
    initial = torch.zeros(400, 1, 16)
    observed = torch.ones(400, dtype=torch.bool)
    batch = {"initial": initial, "target": initial[:, None], "static": initial, "observed": observed}
    model.training_step(batch, 0)
    centred = model.network.seen[:, :1] + (model.mean / model.std).view(1, 1, 1)
    assert centred.std().item() == pytest.approx(noise, rel=0.05)


def test_the_curriculum_sets_how_many_steps_are_unrolled(datamodule: BurgersDataModule) -> None:
    model = surrogate(curriculum=Curriculum(1, 1))
    lengths = []

    class Record(pl.Callback):
        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            lengths.append(trainer.callback_metrics["train/num_steps"].item())

    pl.Trainer(max_epochs=5, callbacks=[Record()], **QUIET).fit(model, datamodule=datamodule)
    assert lengths == [1, 2, 3, 3, 3]


def test_a_checkpoint_brings_back_statistics_and_facts(datamodule: BurgersDataModule, tmp_path: Path) -> None:
    model = surrogate()
    trainer = pl.Trainer(max_epochs=1, **QUIET)
    trainer.fit(model, datamodule=datamodule)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    again = Surrogate.load_from_checkpoint(
        tmp_path / "a.ckpt", network=UNet(2, 1, 1, filters=4, levels=1), map_location="cpu"
    )
    assert again.description == model.description
    batch = next(iter(datamodule.test_dataloader()))
    expected = model.eval().rollout(batch["initial"], 3, batch["static"])
    assert torch.equal(again.eval().rollout(batch["initial"], 3, batch["static"]), expected)


def test_data_of_another_dt_are_refused(datamodule: BurgersDataModule, tmp_path: Path) -> None:
    model = surrogate()
    model.adopt(datamodule.description, datamodule.statistics)
    other = BurgersDataModule(
        str(tmp_path / "b.zarr"), simulation(dt=0.01), num_predict_steps=3, static_fields=["viscosity"]
    )
    with pytest.raises(ValueError, match=r"trained on other data than .*b\.zarr \(dt: 0\.02 and 0\.01\)"):
        pl.Trainer(**QUIET).test(model, datamodule=other, verbose=False)


def test_a_checkpoint_is_not_tested_on_data_of_another_dt(datamodule: BurgersDataModule, tmp_path: Path) -> None:
    trainer = pl.Trainer(max_epochs=1, **QUIET)
    trainer.fit(surrogate(), datamodule=datamodule)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    other = BurgersDataModule(
        str(tmp_path / "b.zarr"), simulation(dt=0.01), num_predict_steps=3, static_fields=["viscosity"]
    )
    for use in (pl.Trainer(**QUIET).test, pl.Trainer(max_epochs=2, **QUIET).fit):
        with pytest.raises(ValueError, match=r"trained on other data than .*b\.zarr \(dt: 0\.02 and 0\.01\)"):
            use(surrogate(), datamodule=other, ckpt_path=str(tmp_path / "a.ckpt"))


def test_a_checkpoint_is_tested_on_all_of_another_store(datamodule: BurgersDataModule, tmp_path: Path) -> None:
    trainer = pl.Trainer(max_epochs=1, **QUIET)
    trainer.fit(surrogate(), datamodule=datamodule)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    other = BurgersDataModule(
        str(tmp_path / "b.zarr"),
        simulation(seed=5, domain=Domain((1.0,), (32,))),
        static_fields=["viscosity"],
        num_predict_steps=1,
        train_sim_indices=[],
        val_sim_indices=[],
        test_sim_indices=list(range(6)),
    )
    model = surrogate()
    report = TestReport()
    options = {**QUIET, "default_root_dir": tmp_path}
    pl.Trainer(callbacks=[report], **options).test(model, datamodule=other, ckpt_path=str(tmp_path / "a.ckpt"))
    assert json.loads((tmp_path / "metrics.json").read_text())["trajectories"] == list(range(6))
    assert torch.equal(model.std, datamodule.statistics.std.float())


def test_a_surrogate_without_data_says_how_to_give_them() -> None:
    loader = torch.utils.data.DataLoader([0], batch_size=1)
    with pytest.raises(ValueError, match=r"knows nothing of its data: fit it with a BurgersDataModule"):
        pl.Trainer(max_epochs=1, **QUIET).fit(surrogate(), loader, loader)


def test_an_untrained_surrogate_asks_for_a_checkpoint(datamodule: BurgersDataModule) -> None:
    with pytest.raises(ValueError, match=r"has not been trained; give its checkpoint with --ckpt_path"):
        pl.Trainer(**QUIET).test(surrogate(), datamodule=datamodule, verbose=False)


TRAIN = """
    import sys, warnings; warnings.simplefilter("ignore")
    import lightning.pytorch as pl, os, signal, torch
    from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
    from tests.test_surrogate import QUIET, simulation
    from burgerslab.data import BurgersDataModule
    from burgerslab.surrogate import Curriculum, Surrogate, UNet
    folder, kill_at, resume, workers = sys.argv[1], int(sys.argv[2]), sys.argv[3] or None, int(sys.argv[4])
    torch.set_num_threads(1)

    class Kill(pl.Callback):
        def on_train_batch_end(self, trainer, *rest):
            if trainer.global_step == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    class DropOut(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = UNet(2, 1, 1, filters=4, levels=1)

        def forward(self, x):
            return self.inner(torch.nn.functional.dropout(x, 0.1, self.training))

    pl.seed_everything(100 + kill_at, verbose=False)   # the order and the noise must not depend on the global seed
    data = BurgersDataModule(folder + "/a.zarr", simulation(), num_predict_steps=3, static_fields=["viscosity"],
                             batch_size=4, num_workers=workers)
    torch.manual_seed(3)
    model = Surrogate(DropOut(), lambda p: torch.optim.Adam(p, lr=3e-3),
                      lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 6), curriculum=Curriculum(1, 2),
                      input_noise=0.05)
    keep = ModelCheckpoint(folder, filename="best", monitor="val/nrmse", save_last=True, save_on_train_epoch_end=True)
    options = {**QUIET, "enable_checkpointing": True}
    trainer = pl.Trainer(max_epochs=6, callbacks=[keep, Kill(), EMAWeightAveraging(decay=0.9)], **options)
    trainer.fit(model, datamodule=data, ckpt_path=resume)
    torch.save(model.state_dict(), folder + "/end.pt")
"""


def train(folder: Path, kill_at: int = -1, resume: str = "", workers: int = 0) -> int:
    folder.mkdir(exist_ok=True)
    root = Path(__file__).parents[1]
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(TRAIN), str(folder), str(kill_at), resume, str(workers)],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode in (0, -signal.SIGKILL), process.stderr
    return process.returncode


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_killed_in_the_middle_of_an_epoch_resumes_to_the_same_weights(tmp_path: Path, workers: int) -> None:
    # 4 training trajectories of 5 windows make 5 batches an epoch; step 18 is in the middle of epoch 3
    assert train(tmp_path / "undisturbed", workers=workers) == 0
    assert train(tmp_path / "killed", kill_at=18, workers=workers) == -signal.SIGKILL
    assert not (tmp_path / "killed" / "end.pt").exists()
    assert train(tmp_path / "killed", resume=str(tmp_path / "killed" / "last.ckpt"), workers=workers) == 0
    wanted = torch.load(tmp_path / "undisturbed" / "end.pt")
    found = torch.load(tmp_path / "killed" / "end.pt")
    assert wanted.keys() == found.keys()
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)
    untrained = UNet(2, 1, 1, filters=4, levels=1).state_dict()
    assert not any(
        torch.equal(found[f"network.inner.{name}"], untrained[name]) for name in untrained if "weight" in name
    )
