"""Blocks of a store, simulated and written by the workers of a Dask cluster."""

import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from burgerslab.data.block_simulator import BlockSimulator
from burgerslab.data.cluster import ClusterError, on_worker, results
from burgerslab.data.provenance import cpu_capability, provenance
from burgerslab.data.simulation import Simulation
from burgerslab.data.store_errors import StoreMissingError
from burgerslab.data.store_writer import StoreWriter

if TYPE_CHECKING:
    from distributed import Client

VISIBLE_SECONDS = 180.0
"""How long a network file system may take to show this machine what another has written."""

_POLL_SECONDS = 0.5


def make_on_cluster(client: "Client", simulation: Simulation, writer: StoreWriter) -> Iterator[range]:
    """Have the unfinished blocks of a store made by workers, and wait until this machine sees them all.

    A worker locks the block that it works on, as every process that generates does, and the system unlocks it when
    the worker dies. So blocks can also be shared with processes that are no workers.

    Args:
        client: Of the cluster.
        simulation: What to simulate.
        writer: Of the store.

    Yields:
        The trajectories of a block that is finished.

    Raises:
        ClusterError: If workers have other versions, do not see the store, or are lost for good.
        DivergedError: If a trajectory becomes non-finite; says which.
        StoreError: If a block cannot be written.
    """
    import cloudpickle

    blocks = writer.unfinished()
    constants = {
        "pickled": cloudpickle.dumps(simulation),
        "path": str(writer.path),
        "identity": writer.identity,
        "versions": provenance(),
        "capability": cpu_capability(),
    }
    for block, _ in results(client, make_block, blocks, **constants):
        yield writer.trajectories(block)
    end = time.monotonic() + VISIBLE_SECONDS
    while unseen := writer.unfinished(blocks):
        if time.monotonic() > end:
            raise ClusterError(
                f"{writer.path}: workers have written the blocks {unseen}, but this machine does not see them after "
                f"{VISIBLE_SECONDS:.0f} s; run the same command again"
            )
        time.sleep(_POLL_SECONDS)


def make_block(
    block: int, *, pickled: bytes, path: str, identity: str, versions: dict[str, str], capability: str
) -> tuple[None, set[str]]:
    """Task of a worker: simulate and write one block, unless it is finished already.

    Args:
        block: Index of the block.
        pickled: The simulation.
        path: The store.
        identity: That of the store.
        versions: Those of the client.
        capability: That of the client's CPU.
    """
    with on_worker(versions, capability) as remarks:
        simulator = _simulator(pickled)
        writer = _writer(Path(path), identity)
        for number, trajectories in writer.pending([block]):
            simulator.make(writer, number, trajectories)
    return None, remarks


@lru_cache(maxsize=1)
def _simulator(pickled: bytes) -> BlockSimulator:
    """Kept between blocks, for its captured step."""
    import cloudpickle

    try:
        return BlockSimulator(cloudpickle.loads(pickled))
    except ModuleNotFoundError as error:
        raise ClusterError(
            f"cluster: a worker cannot load the simulation ({error}); classes of your own must be in its working "
            "directory, installed, or in a folder that its PYTHONPATH names"
        ) from None


def _writer(path: Path, identity: str) -> StoreWriter:
    try:
        return StoreWriter.join(path, identity)
    except StoreMissingError:
        import socket

        raise ClusterError(
            f"cluster: the worker on {socket.gethostname()} does not see {path}. Workers write into the store, so it "
            "must lie in a file system that all machines share, under the same path"
        ) from None
