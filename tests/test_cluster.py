"""Generation by the workers of a Dask cluster: the same bits, and one message for what goes wrong."""

import dataclasses
import multiprocessing
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

import cloudpickle
import pytest
import torch

from burgerslab.cli import main
from burgerslab.cli.stores import run_generate
from burgerslab.data import Store, StoreWriter, cluster_blocks, generate
from burgerslab.data import cluster as cluster_module
from burgerslab.data.cluster import ClusterError, connected, results
from burgerslab.inversion import Inversion, Viscosity
from burgerslab.physics import DivergedError, InitialCondition, RandomFourier
from tests import small_inversion
from tests.small_stores import line_simulation
from tests.test_generate import CubicGrowth, StrongSometimes
from tests.test_generate_crash import content


@pytest.fixture(scope="module")
def client():
    with connected("local:2") as connection:
        yield connection


@dataclasses.dataclass(frozen=True)
class Stalling(InitialCondition):
    """Random velocities; the first worker that finds the file ``trap`` renames it after its number and stalls."""

    folder: str

    def sample(self, domain, generator):
        trap = Path(self.folder, "trap")
        if multiprocessing.parent_process() is not None and trap.exists():
            trap.rename(trap.with_name(f"victim-{os.getpid()}"))
            time.sleep(600)
        return RandomFourier().sample(domain, generator)


def kill_the_victim(folder, victims):
    while not (found := list(folder.glob("victim-*"))):
        time.sleep(0.02)
    victims.append(int(found[0].name.removeprefix("victim-")))
    os.kill(victims[0], signal.SIGKILL)


def test_a_worker_killed_at_work_changes_no_bit(client, tmp_path):
    simulation = line_simulation(num_trajectories=20, num_frames=12, initial=Stalling(str(tmp_path)))
    alone = generate(simulation, tmp_path / "alone.zarr", block_size=2, progress=False)
    workers = set(client.run(os.getpid).values())
    assert len(workers) == 2
    (tmp_path / "trap").touch()
    victims = []
    killer = threading.Thread(target=kill_the_victim, args=(tmp_path, victims))
    killer.start()
    together = generate(simulation, tmp_path / "together.zarr", block_size=2, progress=False, client=client)
    killer.join()
    assert victims[0] in workers
    assert content(together.path) == content(alone.path)
    assert together.verify() == []
    assert not list(together.path.rglob("*.partial"))


def test_what_goes_wrong_in_a_worker_reads_as_it_does_alone(client, tmp_path):
    simulation = line_simulation(initial=StrongSometimes(), scheme=CubicGrowth())
    with pytest.raises(DivergedError) as alone:
        generate(simulation, tmp_path / "alone.zarr", block_size=10, progress=False)
    with pytest.raises(DivergedError) as together:
        generate(simulation, tmp_path / "together.zarr", block_size=10, progress=False, client=client)
    assert str(together.value) == str(alone.value)


def test_a_worker_with_other_versions_is_refused(client, tmp_path, monkeypatch):
    there = cluster_blocks.provenance()
    monkeypatch.setattr(cluster_blocks, "provenance", lambda: {**there, "torch": "1.0"})
    message = rf"the worker tcp://.* has torch {re.escape(there['torch'])}, not 1\.0, so it would make other numbers"
    with pytest.raises(ClusterError, match=message):
        generate(line_simulation(), tmp_path / "s.zarr", progress=False, client=client)


def test_a_worker_with_another_instruction_set_is_told(client, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(cluster_blocks, "cpu_capability", lambda: "SSE")
    generate(line_simulation(), tmp_path / "s.zarr", block_size=5, progress=False, client=client)
    own = torch.backends.cpu.get_cpu_capability()
    (told,) = (record.getMessage() for record in caplog.records if "CPU" in record.getMessage())
    assert f"a worker's CPU computes with {own}, that of this process with SSE: results may differ" in told


def test_a_worker_that_does_not_see_the_store_says_so(client, tmp_path):
    constants = {
        "pickled": cloudpickle.dumps(line_simulation()),
        "path": str(tmp_path / "elsewhere.zarr"),
        "identity": "",
        "versions": cluster_blocks.provenance(),
        "capability": cluster_blocks.cpu_capability(),
    }
    with pytest.raises(ClusterError, match=r"does not see .*elsewhere\.zarr.* a file system that all machines share"):
        list(results(client, cluster_blocks.make_block, [0], **constants))


def test_blocks_that_a_file_system_shows_late_are_waited_for(client, tmp_path, monkeypatch):
    simulation = line_simulation()
    monkeypatch.setattr(cluster_blocks, "_POLL_SECONDS", 0.01)
    looks = []

    def late(writer, among=None):
        looks.append(among)
        return [0, 1] if len(looks) < 6 else real(writer, among)

    real = StoreWriter.unfinished
    monkeypatch.setattr(StoreWriter, "unfinished", late)
    assert generate(simulation, tmp_path / "s.zarr", block_size=5, progress=False, client=client).verify() == []
    assert len(looks) > 6


def test_the_command_takes_the_address_of_a_scheduler(client, tmp_path, capsys):
    options = [
        *("generate", f"--cluster={client.scheduler.address}", f"--data.store={tmp_path / 's.zarr'}"),
        "--data.simulation.domain={extent: [2.0], resolution: [16]}",
        *("--data.simulation.viscosity=0.1", "--data.simulation.dt=0.05", "--data.simulation.num_frames=9"),
        *("--data.simulation.substeps=2", "--data.simulation.num_trajectories=10"),
    ]
    assert main(options) == 0
    output = capsys.readouterr().out
    assert "simulating trajectories" in output
    assert "10/10" in output
    made = Store(tmp_path / "s.zarr")
    assert made.verify() == []
    assert main([option for option in options if "cluster" not in option]) == 0  # it is the store of the config


def test_starts_solved_by_workers_end_where_they_end_here(client, tmp_path):
    small_inversion.make(tmp_path / "s.zarr")
    options = {"num_starts": 3, "start_spread": 3.0}
    here, there = (
        small_inversion.fit(tmp_path / "s.zarr", options={**options, "cluster": cluster})
        for cluster in (None, client.scheduler.address)
    )
    assert torch.equal(there.free, here.free)
    assert there.result.to_dict() == here.result.to_dict()
    assert len({start.guess["viscosity"] for start in there.result.starts}) == 3


@pytest.mark.parametrize("cluster", ["local", "local:0", "local:two", "host:8786", "tcp://host"])
def test_a_cluster_that_is_none_ends_the_command(cluster, capsys):
    with pytest.raises(ClusterError, match="expected local:N"):
        Inversion([Viscosity(0.2)], cluster=cluster)
    with pytest.raises(SystemExit) as stopped:
        run_generate(["--data.store=s.zarr", f"--cluster={cluster}"])
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith("burgerslab generate: error: cluster: expected local:N for N processes on this machine")
    assert message.endswith(f"or a scheduler's address such as tcp://host:8786, got {cluster!r}\n")


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 0.5)
    with (
        pytest.raises(ClusterError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9 .* `dask scheduler`"),
        connected("tcp://127.0.0.1:9"),
    ):
        pass


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask", None)
    with (
        pytest.raises(ClusterError, match=r"needs Dask; install it with: pip install 'burgerslab\[cluster\]'"),
        connected("local:2"),
    ):
        pass
