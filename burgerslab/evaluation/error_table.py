"""Errors of forecasts per trajectory and frame, as one long table and as means with intervals."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from burgerslab import metrics
from burgerslab.evaluation.bootstrap import Interval, mean_intervals
from burgerslab.evaluation.forecasts import Forecast, RefusedError
from burgerslab.evaluation.trajectory_sets import TrajectorySet

COLUMNS = ("run", "set", "trajectory", "frame", "metric", "value")
CORRELATION_TIME = "correlation_time"
CORRELATED_TO_THE_END = "correlated_to_the_end"
_THRESHOLD = 0.8


@dataclass(frozen=True)
class Errors:
    """Errors of one forecast of one set of trajectories.

    Args:
        run: Name of the forecast.
        trajectories: Name of the set.
        numbers: Number of each trajectory in its store, ``(n,)``.
        by_frame: Metrics with a value per trajectory and frame, ``(n, T)``.
        by_trajectory: Metrics with a value per trajectory, ``(n,)``.
    """

    run: str
    trajectories: str
    numbers: tuple[int, ...]
    by_frame: Mapping[str, npt.NDArray[np.float64]]
    by_trajectory: Mapping[str, npt.NDArray[np.float64]]

    def summary(self) -> dict[str, Interval]:
        """Means over trajectories, and over frames where there is a value of each, with 95 % intervals."""
        each = {name: values.mean(axis=1) for name, values in self.by_frame.items()} | dict(self.by_trajectory)
        return dict(zip(each, mean_intervals(np.stack(list(each.values()))), strict=True))

    def rows(self) -> Iterator[tuple[str, str, int, int | None, str, str]]:
        """Rows of the long table; frames count from 1, and a metric of a whole trajectory has none."""
        for row, number in enumerate(self.numbers):
            for metric, values in self.by_frame.items():
                for frame, value in enumerate(values[row].tolist(), start=1):
                    yield self.run, self.trajectories, number, frame, metric, f"{value:.8g}"
            for metric, values in self.by_trajectory.items():
                yield self.run, self.trajectories, number, None, metric, f"{values[row]:.8g}"


def measure_errors(forecast: Forecast, trajectories: TrajectorySet) -> Errors:
    """Roll out over a set of trajectories.

    Errors that are infinite or nan are kept as they are; see `burgerslab.metrics` for when they are.

    Args:
        forecast: What is compared.
        trajectories: With what.

    Raises:
        RefusedError: If no such forecast can be made of them; says why.
    """
    facts = trajectories.facts(forecast.static_fields)
    try:
        solve = forecast.on(facts)
    except ValueError as error:
        raise RefusedError(f"{forecast.name} cannot forecast the set {trajectories.name}: {error}") from error
    found: dict[str, list[torch.Tensor]] = {}
    for batch in trajectories.batches(forecast.static_fields):
        target = batch["target"]
        prediction = solve(batch, target.shape[1])
        errors = metrics.frame_metrics(prediction.to(target.device), target, facts.domain.extent)
        for name, values in errors.items():
            found.setdefault(name, []).append(values)
    by_frame = {name: torch.cat(parts) for name, parts in found.items()}
    correlation = by_frame["correlation"]
    times = facts.description.dt * torch.arange(1, correlation.shape[1] + 1, dtype=torch.float64)
    by_trajectory = {
        CORRELATION_TIME: metrics.correlation_time(correlation, times, _THRESHOLD),
        CORRELATED_TO_THE_END: (correlation >= _THRESHOLD).all(dim=1).double(),
    }
    return Errors(
        forecast.name,
        trajectories.name,
        trajectories.trajectories,
        {name: values.numpy() for name, values in by_frame.items()},
        {name: values.numpy() for name, values in by_trajectory.items()},
    )


def write_table(path: Path, tables: list[Errors]) -> int:
    """Write the long table, and return its number of rows."""
    number = 0
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for errors in tables:
            for row in errors.rows():
                writer.writerow(row)
                number += 1
    return number
