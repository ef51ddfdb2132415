"""Simulating trajectories into a store, block by block, resumable at any moment."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from burgerslab.data.fingerprint import fingerprint
from burgerslab.data.simulation import Simulation
from burgerslab.data.store import Store
from burgerslab.data.store_errors import StoreError
from burgerslab.data.store_writer import StoreWriter
from burgerslab.physics import DivergedError, UnstableStepError


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
        DivergedError: If a trajectory becomes non-finite; says which.
        StoreError: If the store has other settings, cannot be written, or is no store.
    """
    settings = simulation.settings()
    seeds = simulation.trajectory_seeds()
    viscosity = np.array([simulation.draw_viscosity(seed) for seed in seeds.tolist()])
    if not _is_complete(path, settings):
        _check_stability(simulation, seeds, viscosity)
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
        _simulate_blocks(simulation, writer, seeds, viscosity, progress)
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


def _check_stability(simulation: Simulation, seeds: np.ndarray, viscosity: np.ndarray) -> None:
    fastest = torch.zeros(simulation.domain.dimension, *simulation.domain.resolution, dtype=simulation.torch_dtype)
    for seed in seeds.tolist():  # one draw at a time: all of them together may not fit in memory
        fastest = torch.maximum(fastest, simulation.draw_initial(seed).abs())
    try:
        simulation.rollout().check_stability(fastest[None], float(viscosity.max()))
    except UnstableStepError as error:
        raise UnstableStepError(f"simulation: {error}") from None


def _simulate_blocks(
    simulation: Simulation, writer: StoreWriter, seeds: np.ndarray, viscosity: np.ndarray, progress: bool
) -> None:
    rollout = simulation.rollout()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not progress) as bar:
        task = bar.add_task("simulating trajectories", total=simulation.num_trajectories)
        resumed = True
        for block, trajectories in writer.pending():
            if resumed:  # what was finished before says nothing about the speed
                bar.reset(task, completed=trajectories.start)
                resumed = False
            own = slice(trajectories.start, trajectories.stop)
            initial = torch.stack([simulation.draw_initial(seed) for seed in seeds[own].tolist()])
            try:
                with torch.no_grad():
                    frames = rollout(initial, torch.tensor(viscosity[own]).to(initial), simulation.num_frames - 1)
            except DivergedError as error:
                raise DivergedError(
                    f"simulation: in trajectories {trajectories.start} to {trajectories.stop - 1}, counted from "
                    f"{trajectories.start}: {error}. Finished blocks are kept"
                ) from None
            frames = torch.cat([initial[:, None], frames], dim=1)
            writer.write(block, {"velocity": frames.to(torch.float32).numpy()})
            bar.update(task, completed=trajectories.stop)
        bar.update(task, completed=simulation.num_trajectories)
