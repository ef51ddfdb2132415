"""New trajectories like those of a store but for one setting: the viscosity, the amplitude or the resolution."""

import dataclasses
import math
from argparse import ArgumentError
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jsonargparse import ArgumentParser

from burgerslab.data import Simulation, Store, generate
from burgerslab.data.solvers import ExactSolver
from burgerslab.evaluation.forecasts import ACCURATE
from burgerslab.evaluation.from_settings import innermost, instantiate
from burgerslab.evaluation.trajectory_sets import TrajectorySet
from burgerslab.physics import (
    AccuracyError,
    ColeHopf,
    ConstantViscosity,
    Domain,
    FourierSpectral,
    LogUniformViscosity,
    NoPotentialError,
    cell_peclet,
)

_REFERENCE = FourierSpectral()
# With 2 cells of the fine grid for each unit of the cell Péclet number its error was below 1e-6 of the largest speed
# (cell Péclet numbers 1.4 to 6, against the exact solution), and 4e-4 for the sixth-order scheme with 1.
_REFINEMENT_PER_PECLET = 2
_LEAST_REFINEMENT, _MOST_REFINEMENT = 3, 12
_RECIPE = ("simulation", "exact")
_SAME = 1e-9


@dataclass(frozen=True)
class Sweep:
    """Settings to be changed, one at a time, and to which values.

    Args:
        viscosity: Viscosities, units L²/T.
        amplitude: Amplitudes of the initial velocity, units L/T, as ``simulation.initial.amplitude`` has them.
        resolution: Cells along the first axis; the other axes change in proportion.
        num_trajectories: New trajectories for each value; all values of a setting share their random numbers.
        seed: Of the new trajectories; another one than the store's.

    Raises:
        ValueError: If a number is out of range.
    """

    viscosity: tuple[float, ...] = ()
    amplitude: tuple[float, ...] = ()
    resolution: tuple[int, ...] = ()
    num_trajectories: int = 8
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("viscosity", "amplitude"):
            if wrong := [value for value in getattr(self, name) if not (0 < value < math.inf)]:
                raise ValueError(f"sweep.{name} must be positive and finite, got {wrong[0]}")
        if wrong := [value for value in self.resolution if value < 8]:
            raise ValueError(f"sweep.resolution must be at least 8 cells, got {wrong[0]}")
        for name in ("viscosity", "amplitude", "resolution"):
            told = [f"{value:g}" for value in getattr(self, name)]  # names of sets and stores
            if twice := [value for value in told if told.count(value) > 1]:
                raise ValueError(f"sweep.{name} has {twice[0]} twice (to six digits); name each value once")
        if self.num_trajectories < 1 or self.seed < 0:
            raise ValueError("sweep.num_trajectories must be at least 1, and sweep.seed not negative")

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be changed."""
        return not (self.viscosity or self.amplitude or self.resolution)


def recorded_simulation(store: Store) -> Simulation:
    """The settings that a store was simulated with.

    Raises:
        ValueError: If it was imported or predicted, or a class of the user's own is not found.
    """
    settings: dict[str, Any] = dict(store.settings)
    if settings.pop("source", None) not in _RECIPE:
        raise ValueError(
            f"sweep: {store.path} was not simulated (its source is {store.settings.get('source', 'unknown')!r}), so "
            "that nothing tells how to make more trajectories like it; leave the sweep out"
        )
    del settings["numerics_version"]
    settings["domain"] = settings["domain"]["init_args"]
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Simulation, "simulation")
    try:
        return instantiate(parser, {"simulation": settings}).simulation
    except ArgumentError as error:
        raise ValueError(f"sweep: {store.path}: its settings cannot be made again: {innermost(error)}") from error


def sweep_sets(sweep: Sweep, like: TrajectorySet, folder: Path, progress: bool = True) -> Iterator[TrajectorySet]:
    """Make the trajectories of a sweep, or find those made before, and open them.

    The truth is the exact solution where the initial velocity has a potential and the viscosity allows it; else the
    Fourier scheme in float64 on a grid so much finer that its cells resolve every front, which no forecast uses.

    Args:
        sweep: What to change.
        like: Trajectories of the store whose settings are changed.
        folder: Where the new stores go.
        progress: Whether to show progress bars.

    Yields:
        One set for each value.

    Raises:
        ValueError: If the store was not simulated, or has no such setting, or a value makes no sense in it.
    """
    recorded = recorded_simulation(like.store)
    if recorded.seed == sweep.seed:
        raise ValueError(
            f"sweep.seed {sweep.seed} is the store's own: its trajectories would come again; choose another"
        )
    for name, value, changed, is_familiar in _changes(sweep, recorded, like.store):
        simulation = _with_truth(
            dataclasses.replace(
                changed, num_trajectories=sweep.num_trajectories, num_frames=like.num_frames, seed=sweep.seed
            )
        )
        store = generate(simulation, folder / f"{name}_{value:g}.zarr", overwrite=True, progress=progress)
        yield dataclasses.replace(
            like,
            name=f"{name} {value:g}",
            store=store,
            trajectories=tuple(range(sweep.num_trajectories)),
            in_distribution=is_familiar,
            truth=_describe(simulation),
        )


def _changes(sweep: Sweep, recorded: Simulation, store: Store) -> Iterator[tuple[str, float, Simulation, bool]]:
    known = recorded.viscosity
    low, high = float(store.viscosity.min()), float(store.viscosity.max())
    if isinstance(known, LogUniformViscosity):
        low, high = known.low, known.high
    for value in sweep.viscosity:
        changed = dataclasses.replace(recorded, viscosity=ConstantViscosity(value))
        yield "viscosity", value, changed, _within(value, low, high)
    if sweep.amplitude:
        amplitude = getattr(recorded.initial, "amplitude", None)
        if not isinstance(amplitude, float | int | tuple):
            raise ValueError(
                f"sweep.amplitude: {type(recorded.initial).__name__} of {store.path} has no amplitude; leave it out"
            )
        low, high = amplitude if isinstance(amplitude, tuple) else (amplitude, amplitude)
        for value in sweep.amplitude:
            initial = dataclasses.replace(recorded.initial, amplitude=value)
            yield "amplitude", value, dataclasses.replace(recorded, initial=initial), _within(value, low, high)
    for value in sweep.resolution:
        domain = _with_cells(recorded.domain, value)
        yield "resolution", value, dataclasses.replace(recorded, domain=domain), domain == recorded.domain


def _within(value: float, low: float, high: float) -> bool:
    return low * (1 - _SAME) <= value <= high * (1 + _SAME)


def _with_cells(domain: Domain, first: int) -> Domain:
    cells = [number * first / domain.resolution[0] for number in domain.resolution]
    if any(number != int(number) for number in cells):
        raise ValueError(
            f"sweep.resolution {first} would make {cells} cells of the store's {list(domain.resolution)}; choose a "
            "number that divides all axes alike"
        )
    return Domain(domain.extent, tuple(int(number) for number in cells))


def _with_truth(simulation: Simulation) -> Simulation:
    """The same trajectories, solved exactly or on a fine grid."""
    exact = dataclasses.replace(simulation, scheme=ColeHopf(), substeps=1, refine=1, dtype="float32")
    seeds = exact.trajectory_seeds()
    viscosity = np.array([exact.draw_viscosity(seed) for seed in seeds.tolist()])
    try:
        ExactSolver(exact).check(seeds, viscosity)
    except (NoPotentialError, AccuracyError):
        return _refined(simulation, seeds, viscosity)
    return exact


def _refined(simulation: Simulation, seeds: np.ndarray, viscosity: np.ndarray) -> Simulation:
    domain = simulation.domain
    initial = torch.stack([simulation.draw_initial(seed) for seed in seeds.tolist()]).double()
    peclet = float(cell_peclet(initial, domain, torch.from_numpy(viscosity)).max())
    refine = min(max(_LEAST_REFINEMENT, math.ceil(_REFINEMENT_PER_PECLET * peclet)), _MOST_REFINEMENT)
    speed = (1.05 * initial.abs().amax(dim=(0, *range(2, initial.ndim)))).tolist()  # peaks may lie between cells
    limit = _REFERENCE.largest_stable_step(domain.refined(refine), speed, float(viscosity.max()))
    substeps = max(1, math.ceil(simulation.dt / (ACCURATE * limit)))
    return dataclasses.replace(simulation, scheme=_REFERENCE, substeps=substeps, refine=refine, dtype="float64")


def _describe(simulation: Simulation) -> str:
    if simulation.scheme.is_exact:
        return "exact solution (Cole-Hopf)"
    return f"{simulation.scheme} on a {simulation.refine} times finer grid, {simulation.substeps} steps per frame"
