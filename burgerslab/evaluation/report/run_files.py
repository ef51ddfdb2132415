"""What lies in a run's folder: metrics.csv, inversion.json, inversion.npz, hybrid.json, evaluation.json."""

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from burgerslab.evaluation.evaluation_files import SUMMARY

# Of the columns of metrics.csv those that say how training goes, in words.
_LOSSES = {
    "train/loss": "training loss",
    "train/data_loss": "on data",
    "train/interaction_loss": "to the other agent",
    "train/objective": "objective",
}
_VALIDATION = {"val/nrmse": "validation nRMSE"}
_MOST_POINTS = 600

Curve = tuple[list[float], list[float]]


@dataclass(frozen=True)
class RunFiles:
    """The records of one run.

    Args:
        losses: Places (steps) and values of each training loss, by name.
        validation: Places (epochs) and values of validation errors, by name.
        inversion: The content of inversion.json; empty without one.
        cycles: The cycles of hybrid.json; empty without one.
        fields: The arrays of inversion.npz.
        evaluation: The content of evaluation/evaluation.json; empty without one.
    """

    losses: dict[str, Curve]
    validation: dict[str, Curve]
    inversion: dict[str, Any]
    cycles: list[dict[str, Any]]
    fields: dict[str, ndarray]
    evaluation: dict[str, Any]


def read_files(folder: Path) -> RunFiles:
    """Read what there is in a run's folder; a file that lacks is no error.

    Args:
        folder: Of the run.

    Raises:
        ValueError: If a file is damaged.
    """
    rows = _rows(folder / "metrics.csv")
    fields: dict[str, ndarray] = {}
    if (path := folder / "inversion.npz").exists():
        with np.load(path) as archive:
            fields = {name: archive[name] for name in archive.files}
    return RunFiles(
        losses=_curves(rows, "step", _LOSSES),
        validation=_curves(rows, "epoch", _VALIDATION),
        inversion=_json(folder / "inversion.json"),
        cycles=_json(folder / "hybrid.json").get("cycles", []),
        fields=fields,
        evaluation=_json(folder / "evaluation" / SUMMARY),
    )


def number(value: Any) -> float:
    """A number of a JSON file, in which "inf" and "nan" are text, and what is not there is nan.

    Args:
        value: Number, text or None.
    """
    return math.nan if value is None else float(value)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _curves(rows: list[dict[str, str]], place: str, names: dict[str, str]) -> dict[str, Curve]:
    curves: dict[str, Curve] = {}
    for column, name in names.items():
        known = [(float(row[place]), float(row[column])) for row in rows if row.get(column) and row.get(place)]
        if known:
            # The first of each stretch and the last: a browser shows no more points than pixels.
            stride = max(1, math.ceil(len(known) / _MOST_POINTS))
            kept = known[::stride] + ([known[-1]] if (len(known) - 1) % stride else [])
            curves[name] = ([it[0] for it in kept], [it[1] for it in kept])
    return curves


def _json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: this is no JSON ({error}); was it cut short? Delete it, or fit again") from error
