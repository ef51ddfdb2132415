"""Generation survives kill -9 at any moment and is shared by processes without loss."""

import collections
import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import zarr.storage._local as zarr_files

from burgerslab.data.store import FieldSpec, Store, StoreIncompleteError, StoreLayout, StoreMissingError
from burgerslab.data.store_writer import StoreWriter
from burgerslab.physics.domain import Domain

NUM_TRAJECTORIES, BLOCK_SIZE, NUM_BLOCKS = 23, 2, 12
LAYOUT = StoreLayout(
    Domain((1.0,), (16,)),
    NUM_TRAJECTORIES,
    6,
    0.1,
    (FieldSpec("velocity", ("x",)), FieldSpec("forcing", ("x",), static=True)),
)
VISCOSITY = np.linspace(0.01, 0.02, NUM_TRAJECTORIES)
SEEDS = np.arange(NUM_TRAJECTORIES)


def simulate(trajectories):
    rngs = [np.random.default_rng(trajectory) for trajectory in trajectories]
    return {
        spec.name: np.stack([rng.standard_normal(LAYOUT.shape(spec, 1)[1:], np.float32) for rng in rngs])
        for spec in LAYOUT.fields
    }


def die_in_write(number):
    """Kill this process half-way through its n-th file."""
    written = 0
    put = zarr_files._put

    def half(path, value, exclusive=False):
        nonlocal written
        written += 1
        if written == number:
            path.parent.mkdir(parents=True, exist_ok=True)
            data = bytes(value.as_buffer_like())
            path.with_suffix(".0123456789abcdef0123456789abcdef.partial").write_bytes(data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return put(path, value, exclusive)

    zarr_files._put = half


def die_in_rename(number):
    """Kill this process just before its n-th renaming of a directory."""
    renamed = 0
    rename = os.rename

    def last(source, target):
        nonlocal renamed
        renamed += 1
        if renamed == number:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target)

    os.rename = last


def generate(path, log, seed=0, pause=0.01, long_block=None, die=None, number=0):
    if die is not None:
        die(number)
    writer = StoreWriter.open(
        path, LAYOUT, {"seed": seed}, VISCOSITY, SEEDS, block_size=BLOCK_SIZE, overwrite=seed > 0
    )
    diary = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for block, trajectories in writer.pending():
        os.write(diary, f"start {block} {os.getpid()}\n".encode())
        time.sleep(60.0 if block == long_block else pause)
        writer.write(block, simulate(trajectories))
        os.write(diary, f"done {block} {os.getpid()}\n".encode())
    writer.finish()


