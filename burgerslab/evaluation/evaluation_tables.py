"""The tables of an evaluation on the terminal."""

import math
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from burgerslab.evaluation.bootstrap import Interval
from burgerslab.evaluation.error_table import CORRELATION_TIME
from burgerslab.evaluation.evaluation import Evaluation

_SHOWN = {"h1": "H1", "spectrum_error": "spectrum", CORRELATION_TIME: "corr. time"}


def print_evaluation(found: Evaluation, summaries: Mapping[str, Mapping[str, Mapping[str, Interval]]]) -> None:
    """Print what was found: test errors, sweeps, accuracy against time, and what to know of them.

    Args:
        found: The evaluation.
        summaries: Intervals by set, run and metric.
    """
    console = Console()
    test, *others = found.sets
    table = _table(
        _SHOWN, f"{len(test.trajectories)} test trajectories of {test.num_frames - 1} frames; truth: {test.truth}"
    )
    for run, intervals in summaries[test.name].items():
        table.add_row(run, *_cells(intervals, _SHOWN))
    console.print(table)
    if others:
        console.print(_sweeps(found, summaries))
    if found.timed:
        console.print(_times(found))
    for verdict in found.verdicts:
        console.print(f"answer:     {verdict}", soft_wrap=True, highlight=False, markup=False)
    for kind, texts in (("refused", found.refused), ("note", found.notes)):
        for text in texts:
            console.print(f"{kind + ':':<12}{text}", soft_wrap=True, highlight=False, markup=False)


def _table(shown: Mapping[str, str], title: str, *before: str) -> Table:
    table = Table(title=title, caption="means over trajectories and frames; intervals over trajectories")
    for column in (*before, "run"):
        table.add_column(column, overflow="fold")
    for column in ("nRMSE", "95 % interval", *shown.values()):
        table.add_column(column, justify="right", overflow="fold")
    return table


def _cells(intervals: Mapping[str, Interval], shown: Mapping[str, str]) -> list[str]:
    nrmse = intervals["nrmse"]
    ends = "" if math.isnan(nrmse.low) else f"{nrmse.low:.3g} to {nrmse.high:.3g}"
    if nrmse.num_not_finite:
        ends = f"{nrmse.num_not_finite} diverged"
    return [f"{nrmse.mean:.3g}", ends, *(f"{intervals[metric].mean:.3g}" for metric in shown)]


def _sweeps(found: Evaluation, summaries: Mapping[str, Mapping[str, Mapping[str, Interval]]]) -> Table:
    """A group of rows for each set."""
    table = _table({}, "new trajectories (* as in training)", "set")
    for trajectories in found.sets[1:]:
        name = trajectories.name + (" *" if trajectories.in_distribution else "")
        for run, intervals in summaries[trajectories.name].items():
            table.add_row(name, run, *_cells(intervals, {}))
            name = ""
        table.add_section()
    return table


def _times(found: Evaluation) -> Table:
    """Models, and the solvers that no other one beats in both accuracy and time."""
    best: list[int] = []
    order = sorted(range(len(found.timed)), key=lambda number: found.timed[number].seconds)
    least = float("inf")
    for number in order:
        it = found.timed[number]
        if not it.is_solver or it.nrmse < least:
            best.append(number)
            least = min(least, it.nrmse) if it.is_solver else least
    table = Table(title="accuracy against wall time: models, and solvers that none beats in both")
    for column in ("", "nRMSE", "ms per trajectory"):
        table.add_column(column, justify="right" if column else "left", overflow="fold")
    for number in best:
        it = found.timed[number]
        name = str(it) if it.is_solver else f"> {it}"
        table.add_row(name, f"{it.nrmse:.3g}", f"{1e3 * it.seconds:.3g}")
    return table
