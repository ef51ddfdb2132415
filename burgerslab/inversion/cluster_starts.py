"""Solves from several starts by the workers of a Dask cluster."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.data.cluster import ClusterError, connected, on_worker, results
from burgerslab.data.provenance import cpu_capability, provenance
from burgerslab.inversion.chunks import Chunks
from burgerslab.inversion.objective import Objective
from burgerslab.inversion.solve_again import SolveAgain, Solved


def attempt_on_cluster(
    cluster: str, again: SolveAgain, objective: Objective, origins: Sequence[Float[Tensor, " P"]]
) -> list[Solved | None]:
    """What `SolveAgain.attempt` finds from each of several free numbers, to the bit.

    Each worker gets all windows, and solves with as many threads as this process has.

    Args:
        cluster: See `connected`.
        again: Solves on the windows.
        objective: What is solved.
        origins: Where to start.

    Raises:
        ClusterError: If the cluster cannot be used, or this process shares the windows with others, or is on a GPU.
    """
    shared = torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1
    if shared or again.device.type != "cpu":
        found = "several processes" if shared else f"trainer.accelerator {again.device.type}"
        raise ClusterError(
            f"model.cluster solves in processes of one CPU each, got {found}; set trainer.accelerator: cpu and "
            "trainer.devices: 1, or leave model.cluster out"
        )
    import cloudpickle
    import dask

    with (
        connected(cluster) as client,
        dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}),
    ):
        alone = SolveAgain(Chunks(list(again.chunks)), _alone, again.device, again.settings)
        # A task's result, which is made again if its worker dies; scattered data would be lost.
        problem = client.submit(_kept, cloudpickle.dumps((alone, objective)), pure=False)
        constants = {"versions": provenance(), "capability": cpu_capability(), "num_threads": torch.get_num_threads()}
        numbered = list(enumerate(origins))
        found = {
            number: solved for (number, _), solved in results(client, attempt, numbered, problem=problem, **constants)
        }
    return [found[number] for number in range(len(origins))]


def attempt(
    start: tuple[int, Float[Tensor, " P"]],
    *,
    problem: bytes,
    versions: dict[str, str],
    capability: str,
    num_threads: int,
) -> tuple[Solved | None, set[str]]:
    """Task of a worker: one solve.

    Args:
        start: Number and free numbers of the start.
        problem: Pickled `SolveAgain` and `Objective`.
        versions: Those of the client.
        capability: That of the client's CPU.
        num_threads: Threads of torch, which sums depend on.
    """
    import cloudpickle

    with on_worker(versions, capability, num_threads) as remarks:
        again, objective = cloudpickle.loads(problem)
        return again.attempt(objective, start[1]), remarks


def _alone(tensor: Tensor) -> Tensor:
    """The sum over one process."""
    return tensor


def _kept(pickled: bytes) -> bytes:
    return pickled