@pytest.fixture(scope="module")
def start():
    """Start `generate` in a new process, forked from one that has everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["burgerslab.data.store_writer", "pytest"])
    started = []

    def launch(*arguments, **options):
        process = context.Process(target=generate, args=arguments, kwargs=options)
        process.start()
        started.append(process)
        return process

    yield launch
    for process in started:
        process.kill()
        process.join()


def entries(log):
    if not log.exists():
        return []
    return [(word, int(block)) for word, block, _ in map(str.split, log.read_text().splitlines())]


def assert_nothing_done_twice(log):
    finished = set()
    for word, block in entries(log):
        assert not (word == "start" and block in finished), f"finished block {block} was made again"
        if word == "done":
            finished.add(block)
    assert finished <= set(range(NUM_BLOCKS))


def assert_sound(path):
    store = Store(path)
    expected = simulate(range(NUM_TRAJECTORIES))
    for field, values in expected.items():
        np.testing.assert_array_equal(store.read(field, slice(None)), values)
    assert store.verify() == []
    assert sorted(file.name for file in path.parent.iterdir() if file.name != "log") == [".s.locks", "s"]
    assert [file.name for file in (path.parent / ".s.locks").iterdir()] == ["store.lock"]
    assert list(path.rglob("*.partial")) == []


def finish(start, path, log, **options):
    process = start(path, log, **options)
    process.join(60)
    assert process.exitcode == 0


@pytest.mark.slow
def test_ten_kills_at_random_moments(start, tmp_path):
    moments = random.Random(1)
    kills = attempt = 0
    finish(start, tmp_path / "warm" / "s", tmp_path / "warm_log")  # starts the server of processes, too
    begun = time.monotonic()
    finish(start, tmp_path / "timing" / "s", tmp_path / "timing_log")
    undisturbed = time.monotonic() - begun
    while kills < 10:
        attempt += 1
        directory = tmp_path / str(attempt)
        directory.mkdir()
        path, log = directory / "s", directory / "log"
        while True:
            process = start(path, log)
            process.join(moments.uniform(0.1, 0.9) * undisturbed)
            if process.exitcode is not None:
                break
            process.kill()
            process.join()
            kills += 1
            if not path.exists():
                continue
            if json.loads((path / "zarr.json").read_text())["attributes"]["status"] == "complete":
                break
            done = sum(word == "done" for word, _ in entries(log))
            with pytest.raises(StoreIncompleteError, match=r"of 23 trajectories are finished") as raised:
                Store(path)
            # at least what the log says: a block is marked just before its line is written
            assert int(str(raised.value).split(" of 23")[0].split()[-1]) >= 2 * done - 1
        finish(start, path, log)
        assert_nothing_done_twice(log)
        assert_sound(path)


# 9 zarr.json and 6 small arrays come first, then two fields and a completion mark per block
@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2, 9, 16, 17, 18, 19, 20, 21, 22, 40])
def test_a_kill_in_the_middle_of_a_file(start, tmp_path, number):
    path, log = tmp_path / "s", tmp_path / "log"
    process = start(path, log, pause=0.0, die=die_in_write, number=number)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert list(tmp_path.rglob("*.partial")) != []
    with pytest.raises((StoreMissingError, StoreIncompleteError), match="burgerslab generate"):
        Store(path)
    finish(start, path, log, pause=0.0)
    assert_nothing_done_twice(log)
    assert_sound(path)


@pytest.mark.parametrize(("seed", "number"), [(0, 1), (1, 1), (1, 2)])
def test_a_kill_while_a_store_is_put_in_place(start, tmp_path, seed, number):
    path, log = tmp_path / "s", tmp_path / "log"
    if seed:
        finish(start, path, tmp_path / "log", pause=0.0)
        log.unlink()
    process = start(path, log, seed=seed, die=die_in_rename, number=number)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    if (seed, number) == (1, 1):
        assert Store(path).settings == {"seed": 0}
    else:
        with pytest.raises(StoreMissingError, match="nothing is there"):
            Store(path)
    finish(start, path, log, seed=seed, pause=0.0)
    assert Store(path).settings == {"seed": seed}
    assert_nothing_done_twice(log)
    assert_sound(path)


def test_two_processes_share_the_blocks(start, tmp_path):
    path, log = tmp_path / "s", tmp_path / "log"
    processes = [start(path, log, pause=0.03) for _ in range(2)]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert collections.Counter(entries(log)) == {
        (word, block): 1 for word in ("start", "done") for block in range(NUM_BLOCKS)
    }
    assert len({line.split()[2] for line in log.read_text().splitlines()}) == 2
    assert_sound(path)


def wait_for(log: Path, wanted, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not wanted <= set(entries(log)):
        assert time.monotonic() < deadline, f"{log} lacks {wanted - set(entries(log))}"
        time.sleep(0.01)


def test_the_block_of_a_killed_process_is_taken_over(start, tmp_path):
    path, log = tmp_path / "s", tmp_path / "log"
    slow = start(path, log, long_block=0)
    wait_for(log, {("start", 0)})
    other = start(path, log, pause=0.0)
    wait_for(log, {("done", block) for block in range(1, NUM_BLOCKS)})
    other.join(0.3)
    assert other.exitcode is None, "the other process must wait for the block that is being made"
    assert entries(log).count(("start", 0)) == 1
    slow.kill()
    other.join(60)
    assert other.exitcode == 0
    assert entries(log).count(("start", 0)) == 2
    assert_nothing_done_twice(log)
    assert_sound(path)
