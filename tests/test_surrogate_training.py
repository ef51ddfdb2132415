"""Every training option really trains: each ends well below the persistence forecast."""

from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau

from burgerslab import metrics
from burgerslab.data import BurgersDataModule, Simulation
from burgerslab.physics import Domain, LogUniformViscosity, RandomFourier
from burgerslab.surrogate import Curriculum, Pushforward, Surrogate, UNet
from tests.test_surrogate import QUIET

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> BurgersDataModule:
    return BurgersDataModule(
        str(tmp_path_factory.mktemp("training") / "a.zarr"),
        Simulation(
            domain=Domain((1.0,), (32,)),
            viscosity=LogUniformViscosity(0.02, 0.1),
            initial=RandomFourier(0.5, 2),
            dt=0.05,
            num_frames=11,
            num_trajectories=24,
            substeps=2,
        ),
        num_predict_steps=3,
        static_fields=["viscosity"],
        batch_size=32,
    )


def one_cycle(optimizer: torch.optim.Optimizer) -> OneCycleLR:
    return OneCycleLR(optimizer, 1e-2, total_steps=60)


@pytest.mark.parametrize(
    ("options", "trainer"),
    [
        ({}, {}),
        ({"unrolling": Pushforward()}, {}),
        ({"curriculum": Curriculum(1, 5), "input_noise": 0.01}, {}),
        ({"lr_scheduler": one_cycle, "lr_scheduler_interval": "step"}, {}),
        ({"lr_scheduler": lambda optimizer: ReduceLROnPlateau(optimizer, patience=3)}, {}),
        ({"optimizer": lambda parameters: torch.optim.NAdam(parameters, lr=5e-3)}, {}),
        ({}, {"precision": "bf16-mixed"}),
        ({}, {"callbacks": [EMAWeightAveraging(decay=0.9)], "max_epochs": 24}),
    ],
    ids=["plain", "pushforward", "curriculum", "one-cycle", "plateau", "nadam", "bf16", "ema"],
)
def test_an_option_trains(store: BurgersDataModule, tmp_path: Path, options: dict, trainer: dict) -> None:
    torch.manual_seed(0)
    network = UNet(2, 1, 1, filters=8, levels=2)
    model = Surrogate(network, **{"optimizer": lambda parameters: torch.optim.Adam(parameters, lr=5e-3), **options})
    settings = {"max_epochs": 12, "gradient_clip_val": 1.0, "default_root_dir": tmp_path, **QUIET, **trainer}
    pl.Trainer(**settings).fit(model, datamodule=store)
    batch = next(iter(store.test_dataloader()))
    with torch.no_grad():
        frames = model.eval().rollout(batch["initial"], 10, batch["static"])
    error = metrics.nrmse(frames, batch["target"]).mean().item()
    still = metrics.nrmse(batch["initial"][:, None].expand_as(frames), batch["target"]).mean().item()
    assert error < 0.5 * still, (error, still)


def test_a_network_that_reads_the_viscosity_uses_it(store: BurgersDataModule, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Surrogate(UNet(2, 1, 1, filters=8, levels=2), lambda parameters: torch.optim.Adam(parameters, lr=5e-3))
    pl.Trainer(max_epochs=12, default_root_dir=tmp_path, gradient_clip_val=1.0, **QUIET).fit(model, datamodule=store)
    batch = next(iter(store.test_dataloader()))
    viscous, thin = (torch.full_like(batch["static"], nu).log() for nu in (0.1, 0.02))
    with torch.no_grad():
        energies = [model.eval().rollout(batch["initial"], 10, nu)[:, -1].square().mean() for nu in (viscous, thin)]
    assert energies[0] < 0.7 * energies[1]


def test_a_compiled_network_gives_the_same_first_losses(store: BurgersDataModule, tmp_path: Path) -> None:
    losses = {}
    for compiled in (False, True):  # a network of plain layers: beartype's checks of UNet cannot be compiled
        torch.manual_seed(0)
        wrap = {"padding": 1, "padding_mode": "circular"}
        network = nn.Sequential(nn.Conv1d(2, 8, 3, **wrap), nn.GELU(), nn.Conv1d(8, 1, 3, **wrap))
        model = Surrogate(network, compile_network=compiled)
        trainer = pl.Trainer(max_epochs=2, default_root_dir=tmp_path, **QUIET)
        trainer.fit(model, datamodule=store)
        losses[compiled] = trainer.callback_metrics["train/loss"].item()
        assert list(model.state_dict()) == list(Surrogate(network).state_dict())
    assert losses[True] == pytest.approx(losses[False], rel=1e-4)
