"""Rollouts of runs over the test trajectories that they share, and what is measured of them.

Legend of the shapes: R trajectories, T frames with the initial one, C components of the velocity, *N cells, K shells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from burgerslab import metrics
from burgerslab.data import Store, StoreError
from burgerslab.evaluation.error_table import Errors, measure_errors
from burgerslab.evaluation.forecasts import Forecast, ModelForecast, Persistence, RefusedError
from burgerslab.evaluation.line_styles import TRUTH
from burgerslab.evaluation.runs import Run
from burgerslab.evaluation.selection import EvaluationData, choose_trajectories
from burgerslab.evaluation.trajectory_sets import TrajectorySet

_VELOCITY = "velocity"


@dataclass(frozen=True)
class Forecasts:
    """Rollouts of several models over the same test trajectories of one store.

    Args:
        tested: The trajectories.
        times: Time of each frame, ascending, units T.
        truth: Velocity of the first batch of them, units L/T, ``(R, T, C, *N)``.
        predictions: The same of each model, by label.
        errors: Of each model and of persistence over all trajectories, by label.
        remarks: What to know of the choice of trajectories, and which models have no rollouts.
    """

    tested: TrajectorySet
    times: Float[ndarray, " T"]
    truth: Float[ndarray, "R T C *N"]
    predictions: Mapping[str, Float[ndarray, "R T C *N"]]
    errors: Mapping[str, Errors]
    remarks: Sequence[str]

    @property
    def extent(self) -> tuple[float, ...]:
        """Length of the box along each axis, units L."""
        return self.tested.store.layout.domain.extent


def model_labels(runs: Sequence[Run]) -> dict[tuple[str, str], str]:
    """Short names of models in legends, by names of run and model.

    The version is left out where the folder tells runs apart, and the model where a run has but one.

    Args:
        runs: With different names.
    """
    folders = [run.name.rpartition("/")[0] or run.name for run in runs]
    labels = {}
    for run, folder in zip(runs, folders, strict=True):
        is_clear = folders.count(folder) == 1 and folder not in (TRUTH, Persistence.name)
        short = folder if is_clear else run.name
        for model in run.models:
            labels[run.name, model] = short if len(run.models) == 1 else f"{short}: {model}"
    return labels


def roll_out(
    runs: Sequence[Run], labels: Mapping[tuple[str, str], str], data: EvaluationData
) -> tuple[list[Forecasts], list[str]]:
    """Roll out every model over test trajectories; runs of the same data share them.

    Args:
        runs: Loaded runs.
        labels: From `model_labels`.
        data: Which trajectories; with a store, all runs are rolled out over its trajectories.

    Returns:
        One entry for each group of runs that can be compared, and remarks on runs without data.

    Raises:
        ValueError: If a run cannot be rolled out over the store that was asked for.
        StoreError: If there is no such store.
    """
    if data.store is not None:
        return [_forecasts(runs, labels, data)], []
    groups: list[list[Run]] = []
    remarks = []
    for run in runs:
        try:
            Store(run.store)
        except StoreError as error:
            remarks.append(f"{run.name} has no rollouts here: {error}; give --data.store if it is elsewhere")
            continue
        if not run.test_trajectories and data.test_sim_indices is None:
            cure = "name some with --data.test_sim_indices, or other data with --data.store"
            remarks.append(f"{run.name} has no rollouts here: no trajectory is kept for tests; {cure}")
        elif (group := next((it for it in groups if _comparable([*it, run], data)), None)) is not None:
            group.append(run)
        else:
            groups.append([run])
    found = [_forecasts(group, labels, data) for group in groups]
    return found, remarks


def energies(velocity: Float[ndarray, "R T C *N"]) -> Float[ndarray, "R T K"]:
    """Kinetic energy in the shells of wave numbers, units L²/T²; their sum is the kinetic energy.

    Args:
        velocity: Units L/T.
    """
    return metrics.energy_spectrum(torch.from_numpy(velocity)).numpy()


def _comparable(runs: Sequence[Run], data: EvaluationData) -> bool:
    """Whether runs were trained on the same fields of the same store and share test trajectories."""
    facts = {
        (run.store.expanduser().resolve(), run.data.get("num_frames"), run.description.dynamic_fields) for run in runs
    }
    if data.test_sim_indices is not None:
        return len(facts) == 1
    return len(facts) == 1 and bool(set.intersection(*(set(run.test_trajectories or ()) for run in runs)))


def _forecasts(runs: Sequence[Run], labels: Mapping[tuple[str, str], str], data: EvaluationData) -> Forecasts:
    tested, remarks = choose_trajectories(runs, data)
    forecasts = [ModelForecast(labels[run.name, name], model) for run in runs for name, model in run.models.items()]
    predictions, errors = {}, {}
    for forecast in forecasts:
        try:
            errors[forecast.name] = measure_errors(forecast, tested)
        except RefusedError as error:
            remarks.append(str(error))
            continue
        predictions[forecast.name] = _first_rollouts(forecast, tested)
    persistence = Persistence()
    errors[persistence.name] = measure_errors(persistence, tested)
    batch = next(iter(tested.batches()))
    truth = _velocity(batch["initial"], batch["target"], tested)
    times = np.asarray(tested.store.times[: tested.num_frames])
    return Forecasts(tested, times, truth, predictions, errors, remarks)


def _first_rollouts(forecast: Forecast, tested: TrajectorySet) -> Float[ndarray, "R T C *N"]:
    batch = next(iter(tested.batches(forecast.static_fields)))
    solve = forecast.on(tested.facts(forecast.static_fields))
    return _velocity(batch["initial"], solve(batch, batch["target"].shape[1]).float(), tested)


def _velocity(initial: Tensor, frames: Tensor, tested: TrajectorySet) -> Float[ndarray, "R T C *N"]:
    description = tested.facts().description
    names = description.dynamic_fields
    first = sum(len(description.components[name]) for name in names[: names.index(_VELOCITY)])
    channels = slice(first, first + len(description.components[_VELOCITY]))
    return torch.cat([initial[:, None], frames], dim=1)[:, :, channels].numpy()
