"""TestReport: what `test` leaves behind: metrics.json, a figure and a table."""

import json
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from rich.table import Table

from burgerslab import metrics
from burgerslab.data import BurgersDataModule, DataDescription
from burgerslab.evaluation.plots import summary_figure
from burgerslab.evaluation.strict_json import finite

CORRELATION_THRESHOLD = 0.8


class TestReport(Callback):
    """Collects the errors of every test trajectory, and writes them to the run's folder.

    ``metrics.json`` holds, for each forecast (the model and its baselines) and metric, the mean over trajectories and
    frames and the values per trajectory and frame. ``test.png`` shows one trajectory and the growth of the error.
    """

    __test__ = False  # for pytest: no test class

    def __init__(self) -> None:
        self._errors: dict[int, dict[str, dict[str, np.ndarray]]] = {}
        self._example: tuple[np.ndarray, np.ndarray] | None = None

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget an earlier test."""
        self._errors = {}
        self._example = None

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Take in the errors of a batch of trajectories; the first one becomes the example."""
        if not isinstance(outputs, dict) or "errors" not in outputs:
            return
        numbers = batch["trajectory"].tolist()
        for row, number in enumerate(numbers):
            self._errors[number] = {
                forecast: {metric: values[row].double().cpu().numpy() for metric, values in by_metric.items()}
                for forecast, by_metric in outputs["errors"].items()
            }
        if self._example is None:
            truth = torch.cat([batch["initial"][:1, None], batch["target"][:1]], dim=1)[0]
            prediction = torch.cat([batch["initial"][:1, None], outputs["prediction"][:1]], dim=1)[0]
            self._example = (truth.float().cpu().numpy(), prediction.float().cpu().numpy())

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write metrics.json and the figure, and print the table."""
        errors = self._gather(trainer)
        folder = Path(trainer.log_dir or trainer.default_root_dir)  # processes agree on it, so all must ask
        description = getattr(pl_module, "description", None)
        if not errors or self._example is None or not isinstance(description, DataDescription):
            return
        if trainer.is_global_zero:
            self._write(trainer, folder, errors, description)

    def _gather(self, trainer: pl.Trainer) -> dict[int, dict[str, dict[str, np.ndarray]]]:
        """Errors of every rank, each trajectory once (Lightning's sampler repeats some)."""
        if trainer.world_size == 1:
            return dict(sorted(self._errors.items()))
        parts: list[Any] = [None] * trainer.world_size
        torch.distributed.all_gather_object(parts, self._errors)
        return dict(sorted({number: rows for part in parts for number, rows in part.items()}.items()))

    @rank_zero_only
    def _write(
        self,
        trainer: pl.Trainer,
        folder: Path,
        errors: dict[int, dict[str, dict[str, np.ndarray]]],
        description: DataDescription,
    ) -> None:
        forecasts = list(next(iter(errors.values())))
        stacked = {
            forecast: {
                metric: np.stack([rows[forecast][metric] for rows in errors.values()])
                for metric in next(iter(errors.values()))[forecast]
            }
            for forecast in forecasts
        }
        times = description.dt * np.arange(len(self._example[0]))
        summary = _summarise(stacked, times[1:])
        _print_table(summary)
        if trainer.fast_dev_run:  # leaves no files
            return
        folder.mkdir(parents=True, exist_ok=True)
        datamodule = getattr(trainer, "datamodule", None)
        document = {
            "checkpoint": str(trainer.ckpt_path) if trainer.ckpt_path else None,
            "store": str(datamodule.store_path) if isinstance(datamodule, BurgersDataModule) else None,
            "trajectories": list(errors),
            "times": times[1:].tolist(),
            "summary": summary,
            "values": {
                forecast: {metric: _plain(values) for metric, values in by_metric.items()}
                for forecast, by_metric in stacked.items()
            },
        }
        (folder / "metrics.json").write_text(json.dumps(finite(document), indent=1))
        truth, prediction = self._example
        figure = summary_figure(
            truth,
            prediction,
            times,
            description.domain.extent,
            {forecast: np.pad(by_metric["nrmse"], ((0, 0), (1, 0))) for forecast, by_metric in stacked.items()},
            ylabel="nRMSE",
            name=forecasts[0],
        )
        figure.savefig(folder / "test.png", dpi=110)
        _print_places(folder, document["checkpoint"])


def _summarise(stacked: dict[str, dict[str, np.ndarray]], times: np.ndarray) -> dict[str, dict[str, float]]:
    """Means over trajectories and frames; the correlation time over trajectories.

    A trajectory whose correlation never falls below the threshold counts with its last time: the fraction of these,
    ``correlated_to_the_end``, says how far the mean is a lower bound.
    """
    summary = {}
    for forecast, by_metric in stacked.items():
        summary[forecast] = {metric: float(values.mean()) for metric, values in by_metric.items()}
        duration = metrics.correlation_time(
            torch.from_numpy(by_metric["correlation"]), torch.from_numpy(times), CORRELATION_THRESHOLD
        )
        summary[forecast]["correlation_time"] = float(duration.mean())
        to_the_end = (by_metric["correlation"] >= CORRELATION_THRESHOLD).all(axis=1)
        summary[forecast]["correlated_to_the_end"] = float(to_the_end.mean())
    return summary


def _plain(values: np.ndarray) -> list[list[float]]:
    return [[float(f"{value:.6g}") for value in row] for row in values]


def _print_table(summary: dict[str, dict[str, float]]) -> None:
    table = Table(title="whole test trajectories, mean over trajectories and frames")
    table.add_column("metric")
    for forecast in summary:
        table.add_column(forecast, justify="right")
    for metric in next(iter(summary.values())):
        table.add_row(metric, *(f"{values[metric]:.4g}" for values in summary.values()))
    Console().print(table)


def _print_places(folder: Path, checkpoint: str | None) -> None:
    rows = [("checkpoint", checkpoint), ("metrics", folder / "metrics.json"), ("figure", folder / "test.png")]
    for name, place in rows:
        if place is not None:
            Console().print(f"{name + ':':<12}{place}", soft_wrap=True, highlight=False)
