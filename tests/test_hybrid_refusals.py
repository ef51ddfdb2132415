"""What a hybrid run refuses, and what ends or turns it back."""

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping
from torch.utils.data import DataLoader

from burgerslab.data import BurgersDataModule
from burgerslab.hybrid import Exchange, Hybrid
from burgerslab.hybrid.bookkeeping import Comparison
from burgerslab.hybrid.guard import Guard
from burgerslab.hybrid.physical_agent import PhysicalAgent
from burgerslab.inversion import Inversion, Viscosity
from tests.hybrid_run import QUIET, data, fit, make_store, surrogate


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("hybrid_refusals") / "exact.zarr")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit_train_batches": 2}, "trainer.limit_train_batches is 2, which would hide generated windows"),
        ({"limit_train_batches": 1}, "trainer.limit_train_batches is 1, which would hide generated windows"),
        ({"max_steps": 5}, "trainer.max_steps and trainer.overfit_batches would cut cycles short"),
        ({"max_epochs": 7}, r"trainer.max_epochs is 7, but a hybrid run has .* = 2; leave it out"),
    ],
)
def test_options_that_would_hide_windows_or_cut_cycles_are_refused(store, tmp_path, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        fit(store, tmp_path, Hybrid(Inversion([Viscosity(0.06)]), num_cycles=2), trainer=options)


class Keeping(BurgersDataModule):
    """Makes one loader, and gives it again in every fit."""

    kept: DataLoader | None = None

    def train_dataloader(self) -> DataLoader:
        if self.kept is None:
            self.kept = super().train_dataloader()
        return self.kept


def test_a_loader_that_would_hide_generated_windows_is_refused(store, tmp_path) -> None:
    datamodule = data(store, kind=Keeping)
    hybrid = Hybrid(Inversion([Viscosity(0.06)]), num_cycles=1, warmup_epochs=1, max_iterations=1)
    with pytest.raises(ValueError, match=r"does not serve the windows of data\.training_windows, so that .* hidden"):
        fit(store, tmp_path, hybrid, datamodule=datamodule)


def test_trajectories_that_are_too_short_are_refused_before_anything_is_trained(store, tmp_path) -> None:
    for maker, windows in (("physical", {}), ("surrogate", {"physical_num_predict_steps": 5})):
        exchange = Exchange(**{f"{maker}_num_steps": 1 if maker == "physical" else 4})
        hybrid = Hybrid(Inversion([Viscosity(0.06)]), warmup_epochs=1, exchange=exchange, **windows)
        with pytest.raises(
            ValueError, match=rf"exchange\.{maker}_num_steps is \d, but a window needs \d frames after"
        ):
            fit(store, tmp_path, hybrid)
    assert not any(tmp_path.iterdir())


def test_the_guard_takes_an_agent_back_that_got_worse_than_the_margin(store) -> None:
    datamodule = data(store)
    datamodule.setup("fit")
    model = surrogate(datamodule, 1)
    inversion = Inversion([Viscosity(0.06)])
    agent = PhysicalAgent(inversion)
    agent.meet(datamodule)
    agent.begin()
    agent.numbers = {"viscosity": {"estimate": 0.06}}
    guard = Guard(0.1)

    def judge(of_surrogate: float, of_physics: float) -> list[str]:
        return guard.judge(Comparison(0.0, 0.0, 0.0, of_surrogate, of_physics), model, agent)

    best, free = [it.clone() for it in model.parameters()], inversion.free.clone()
    assert judge(1.0, 1.0) == []
    with torch.no_grad():
        for it in model.parameters():
            it.add_(1.0)
    inversion.free, agent.numbers = free + 1.0, {"viscosity": {"estimate": 0.16}}
    assert judge(1.09, 1.11) == ["physical"]
    assert torch.equal(inversion.free, free)
    assert agent.numbers == {"viscosity": {"estimate": 0.06}}
    assert not torch.equal(next(model.parameters()), best[0])
    assert judge(1.11, 1.0) == ["surrogate"]
    assert all(torch.equal(it, before) for it, before in zip(model.parameters(), best, strict=True))


def test_a_guard_without_validation_data_and_a_used_trainer_are_refused(store, tmp_path) -> None:
    without = data(store, train_sim_indices=[0, 1], val_sim_indices=[])
    with pytest.raises(ValueError, match=r"Hybrid\.guard_margin compares errors on validation data, and there are"):
        fit(store, tmp_path, Hybrid(Inversion([Viscosity(0.06)]), guard_margin=0.1), datamodule=without)
    datamodule = data(store)
    hybrid = Hybrid(Inversion([Viscosity(0.06)]), num_cycles=1, max_iterations=2, exchange=Exchange(alpha=0))
    trainer = pl.Trainer(accelerator="cpu", default_root_dir=tmp_path, callbacks=[hybrid], **QUIET)
    hybrid.fit(trainer, surrogate(datamodule, 1), datamodule)
    with pytest.raises(ValueError, match=r"this Trainer has trained 1 epochs already; give Hybrid\.fit a new one"):
        hybrid.fit(trainer, surrogate(datamodule, 1), datamodule)


def test_a_callback_that_stops_training_stops_the_run(store, tmp_path, caplog) -> None:
    stop = EarlyStopping("train/loss", stopping_threshold=1e9, check_on_train_epoch_end=True)
    hybrid = Hybrid(Inversion([Viscosity(0.06)]), num_cycles=3, epochs_per_cycle=2, exchange=Exchange(alpha=0.5))
    fit(store, tmp_path, hybrid, stop)
    assert "a callback has stopped the run at the end of cycle 1" in caplog.text
    assert [(record.cycle, record.epoch) for record in hybrid.ledger.records] == [(1, 1)]
