"""Every kind of damage to a store is noticed, named and repaired."""

import json
import shutil

import numpy as np
import pytest

from burgerslab.data.store import (
    Store,
    StoreCorruptError,
    StoreIncompleteError,
    StoreLayout,
)
from burgerslab.data.store_repair import repair
from tests.small_store import DOMAIN, LAYOUT, SETTINGS, VISCOSITY, content, fill, make, open_writer


def chunk_files(path):
    return sorted(str(file.relative_to(path)) for file in path.glob("*/c/**/*") if file.is_file())


def flip(file, offset):
    data = bytearray(file.read_bytes())
    data[offset] ^= 0x10
    file.write_bytes(data)


def test_a_flipped_bit_in_any_chunk_is_reported_with_its_file(copy):
    files = chunk_files(copy)
    # 3 blocks of 3 fields and of checksums, and time, x, y, field, viscosity, seed, 3 component labels
    assert len(files) == 3 * 4 + 9
    for number, file in enumerate(files):
        original = (copy / file).read_bytes()
        flip(copy / file, number * 37 % len(original))
        damage = Store(copy).verify()
        assert [item.file for item in damage] == [file]
        name, _, block = file.split("/")[:3]
        blocks = {"0": (0, 1), "1": (2, 3), "2": (4,)}
        if name in ("velocity", "forcing", "tracer", "checksum"):
            assert damage[0].trajectories == blocks[block]
            with pytest.raises(StoreCorruptError, match=f"{file} cannot be decoded .*\n.*`burgerslab generate`"):
                Store(copy).read("velocity" if name == "checksum" else name, blocks[block])
        else:
            assert damage[0].trajectories == (0, 1, 2, 3, 4)
        if name in ("viscosity", "seed"):
            with pytest.raises(StoreCorruptError, match=f"{file} cannot be decoded"):
                _ = Store(copy).viscosity if name == "viscosity" else Store(copy).seeds
        (copy / file).write_bytes(original)
    assert Store(copy).verify() == []


@pytest.mark.parametrize("name", ["velocity", "forcing", "tracer", "checksum"])
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda file, other: file.unlink(), "is missing"),
        (lambda file, other: file.write_bytes(b""), "is empty"),
        (lambda file, other: file.write_bytes(b"\0" * 4), "cannot be decoded"),
        (lambda file, other: file.write_bytes(file.read_bytes()[:-7]), "cannot be decoded"),
        (lambda file, other: file.write_bytes(bytes(file.stat().st_size)), "cannot be decoded"),
        (lambda file, other: shutil.copy(other, file), "holds other values"),
    ],
    ids=["missing", "empty", "four_zeros", "truncated", "zeroed", "stale"],
)
def test_other_damage_is_reported_with_its_file(copy, name, damage, reason):
    file, other = (next(file for file in chunk_files(copy) if file.startswith(f"{name}/c/{i}")) for i in (1, 0))
    damage(copy / file, copy / other)
    found = Store(copy).verify()
    field = "velocity" if name == "checksum" else name
    if name == "checksum" and reason == "holds other values":
        assert [item.file.split("/")[0] for item in found] == ["velocity", "forcing", "tracer"]
        reason = f"{reason} than those whose checksums are in {file}"
    else:
        assert [item.file for item in found] == [file]
        reason = f"{file} {reason}"
    assert {item.trajectories for item in found} == {(2, 3)}
    with pytest.raises(StoreCorruptError, match=reason):
        Store(copy).read(field, [0, 3])
    store = Store(copy)
    np.testing.assert_array_equal(store.read(field, [1])[0], content(LAYOUT, 1)[field])
    assert repair(copy) == [1]
    with pytest.raises(StoreIncompleteError, match="3 of 5 trajectories are finished"):
        Store(copy)
    writer = open_writer(copy)
    assert fill(writer) == [1]
    assert writer.finish().verify() == []
    np.testing.assert_array_equal(Store(copy).read(field, [2, 3])[1], content(LAYOUT, 3)[field])


