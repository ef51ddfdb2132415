import json
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch import nn

from burgerslab import metrics
from burgerslab.data import BurgersDataModule, Store
from burgerslab.evaluation import PredictionWriter, TestReport
from burgerslab.surrogate import Surrogate
from tests.small_stores import RICH, rich_values, write_store
from tests.test_surrogate import QUIET


class Shift(nn.Module):
    """Adds one standard increment to channel c times c + 1, so that channels cannot be mixed up unnoticed."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.num_channels = num_channels

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        steps = torch.arange(1.0, self.num_channels + 1).view(1, -1, 1, 1)
        return steps.expand(len(inputs), -1, *inputs.shape[2:])


@pytest.fixture
def data(tmp_path: Path) -> BurgersDataModule:
    write_store(tmp_path / "rich.zarr")
    return BurgersDataModule(
        str(tmp_path / "rich.zarr"),
        static_fields=["forcing"],
        num_predict_steps=2,
        train_sim_indices=[0, 1],
        val_sim_indices=[],
        test_sim_indices=[4, 2, 3],
        eval_batch_size=2,
    )


@pytest.fixture
def model(data: BurgersDataModule) -> Surrogate:
    data.setup("test")
    surrogate = Surrogate(Shift(3))
    surrogate.adopt(data.description, data.statistics)
    return surrogate.eval()


def test_metrics_are_those_of_the_rollouts_per_trajectory(
    data: BurgersDataModule, model: Surrogate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = pl.Trainer(default_root_dir=tmp_path, callbacks=[TestReport()], **QUIET)
    trainer.test(model, datamodule=data, verbose=False)
    document = json.loads((tmp_path / "metrics.json").read_text())
    assert document["trajectories"] == [2, 3, 4]
    assert document["times"] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.25])

    values = rich_values()
    truth = torch.from_numpy(np.concatenate([values["velocity"], values["pressure"]], axis=2))[2:]
    forcing = torch.from_numpy(values["forcing"])[2:]
    prediction = model.rollout(truth[:, 0], 5, forcing)
    wanted = metrics.nrmse(prediction, truth[:, 1:]).numpy()
    found = np.array(document["values"]["surrogate"]["nrmse"])
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert document["summary"]["surrogate"]["nrmse"] == pytest.approx(wanted.mean(), rel=1e-6)
    correlation = np.array(document["values"]["surrogate"]["correlation"])
    to_the_end = np.mean([min(row) >= 0.8 for row in correlation])
    assert document["summary"]["surrogate"]["correlated_to_the_end"] == to_the_end
    still = metrics.rmse(truth[:, :1].expand_as(truth[:, 1:]), truth[:, 1:]).numpy()
    np.testing.assert_allclose(document["values"]["persistence"]["rmse"], still, rtol=1e-5)

    figure = (tmp_path / "test.png").read_bytes()
    assert figure[1:4] == b"PNG"
    assert 20_000 < len(figure) < 500_000
    printed = capsys.readouterr().out
    assert f"{wanted.mean():.4g}" in printed
    assert str(tmp_path / "metrics.json") in printed


def test_predictions_are_stored_field_by_field(data: BurgersDataModule, model: Surrogate, tmp_path: Path) -> None:
    trainer = pl.Trainer(default_root_dir=tmp_path, callbacks=[PredictionWriter()], **QUIET)
    trainer.predict(model, datamodule=data, return_predictions=False)
    store = Store(tmp_path / "predictions.zarr")
    assert store.verify() == []
    assert store.settings["trajectories"] == [4, 2, 3]
    np.testing.assert_array_equal(store.viscosity, [0.05, 0.03, 0.04])
    values = rich_values()
    truth = torch.from_numpy(np.concatenate([values["velocity"], values["pressure"]], axis=2))[[4, 2, 3]]
    prediction = model.rollout(truth[:, 0], RICH.num_frames - 1, torch.from_numpy(values["forcing"])[[4, 2, 3]])
    velocity = store.read("velocity", slice(None))
    np.testing.assert_array_equal(velocity[:, 0], truth[:, 0, :2])
    np.testing.assert_allclose(velocity[:, 1:], prediction[:, :, :2].detach(), rtol=1e-6)
    np.testing.assert_allclose(store.read("pressure", slice(None))[:, 1:], prediction[:, :, 2:].detach(), rtol=1e-6)


def test_predictions_of_other_data_are_kept_unless_overwrite_is_set(
    data: BurgersDataModule, model: Surrogate, tmp_path: Path
) -> None:
    place = str(tmp_path / "kept.zarr")
    pl.Trainer(callbacks=[PredictionWriter(place)], **QUIET).predict(model, datamodule=data, return_predictions=False)
    other = BurgersDataModule(
        str(tmp_path / "rich.zarr"),
        static_fields=["forcing"],
        num_predict_steps=2,
        train_sim_indices=[0, 1],
        val_sim_indices=[],
        test_sim_indices=[3],
    )
    with pytest.raises(ValueError, match=r"trajectories"):
        pl.Trainer(callbacks=[PredictionWriter(place)], **QUIET).predict(model, datamodule=other)
    assert Store(place).layout.num_trajectories == 3
    writer = PredictionWriter(place, overwrite=True)
    pl.Trainer(callbacks=[writer], **QUIET).predict(model, datamodule=other, return_predictions=False)
    assert Store(place).settings["trajectories"] == [3]


def test_predictions_of_other_weights_are_not_taken_for_the_same(
    data: BurgersDataModule, model: Surrogate, tmp_path: Path
) -> None:
    place = str(tmp_path / "kept.zarr")
    pl.Trainer(callbacks=[PredictionWriter(place)], **QUIET).predict(model, datamodule=data, return_predictions=False)
    model.increment_std *= 2
    with pytest.raises(ValueError, match=r"weights: stored"):
        pl.Trainer(callbacks=[PredictionWriter(place)], **QUIET).predict(model, datamodule=data)
