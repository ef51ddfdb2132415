"""What `burgerslab evaluate` has found of a run: baselines, other distributions, accuracy against time."""

from collections.abc import Mapping
from typing import Any

from burgerslab.evaluation.number_text import number_text
from burgerslab.evaluation.report.blocks import Block, Remarks, Table
from burgerslab.evaluation.report.run_files import number

_METRICS = {
    "nrmse": "nRMSE [-]",
    "h1": "H1 [-]",
    "correlation": "correlation [-]",
    "correlation_time": "correlated for [T]",
}


def evaluation_blocks(evaluation: Mapping[str, Any]) -> list[Block]:
    """A table of all forecasts of all sets of trajectories, one of costs, and the answers.

    Args:
        evaluation: The content of evaluation.json; empty if there is none.
    """
    if not evaluation:
        return []
    rows = []
    for trajectories, by_run in evaluation["summary"].items():
        for run, by_metric in by_run.items():
            rows.append([trajectories, run, *(_cell(by_metric[name]) for name in _METRICS)])
    caption = (
        f"Of evaluation.json. Means over trajectories and frames, below them intervals ({evaluation['interval']}). "
        "Schemes know the true viscosity."
    )
    columns = ["trajectories", "forecast", *_METRICS.values()]
    blocks: list[Block] = [Table(columns, rows, caption, num_labels=2, title="Beside numerical schemes")]
    measured = evaluation["accuracy_and_time"]
    if measured["timed"]:
        costs = [
            [
                it["name"],
                " × ".join(map(str, it["cells"])),
                str(it["substeps"]) if it["is_solver"] else "–",
                number_text(number(it["nrmse"]), 3),
                number_text(number(it["seconds"]), 3),
            ]
            for it in measured["timed"]
        ]
        columns = ["forecast", "cells", "steps per frame", "nRMSE [-]", "seconds per trajectory"]
        caption = f"Wall time with {measured['num_threads']} thread(s), all frames."
        blocks.append(Table(columns, costs, caption, num_labels=2, title="Accuracy against time", folded=True))
        blocks.append(Remarks([it["text"] for it in measured["verdicts"]], alarm=False))
    if doubts := [*evaluation["refused"], *evaluation["notes"]]:
        blocks.append(Remarks(doubts))
    return blocks


def _cell(it: Mapping[str, Any]) -> str:
    low, high = (number_text(number(end), 3) for end in it["ci95"])
    mean = number_text(number(it["mean"]), 3)
    if it["num_not_finite"]:
        return f"{mean} ({it['num_not_finite']} diverged)"
    return mean if "–" in (low, high) else f"{mean}\n{low} to {high}"
