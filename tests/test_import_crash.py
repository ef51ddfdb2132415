"""Imports that are killed, and files that do not fit into memory."""

import multiprocessing
import os
import signal
import tracemalloc
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from burgerslab.data import Store, StoreWriter
from burgerslab.data.foreign import ForeignReader, NpzReader, PDEBenchReader, WellReader, import_file
from burgerslab.data.store_errors import StoreIncompleteError
from tests.foreign_files import velocities, write_npz, write_pdebench, write_well

NUM_TRAJECTORIES, BLOCK_SIZE, KILLED_BEFORE = 12, 2, 3


def import_until_killed(file, store):
    """Import in a process of its own, which dies before it writes a certain block."""
    write = StoreWriter.write

    def deadly(writer, block, fields):
        if block == KILLED_BEFORE:
            os.kill(os.getpid(), signal.SIGKILL)
        write(writer, block, fields)

    StoreWriter.write = deadly
    import_file(PDEBenchReader(), file, store, block_size=BLOCK_SIZE, progress=False)


@dataclass(frozen=True)
class Watched(ForeignReader):
    """A reader that notes the trajectories that it is asked for."""

    inner: ForeignReader
    ranges: list = field(default_factory=list)

    @contextmanager
    def open(self, path: Path):
        with self.inner.open(path) as file:

            def read(rows):
                self.ranges.append((rows.start, rows.stop))
                return file.read(rows)

            yield replace(file, read=read)


def test_a_killed_import_goes_on(tmp_path, monkeypatch):
    file, path = tmp_path / "1D_Burgers_Sols_Nu0.01.hdf5", tmp_path / "store.zarr"
    velocity = write_pdebench(file, velocities(NUM_TRAJECTORIES))
    process = multiprocessing.get_context("spawn").Process(target=import_until_killed, args=(file, path))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    with pytest.raises(StoreIncompleteError, match=r"6 of 12 trajectories are finished.*`burgerslab import` again"):
        Store(path)
    written = []
    write = StoreWriter.write
    monkeypatch.setattr(
        StoreWriter,
        "write",
        lambda writer, block, fields: (written.append(block), write(writer, block, fields)),
    )
    store = import_file(PDEBenchReader(), file, path, progress=False)
    assert written == [3, 4, 5]
    np.testing.assert_array_equal(store.read("velocity", slice(None)), velocity)
    assert store.verify() == []


@pytest.mark.parametrize(("reader", "write"), [(PDEBenchReader(), write_pdebench), (NpzReader(), write_npz)])
def test_files_are_read_in_blocks(tmp_path, monkeypatch, reader, write):
    file = tmp_path / "data_Nu0.1.npz"
    velocity = write(file)
    # 6 frames of 16 cells: the first look takes at most two trajectories of this chunk size
    monkeypatch.setattr("burgerslab.data.foreign.periodic_file.CHUNK_BYTES", 2 * velocity[0].nbytes)
    monkeypatch.setattr("burgerslab.data.layout.CHUNK_BYTES", 2 * velocity[0].nbytes)
    watched = Watched(reader)
    store = import_file(watched, file, tmp_path / "store.zarr", progress=False)
    blocks = [(0, 2), (2, 4), (4, 5)]
    assert watched.ranges == [(0, 2), *blocks, *blocks]
    assert store.block_size == 2
    np.testing.assert_array_equal(store.read("velocity", slice(None)), velocity)


@pytest.mark.parametrize("name", ["npz", "compressed npz", "pdebench", "well"])
def test_memory_holds_one_block_at_a_time(tmp_path, name):
    file = tmp_path / "data_Nu0.1.npz"
    velocity = velocities(200, 20, (1000,))  # 16 MB in blocks of 0.16 MB
    if name == "well":
        write_well(file, lambda opened: _enlarge(opened))
    elif name == "pdebench":
        write_pdebench(file, velocity)
    else:
        write_npz(file, {"velocity": velocity}, compressed=name != "npz")
    del velocity
    reader = {"well": WellReader(fields=()), "pdebench": PDEBenchReader()}.get(name, NpzReader())
    with reader.open(file) as opened:
        tracemalloc.start()
        num = opened.contents.num_trajectories
        for first in range(0, num, 2):
            opened.read(range(first, first + 2))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1_500_000


def _enlarge(file):
    del file["t1_fields/velocity"], file["dimensions/time"], file["scalars/viscosity"]
    file["dimensions/time"] = np.arange(100.0)
    file["t1_fields/velocity"] = np.ones((160, 100, 12, 10, 2), np.float32)
