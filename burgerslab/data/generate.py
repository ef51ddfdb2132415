"""Simulating trajectories into a store, block by block, resumable at any moment."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from burgerslab.data.block_simulator import BlockSimulator
from burgerslab.data.fingerprint import fingerprint
from burgerslab.data.progress_bar import progress_bar
from burgerslab.data.provenance import provenance
from burgerslab.data.simulation import Simulation
from burgerslab.data.store import Store
from burgerslab.data.store_errors import StoreError
from burgerslab.data.store_writer import StoreWriter

if TYPE_CHECKING:
    from distributed import Client


def generate(
    simulation: Simulation,
    path: str | Path,
    *,
    overwrite: bool = False,
    block_size: int | None = None,
    progress: bool = True,
    client: "Client | None" = None,
) -> Store:
    """Simulate into a store and open it; finished blocks of an interrupted run are kept.

    Blocks are simulated as one batch each. Several processes may call this at once: they share the blocks.

    Args:
        simulation: What to simulate.
        path: Where the store is or will be.
        overwrite: Replace a store that was made with other settings.
        block_size: Trajectories per batch, chunk and step of progress; None chooses about 13 MB.
        progress: Show a progress bar.
        client: Of a Dask cluster, see `connected`, whose workers simulate the blocks and write them to the store,
            which must lie where all of them see it. The store is the same to the bit if all CPUs have the same
            instruction set; a warning says so if not.

    Returns:
        The complete store.

    Raises:
        UnstableStepError: Before anything is simulated, if a step would be unstable; says what to change.
        NoPotentialError: Before anything is simulated, if an initial velocity has no exact solution.
        AccuracyError: Before anything is simulated, if an exact solution cannot be had to its tolerance.
        DivergedError: If a trajectory becomes non-finite; says which.
        StoreError: If the store has other settings, cannot be written, or is no store.
        ClusterError: If workers have other versions, do not see the store, or are lost for good.
    """
    settings = simulation.settings()
    simulator = BlockSimulator(simulation)
    if not _is_complete(path, settings):
        simulator.check()
    writer = StoreWriter.open(
        path,
        simulation.layout,
        settings,
        simulator.viscosity,
        simulator.seeds,
        overwrite=overwrite,
        block_size=block_size,
        provenance=provenance(),
    )
    if not writer.is_complete:
        _make_blocks(simulation, simulator, writer, progress, client)
    return writer.finish()


def _is_complete(path: str | Path, settings: dict[str, Any]) -> bool:
    """Whether nothing is left to simulate; what is wrong with the store otherwise, its writer says."""
    try:
        return Store(path).fingerprint == fingerprint(settings)
    except StoreError:
        return False


def _make_blocks(
    simulation: Simulation, simulator: BlockSimulator, writer: StoreWriter, progress: bool, client: "Client | None"
) -> None:
    num_trajectories = len(simulator.seeds)
    done = num_trajectories - sum(len(writer.trajectories(block)) for block in writer.unfinished())
    with progress_bar("simulating trajectories", num_trajectories, progress, done) as tell:
        if client is None:
            for block, trajectories in writer.pending():
                simulator.make(writer, block, trajectories)
                tell(trajectories.stop)
        else:
            from burgerslab.data.cluster_blocks import make_on_cluster

            for trajectories in make_on_cluster(client, simulation, writer):
                done += len(trajectories)
                tell(done)
        tell(num_trajectories)