def test_damage_in_one_of_several_chunks_along_the_frames(tmp_path, monkeypatch):
    monkeypatch.setattr("burgerslab.data.layout.CHUNK_BYTES", 3 * 2 * 80 * 4)
    layout = StoreLayout(DOMAIN, 2, 7, 0.1, LAYOUT.fields)
    store = make(tmp_path / "s", layout=layout, block_size=None, viscosity=[0.1, 0.1], seeds=[1, 2])
    assert [file for file in chunk_files(store.path) if file.startswith("velocity/")] == [
        f"velocity/c/{block}/{part}/0/0/0" for block in (0, 1) for part in (0, 1, 2)
    ]
    np.testing.assert_array_equal(store.read("velocity", [1])[0], content(layout, 1)["velocity"])
    part = store.path / "velocity/c/1/2/0/0/0"
    part.unlink()
    assert [str(item) for item in store.verify()] == ["velocity/c/1/2/0/0/0 is missing (trajectories [1])"]
    with pytest.raises(StoreCorruptError, match="velocity/c/1/2/0/0/0 is missing"):
        store.read("velocity", [0, 1])
    shutil.copy(store.path / "velocity/c/0/2/0/0/0", part)
    damage = store.verify()
    assert [item.file for item in damage] == [f"velocity/c/1/{part}/0/0/0" for part in (0, 1, 2)]
    assert "or another of the 3 chunks" in damage[0].reason
    assert repair(store.path) == [1]


def test_repair_leaves_a_sound_store_alone_and_restores_small_arrays(copy):
    before = {file: file.stat().st_mtime_ns for file in copy.rglob("*")}
    assert repair(copy) == []
    assert {file: file.stat().st_mtime_ns for file in copy.rglob("*")} == before
    for name in ("viscosity", "seed", "x", "component_velocity"):
        flip(copy / name / "c/0", 2)
    (copy / "time/c/0").unlink()
    assert len(Store(copy).verify()) == 5
    assert repair(copy) == []
    writer = open_writer(copy)
    assert fill(writer) == []
    assert writer.finish().verify() == []
    np.testing.assert_array_equal(Store(copy).viscosity, VISCOSITY)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dt", 0.26),
        ("domain", {"extent": [2.0, 1.1], "resolution": [10, 8]}),
        ("settings", {**SETTINGS, "seed": 8}),
        ("fingerprint", "0" * 64),
        ("block_size", 1),
        ("dt", float("nan")),
    ],
)
def test_edited_attributes_are_noticed(copy, key, value):
    document = json.loads((copy / "zarr.json").read_text())
    document["attributes"][key] = value
    (copy / "zarr.json").write_text(json.dumps(document))
    with pytest.raises(StoreCorruptError, match=r"zarr\.json was changed after it was written"):
        Store(copy)


def test_attributes_and_status_must_be_there(copy):
    document = json.loads((copy / "zarr.json").read_text())
    document["attributes"]["status"] = "done"
    (copy / "zarr.json").write_text(json.dumps(document))
    with pytest.raises(StoreCorruptError, match=r"zarr\.json has the unknown status 'done'"):
        Store(copy)
    del document["attributes"]["domain"]
    (copy / "zarr.json").write_text(json.dumps(document))
    with pytest.raises(StoreCorruptError, match=r"zarr\.json lacks the attributes \['domain'\]"):
        Store(copy)


@pytest.mark.parametrize("content", [b"", b'{"attributes": {"form', b"\xff\xfe\x00", bytes(500)])
def test_garbled_metadata_is_named(copy, content):
    original = (copy / "velocity/zarr.json").read_bytes()
    (copy / "velocity/zarr.json").write_bytes(content)
    with pytest.raises(StoreCorruptError, match=r"velocity/zarr\.json was changed after it was written"):
        Store(copy)
    (copy / "velocity/zarr.json").write_bytes(original)
    store = Store(copy)
    (copy / "seed/zarr.json").unlink()
    assert [item.file for item in store.verify()] == ["seed/zarr.json"]
    (copy / "zarr.json").write_bytes(content)
    with pytest.raises(StoreCorruptError, match=r"copy\.zarr: zarr\.json is not readable"):
        Store(copy)
    with pytest.raises(StoreCorruptError, match=r"zarr\.json is not readable .*delete the store"):
        open_writer(copy, overwrite=True)
    assert (copy / "velocity/c/0/0/0/0/0").exists()
