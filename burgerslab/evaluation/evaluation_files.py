"""The files of an evaluation: evaluation.csv, the long table, and evaluation.json, means, intervals, provenance."""

import hashlib
import json
import os
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from burgerslab.data.generate import provenance
from burgerslab.evaluation.bootstrap import LEVEL, Interval
from burgerslab.evaluation.error_table import write_table
from burgerslab.evaluation.evaluation import Evaluation
from burgerslab.evaluation.strict_json import finite
from burgerslab.evaluation.trajectory_sets import TrajectorySet

TABLE, SUMMARY = "evaluation.csv", "evaluation.json"


def write_evaluation(found: Evaluation, folder: Path, summaries: dict[str, dict[str, dict[str, Interval]]]) -> None:
    """Write both files; each appears whole or not at all, and the second names the first by its digest.

    Args:
        found: The evaluation.
        folder: Where to; made if missing.
        summaries: Intervals by set, run and metric.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table, summary = (folder / f".{name}.{os.getpid()}.tmp" for name in (TABLE, SUMMARY))
    try:
        num_rows = write_table(table, found.errors)
        document = {
            **_document(found, summaries),
            "table": {"file": TABLE, "rows": num_rows, "sha256": _digest(table)},
        }
        summary.write_text(json.dumps(finite(document), indent=1))
        table.replace(folder / TABLE)
        summary.replace(folder / SUMMARY)
    finally:
        table.unlink(missing_ok=True)
        summary.unlink(missing_ok=True)


def summarise(found: Evaluation) -> dict[str, dict[str, dict[str, Interval]]]:
    """Means over trajectories with intervals, by set, run and metric."""
    summaries: dict[str, dict[str, dict[str, Interval]]] = {it.name: {} for it in found.sets}
    for errors in found.errors:
        summaries[errors.trajectories][errors.run] = errors.summary()
    return summaries


def _document(found: Evaluation, summaries: dict[str, dict[str, dict[str, Interval]]]) -> dict[str, Any]:
    return {
        "runs": [
            {
                "run": label,
                "kind": run.kind,
                "folder": str(run.folder),
                "store": str(run.store),
                "models": {
                    name: {
                        "checkpoint": str(run.checkpoints[model]),
                        "sha256": _digest(run.checkpoints[model]),
                        "model": model,
                    }
                    for name, (owner, model) in found.models.items()
                    if owner == label
                },
            }
            for label, run in found.runs.items()
        ],
        "sets": [_set(it) for it in found.sets],
        "interval": f"{100 * LEVEL:g} %, BCa bootstrap over trajectories, expanded for few of them (Hesterberg 2015)",
        "summary": {
            trajectories: {
                run: {
                    metric: {"mean": it.mean, "ci95": [it.low, it.high], "num_not_finite": it.num_not_finite}
                    for metric, it in intervals.items()
                }
                for run, intervals in by_run.items()
            }
            for trajectories, by_run in summaries.items()
        },
        "accuracy_and_time": {
            "unit": "wall time in seconds per trajectory, of the first batch of the test trajectories",
            "num_threads": torch.get_num_threads(),
            "timed": [asdict(it) for it in found.timed],
            "verdicts": [
                {
                    "run": it.model.name,
                    "speed_up_at_equal_accuracy": it.speed_up,
                    "as_accurate": None if it.as_accurate is None else asdict(it.as_accurate),
                    "as_fast": None if it.as_fast is None else asdict(it.as_fast),
                    "text": str(it),
                }
                for it in found.verdicts
            ],
        },
        "refused": found.refused,
        "notes": found.notes,
        "versions": {**provenance(), "scipy": version("scipy"), "lightning": version("lightning")},
    }


def _set(trajectories: TrajectorySet) -> dict[str, Any]:
    store = trajectories.store
    return {
        "set": trajectories.name,
        "in_distribution": trajectories.in_distribution,
        "truth": trajectories.truth,
        "store": str(store.path),
        "fingerprint": store.fingerprint,
        "trajectories": list(trajectories.trajectories),
        "num_trajectories": len(trajectories.trajectories),
        "num_frames": trajectories.num_frames - 1,
        "dt": store.layout.dt,
        "cells": list(store.layout.domain.resolution),
        "batch_size": trajectories.batch_size,
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
