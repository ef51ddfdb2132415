"""A store holds what was written, under names, and checks its own description."""

import json
import pickle
import warnings

import google_crc32c
import numpy as np
import pytest
import zarr
import zarr.storage

from burgerslab.data.store import (
    FieldSpec,
    Store,
    StoreIncompleteError,
    StoreLayout,
    StoreMismatchError,
    StoreMissingError,
)
from burgerslab.physics.domain import Domain
from tests.small_store import DOMAIN, LAYOUT, SEEDS, SETTINGS, VISCOSITY, content, fill, make, open_writer


def test_everything_written_is_read_back(sound):
    store = Store(sound)
    for spec in LAYOUT.fields:
        expected = np.stack([content(LAYOUT, trajectory)[spec.name] for trajectory in range(5)])
        for wanted in ([0, 1, 2, 3, 4], [4], [3, 0, 3], [1, 2], np.array([2, 4]), range(1, 4)):
            values = store.read(spec.name, wanted)
            assert values.dtype == np.float32
            np.testing.assert_array_equal(values, expected[list(wanted)])
        for window in (slice(None), slice(1, 4), slice(None, None, -2), slice(-1, None), slice(2, 2)):
            np.testing.assert_array_equal(store.read(spec.name, window), expected[window])
    assert store.read("velocity", []).shape == (0, 4, 2, 10, 8)
    assert store.layout == LAYOUT
    assert store.settings == SETTINGS
    assert store.path == sound
    np.testing.assert_array_equal(store.times, [0.0, 0.25, 0.5, 0.75])
    np.testing.assert_array_equal(store.viscosity, VISCOSITY)
    np.testing.assert_array_equal(store.seeds, SEEDS)
    assert store.seeds.dtype == np.uint64
    assert not store.viscosity.flags.writeable
    assert store.verify() == []
    assert store.verify(progress=True) == []


@pytest.mark.parametrize(
    ("field", "trajectories", "message"),
    [
        ("pressure", [0], r"no field 'pressure' in the store; it has \['velocity', 'forcing', 'tracer'\]"),
        ("velocity", [0, 5, -1], r"no trajectories \[5, -1\]; the store has 0 to 4"),
        ("velocity", np.array([0.5]), "a slice or a list of integers"),
        ("velocity", np.array(3), "a slice or a list of integers"),
    ],
)
def test_reading_what_is_not_there(sound, field, trajectories, message):
    with pytest.raises(ValueError, match=message):
        Store(sound).read(field, trajectories)


def test_a_pickled_store_reads_on_without_open_files(sound):
    store = Store(sound)
    first = store.read("velocity", [1])
    again = pickle.loads(pickle.dumps(store))
    assert again._opened is None
    np.testing.assert_array_equal(again.read("velocity", [1]), first)


def test_numbers_are_kept_in_full_and_signed_seeds_too(tmp_path):
    layout = StoreLayout(Domain((0.1 + 0.2,), (8,)), 2, 2, 1e-17 / 3, (FieldSpec("velocity", ("x",)),))
    store = make(tmp_path / "s", layout=layout, viscosity=[1e-300, 0.1], seeds=[-1, -(2**63)])
    assert store.layout == layout
    assert store.viscosity.tolist() == [1e-300, 0.1]
    assert store.seeds.tolist() == [-1, -(2**63)]
    assert store.verify() == []


def test_chunks_by_hand():
    def layout(domain, num_trajectories, num_frames):
        return StoreLayout(domain, num_trajectories, num_frames, 0.1, (FieldSpec("velocity", domain.axis_names),))

    line = layout(Domain((1.0,), (256,)), 10_000, 201)
    assert line.default_block_size() == 65  # 13.5 MB / (201 * 256 * 4 B) = 65.6
    assert line.chunks(line.fields[0], 65) == (65, 201, 1, 256)
    square = layout(Domain((1.0, 1.0), (128, 128)), 100, 101)
    assert square.default_block_size() == 1
    assert square.chunks(square.fields[0], 1) == (1, 101, 2, 128, 128)
    cube = layout(Domain((1.0,) * 3, (64,) * 3), 10, 41)
    assert cube.default_block_size() == 1
    assert cube.chunks(cube.fields[0], 1) == (1, 4, 3, 64, 64, 64)  # 4.3 frames of 3.1 MB fit
    assert layout(Domain((1.0,), (16,)), 3, 5).default_block_size() == 3


