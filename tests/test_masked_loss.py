"""The surrogate's loss on partly observed windows, against the sum written out."""

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from burgerslab.data import (
    BurgersDataModule,
    Endpoints,
    EveryKthCell,
    EveryKthFrame,
    FrameFractions,
    Observation,
    RandomPoints,
)
from burgerslab.surrogate import Curriculum, Pushforward, Surrogate, UNet
from burgerslab.surrogate.masked_loss import with_interaction
from tests.small_stores import line_simulation
from tests.test_surrogate import QUIET

EXPLICIT = {"train_sim_indices": [0, 2, 7], "val_sim_indices": [9], "test_sim_indices": [3, 1]}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("line") / "s.zarr")
    BurgersDataModule(path, line_simulation(), num_predict_steps=1).prepare_data()
    return path


def datamodule(path, **options):
    module = BurgersDataModule(path, **{"num_predict_steps": 4, "batch_size": 3, **EXPLICIT, **options})
    module.setup("fit")
    return module


def surrogate(module, **options):
    torch.manual_seed(1)
    model = Surrogate(UNet(1, 1, 1, filters=4, levels=1), **options)
    model.adopt(module.description, module.statistics)
    for parameter in model.network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.log = lambda *args, **kwargs: None
    return model


def gradients(model, batch):
    model.zero_grad()
    loss = model.training_step(batch, 0)
    loss.backward()
    return [loss.detach(), *(parameter.grad.clone() for parameter in model.network.parameters())]


@pytest.mark.parametrize("unrolling", [None, Pushforward()], ids=["plain", "pushforward"])
def test_the_loss_is_the_mean_over_what_is_observed(path, unrolling):
    observation = Observation(noise=0.1, frames=FrameFractions((0.0, 0.3, 0.58)))  # frames 0, 2 and 4
    module = datamodule(path, batch_size=6, observation=observation)
    model = surrogate(module, **({"unrolling": unrolling} if unrolling else {}))
    (batch,) = module.train_dataloader()
    assert sorted(batch["start"].tolist()) == [0, 0, 0, 2, 2, 2]
    predicted = model.rollout(batch["initial"], 4)
    total, count = 0.0, 0
    for row in range(6):
        for step in range(4) if unrolling is None else (0, 3):
            if batch["start"][row] + step + 1 in (0, 2, 4):
                error = (predicted[row, step] - batch["target"][row, step]) / model.std
                total, count = total + error.square().sum().item(), count + error.numel()
    assert count == 16 * (3 * 2 + 3 if unrolling is None else 3)
    assert model.training_step(batch, 0).item() == pytest.approx(total / count, rel=1e-5)


def test_hidden_targets_change_neither_loss_nor_gradient(path):
    module = datamodule(path, observation=Observation(frames=EveryKthFrame(2)))
    model = surrogate(module)
    (batch, *_) = module.train_dataloader()
    before = gradients(model, batch)
    hidden = ~batch["mask"][:, 1:].expand_as(batch["target"])
    assert 0 < hidden.sum() < hidden.numel()
    after = gradients(model, {**batch, "target": batch["target"].masked_fill(hidden, 1e6)})
    assert all(map(torch.equal, before, after))
    assert all(gradient.isfinite().all() for gradient in before)
    assert any(gradient.abs().max() > 0 for gradient in before[1:])


def test_without_a_mask_the_loss_is_what_it_was(path):
    module = datamodule(path)
    model = surrogate(module)
    (batch, *_) = module.train_dataloader()
    error = (model.rollout(batch["initial"], 4) - batch["target"]) / model.std.view(1, 1, 1)
    assert torch.equal(model.training_step(batch, 0), error.square().mean())
    seen = {**batch, "mask": torch.ones(3, 5, 1, 16, dtype=torch.bool)}
    torch.testing.assert_close(model.training_step(seen, 0), model.training_step(batch, 0), rtol=1e-6, atol=0)


def test_a_curriculum_that_sees_nothing_yet_learns_nothing(path):
    module = datamodule(path, num_predict_steps=7, observation=Observation(frames=Endpoints()))
    model = surrogate(module, curriculum=Curriculum(start=1))
    (batch,) = module.train_dataloader()
    assert all(not values.any() for values in gradients(model, batch))


@pytest.mark.parametrize("hiding", [{"cells": EveryKthCell(4)}, {"points": RandomPoints(96)}])
def test_a_network_reads_no_placeholders(path, hiding):
    module = datamodule(path, observation=Observation(**hiding))
    model = Surrogate(UNet(1, 1, 1, filters=4, levels=1))
    message = (
        r"data\.observation hides \d+ of 48 cells of the initial frames.*"
        r"Set data\.observation\.initial_known: true and data\.use_sliding_window: false, or observe all cells"
    )
    with pytest.raises(ValueError, match=message):
        pl.Trainer(max_epochs=1, **QUIET).fit(model, datamodule=module)
    cure = Observation(**hiding, initial_known=True)
    cured = datamodule(path, observation=cure, use_sliding_window=False)
    trainer = pl.Trainer(max_epochs=1, **QUIET)
    trainer.fit(Surrogate(UNet(1, 1, 1, filters=4, levels=1)), datamodule=cured)
    assert trainer.global_step == 1


def test_validation_and_test_see_the_clean_truth(path):
    module = datamodule(path, observation=Observation(noise=0.5, frames=EveryKthFrame(2), cells=EveryKthCell(2)))
    clean = datamodule(path)
    for make in (BurgersDataModule.val_dataloader, BurgersDataModule.test_dataloader):
        (noisy,), (true,) = make(module), make(clean)
        assert "mask" not in noisy
        assert torch.equal(noisy["target"], true["target"])
    (batch, *_) = module.train_dataloader()
    assert np.isclose(batch["mask"].float().mean(), 0.5 * 3 / 5)  # frames 0, 2 and 4 of a window of 5


def test_data_and_interaction_are_told_apart_and_weighted_by_their_shares() -> None:
    error = torch.tensor([1.0, 3.0, 2.0, 4.0], dtype=torch.float64).reshape(4, 1, 1, 1).expand(4, 2, 1, 3)
    observed = torch.tensor([True, True, False, False])
    loss, parts = with_interaction(error, torch.zeros_like(error), observed, weight=0.5)
    # mean squares (1 + 9) / 2 and (4 + 16) / 2, half of the windows each
    assert {name: (float(value), number) for name, (value, number) in parts.items()} == {
        "data_loss": (5.0, 2),
        "interaction_loss": (10.0, 2),
    }
    assert float(loss) == 0.5 * 5.0 + 0.5 * 0.5 * 10.0
    _, parts = with_interaction(error[2:], torch.zeros_like(error[2:]), observed[2:], weight=0.5)
    assert set(parts) == {"interaction_loss"}
