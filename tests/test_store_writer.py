"""Writing a store: what is refused, replaced, resumed and left behind."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import zarr
import zarr.storage
from filelock import FileLock

from burgerslab.data import store_locks
from burgerslab.data.store import (
    Store,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreLayout,
    StoreMismatchError,
    StoreMissingError,
)
from tests.small_store import DOMAIN, LAYOUT, SEEDS, VISCOSITY, block_content, fill, make, open_writer


def test_nothing_is_left_beside_a_finished_store(tmp_path):
    path = tmp_path / "deep" / "s"
    path.parent.mkdir()
    for orphan in (f".s.new-{'0' * 32}", f".s.old-{'a' * 32}"):
        (path.parent / orphan).mkdir()
    (path.parent / ".s.new-mine").mkdir()
    make(path)
    assert sorted(file.name for file in path.parent.iterdir()) == [".s.locks", ".s.new-mine", "s"]
    assert [file.name for file in (path.parent / ".s.locks").iterdir()] == ["store.lock"]
    assert list(path.rglob("*.partial")) == []


def test_a_complete_store_is_opened_without_locks(copy):
    assert open_writer(copy).is_complete
    assert open_writer(copy).finish().verify() == []
    assert [file.name for file in copy.parent.iterdir()] == ["copy.zarr"]


def test_other_settings_are_listed_with_both_values(copy):
    other = {"scheme": {"order": 4, "dealias": False}, "seed": 7.0, "viscosity": [0.01, 0.06], "sponge": 1}
    with pytest.raises(StoreMismatchError) as raised:
        open_writer(copy, settings=other)
    assert str(raised.value) == (
        f"{copy}: this store was made with other settings:\n"
        "  scheme.order: stored 6, wanted 4\n"
        "  seed: stored 7, wanted 7.0\n"
        "  sponge: stored (not set), wanted 1\n"
        "  viscosity.1: stored 0.05, wanted 0.06\n"
        "Choose another path, or replace the store with overwrite (data.overwrite: true in a config, "
        "--overwrite of import)"
    )
    longer = StoreLayout(DOMAIN, 5, 6, 0.25, LAYOUT.fields)
    with pytest.raises(StoreMismatchError, match=r"layout\.num_frames: stored 4, wanted 6"):
        open_writer(copy, layout=longer)
    with pytest.raises(StoreMismatchError, match=r"viscosity of trajectory 4: stored 0\.05, wanted 0\.07"):
        open_writer(copy, viscosity=[*VISCOSITY[:4], 0.07])
    with pytest.raises(StoreMismatchError, match="seed of trajectory 0: stored 0, wanted 1"):
        open_writer(copy, seeds=SEEDS + np.uint64([1, 0, 0, 0, 0]))


def test_overwrite_replaces_other_settings_and_resumes_the_same(copy):
    writer = open_writer(copy, overwrite=True)
    assert writer.is_complete
    other = open_writer(copy, settings={"seed": 8}, overwrite=True, block_size=3)
    assert not other.is_complete
    with pytest.raises(StoreBusyError, match="another process has replaced this store"):
        _ = writer.is_complete
    assert fill(other, num_blocks=1) == [0]
    resumed = open_writer(copy, settings={"seed": 8}, overwrite=True)
    assert fill(resumed) == [1]
    store = resumed.finish()
    assert store.settings == {"seed": 8}
    assert sorted(file.name for file in copy.parent.iterdir()) == [".copy.zarr.locks", "copy.zarr"]


def test_overwrite_replaces_a_store_with_damaged_attributes(copy):
    document = json.loads((copy / "zarr.json").read_text())
    document["attributes"]["dt"] = 0.5
    (copy / "zarr.json").write_text(json.dumps(document))
    with pytest.raises(StoreCorruptError, match="changed after it was written"):
        open_writer(copy)
    assert fill(open_writer(copy, overwrite=True)) == [0, 1, 2]


def test_overwrite_never_touches_what_burgerslab_did_not_make(tmp_path):
    directory, file, other = tmp_path / "thesis", tmp_path / "notes", tmp_path / "other.zarr"
    directory.mkdir()
    (directory / "chapter").write_text("1")
    file.write_text("2")
    zarr.create_group(other, attributes={"title": "3"})
    empty = tmp_path / "empty"
    empty.mkdir()
    before = sorted(tmp_path.rglob("*"))
    for path in (directory, file, other, empty):
        with pytest.raises(StoreError, match="something that burgerslab did not make"):
            open_writer(path, overwrite=True)
        with pytest.raises(StoreMissingError, match=f"{path}: "):
            Store(path)
    assert [found for found in sorted(tmp_path.rglob("*")) if ".locks" not in str(found)] == before
    assert (directory / "chapter").read_text() == "1"


def test_a_store_being_written_is_not_replaced(tmp_path):
    writer = open_writer(tmp_path / "s")
    blocks = writer.pending()
    block, trajectories = next(blocks)
    with pytest.raises(StoreBusyError, match=r"another process is generating blocks \[0\]"):
        open_writer(tmp_path / "s", settings={"seed": 9}, overwrite=True)
    writer.write(block, block_content(LAYOUT, trajectories))
    blocks.close()
    replaced = open_writer(tmp_path / "s", settings={"seed": 9}, overwrite=True)
    with pytest.raises(StoreBusyError, match="another process has replaced this store"):
        fill(writer)
    assert fill(replaced) == [0, 1, 2]


def test_a_lock_that_is_never_freed_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(store_locks, "PATIENCE_SECONDS", 0.05)
    (tmp_path / ".s.locks").mkdir()
    with (
        FileLock(tmp_path / ".s.locks/store.lock"),
        pytest.raises(StoreBusyError, match=r"another process has held .*store\.lock"),
    ):
        open_writer(tmp_path / "s")


def test_writing_checks_its_values(tmp_path):
    writer = open_writer(tmp_path / "s")
    fields = block_content(LAYOUT, [2, 3])
    for block, trajectories in writer.pending():
        if block == 1:
            with pytest.raises(ValueError, match=r"block 0 is not the one that pending\(\) has handed out \(1\)"):
                writer.write(0, fields)
            with pytest.raises(ValueError, match=r"needs the fields .*'tracer'\], got \['velocity'\]"):
                writer.write(1, {"velocity": fields["velocity"]})
            with pytest.raises(
                ValueError, match=r"shape \(2, 4, 2, 10, 8\), got float32 of shape \(1, 4, 2, 10, 8\)"
            ):
                writer.write(1, {**fields, "velocity": fields["velocity"][:1]})
            with pytest.raises(ValueError, match=r"must be real numbers .* got complex64"):
                writer.write(1, {**fields, "tracer": fields["tracer"] * 1j})
            for wrong in (np.nan, np.inf, 1e300):
                diverged = fields["tracer"].astype(np.float64)
                diverged[1, -1] = wrong
                with pytest.raises(ValueError, match=r"'tracer' of trajectories \[3\] .* not finite"):
                    writer.write(1, {**fields, "tracer": diverged})
            assert not list((tmp_path / "s").glob("*/c/1/*"))
        writer.write(block, block_content(LAYOUT, trajectories))
    assert writer.finish().verify() == []
    with pytest.raises(ValueError, match="block 0 is not the one"):
        writer.write(0, fields)


def test_a_block_that_was_not_written_is_not_handed_out_for_ever(tmp_path):
    blocks = open_writer(tmp_path / "s").pending()
    next(blocks)
    with pytest.raises(ValueError, match=r"block 0 was handed out by pending\(\) but never given to write\(\)"):
        next(blocks)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"viscosity": [0.1]}, r"viscosity must hold one number per trajectory, shape \(5,\), got shape \(1,\)"),
        ({"viscosity": [0.1, 0.1, -0.1, 0.1, 0.1]}, r"it is -0\.1 for trajectory 2"),
        ({"viscosity": [0.1, 0.1, 0.1, 0.1, np.nan]}, "it is nan for trajectory 4"),
        ({"seeds": np.zeros(5)}, "seeds must hold one integer per trajectory"),
        ({"block_size": 0}, "block_size must be at least 1, got 0"),
        ({"settings": {"dt": np.nan}}, r"settings\.dt is nan"),
    ],
)
def test_a_plan_is_checked_before_anything_is_made(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        open_writer(tmp_path / "s", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, r"No space left on device .* finished so far are kept.*the same command again to resume"),
        (errno.EDQUOT, "the disk or the quota is full"),
        (errno.EROFS, "Read-only file system .* this location is not writable"),
        (errno.EACCES, "Permission denied .*choose another path or change the permissions"),
        (errno.EIO, "Input/output error .* finished so far are kept"),
    ],
)
def test_refusals_of_the_system_are_explained_and_finished_blocks_kept(tmp_path, monkeypatch, number, message):
    writer = open_writer(tmp_path / "s")
    assert fill(writer, num_blocks=1) == [0]

    def refuse(path, value, exclusive=False):
        raise OSError(number, os.strerror(number), str(path))

    with monkeypatch.context() as patch:
        patch.setattr("zarr.storage._local._put", refuse)
        with pytest.raises(StoreError, match=message):
            fill(writer)
    assert fill(writer) == [1, 2]
    assert writer.finish().verify() == []


def test_a_location_that_cannot_be_written_is_explained(tmp_path, monkeypatch):
    def refuse(self, *arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StoreError, match=r"Permission denied \(.*locks\); this location is not writable"):
        open_writer(tmp_path / "s")
