"""`burgerslab fit` with a Hybrid among the callbacks: both agents train, and the run's folder says how."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.table import Table

from burgerslab.data import BurgersDataModule
from burgerslab.evaluation.hybrid_plots import hybrid_figure
from burgerslab.hybrid import CycleRecord, Hybrid


def find_hybrid(callbacks: Sequence[Callback]) -> Hybrid | None:
    """The Hybrid among callbacks; None if there is none.

    Raises:
        ValueError: If there are several.
    """
    found = [callback for callback in callbacks if isinstance(callback, Hybrid)]
    if len(found) > 1:
        raise ValueError("trainer.callbacks: one Hybrid at most can drive a Trainer; leave the others out")
    return found[0] if found else None


def options_of_hybrid(hybrid: Hybrid, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the Trainer that follow from the schedule.

    Args:
        hybrid: The callback.
        options: Options of the config.

    Raises:
        ValueError: If the config has set the number of epochs.
    """
    if options["max_epochs"] is not None and not options["fast_dev_run"]:
        raise ValueError(
            f"trainer.max_epochs is {options['max_epochs']}, but a hybrid run has Hybrid.warmup_epochs + "
            f"Hybrid.num_cycles * Hybrid.epochs_per_cycle = {hybrid.schedule.num_epochs}; leave it out"
        )
    return {"max_epochs": hybrid.schedule.num_epochs}


def fit_both(
    hybrid: Hybrid,
    trainer: pl.Trainer,
    model: pl.LightningModule,
    datamodule: pl.LightningDataModule,
    path: str | None,
) -> None:
    """Train both agents; print where the inversion has ended and draw the way there.

    Args:
        hybrid: The callback.
        trainer: The Trainer.
        model: The surrogate.
        datamodule: The data.
        path: Checkpoint to go on from.
    """
    hybrid.fit(trainer, model, datamodule, ckpt_path=path)  # type: ignore[arg-type] - it refuses others
    records = hybrid.ledger.records
    if not trainer.is_global_zero or not records:
        return
    truth = _truth(datamodule)
    _print_table(records[-1], truth)
    if trainer.fast_dev_run:  # leaves no files
        return
    folder = Path(trainer.log_dir or trainer.default_root_dir)
    hybrid_figure(hybrid.ledger.state_dict(), truth).savefig(folder / "hybrid.png", dpi=110)
    for name, place in (("cycles", folder / "hybrid.json"), ("figure", folder / "hybrid.png")):
        Console().print(f"{name + ':':<12}{place}", soft_wrap=True, highlight=False)


def _truth(datamodule: pl.LightningDataModule) -> dict[str, float]:
    """What the data say of the coefficients: an advection of 1, and a viscosity that all trajectories share."""
    truth = {"advection": 1.0}
    if isinstance(datamodule, BurgersDataModule):
        viscosity = datamodule.training_windows().sources[0].viscosity
        if (viscosity == viscosity[0]).all():
            truth["viscosity"] = float(viscosity[0])
    return truth


def _print_table(record: CycleRecord, truth: Mapping[str, float]) -> None:
    table = Table(title=f"after cycle {record.cycle}")
    for column in ("coefficient", "estimate", "95 % interval", "truth", "error"):
        table.add_column(column, justify="left" if column == "coefficient" else "right")
    for name, row in record.parameters.items():
        low, high = row.get("ci95", (float("nan"), float("nan")))
        known = truth.get(name)
        error = "" if known is None else f"{100 * (row['estimate'] / known - 1):+.3g} %"
        shown = "" if known is None else f"{known:.6g}"
        table.add_row(name, f"{row['estimate']:.6g}", f"{low:.6g} to {high:.6g}", shown, error)
    Console().print(table)
    for doubt in record.doubts:
        Console().print(f"doubt: {doubt}", soft_wrap=True, highlight=False)
