"""The Hybrid callback: fits that go on as one, and windows that arrive."""

import csv

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.nn.utils import parameters_to_vector

from burgerslab.hybrid import Exchange, Hybrid
from burgerslab.inversion import Inversion, Viscosity
from burgerslab.surrogate import Curriculum, Surrogate
from tests.hybrid_run import QUIET, data, make_store, surrogate


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("hybrid") / "exact.zarr")


def hybrid_run(
    store, folder, hybrid: Hybrid, callbacks: list[Callback], num_epochs: int, dropout: bool = False, **options
) -> Surrogate:
    datamodule = data(store, **options)
    model = surrogate(datamodule, num_epochs, dropout)
    trainer = pl.Trainer(accelerator="cpu", default_root_dir=folder, callbacks=[hybrid, *callbacks], **QUIET)
    hybrid.fit(trainer, model, datamodule)
    assert trainer.current_epoch == num_epochs
    return model


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* does not have many workers")
@pytest.mark.parametrize(
    ("averaged", "dropout", "num_workers", "more"),
    [
        (False, False, 0, {"precision": "bf16-mixed"}),
        (True, False, 0, {"accumulate_grad_batches": 2, "reload_dataloaders_every_n_epochs": 1}),
        (True, True, 2, {}),
    ],
)
def test_the_fits_of_all_cycles_are_one_fit(store, tmp_path, averaged, dropout, num_workers, more) -> None:
    def callbacks() -> list[Callback]:
        averaging = [EMAWeightAveraging(decay=0.9)] if averaged else []
        return [
            *averaging,
            EarlyStopping("val/nrmse", patience=9),
            ModelCheckpoint(monitor="val/nrmse", save_top_k=2),
        ]

    def rows(folder) -> list[dict[str, str]]:
        with (folder / "metrics.csv").open() as file:
            return [row for row in csv.DictReader(file) if row["train/loss"] or row["val/nrmse"]]

    def states(trainer: pl.Trainer) -> list:
        stopping, checkpoints = trainer.early_stopping_callback, trainer.checkpoint_callback
        best = sorted(float(score) for score in checkpoints.best_k_models.values())
        return [stopping.wait_count, float(stopping.best_score), float(checkpoints.best_model_score), best]

    options = {**QUIET, "enable_checkpointing": True, "accelerator": "cpu", "log_every_n_steps": 1, **more}
    datamodule = data(store, num_workers=num_workers)
    growing = Curriculum(start=1, epochs_per_step=2)
    one = surrogate(datamodule, 6, dropout, growing)
    logger = CSVLogger(tmp_path, name="one", version="")
    trainer = pl.Trainer(**{**options, "max_epochs": 6, "callbacks": callbacks(), "logger": logger})
    trainer.fit(one, datamodule=datamodule)
    hybrid = Hybrid(
        Inversion([Viscosity(0.05)]), num_cycles=2, epochs_per_cycle=2, warmup_epochs=2, exchange=Exchange(alpha=0)
    )
    logger = CSVLogger(tmp_path, name="many", version="")
    hybrid_trainer = pl.Trainer(**{**options, "callbacks": [hybrid, *callbacks()], "logger": logger})
    datamodule = data(store, num_workers=num_workers)
    many = surrogate(datamodule, 6, dropout, growing)
    hybrid.fit(hybrid_trainer, many, datamodule)
    assert torch.equal(parameters_to_vector(one.parameters()), parameters_to_vector(many.parameters()))
    assert hybrid_trainer.global_step == trainer.global_step
    assert states(hybrid_trainer) == states(trainer)
    logged = ("step", "epoch", "train/loss", "train/num_steps", "val/nrmse")
    one_rows, many_rows = ([[row[name] for name in logged] for row in rows(tmp_path / it)] for it in ("one", "many"))
    assert one_rows == many_rows
    steps = trainer.global_step // 6  # of an epoch
    assert len(one_rows) == 6 * (steps + 1)
    assert [row[3] for row in one_rows if row[3]] == ["1.0"] * 2 * steps + [
        "2.0"
    ] * 4 * steps  # the curriculum goes on


def test_without_the_callback_many_fits_are_not_one(store, tmp_path) -> None:
    weights = []
    for ends in ([4], [2, 4]):
        datamodule = data(store)
        model = surrogate(datamodule, 4)
        trainer = pl.Trainer(accelerator="cpu", max_epochs=4, default_root_dir=tmp_path, **QUIET)
        for end in ends:
            trainer.fit_loop.max_epochs = end
            trainer.fit(model, datamodule=datamodule)
        assert trainer.current_epoch == 4
        weights.append(parameters_to_vector(model.parameters()))
    assert (weights[0] - weights[1]).abs().max() > 1e-3


class Windows(Callback):
    """Counts the windows of every epoch by their origin."""

    def __init__(self) -> None:
        self.epochs: dict[int, list[int]] = {}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        count = self.epochs.setdefault(trainer.current_epoch, [0, 0])
        count[0] += int(batch["observed"].sum())
        count[1] += int((~batch["observed"]).sum())


@pytest.mark.parametrize("num_workers", [0, 2])
def test_generated_windows_arrive_in_every_cycle(store, tmp_path, num_workers: int) -> None:
    seen = Windows()
    inversion = Inversion([Viscosity(0.05)])
    hybrid = Hybrid(inversion, num_cycles=2, epochs_per_cycle=1, warmup_epochs=1, exchange=Exchange(alpha=1 / 3))
    hybrid_run(store, tmp_path, hybrid, [seen], 3, num_workers=num_workers)
    # 3 trajectories of 11 - 2 windows, a third as many generated; 27 = 3 · 8 + 3 and 36 = 4 · 8 + 4 windows
    assert sum(seen.epochs[0]) == 24
    assert seen.epochs[0][1] == 0
    for epoch in (1, 2):
        assert sum(seen.epochs[epoch]) == 32
        assert 5 <= seen.epochs[epoch][1] <= 9
    assert [(record.num_observed, record.num_generated) for record in hybrid.ledger.records] == [(27, 9)] * 2
    assert abs(float(inversion.coefficients()["viscosity"]) / 0.03 - 1) < 0.1


def test_a_hybrid_without_an_inversion_is_refused_with_the_lines_to_add() -> None:
    with pytest.raises(
        ValueError, match=r"(?s)Hybrid has no inversion .*physical:.*burgerslab\.inversion\.Inversion"
    ):
        Hybrid()


def test_a_trainer_that_is_started_directly_is_refused(store, tmp_path) -> None:
    datamodule = data(store)
    hybrid = Hybrid(Inversion([Viscosity(0.05)]))
    trainer = pl.Trainer(accelerator="cpu", default_root_dir=tmp_path, max_epochs=1, callbacks=[hybrid], **QUIET)
    with pytest.raises(ValueError, match=r"call hybrid\.fit\(trainer, surrogate, datamodule\)"):
        trainer.fit(surrogate(datamodule, 1), datamodule=datamodule)
