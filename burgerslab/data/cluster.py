"""Work in the processes of a Dask cluster: connecting to them, and one message when it fails."""

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from burgerslab.data.provenance import cpu_capability, provenance

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_SECONDS = 30
"""How long to wait for a scheduler to answer."""

_LOCAL = "local:"
# A terminal sends Ctrl-C to workers too, which would end in a traceback each.
_LEAVE_INTERRUPTS_TO_THE_CLIENT = """
import signal

def dask_setup(worker):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
"""
_LOGGER = logging.getLogger(__name__)
_ONE_AT_A_TIME = threading.Lock()
_KEPT = "What is finished is kept"


class ClusterError(ValueError):
    """A cluster cannot be used as asked; the message says what, where and what to do."""


def check_cluster(cluster: str) -> None:
    """Refuse what `connected` does not understand, with a `ClusterError`."""
    if not re.fullmatch(_LOCAL + r"[1-9]\d*|\w+://[^/\s]+:\d+", cluster):
        raise ClusterError(
            "cluster: expected local:N for N processes on this machine, or a scheduler's address such as "
            f"tcp://host:8786, got {cluster!r}"
        )


@contextmanager
def connected(cluster: str) -> Iterator["Client"]:
    """A client of worker processes, given back at the end.

    Args:
        cluster: ``local:N`` for N new processes on this machine, which end with the body; or the address of a running
            scheduler, such as ``tcp://host:8786``.

    Yields:
        The client.

    Raises:
        ClusterError: If Dask is not installed, the text is neither of the two, or no scheduler answers.
    """
    check_cluster(cluster)
    try:
        import dask
        from distributed import Client, LocalCluster
    except ModuleNotFoundError:
        raise ClusterError(
            f"cluster: {cluster} needs Dask; install it with: pip install 'burgerslab[cluster]'"
        ) from None
    if not cluster.startswith(_LOCAL):
        try:
            client = Client(cluster, timeout=CONNECT_SECONDS)
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"cluster: no Dask scheduler answers at {cluster} within {CONNECT_SECONDS} s ({error}). Start one "
                "with `dask scheduler`, and workers with `dask worker ADDRESS --nthreads 1 --nworkers N`"
            ) from None
        with client, _silent("distributed.client"):  # a lost scheduler is reported by `results`
            yield client
        return
    # Dask makes malloc return memory at once, which the solver asks for again in its next step.
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None}),
        LocalCluster(
            n_workers=int(cluster.removeprefix(_LOCAL)),
            threads_per_worker=1,
            memory_limit=None,
            dashboard_address="127.0.0.1:0",  # None is port 8787, which may be taken
            preload=_LEAVE_INTERRUPTS_TO_THE_CLIENT,
            silence_logs=logging.CRITICAL,
        ) as local,
        Client(local) as client,
    ):
        yield client


@contextmanager
def _silent(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def on_worker(versions: Mapping[str, str], capability: str, num_threads: int = 1) -> Iterator[set[str]]:
    """What a task does its work in: alone in its process, with so many threads of torch.

    Args:
        versions: Those of the client, see `provenance`.
        capability: That of the client, see `cpu_capability`.
        num_threads: Threads of torch.

    Yields:
        Remarks on this worker that the user should know of.

    Raises:
        ClusterError: If packages here have other versions, which would make other bits.
    """
    from distributed import get_worker

    worker = get_worker()
    here = provenance()
    other = [f"{name} {here[name]}, not {wanted}" for name, wanted in versions.items() if here[name] != wanted]
    if other:
        raise ClusterError(
            f"cluster: the worker {worker.address} has {', '.join(other)}, so it would make other numbers; install "
            "the same versions there"
        )
    remarks = set()
    if (own := cpu_capability()) != capability:
        remarks.add(
            f"a worker's CPU computes with {own}, that of this process with {capability}: results may differ in "
            "their last bits from those of one process. Use CPUs of the same instruction set where bits matter"
        )
    if worker.state.nthreads > 1:
        remarks.add("a worker works on one thing at a time, whatever its --nthreads; start it with --nthreads 1")
    if os.environ.get("MALLOC_TRIM_THRESHOLD_") == "65536":
        remarks.add(
            "workers have MALLOC_TRIM_THRESHOLD_=65536, Dask's default, which costs some 20 % more time in two "
            "dimensions; start them with `dask worker --no-nanny`, or take it out of Dask's setting "
            "distributed.nanny.pre-spawn-environ"
        )
    with _ONE_AT_A_TIME:
        before = torch.get_num_threads()
        torch.set_num_threads(num_threads)
        try:
            yield remarks
        finally:
            torch.set_num_threads(before)


def results(
    client: "Client", task: Callable[..., tuple[Any, set[str]]], arguments: Sequence[Any], **constants: Any
) -> Iterator[tuple[Any, Any]]:
    """Run a task for each of several arguments, in any order; those of a worker that dies run again elsewhere.

    Args:
        client: Of the cluster.
        task: Function of the module level, called as ``task(argument, **constants)``; returns its result and the
            remarks of `on_worker`.
        arguments: One for each call.
        constants: The same for all calls.

    Yields:
        An argument and the result for it, in the order in which they are finished.

    Raises:
        ClusterError: If the scheduler is gone, or workers die again and again.
        Exception: What a task raised.
    """
    from distributed import as_completed

    if not client.scheduler_info(n_workers=1)["workers"]:
        _LOGGER.warning(
            "warning: the cluster has no workers yet; waiting for `dask worker %s --nthreads 1` to be started",
            client.scheduler.address,
        )
    futures = client.map(task, arguments, pure=False, **constants)
    argument_of = dict(zip(futures, arguments, strict=True))
    seen: set[str] = set()
    try:
        for future in as_completed(futures):
            result, remarks = _result(client, future)
            for remark in sorted(remarks - seen):
                _LOGGER.warning("warning: cluster: %s", remark)
            seen |= remarks
            yield argument_of.pop(future), result
            future.release()  # else it would be made again if its worker died
    finally:
        if argument_of and client.status == "running":
            client.cancel(list(argument_of))


def _result(client: "Client", future: "Future") -> Any:
    from concurrent.futures import CancelledError

    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        raise ClusterError(
            f"cluster: {error.allowed_failures + 1} workers died of the same work, the last of them "
            f"{error.last_worker.address}; most often the system ended them for lack of memory. {_KEPT}: use fewer "
            "workers per machine"
        ) from None
    except CancelledError:
        raise ClusterError(
            f"cluster: the scheduler at {client.scheduler.address} is gone, or somebody cancelled the work. {_KEPT}: "
            "run the same command again to go on"
        ) from None
    except ValueError as error:
        if type(error).__module__.startswith("burgerslab."):  # raised again here, as it would be without a cluster
            raise type(error)(*error.args) from None
        raise
