"""Accuracy against wall time: is a network faster than a solver of the same accuracy?

A network that is compared with a solver on its own fine grid looks fast; on a grid just fine enough for the same
accuracy, solvers are often faster (McGreivy and Hakim 2024, "Weak baselines and reporting biases lead to
overoptimism in machine learning for fluid-related partial differential equations", Nature Machine Intelligence 6,
1256). So solvers are timed on the grid of the data and on coarser ones, each with the fewest stable steps and with as
many as are accurate in time, beside the models, in turn, on the same trajectories as one batch, on the same threads.
"""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from burgerslab.evaluation.coarse_grid import coarsened, coarsenings
from burgerslab.evaluation.error_table import Errors, measure_errors
from burgerslab.evaluation.forecasts import ACCURATE, STABLE, Forecast, SchemeForecast
from burgerslab.evaluation.trajectory_sets import TrajectorySet
from burgerslab.physics import Scheme

# So many steps at one shape make `Rollout` record the step.
_NUM_STEPS_TO_CAPTURE = 64
_BUSY = 1.5


@dataclass(frozen=True)
class Timing:
    """How wall times are measured.

    Args:
        repeats: Rollouts of each forecast, in turn; their median counts.
        compile_solvers: Compile the solvers' steps to machine code, half a minute or more for each grid.

    Raises:
        ValueError: If ``repeats`` is less than 1.
    """

    repeats: int = 9
    compile_solvers: bool = False

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ValueError(f"timing.repeats must be at least 1, got {self.repeats}")


@dataclass(frozen=True)
class Timed:
    """One forecast's error and cost.

    Args:
        name: Run or scheme.
        is_solver: Whether it is a scheme.
        cells: Cells along each axis.
        substeps: Steps per frame.
        nrmse: Mean over trajectories and frames; inf or nan where it diverged.
        seconds: Wall time per trajectory, all frames; the median of the repeats.
        cpu_seconds: CPU time of all threads in place of wall time, which a busy machine makes longer.
    """

    name: str
    is_solver: bool
    cells: tuple[int, ...]
    substeps: int
    nrmse: float
    seconds: float
    cpu_seconds: float

    def __str__(self) -> str:
        if not self.is_solver:
            return self.name
        steps = "1 step" if self.substeps == 1 else f"{self.substeps} steps"
        return f"{self.name} on {' x '.join(map(str, self.cells))} cells with {steps} per frame"


@dataclass(frozen=True)
class Verdict:
    """What solvers make of a model's accuracy and of its time.

    Args:
        model: The model.
        as_accurate: The fastest solver with no larger error; None if no solver has.
        as_fast: The most accurate solver that takes no longer; None if all take longer.
    """

    model: Timed
    as_accurate: Timed | None
    as_fast: Timed | None

    @property
    def speed_up(self) -> float | None:
        """Time of the solver of the same accuracy over the model's: above 1 the model is faster."""
        return None if self.as_accurate is None else self.as_accurate.seconds / self.model.seconds

    def __str__(self) -> str:
        model = self.model
        if not math.isfinite(model.nrmse):
            return f"{model.name}: its rollouts diverge, so that every solver is as accurate"
        own = f"{model.name}: nRMSE {model.nrmse:.3g} in {_duration(model.seconds)} per trajectory"
        if self.as_accurate is None:
            accurate = "no solver tried is as accurate"
        else:
            assert self.speed_up is not None
            ratio = f"{_times(self.speed_up)} faster" if self.speed_up > 1 else f"{_times(1 / self.speed_up)} slower"
            accurate = (
                f"it is {ratio} than a solver of at least its accuracy ({self.as_accurate}: nRMSE "
                f"{self.as_accurate.nrmse:.3g} in {_duration(self.as_accurate.seconds)})"
            )
        if self.as_fast is None:
            fast = "no solver tried is as fast"
        else:
            low, high = sorted((model.nrmse, self.as_fast.nrmse))
            relation = "smaller" if self.as_fast.nrmse < model.nrmse else "larger"
            ratio = high / low if low > 0 else math.inf
            fast = f"in its time {self.as_fast} has a {_times(ratio)} {relation} error"
        return f"{own}; {accurate}; {fast}"


def _times(ratio: float) -> str:
    return f"{ratio:.3g} times"


