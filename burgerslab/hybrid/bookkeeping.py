"""What is written down of every cycle of a hybrid run."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from burgerslab import metrics
from burgerslab.data import BurgersDataModule
from burgerslab.hybrid.exchange import Exchange, draw_states
from burgerslab.inversion import Inversion, in_float64
from burgerslab.surrogate import Surrogate

_MOST_WINDOWS = 64
_NUM_STATES = 16


@dataclass(frozen=True)
class CycleRecord:
    """The state of both agents at the end of a cycle.

    Args:
        cycle: Its number; 0 is the warm-up.
        epoch: Epochs of the surrogate up to here.
        num_observed: Observed windows that the surrogate trains on.
        num_generated: Generated ones beside them.
        surrogate_data_loss: Mean square error of the surrogate over observed windows, over the data's mean square.
        physical_data_loss: The same of the inversion.
        interaction_loss: Mean square difference of the two from states of the exchange, over their mean square.
        surrogate_val_nrmse: Rollout error on validation trajectories; None without any.
        physical_val_nrmse: The same of the inversion.
        num_evaluations: Evaluations of the inversion's objective in this cycle.
        parameters: Estimate, standard deviation and 95 % interval of each coefficient that is a number; those of the
            best state if the guard took the inversion back.
        doubts: What speaks against believing the parameters.
        returned: Agents that the guard took back to their best state.
    """

    cycle: int
    epoch: int
    num_observed: int
    num_generated: int
    surrogate_data_loss: float
    physical_data_loss: float
    interaction_loss: float
    surrogate_val_nrmse: float | None
    physical_val_nrmse: float | None
    num_evaluations: int
    parameters: dict[str, dict[str, Any]]
    doubts: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)

    def scalars(self) -> dict[str, float]:
        """What loggers take."""
        numbers = {
            f"hybrid/{name}": float(value)
            for name, value in asdict(self).items()
            if isinstance(value, int | float) and name != "epoch"
        }
        for name, row in self.parameters.items():
            numbers[f"hybrid/{name}"] = float(row["estimate"])
            if "std" in row:
                numbers[f"hybrid/{name}_std"] = float(row["std"])
        return numbers


class Ledger:
    """The records of a run, in memory and in ``hybrid.json``."""

    def __init__(self) -> None:
        self.records: list[CycleRecord] = []

    def add(self, record: CycleRecord) -> None:
        """Append a record."""
        self.records.append(record)

    def write(self, path: Path) -> None:
        """Replace the file, at once."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"cycles": self.state_dict()}, indent=1))
        os.replace(temporary, path)

    def state_dict(self) -> list[dict[str, Any]]:
        """Plain values."""
        return [asdict(record) for record in self.records]

    def load_state_dict(self, records: list[dict[str, Any]]) -> None:
        """The inverse of `state_dict`."""
        self.records = [CycleRecord(**record) for record in records]


@dataclass(frozen=True)
class Comparison:
    """Losses of two agents at one time; see `CycleRecord`."""

    surrogate_data_loss: float
    physical_data_loss: float
    interaction_loss: float
    surrogate_val_nrmse: float | None
    physical_val_nrmse: float | None


@torch.no_grad()
def compare_agents(
    surrogate: Surrogate, physical: Inversion, datamodule: BurgersDataModule, exchange: Exchange, cycle: int
) -> Comparison:
    """Roll out both agents from the same frames.

    Args:
        surrogate: One agent.
        physical: The other.
        datamodule: Windows and validation trajectories.
        exchange: Where the states come from that the two are compared on.
        cycle: Number of the cycle.
    """
    was_training = surrogate.training
    surrogate.eval()
    windows = datamodule.training_windows()
    chosen = np.unique(np.linspace(0, windows.num_observed - 1, _MOST_WINDOWS).astype(int))
    batch = windows.batch(chosen)
    shown = batch["mask"] if "mask" in batch else torch.ones_like(batch["target"][:, :1], dtype=torch.bool)
    complete = shown[:, 0].flatten(1).all(dim=1)
    rows = {name: values[complete] for name, values in batch.items()}
    seen = rows["mask"][:, 1:].expand_as(rows["target"]) if "mask" in rows else torch.ones_like(rows["target"]) > 0
    of_surrogate, of_physics = _both(surrogate, physical, rows, rows["target"].shape[1])
    target = rows["target"].double()[seen]
    size = target.square().mean()
    losses = [float((made[seen] - target).square().mean() / size) for made in (of_surrogate, of_physics)]
    states = draw_states(datamodule, exchange, _NUM_STATES, cycle, agent=2)
    state_rows = {"initial": states.frames, "static": states.static, "viscosity": states.viscosity}
    one, other = _both(surrogate, physical, state_rows, exchange.num_steps_of("physical", datamodule))
    interaction = float((one - other).square().mean() / other.square().mean())
    comparison = Comparison(*losses, interaction, *_validation(surrogate, physical, datamodule))
    surrogate.train(was_training)
    return comparison


def _both(
    surrogate: Surrogate, physical: Inversion, rows: dict[str, Tensor], num_steps: int
) -> tuple[Tensor, Tensor]:
    """Frames of both agents, float64, on the CPU."""
    initial, static = (rows[name].to(surrogate.device, surrogate.dtype) for name in ("initial", "static"))
    one = surrogate.rollout(initial, num_steps, static).cpu().double()
    other = physical.rollout(rows["initial"].double(), num_steps, viscosity=rows["viscosity"])
    return one, other


def _validation(
    surrogate: Surrogate, physical: Inversion, datamodule: BurgersDataModule
) -> tuple[float, float] | tuple[None, None]:
    loader = datamodule.val_dataloader()
    if isinstance(loader, list):
        return None, None
    errors: tuple[list[Tensor], list[Tensor]] = ([], [])
    for batch in map(in_float64, loader):
        for found, made in zip(errors, _both(surrogate, physical, batch, batch["target"].shape[1]), strict=True):
            found.append(metrics.nrmse(made, batch["target"]).mean(dim=1))
    return float(torch.cat(errors[0]).mean()), float(torch.cat(errors[1]).mean())


def numbers_of(physical: Inversion) -> dict[str, dict[str, Any]]:
    """Coefficients that are single numbers, with how sure they are."""
    if physical.result is None:
        return {name: {"estimate": float(it)} for name, it in physical.coefficients().items() if it.ndim == 0}
    return {
        name: {"estimate": float(it.value), "std": float(it.std), "ci95": [float(it.low), float(it.high)]}
        for name, it in physical.result.estimates.items()
        if it.value.ndim == 0
    }
