"""What a comparison measures of each run, and the table of means and spreads."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from burgerslab import metrics
from burgerslab.data import BurgersDataModule
from burgerslab.evaluation.forecasts import model_frames
from burgerslab.inversion import Advection, Inversion, Viscosity
from burgerslab.surrogate import Surrogate

Row = dict[str, Any]
_MEASURED = {
    "test_nrmse": "test nRMSE",
    "correlation_time": "correlation time",
    "parameter_error": "parameter error",
    "wall_time": "wall time, s",
    "gradient_steps": "gradient steps",
    "evaluations": "evaluations",
}
_STEP = 4.0  # between the initial guesses of several starts


@torch.no_grad()
def rollout_errors(model: Surrogate | Inversion, datamodule: BurgersDataModule) -> dict[str, float]:
    """NRMSE and correlation time of rollouts of the test trajectories, means over trajectories and frames.

    Args:
        model: The agent.
        datamodule: The data.
    """
    was_training = model.training
    model.eval()
    errors, durations = [], []
    for batch in datamodule.test_dataloader():
        target = batch["target"]
        made = model_frames(model, batch, target.shape[1]).to(target)
        times = datamodule.description.dt * torch.arange(1, target.shape[1] + 1)
        errors.append(metrics.nrmse(made, target).mean(dim=1))
        durations.append(metrics.correlation_time(metrics.correlation(made, target), times))
    model.train(was_training)
    return {
        "test_nrmse": float(torch.cat(errors).double().mean()),
        "correlation_time": float(torch.cat(durations).double().mean()),
    }


def parameter_error(inversion: Inversion) -> float | None:
    """Largest |estimate - truth| / truth of what was learned and is known; None if nothing is."""
    assert inversion.result is not None
    found = inversion.coefficients()  # which a guard may have taken back to an earlier fit
    estimates = {name: replace(it, value=found[name]) for name, it in inversion.result.estimates.items()}
    errors = [replace(inversion.result, estimates=estimates).relative_error(name) for name in estimates]
    known = [float(error.abs().max()) for error in errors if error is not None]
    return max(known, default=None)


def start_factors(number: int) -> list[float]:
    """1, 1/4, 4, 1/16, 16, and so on: what the initial guess of each start is multiplied with."""
    return [_STEP ** ((start + 1) // 2 * (-1) ** (start % 2)) for start in range(number)]


def other_start(inversion: Inversion, factor: float, max_evaluations: int) -> Inversion:
    """The same inversion, not fitted, from another initial guess of its coefficients that are numbers.

    Args:
        inversion: What is to be inverted for.
        factor: Of the guesses; they are kept within their bounds.
        max_evaluations: Evaluations after which the solver stops.
    """
    learnables = [
        replace(it, initial_guess=float(np.clip(factor * it.initial_guess, *(it.bounds or (-math.inf, math.inf)))))
        if isinstance(it, Viscosity | Advection)
        else it
        for it in inversion.posing.learnables
    ]
    solver = replace(inversion.solver, max_evaluations=max_evaluations, suppress_convergence_errors=True)
    posing = inversion.posing
    return Inversion(learnables, posing.scheme, posing.substeps, posing.refine, solver, posing.noise_std)


def summarise(rows: Sequence[Row]) -> dict[str, dict[str, list[float] | None]]:
    """For each method and measure the mean and the standard deviation over the seeds; None where it has none."""
    summary: dict[str, dict[str, list[float] | None]] = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        summary[method] = {}
        for name in _MEASURED:
            values = [row[name] for row in rows if row["method"] == method and row[name] is not None]
            spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
            summary[method][name] = [float(np.mean(values)), spread] if values else None
    return summary


def print_table(summary: dict[str, dict[str, list[float] | None]], num_seeds: int, vary_data: bool) -> None:
    """Mean ± standard deviation, a method per column."""
    drawn = "trajectories of their own" if vary_data else "the same trajectories"
    table = Table(title=f"mean ± standard deviation over {num_seeds} seeds, with {drawn}")
    table.add_column("")
    for method in summary:
        table.add_column(method, justify="right")
    for name, label in _MEASURED.items():
        cells = [summary[method][name] for method in summary]
        table.add_row(label, *("" if cell is None else f"{cell[0]:.3g} ± {cell[1]:.2g}" for cell in cells))
    Console().print(table)