def test_xarray_opens_with_names_and_without_warnings(sound):
    xarray = pytest.importorskip("xarray")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = xarray.open_zarr(sound, consolidated=False).load()
    assert dataset.velocity.dims == ("trajectory", "frame", "component_velocity", "x", "y")
    assert dataset.forcing.dims == ("trajectory", "component_forcing", "x", "y")
    assert dataset.tracer.dims == ("trajectory", "frame", "component_tracer", "x", "y")
    assert {"time", "viscosity", "seed"} <= set(dataset.velocity.coords)
    assert {"viscosity", "seed"} <= set(dataset.forcing.coords)
    assert {name: dataset[name].attrs["units"] for name in ("velocity", "time", "viscosity", "x", "forcing")} == {
        "velocity": "L T^-1",
        "time": "T",
        "viscosity": "L^2 T^-1",
        "x": "L",
        "forcing": "L T^-2",
    }
    store = Store(sound)
    np.testing.assert_array_equal(
        dataset.velocity.sel(component_velocity="y"), store.read("velocity", slice(None))[:, :, 1]
    )
    np.testing.assert_array_equal(dataset.x, (np.arange(10) + 0.5) * 0.2)
    np.testing.assert_array_equal(dataset.y, (np.arange(8) + 0.5) * 0.125)
    np.testing.assert_array_equal(dataset.time, store.times)
    np.testing.assert_array_equal(dataset.viscosity, VISCOSITY)
    np.testing.assert_array_equal(dataset.seed, SEEDS)
    assert dataset.field.values.tolist() == ["velocity", "forcing", "tracer"]
    assert dataset.attrs["settings"] == SETTINGS


def test_reading_needs_a_complete_store(tmp_path):
    with pytest.raises(StoreMissingError, match=r"nothing is there\). Run `burgerslab generate`"):
        Store(tmp_path / "s")
    writer = open_writer(tmp_path / "s")
    assert (writer.block_size, writer.num_blocks, writer.is_complete) == (2, 3, False)
    with pytest.raises(StoreIncompleteError, match=r"0 of 5 trajectories .*`burgerslab generate` again to resume"):
        Store(tmp_path / "s")
    assert fill(writer, num_blocks=2) == [0, 1]
    with pytest.raises(StoreIncompleteError, match="4 of 5 trajectories are finished"):
        Store(tmp_path / "s")
    with pytest.raises(StoreIncompleteError, match="4 of 5 trajectories are finished"):
        writer.finish()
    again = open_writer(tmp_path / "s", block_size=5)
    assert again.block_size == 2
    assert fill(again) == [2]
    assert again.finish().verify() == []
    assert again.is_complete
    assert writer.is_complete
    assert fill(open_writer(tmp_path / "s")) == []


def test_a_newer_schema_is_not_read(copy):
    document = json.loads((copy / "zarr.json").read_text())
    document["attributes"]["schema_version"] = 99
    (copy / "zarr.json").write_text(json.dumps(document))
    with pytest.raises(StoreMismatchError, match="schema_version is 99, this version of burgerslab reads 1"):
        Store(copy)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("velocity", ()), "needs one non-empty label per component"),
        (("velocity", ("x", "x")), "repeated component labels"),
        (("time", ("x",)), "'time' is taken by a coordinate"),
        (("component_a", ("x",)), "is taken by a coordinate"),
        (("a b", ("x",)), "must be an identifier"),
    ],
)
def test_a_field_checks_itself(arguments, message):
    with pytest.raises(ValueError, match=message):
        FieldSpec(*arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_trajectories": 0}, "num_trajectories must be at least 1, got 0"),
        ({"num_frames": 1}, "num_frames must be at least 2"),
        ({"dt": 0.0}, r"dt must be positive and finite, got 0\.0"),
        ({"fields": ()}, "the first field must be the dynamic field 'velocity'"),
        ({"fields": (FieldSpec("velocity", ("x",)),)}, r"components \('x', 'y'\)"),
        ({"fields": (FieldSpec("velocity", ("x", "y"), static=True),)}, "the dynamic field 'velocity'"),
        ({"fields": (LAYOUT.fields[0], LAYOUT.fields[0])}, "field names must differ"),
    ],
)
def test_a_layout_checks_itself(changes, message):
    facts = {
        "domain": DOMAIN,
        "num_trajectories": 1,
        "num_frames": 2,
        "dt": 0.1,
        "fields": LAYOUT.fields,
    }
    with pytest.raises(ValueError, match=message):
        StoreLayout(**{**facts, **changes})


def test_checksums_are_crc32c_of_the_little_endian_values(sound):
    stored = zarr.open_group(sound, mode="r", use_consolidated=False)["checksum"][:]
    expected = [
        [
            google_crc32c.value(content(LAYOUT, trajectory)[spec.name].astype("<f4").tobytes())
            for spec in LAYOUT.fields
        ]
        for trajectory in range(5)
    ]
    np.testing.assert_array_equal(stored, expected)
