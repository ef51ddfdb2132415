"""Simulating trajectories into a store, block by block, resumable at any moment."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from burgerslab.data.fingerprint import fingerprint
from burgerslab.data.simulation import Simulation
from burgerslab.data.solvers import ExactSolver, Solver, StepSolver
from burgerslab.data.store import Store
from burgerslab.data.store_errors import StoreError
from burgerslab.data.store_writer import StoreWriter
from burgerslab.physics import DivergedError


def generate(
    simulation: Simulation,
    path: str | Path,
    *,
    overwrite: bool = False,
    block_size: int | None = None,
    progress: bool = True,
) -> Store:
    """Simulate into a store and open it; finished blocks of an interrupted run are kept.

    Blocks are simulated as one batch each. Several processes may call this at once: they share the blocks.

    Args:
        simulation: What to simulate.
        path: Where the store is or will be.
        overwrite: Replace a store that was made with other settings.
        block_size: Trajectories per batch, chunk and step of progress; None chooses about 13 MB.
        progress: Show a progress bar.

    Returns:
        The complete store.

    Raises:
        UnstableStepError: Before anything is simulated, if a step would be unstable; says what to change.
        NoPotentialError: Before anything is simulated, if an initial velocity has no exact solution.
        AccuracyError: Before anything is simulated, if an exact solution cannot be had to its tolerance.
        DivergedError: If a trajectory becomes non-finite; says which.
        StoreError: If the store has other settings, cannot be written, or is no store.
    """
    settings = simulation.settings()
    seeds = simulation.trajectory_seeds()
    viscosity = np.array([simulation.draw_viscosity(seed) for seed in seeds.tolist()])
    solver = ExactSolver(simulation) if simulation.scheme.is_exact else StepSolver(simulation)
    if not _is_complete(path, settings):
        solver.check(seeds, viscosity)
    writer = StoreWriter.open(
        path,
        simulation.layout,
        settings,
        viscosity,
        seeds,
        overwrite=overwrite,
        block_size=block_size,
        provenance=provenance(),
    )
    if not writer.is_complete:
        _simulate_blocks(solver, writer, seeds, viscosity, progress)
    return writer.finish()


def provenance() -> dict[str, str]:
    """Versions of what makes the numbers; recorded beside the fingerprint, not in it."""
    packages = ("burgerslab", "torch", "phiflow", "phiml", "numpy", "zarr")
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}


def _is_complete(path: str | Path, settings: dict[str, Any]) -> bool:
    """Whether nothing is left to simulate; what is wrong with the store otherwise, its writer says."""
    try:
        return Store(path).fingerprint == fingerprint(settings)
    except StoreError:
        return False


def _simulate_blocks(
    solver: Solver, writer: StoreWriter, seeds: np.ndarray, viscosity: np.ndarray, progress: bool
) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not progress) as bar:
        task = bar.add_task("simulating trajectories", total=len(seeds))
        resumed = True
        for block, trajectories in writer.pending():
            if resumed:  # what was finished before says nothing about the speed
                bar.reset(task, completed=trajectories.start)
                resumed = False
            own = slice(trajectories.start, trajectories.stop)
            try:
                frames = solver.frames(seeds[own], viscosity[own])
            except DivergedError as error:
                raise DivergedError(
                    f"simulation: in trajectories {trajectories.start} to {trajectories.stop - 1}, counted from "
                    f"{trajectories.start}: {error}. Finished blocks are kept"
                ) from None
            writer.write(block, {"velocity": frames})
            bar.update(task, completed=trajectories.stop)
        bar.update(task, completed=len(seeds))
