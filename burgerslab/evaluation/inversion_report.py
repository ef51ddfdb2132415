"""InversionReport: what fitting an inversion leaves behind: inversion.json, inversion.npz, a figure and a table."""

import json
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from burgerslab.data import BurgersDataModule
from burgerslab.evaluation.inversion_plots import inversion_figure, viscosity_field_figure
from burgerslab.evaluation.strict_json import finite
from burgerslab.inversion import Inversion, InversionResult, in_float64


class InversionReport(Callback):
    """Writes what an `Inversion` found to the run's folder, when its fit ends.

    ``inversion.json`` holds each parameter with its standard deviation, 95 % interval, initial guess, bounds and,
    where the store knows it, the truth; how the solve went; and what to doubt. ``inversion.npz`` holds the
    coefficients that are fields, with their standard deviations. ``inversion.png`` shows the way of the estimate, the
    fit and its residual; ``viscosity.png``, where the viscosity is learned as a field, that field and its standard
    deviation.
    """

    def __init__(self) -> None:
        self._began = 0.0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the files, and print the table."""
        if not isinstance(pl_module, Inversion) or pl_module.result is None:
            return
        folder = Path(trainer.log_dir or trainer.default_root_dir)  # processes agree on it, so all must ask
        if not trainer.is_global_zero:
            return
        result = pl_module.result
        _print_table(result)
        if trainer.fast_dev_run:  # leaves no files
            return
        folder.mkdir(parents=True, exist_ok=True)
        document = {
            "store": str(trainer.datamodule.store_path),
            **result.to_dict(),
            "wall_time": time.perf_counter() - self._began,
            "history": pl_module.history,
        }
        (folder / "inversion.json").write_text(json.dumps(finite(document), indent=1))
        fields = {
            f"{name}_{part}": getattr(estimate, part).detach().numpy()
            for name, estimate in result.estimates.items()
            for part in ("value", "std")
            if estimate.value.ndim
        }
        if fields:
            np.savez(folder / "inversion.npz", **fields)
        figure_of_inversion(pl_module, trainer.datamodule).savefig(folder / "inversion.png", dpi=110)
        Console().print(f"result:     {folder / 'inversion.json'}", soft_wrap=True, highlight=False)
        Console().print(f"figure:     {folder / 'inversion.png'}", soft_wrap=True, highlight=False)
        if _has_field(result):
            figure_of_viscosity_field(pl_module).savefig(folder / "viscosity.png", dpi=110)
            Console().print(f"figure:     {folder / 'viscosity.png'}", soft_wrap=True, highlight=False)


def figure_of_inversion(inversion: Inversion, datamodule: BurgersDataModule) -> Figure:
    """Draw how an inversion went, and the first window of its data beside the fit; see `inversion_figure`.

    Args:
        inversion: After a fit.
        datamodule: What it was fitted to.

    Raises:
        ValueError: If it has not been fitted.
    """
    if inversion.result is None:
        raise ValueError("this inversion has not been fitted, so there is nothing to draw")
    batch = in_float64(next(iter(datamodule.solve_dataloader())))
    result = inversion.result
    return inversion_figure(*_fit(inversion, batch), inversion.history, _intervals(result), _truth(result))


def figure_of_viscosity_field(inversion: Inversion) -> Figure:
    """Draw the viscosity that an inversion found as a field, and how sure it is; see `viscosity_field_figure`.

    Args:
        inversion: After a fit.

    Raises:
        ValueError: If it has not been fitted, or has learned no such field.
    """
    if inversion.result is None or not _has_field(inversion.result):
        raise ValueError("this inversion has found no viscosity that varies in space; learn a ViscosityField")
    assert inversion.objective is not None
    estimate = inversion.result.estimates["viscosity"]
    value, std = (part[0].detach().numpy() for part in (estimate.value, estimate.std))
    return viscosity_field_figure(inversion.objective.problem.domain.centres(), value, std)


def _has_field(result: InversionResult) -> bool:
    return "viscosity" in result.estimates and result.estimates["viscosity"].value.ndim > 1


def _print_table(result: InversionResult) -> None:
    solution = result.solution
    state = "converged" if solution.converged else "NOT converged"
    table = Table(
        title=f"inversion: {state} in {solution.num_iterations} iterations, {solution.num_evaluations} evaluations"
    )
    for column in ("parameter", "estimate", "± std", "95 % interval", "true", "error"):
        table.add_column(column, justify="left" if column == "parameter" else "right")
    for name, estimate in result.estimates.items():
        error = result.relative_error(name)
        if estimate.value.numel() > 1:
            low, high = float(estimate.value.min()), float(estimate.value.max())
            text = "" if error is None else f"{100 * float(error.abs().max()):.3g} % at most"
            shape = " x ".join(map(str, estimate.value.shape))
            table.add_row(
                f"{name} ({shape})", f"{low:.4g} to {high:.4g}", f"{float(estimate.std.max()):.2g}", "", "", text
            )
            continue
        numbers = [float(part) for part in (estimate.value, estimate.std, estimate.low, estimate.high)]
        truth = "" if error is None else f"{numbers[0] / (1 + float(error)):.6g}"
        text = "" if error is None else f"{100 * float(error):+.3g} %"
        interval = f"{numbers[2]:.6g} to {numbers[3]:.6g}"
        table.add_row(name, f"{numbers[0]:.6g}", f"{numbers[1]:.2g}", interval, truth, text)
    Console().print(table)


def _fit(
    module: Inversion, batch: dict[str, torch.Tensor]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[Any, ...]]:
    """Data, rollout and times of one window, and the extent of the box."""
    assert module.objective is not None
    first = {key: values[:1] for key, values in batch.items()}
    with torch.no_grad():
        own = module.objective.select(module.objective.unflatten(module.free.cpu()), first)
        rollout = module.objective.frames(own, first)[0]
    data = torch.cat([first["initial"][:, None], first["target"]], dim=1)[0]
    if "mask" in first:
        data = torch.where(first["mask"][0], data, torch.nan)
    times = module.objective.problem.dt * np.arange(len(data))
    return data.numpy(), rollout.numpy(), times, module.objective.problem.domain.extent


def _intervals(result: InversionResult) -> dict[str, tuple[float, float]]:
    return {
        name: (float(estimate.low), float(estimate.high))
        for name, estimate in result.estimates.items()
        if estimate.value.ndim == 0
    }


def _truth(result: InversionResult) -> dict[str, float]:
    truth = {}
    for name, estimate in result.estimates.items():
        error = result.relative_error(name)
        if estimate.value.ndim == 0 and error is not None:
            truth[name] = 1.0 if name == "advection" else float(estimate.value) / (1 + float(error))
    return truth
