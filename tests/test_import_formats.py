"""Files of each format, to the last bit, with their viscosity, clock and grid."""

import math

import numpy as np
import pytest
import scipy.sparse

from burgerslab.data.foreign import MatReader, NpzReader, PDEBenchReader, WellReader, import_file
from tests.foreign_files import velocities, write_mat, write_npz, write_pdebench, write_well


def to_store(reader, file, **options):
    return import_file(reader, file, file.parent / "store.zarr", progress=False, **{"block_size": 2, **options})


def everything(store, field="velocity"):
    return store.read(field, slice(None))


def test_pdebench(tmp_path):
    file = tmp_path / "1D_Burgers_Sols_Nu0.01.hdf5"
    velocity = write_pdebench(file)
    store = to_store(PDEBenchReader(), file)
    np.testing.assert_array_equal(everything(store).view(np.int32), velocity.view(np.int32))
    assert store.layout.domain.extent == (1.0,)
    assert store.layout.dt == 0.01  # the clock is float32: 0.0099999998
    np.testing.assert_array_equal(store.viscosity, np.full(5, 0.01 / math.pi))
    assert store.settings["source"] == "imported"
    assert store.settings["file"] == file.name
    assert store.settings["grid"]["x"] == {
        "centring": "cell",
        "origin": pytest.approx(0, abs=1e-8),
        "end_point_repeated": False,
    }
    assert store.settings["notes"] == ["t-coordinate has 7 entries for 6 frames; the last belongs to none"]
    assert store.settings["values"] == "float32, exact"
    assert store.verify() == []


def test_pdebench_has_201_frames_and_202_stamps(tmp_path):
    velocity = velocities(2, 201)
    write_pdebench(tmp_path / "file.hdf5", velocity, Nu=0.1)
    store = to_store(PDEBenchReader(), tmp_path / "file.hdf5")
    assert (store.layout.num_frames, store.layout.dt) == (201, 0.01)
    np.testing.assert_array_equal(everything(store), velocity)


def test_viscosity_of_pdebench(tmp_path):
    attribute, name = tmp_path / "Burgers_Nu0.5.hdf5", tmp_path / "1D_Burgers_Sols_Nu1e-3.hdf5"
    write_pdebench(attribute, Nu=0.1)  # the attribute is the authority: files are renamed
    write_pdebench(name)
    assert to_store(PDEBenchReader(), attribute).viscosity[0] == 0.1 / math.pi
    store = to_store(PDEBenchReader(), name, overwrite=True)
    assert store.viscosity[0] == 0.001 / math.pi
    assert store.settings["viscosity"] == "Nu / π, with Nu = 0.001 from the name of the file"
    store = to_store(PDEBenchReader(), name, overwrite=True, viscosity=0.25)
    assert store.viscosity.tolist() == [0.25] * 5
    assert store.settings["viscosity"] == 0.25


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("cells", [(16,), (8, 10), (8, 9, 10)])
def test_npz(tmp_path, cells, compressed):
    dimension = len(cells)
    length, viscosity = np.arange(1.0, dimension + 1), np.linspace(0.1, 0.5, 5)
    file = tmp_path / "data.npz"
    velocity = write_npz(file, {"length": length, "viscosity": viscosity}, compressed, cells=cells)
    store = to_store(NpzReader(), file)
    np.testing.assert_array_equal(everything(store).view(np.int32), velocity.view(np.int32))
    assert store.layout.domain.extent == tuple(length)
    assert store.layout.domain.resolution == cells
    assert store.layout.dt == 0.05
    np.testing.assert_array_equal(store.viscosity, viscosity)
    assert store.settings["grid"]["x"]["centring"] == "unknown"


def test_npz_in_fortran_order(tmp_path):
    velocity = np.asfortranarray(velocities())
    write_npz(tmp_path / "data.npz", {"velocity": velocity})
    np.testing.assert_array_equal(everything(to_store(NpzReader(), tmp_path / "data.npz")), velocity)


def test_npz_with_coordinates_needs_no_length(tmp_path):
    x = -1 + np.arange(16) / 8
    velocity = write_npz(tmp_path / "data.npz", {"length": None, "x": x})
    store = to_store(NpzReader(), tmp_path / "data.npz")
    assert store.layout.domain.extent == (2.0,)
    assert store.settings["grid"]["x"] == {"centring": "node", "origin": -1.0625, "end_point_repeated": False}
    np.testing.assert_array_equal(everything(store), velocity)


def test_float64_is_rounded_and_that_is_recorded(tmp_path):
    velocity = write_npz(tmp_path / "data.npz", dtype="float64")
    store = to_store(NpzReader(), tmp_path / "data.npz")
    np.testing.assert_array_equal(everything(store), velocity.astype(np.float32))
    assert store.settings["values"] == "float64, rounded to float32"


