"""What lies in a run's folder: metrics.csv, inversion.json, inversion.npz, hybrid.json, evaluation.json."""

import csv
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from burgerslab.evaluation.evaluation_files import SUMMARY
from burgerslab.evaluation.strict_json import MEND, read_record

# Of the columns of metrics.csv those that say how training goes, in words.
_LOSSES = {
    "train/loss": "training loss",
    "train/data_loss": "on data",
    "train/interaction_loss": "to the other agent",
    "train/objective": "objective",
}
_VALIDATION = {"val/nrmse": "validation nRMSE"}
_COLUMNS = {"step", "epoch", *_LOSSES, *_VALIDATION}
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
        try:
            with path.open("rb") as file, np.load(file) as archive:
                fields = {name: archive[name] for name in archive.files}
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path}: these are no arrays of numpy ({error}); {MEND}") from error
    return RunFiles(
        losses=_curves(rows, "step", _LOSSES),
        validation=_curves(rows, "epoch", _VALIDATION),
        inversion=read_record(folder / "inversion.json"),
        cycles=read_record(folder / "hybrid.json").get("cycles", []),
        fields=fields,
        evaluation=read_record(folder / "evaluation" / SUMMARY),
    )


def number(value: Any) -> float:
    """A number of a JSON file, in which "inf" and "nan" are text, and what is not there is nan.

    Args:
        value: Number, text or None.
    """
    return math.nan if value is None else float(value)


def _rows(path: Path) -> list[dict[str, float]]:
    """The numbers of each line; of a run that was killed the last line may be cut short, and is left out."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    reader = csv.DictReader(lines)
    try:
        return [{name: float(value) for name, value in row.items() if name in _COLUMNS and value} for row in reader]
    except ValueError as error:
        raise ValueError(f"{path}: line {reader.line_num} is damaged ({error}); {MEND}") from error


def _curves(rows: list[dict[str, float]], place: str, names: dict[str, str]) -> dict[str, Curve]:
    curves: dict[str, Curve] = {}
    for column, name in names.items():
        known = [(row[place], row[column]) for row in rows if row.keys() >= {place, column}]
        if known:
            # The first of each stretch and the last: a browser shows no more points than pixels.
            stride = max(1, math.ceil(len(known) / _MOST_POINTS))
            kept = known[::stride] + ([known[-1]] if (len(known) - 1) % stride else [])
            curves[name] = ([it[0] for it in kept], [it[1] for it in kept])
    return curves
