"""Tables of how good runs are: means over test trajectories with their intervals, and all runs at a glance."""

from collections.abc import Mapping, Sequence

import numpy as np

from burgerslab.evaluation.bootstrap import FEWEST_TRAJECTORIES, Interval
from burgerslab.evaluation.number_text import interval_text, number_text
from burgerslab.evaluation.report.blocks import Table
from burgerslab.evaluation.report.forecasts import Forecasts
from burgerslab.evaluation.report.run_files import RunFiles, number
from burgerslab.evaluation.report.training_section import final_parameters
from burgerslab.evaluation.runs import Run

_METRICS = {
    "nrmse": "nRMSE [-]",
    "max_error": "largest error [L/T]",
    "h1": "H1 [-]",
    "spectrum_error": "spectrum [-]",
    "correlation": "correlation [-]",
    "correlation_time": "correlated for [T]",
}


def accuracy_table(forecasts: Forecasts) -> Table:
    """Means over trajectories and frames of each metric, with 95 % bootstrap intervals over trajectories.

    Args:
        forecasts: Of a group of runs.
    """
    rows = []
    for label, errors in forecasts.errors.items():
        found = errors.summary()
        rows.append([label, *(_cell(found[name]) for name in _METRICS)])
    count = len(forecasts.tested.trajectories)
    few = ""
    if count < FEWEST_TRAJECTORIES:
        few = " So few trajectories tell little of the interval." if count > 1 else " One trajectory has no interval."
    many = "trajectory" if count == 1 else "trajectories"
    caption = (
        f"Means over {count} test {many} and {len(forecasts.times) - 1} frames, below them the 95 % bootstrap "
        f"intervals over trajectories.{few} Correlated for: time until the correlation falls below 0.8, at "
        f"most {forecasts.times[-1] - forecasts.times[0]:.4g} T."
    )
    return Table(["forecast", *_METRICS.values()], rows, caption)


def overview_table(
    runs: Sequence[Run],
    labels: Mapping[tuple[str, str], str],
    names: Mapping[str, str],
    forecasts: Sequence[Forecasts],
    files: Mapping[str, RunFiles],
) -> Table:
    """One row for each model of each run: what it is, how good, and the viscosity that it found.

    Args:
        runs: The runs.
        labels: Of the models, by run and model.
        names: Short names of the runs.
        forecasts: Of all groups.
        files: Records, by name of the run.
    """
    rows = []
    for run in runs:
        for model in run.models:
            label = labels[run.name, model]
            group = next((it for it in forecasts if label in it.errors), None)
            error = "–"
            if group is not None:
                error = _cell(group.errors[label].summary()["nrmse"])
            is_physics = model in ("inversion", "physics")
            estimate, truth = _viscosity(run, files[run.name]) if is_physics else ("–", "–")
            kind = run.kind if len(run.models) == 1 else f"{run.kind}: {model}"
            rows.append([names[run.name], kind, run.store.name, error, estimate, truth])
    columns = ["run", "kind", "data", "nRMSE of rollouts", "viscosity [L²/T]", "its error"]
    caption = "nRMSE: mean over test trajectories and frames; viscosity: estimate. Below both their 95 % intervals."
    return Table(columns, rows, caption, num_labels=3)


def _viscosity(run: Run, files: RunFiles) -> tuple[str, str]:
    it = final_parameters(run, files).get("viscosity")
    if it is None:
        return "–", "–"
    if not isinstance(it.get("estimate"), float):
        low, high = it.get("estimate_range") or (np.min(it["estimate"]), np.max(it["estimate"]))
        return f"{low:.4g} … {high:.4g}", "–"
    low, high = (number(end) for end in it.get("ci95", (None, None)))
    estimate, interval = interval_text(it["estimate"], low, high)
    error = f"{100 * number(it['relative_error']):+.2g} %" if "relative_error" in it else "–"
    return f"{estimate}\n{interval}", error


def _cell(it: Interval) -> str:
    if not np.isfinite(it.low) or not np.isfinite(it.high):
        lost = f" ({it.num_not_finite} diverged)" if it.num_not_finite else ""
        return f"{number_text(it.mean, 3)}{lost}"
    return f"{number_text(it.mean, 3)}\n{number_text(it.low, 3)} to {number_text(it.high, 3)}"
