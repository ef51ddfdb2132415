"""`generate`, killed again and again, ends with the store that an undisturbed run makes."""

import hashlib
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch

from burgerslab.data import Store, StoreWriter, generate
from burgerslab.data.store_errors import StoreIncompleteError, StoreMissingError
from tests.small_stores import line_simulation

NUM_TRAJECTORIES, BLOCK_SIZE = 60, 2
# 22 solver steps per block: a run captures its graph in its third block, and so in the middle of a resumed store
SIMULATION = line_simulation(num_trajectories=NUM_TRAJECTORIES, num_frames=12, substeps=2)


def simulate(path, diary, started):
    """Generate in a process of its own, noting each finished block."""
    torch.set_num_threads(1)
    write = StoreWriter.write
    log = os.open(diary, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def noted(writer, block, fields):
        write(writer, block, fields)
        os.write(log, f"{block}\n".encode())

    StoreWriter.write = noted
    started.send(None)
    generate(SIMULATION, path, block_size=BLOCK_SIZE, progress=False)


@pytest.fixture(scope="module")
def launch():
    """Start `simulate`, forked from a server that has everything imported, and wait until it begins."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["burgerslab.data", "tests.small_stores", __name__])
    processes = []

    def start(path, diary):
        started, told = context.Pipe(duplex=False)
        process = context.Process(target=simulate, args=(path, diary, told))
        process.start()
        processes.append(process)
        assert started.poll(120)
        return process

    yield start
    for process in processes:
        process.kill()
        process.join()


def content(path: Path) -> dict[str, str]:
    """Hash of every chunk, by its name."""
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.name != "zarr.json")
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def num_finished(path: Path) -> int:
    """Trajectories that an unfinished store counts, from its refusal to open."""
    with pytest.raises((StoreIncompleteError, StoreMissingError)) as raised:
        Store(path)
    if raised.type is StoreMissingError:
        return 0
    count, _, rest = str(raised.value).split(": ")[1].partition(" of ")
    assert rest.startswith(f"{NUM_TRAJECTORIES} trajectories are finished"), raised.value
    assert "Run `burgerslab generate` again to resume" in rest
    return int(count)


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_nothing(launch, tmp_path):
    undisturbed = launch(tmp_path / "undisturbed.zarr", tmp_path / "undisturbed")
    begun = time.monotonic()
    undisturbed.join(120)
    duration = time.monotonic() - begun
    assert undisturbed.exitcode == 0
    expected = content(tmp_path / "undisturbed.zarr")
    moments = random.Random(0)
    kills, kills_in_the_middle, run = 0, 0, 0
    while kills < 10:
        run += 1
        path, diary = tmp_path / f"{run}.zarr", tmp_path / str(run)
        finished = 0
        while True:
            process = launch(path, diary)
            process.join(moments.uniform(0.0, 0.7) * duration)
            if process.exitcode is not None or kills == 10:
                break
            process.kill()
            process.join()
            assert process.exitcode == -signal.SIGKILL
            kills += 1
            if (path / "zarr.json").exists() and '"complete"' in (path / "zarr.json").read_text():
                break
            before, finished = finished, num_finished(path)
            assert finished >= before
            kills_in_the_middle += 0 < finished < NUM_TRAJECTORIES
        process.join(120)
        if process.exitcode != 0:  # killed after the store was complete
            process = launch(path, diary)
            process.join(120)
        assert process.exitcode == 0
        assert content(path) == expected
        assert Store(path).verify() == []
        # a kill between the mark of a block and its note leaves one note out; no block may be noted twice
        notes = diary.read_text().split()
        assert len(notes) == len(set(notes))
        assert NUM_TRAJECTORIES // BLOCK_SIZE - 10 <= len(notes) <= NUM_TRAJECTORIES // BLOCK_SIZE
    assert kills_in_the_middle >= 5, "the simulation is too short for this test"