def test_mat_has_255_cells_of_256_points(tmp_path):
    solution = write_mat(tmp_path / "burgers_shock.mat")
    store = to_store(MatReader(), tmp_path / "burgers_shock.mat", viscosity=0.01 / math.pi)
    np.testing.assert_array_equal(everything(store)[0, :, 0], solution[:-1].T.astype(np.float32))
    assert store.layout.domain.resolution == (255,)
    assert store.layout.domain.extent == (2.0,)
    assert store.layout.dt == 0.01
    assert store.viscosity.tolist() == [0.01 / math.pi]
    assert store.settings["grid"]["x"] == {
        "centring": "node",
        "origin": pytest.approx(-1 - 1 / 255),
        "end_point_repeated": True,
    }


def test_mat_of_a_whole_period_without_its_end(tmp_path):
    x, times = -8 + np.arange(256) / 16, np.linspace(0, 10, 101)
    solution = np.exp(-((x[:, None] + 2) ** 2)) * np.cos(times) + 0j  # complex, as in some files, without need
    write_mat(tmp_path / "burgers.mat", {"x": x, "t": times, "usol": None, "u": solution})
    store = to_store(MatReader(solution="u"), tmp_path / "burgers.mat", viscosity=0.1)
    assert store.layout.domain.resolution == (256,)
    assert store.layout.domain.extent == (16.0,)
    assert store.settings["grid"]["x"]["centring"] == "node"
    assert store.settings["options"] == {"space": "x", "time": "t", "solution": "u"}
    np.testing.assert_array_equal(everything(store)[0, :, 0], solution.real.T.astype(np.float32))


def test_flat_ends_do_not_tell_whether_the_last_point_repeats_the_first(tmp_path):
    x = np.linspace(-1, 1, 33)
    pulse = np.maximum(0, 0.25 - x**2)[:, None] * np.linspace(1, 0.9, 4)
    write_mat(tmp_path / "pulse.mat", {"x": x, "t": np.arange(4.0), "usol": pulse})
    store = to_store(MatReader(), tmp_path / "pulse.mat", viscosity=0.1)
    assert store.layout.domain.resolution == (33,)
    assert [note[:49] for note in store.settings["notes"]] == ["the velocity is flat where the ends along x meet:"]


def test_mat_of_a_sparse_solution(tmp_path):
    solution = write_mat(tmp_path / "full.mat")
    solution[10:-10][np.abs(solution[10:-10]) < 0.5] = 0
    write_mat(tmp_path / "sparse.mat", {"usol": scipy.sparse.csc_matrix(solution)})
    store = import_file(MatReader(), tmp_path / "sparse.mat", tmp_path / "s.zarr", viscosity=0.1, progress=False)
    np.testing.assert_array_equal(
        store.read("velocity", [0])[0, :, 0], solution.T[:, :255].astype(np.float32), strict=True
    )


def test_well(tmp_path):
    arrays = write_well(tmp_path / "data.hdf5")
    store = to_store(WellReader(), tmp_path / "data.hdf5")
    np.testing.assert_array_equal(everything(store), np.moveaxis(arrays["velocity"], -1, 2))
    np.testing.assert_array_equal(everything(store, "buoyancy")[:, :, 0], arrays["buoyancy"])
    np.testing.assert_array_equal(everything(store, "map")[:, 0], [arrays["map"]] * 4)
    assert [spec.static for spec in store.layout.fields] == [False, False, True]
    assert store.layout.domain.extent == (1.0, 2.0)
    assert store.layout.domain.resolution == (12, 10)
    assert store.layout.dt == 0.1
    assert store.settings["first_time"] == 2.0
    assert [store.settings["grid"][name]["centring"] for name in "xy"] == ["node", "node"]
    assert store.settings["notes"] == ["left out: t2_fields/stress"]
    np.testing.assert_array_equal(store.viscosity, np.array([0.01, 0.02, 0.03, 0.04], np.float32))


def test_well_with_fewer_fields_and_a_viscosity_of_another_name(tmp_path):
    def edit(file):
        del file["scalars/viscosity"]
        file["scalars/kinematic"] = 0.3

    write_well(tmp_path / "data.hdf5", edit)
    store = to_store(WellReader(viscosity="kinematic", fields=()), tmp_path / "data.hdf5")
    assert [spec.name for spec in store.layout.fields] == ["velocity"]
    assert store.viscosity.tolist() == [0.3] * 4
    store = to_store(WellReader(fields=("map",)), tmp_path / "data.hdf5", viscosity=0.1, overwrite=True)
    assert [spec.name for spec in store.layout.fields] == ["velocity", "map"]


def test_a_field_that_is_not_periodic_raises_doubts(tmp_path):
    x, times = np.linspace(-1, 1, 256), np.linspace(0, 1, 10)
    front = 1 - np.tanh(4 * (x[:, None] - 0.1 * times))  # from 2 to 0: a front, no wave
    write_mat(tmp_path / "front.mat", {"t": times, "usol": front})
    store = to_store(MatReader(), tmp_path / "front.mat", viscosity=0.1)
    ratio = (front[0] - front[-1]).max() / np.abs(np.diff(front, axis=0)).max()
    assert ratio > 50
    assert store.settings["notes"] == [
        f"the ends along x differ {ratio:.0f} times more than any neighbours do: is the box periodic?"
    ]