def _duration(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms"


def time_against_solvers(
    measured: Mapping[Forecast, float], schemes: Sequence[Scheme], trajectories: TrajectorySet, timing: Timing
) -> list[Timed]:
    """Errors and wall times of models and of solvers on grids of all sizes.

    Args:
        measured: Mean nRMSE of the models, and of solvers on the grid of the data.
        schemes: Schemes of the solvers.
        trajectories: What both forecast; times are those of its first batch.
        timing: How to measure.
    """
    others = solver_candidates(schemes, trajectories, timing.compile_solvers)
    errors = dict(measured) | {it: mean_nrmse(measure_errors(it, trajectories)) for it in others}
    seconds = _durations(list(errors), trajectories, timing.repeats)
    facts = trajectories.facts()
    timed = []
    for (candidate, error), durations in zip(errors.items(), seconds, strict=True):
        is_solver = isinstance(candidate, SchemeForecast)
        cells = coarsened(facts.domain, candidate.coarsening if is_solver else 1).resolution
        substeps = candidate.substeps(facts) if is_solver else 1
        timed.append(Timed(candidate.name, is_solver, cells, substeps, error, *durations))
    return timed


def solver_candidates(
    schemes: Sequence[Scheme], trajectories: TrajectorySet, compile: bool = False
) -> list[SchemeForecast]:
    """Every scheme on every grid, with the fewest stable steps and with as many as are accurate in time.

    Left out is what the tables of errors have already: the accurate steps on the grid of the data, unless compiled.
    Left out on that grid is also the scheme that made the data there: its error would be no measure of its accuracy.
    """
    facts = trajectories.facts()
    candidates = []
    for scheme in schemes:
        for factor in coarsenings(facts.domain)[trajectories.were_made_by(scheme) :]:
            accurate = SchemeForecast(scheme, factor, ACCURATE, 1.0, compile)
            fewest = SchemeForecast(scheme, factor, STABLE, None, compile)
            if factor > 1 or compile:
                candidates.append(accurate)
            if fewest.substeps(facts) < accurate.substeps(facts):
                candidates.append(fewest)
    return candidates


def mean_nrmse(errors: Errors) -> float:
    """Mean over trajectories and frames."""
    return float(errors.by_frame["nrmse"].mean())


def verdicts(timed: Sequence[Timed]) -> list[Verdict]:
    """For each model the solvers of its accuracy and of its speed."""
    solvers = [it for it in timed if it.is_solver and math.isfinite(it.nrmse)]
    found = []
    for model in (it for it in timed if not it.is_solver):
        accurate = [it for it in solvers if not it.nrmse > model.nrmse]
        fast = [it for it in solvers if it.seconds <= model.seconds]
        found.append(
            Verdict(
                model,
                min(accurate, key=lambda it: it.seconds, default=None),
                min(fast, key=lambda it: it.nrmse, default=None),
            )
        )
    return found


def was_busy(timed: Sequence[Timed]) -> bool:
    """Whether rollouts waited for the processor for longer than they computed, in the middle of all."""
    return statistics.median(it.seconds / max(it.cpu_seconds, 1e-9) for it in timed) > _BUSY


def _durations(
    candidates: Sequence[Forecast], trajectories: TrajectorySet, repeats: int
) -> list[tuple[float, float]]:
    """Medians of wall and CPU time per trajectory of the first batch; all candidates once, then all again."""
    calls = [_call(candidate, trajectories) for candidate in candidates]
    for warm_up, _ in calls:
        warm_up()
    wall: list[list[float]] = [[] for _ in calls]
    cpu: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for (_, call), own_wall, own_cpu in zip(calls, wall, cpu, strict=True):
            began = time.perf_counter(), time.process_time()
            call()
            own_wall.append(time.perf_counter() - began[0])
            own_cpu.append(time.process_time() - began[1])
    size = len(next(trajectories.batches())["initial"])
    return [(statistics.median(a) / size, statistics.median(b) / size) for a, b in zip(wall, cpu, strict=True)]


def _call(candidate: Forecast, trajectories: TrajectorySet) -> tuple[Callable[[], None], Callable[[], None]]:
    """What brings a rollout to its full speed, and the rollout."""
    facts = trajectories.facts(candidate.static_fields)
    solve = candidate.on(facts)
    batch: Mapping[str, torch.Tensor] = next(trajectories.batches(candidate.static_fields))
    num_steps = batch["target"].shape[1]

    def call() -> None:
        with torch.no_grad():
            solve(batch, num_steps)

    num_substeps = candidate.substeps(facts) if isinstance(candidate, SchemeForecast) else 1

    def warm_up() -> None:
        for _ in range(1 + math.ceil(_NUM_STEPS_TO_CAPTURE / (num_steps * num_substeps))):
            call()

    return warm_up, call
