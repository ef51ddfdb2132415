"""Evaluation of finished runs: errors beside those of baselines, with intervals, elsewhere, and against wall time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from burgerslab.evaluation.accuracy_and_time import (
    Timed,
    Timing,
    Verdict,
    mean_nrmse,
    time_against_solvers,
    verdicts,
    was_busy,
)
from burgerslab.evaluation.bootstrap import FEWEST_TRAJECTORIES
from burgerslab.evaluation.error_table import Errors, measure_errors
from burgerslab.evaluation.forecasts import (
    Forecast,
    ModelForecast,
    Persistence,
    RefusedError,
    SchemeForecast,
    scheme_name,
)
from burgerslab.evaluation.run_names import named_apart
from burgerslab.evaluation.runs import Run
from burgerslab.evaluation.selection import EvaluationData, choose_trajectories
from burgerslab.evaluation.sweeps import Sweep, sweep_sets
from burgerslab.evaluation.trajectory_sets import TrajectorySet
from burgerslab.physics import WENO, FiniteDifference, FourierSpectral, MacCormack, Scheme, SemiLagrangian

SHIPPED_SCHEMES: tuple[Scheme, ...] = (
    FiniteDifference(),
    FourierSpectral(),
    WENO(),
    MacCormack(),
    SemiLagrangian(),
)


@dataclass(frozen=True)
class Evaluation:
    """What was found.

    Args:
        runs: The runs by the names that the tables have.
        models: The names of their models in the tables.
        sets: The sets of trajectories, the test trajectories first.
        errors: Of each forecast of each set.
        timed: Errors and wall times of models and solvers; empty if times were not asked for.
        verdicts: What follows from these, for each model.
        notes: What to know before the numbers are believed.
        refused: Forecasts that could not be made, and why.
    """

    runs: dict[str, Run]
    models: dict[str, tuple[str, str]]
    sets: list[TrajectorySet] = field(default_factory=list)
    errors: list[Errors] = field(default_factory=list)
    timed: list[Timed] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def evaluate(
    runs: Sequence[Run],
    folder: Path,
    data: EvaluationData = EvaluationData(),  # noqa: B008 - frozen
    schemes: Sequence[Scheme] = SHIPPED_SCHEMES,
    sweep: Sweep = Sweep(),  # noqa: B008 - frozen
    timing: Timing | None = Timing(),  # noqa: B008 - frozen
    say: Callable[[str], None] = lambda text: None,
) -> Evaluation:
    """Roll out the models of runs over their test trajectories, and over those of a sweep, beside baselines.

    Args:
        runs: The runs.
        folder: Where trajectories of a sweep go.
        data: Which trajectories to test on.
        schemes: Solvers to compare with, besides persistence.
        sweep: Settings to change.
        timing: How to measure wall times; None measures none.
        say: Is told what is done.

    Raises:
        ValueError: If the runs and the data do not go together, or no model can forecast them.
    """
    named = named_apart(runs)
    models = {
        label if len(run.models) == 1 else f"{label} {model}": (label, model)
        for label, run in named.items()
        for model in run.models
    }
    found = Evaluation(named, models)
    test, notes = choose_trajectories(runs, data)
    found.notes.extend([note for run in runs for note in run.notes] + notes + _doubts(test, schemes))
    of_models = [ModelForecast(name, named[run].models[model]) for name, (run, model) in models.items()]
    solvers = [SchemeForecast(scheme) for scheme in schemes]
    baselines: list[Forecast] = [Persistence(), *solvers]
    _measure(found, test, [*of_models, *baselines], say)
    done = {errors.run for errors in found.errors}
    able = [it for it in of_models if it.name in done]
    if not able:
        raise ValueError("; ".join(found.refused))
    if not sweep.is_empty:
        for trajectories in sweep_sets(sweep, test, folder / "sweeps"):
            _measure(found, trajectories, [*able, *baselines], say)
    if timing is not None and schemes and test.dynamic_fields == ("velocity",):
        say("times of models and solvers")
        nrmse = {errors.run: mean_nrmse(errors) for errors in found.errors if errors.trajectories == test.name}
        fair = [it for it in solvers if not test.were_made_by(it.scheme)]
        measured = {it: nrmse[it.name] for it in [*able, *fair] if it.name in nrmse}
        found.timed.extend(time_against_solvers(measured, schemes, test, timing))
        found.verdicts.extend(verdicts(found.timed))
        if was_busy(found.timed):
            found.notes.append(
                "the machine was busy: rollouts waited longer for it than they computed, and wall times say little; "
                "measure again on a quiet machine"
            )
    return found


def _measure(
    found: Evaluation, trajectories: TrajectorySet, forecasts: Sequence[Forecast], say: Callable[[str], None]
) -> None:
    found.sets.append(trajectories)
    for forecast in forecasts:
        say(f"{trajectories.name}: {forecast.name}")
        try:
            found.errors.append(measure_errors(forecast, trajectories))
        except RefusedError as error:
            found.refused.append(str(error))


def _doubts(test: TrajectorySet, schemes: Sequence[Scheme]) -> list[str]:
    doubts = []
    number = len(test.trajectories)
    if number < FEWEST_TRAJECTORIES:
        doubts.append(
            f"{number} {'trajectory is' if number == 1 else 'trajectories are'} too few for an interval: from "
            f"{FEWEST_TRAJECTORIES} on it begins to mean something, from 20 on it holds what it says"
        )
    return doubts + [
        f"the data were made by {scheme_name(scheme)} on this very grid: what they miss of the equation, it misses "
        "too, and its error is no measure of it; on this grid it is not timed either. Exact data (ColeHopf) tell more"
        for scheme in schemes
        if test.were_made_by(scheme)
    ]
