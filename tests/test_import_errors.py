"""Files that cannot be imported: one message, no store, and no harm to a store that is there."""

import dataclasses
import math
from contextlib import contextmanager

import numpy as np
import pytest

from burgerslab.data import StoreError
from burgerslab.data.foreign import (
    ForeignReader,
    MatReader,
    NpzReader,
    PDEBenchReader,
    WellReader,
    import_file,
)
from tests.foreign_files import shock, velocities, write_mat, write_npz, write_pdebench, write_well
from tests.refused_import import refused


def spoilt(values, place, value):
    values[place] = value
    return values


@pytest.mark.parametrize(
    ("replace", "message"),
    [
        ({"tensor": None}, r"there is no data set 'tensor'; it has \['t-coordinate', 'x-coordinate'\]. Check FORMAT"),
        ({"x-coordinate": None}, "there is no data set 'x-coordinate'"),
        ({"t-coordinate": None}, "there is no data set 't-coordinate'"),
        ({"tensor": np.zeros((5, 6))}, r"tensor must be \(trajectory, frame, x\), got shape \(5, 6\)"),
        ({"tensor": np.zeros((0, 6, 16))}, "the file is empty: 0 trajectories on 16 points"),
        ({"x-coordinate": np.arange(15) / 15}, "x-coordinate has 15 entries, but tensor has 16 cells"),
        ({"x-coordinate": np.linspace(0, 1, 16) ** 2}, "x-coordinate is not evenly spaced: entry"),
        ({"t-coordinate": np.arange(5) / 10}, r"an entry for each of the 6 frames, or one more, got shape \(5,\)"),
        ({"t-coordinate": np.arange(8) / 10}, r"an entry for each of the 6 frames, or one more, got shape \(8,\)"),
        (
            {"t-coordinate": np.array([0, 1, 2, 3, 5, 6, 7])},
            "t-coordinate is not evenly spaced: entry 3 is 3 instead",
        ),
        (
            {"tensor": spoilt(velocities()[:, :, 0], (3, 2, 7), np.nan)},
            r"velocity is NaN, .* in trajectories \[3\], there first in frame 2; leave these",
        ),
        ({"tensor": spoilt(velocities(dtype="float64")[:, :, 0], 4, 1e39)}, r"too large for float32 in traj.*\[4\]"),
        ({"tensor": velocities(dtype="complex64")[:, :, 0]}, r"must be real numbers of shape .*, got complex64"),
        ({"tensor": velocities(cells=(5,))[:, :, 0], "x-coordinate": np.arange(5) / 5}, "must be at least 8 cells"),
        (
            {"tensor": velocities(num_frames=1)[:, :, 0], "t-coordinate": np.zeros(1)},
            "t-coordinate must be a list of",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Casting complex values")
def test_pdebench(tmp_path, replace, message):
    file = tmp_path / "1D_Burgers_Sols_Nu0.01.hdf5"
    write_pdebench(file, replace=replace)
    refused(PDEBenchReader(), file, message)


def test_pdebench_of_another_equation_or_without_viscosity(tmp_path):
    file = tmp_path / "1D_something.hdf5"
    write_pdebench(file)
    refused(
        PDEBenchReader(), file, "the viscosity is not known: .*PDEBench's viscosity is Nu / π. Give .*--viscosity"
    )
    file.unlink()
    write_pdebench(file, Nu=1.0, rho=2.0)
    refused(PDEBenchReader(), file, "the attribute 'rho' tells PDEBench's reaction-diffusion equation")
    file.unlink()
    write_pdebench(file, Nu=-1.0)
    refused(PDEBenchReader(), file, r"viscosity must be finite and not negative; it is -0.318\d* for trajectory 0")
    refused(PDEBenchReader(), file, "--viscosity must be finite and not negative, got nan", viscosity=math.nan)


@pytest.mark.parametrize(
    ("replace", "message"),
    [
        ({"velocity": None}, r"there is no array 'velocity'; it has \['dt', 'length', 'viscosity'\]"),
        ({"dt": None}, "there is no array 'dt'"),
        ({"length": None}, "there is neither an array 'length' nor coordinates 'x'"),
        ({"viscosity": None}, "the viscosity is not known: there is no such array. Give it with --viscosity"),
        (
            {"velocity": velocities()[:, :, 0]},
            r"velocity must be .*got shape \(5, 6, 16\). In one dimension, velocity\[",
        ),
        (
            {"velocity": np.zeros((5, 6, 1, 8, 8))},
            r"as many components as axes of space.*got shape \(5, 6, 1, 8, 8\)",
        ),
        ({"velocity": np.array([{}, {}])}, "velocity holds Python objects; save it as an array of numbers"),
        ({"dt": 0.0}, "dt must be one positive number, the time between frames, got 0.0"),
        ({"dt": np.arange(6) / 10}, "dt must be one positive number"),
        ({"dt": np.nan}, "dt must be finite real numbers, got float64: nan"),
        (
            {"length": [1.0, 2.0]},
            r"length must be one positive number, or one for each of the 1 axes, got \[1.0, 2.0\]",
        ),
        ({"length": -1.0}, "length must be one positive number"),
        ({"viscosity": np.ones(4)}, r"viscosity must be one number or one for each of the 5 traj.*got shape \(4,\)"),
        ({"viscosity": [1, 1, -1, 1, 1]}, "it is -1.0 for trajectory 2"),
        ({"x": np.arange(15) / 15}, "x has 15 entries, but velocity has 16 points there"),
        ({"x": np.arange(16) / 16}, "length along x is 2, but 16 points at intervals of 0.0625 have the period 1"),
        ({"velocity": spoilt(velocities(), (4, 5, 0, 3), np.inf)}, r"in trajectories \[4\], there first in frame 5"),
        ({"velocity": spoilt(velocities(), 0, -np.inf)}, r"in trajectories \[0\], there first in frame 0; leave"),
        (
            {"velocity": np.tile(shock(np.linspace(-1, 1, 33), np.arange(6)).T[None, :, None], (5, 1, 1, 1))},
            "the last point along x repeats the first, so that length does not tell the spacing; leave the last",
        ),
    ],
)
def test_npz(tmp_path, replace, message):
    write_npz(tmp_path / "data.npz", replace)
    refused(NpzReader(), tmp_path / "data.npz", message)


def test_repeated_end_points_must_repeat_in_every_trajectory(tmp_path):
    x = np.linspace(-1, 1, 65)
    velocity = np.tile(shock(x, np.arange(600)).T[None, :, None].astype(np.float32), (100, 1, 1, 1))
    velocity[93, 4, 0, -1] = 0.5
    write_npz(tmp_path / "data.npz", {"velocity": velocity, "x": x})
    refused(
        NpzReader(), tmp_path / "data.npz", "but not in velocity of trajectories 93 to 93; the data must be periodic"
    )


@pytest.mark.parametrize(
    ("replace", "message"),
    [
        ({"usol": None}, r"there is no variable 'usol'; it has \['t', 'x'\]. Options such as --reader.solution name"),
        ({"usol": np.zeros((100, 256))}, r"usol must be \(points, times\) = \(256, 100\) as x and t, got shape"),
        ({"x": np.cos(np.linspace(0, 3, 256))}, "x decreases; reverse it, and the data along it"),
        ({"x": np.cos(np.linspace(-1, 3, 256))}, "x must increase; it does not after positions"),
        ({"t": np.linspace(0, 1, 100) ** 2}, "t is not evenly spaced"),
        ({"usol": np.full((256, 100), 1j)}, "got complex128"),
        ({}, r"files of this format do not tell it; for Raissi's .* 0.01/π = 0.00318309.*. Give it with --viscosity"),
    ],
)
def test_mat(tmp_path, replace, message):
    write_mat(tmp_path / "burgers.mat", replace)
    refused(MatReader(), tmp_path / "burgers.mat", message)


def remove(name):
    return lambda file: file.__delitem__(name)


def change(name, attribute, value):
    return lambda file: file[name].attrs.__setitem__(attribute, value)


def rewrite(name, values):
    def edit(file):
        attributes = dict(file[name].attrs)
        del file[name]
        file[name] = values
        file[name].attrs.update(attributes)

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (remove("dimensions"), "there is no group 'dimensions'"),
        (remove("dimensions/time"), "there is no data set 'time' in /dimensions; it has"),
        (remove("dimensions/y"), "there is no data set 'y' in /dimensions"),
        (remove("t1_fields/velocity"), r"there is no data set 'velocity' in /t1_fields; it has \[\]"),
        (remove("boundary_conditions"), "there is no group 'boundary_conditions'"),
        (
            remove("boundary_conditions/x_periodic"),
            "the boundary condition along x is not given; only periodic boxes",
        ),
        (
            change("boundary_conditions/y_periodic", "bc_type", b"WALL"),
            "the boundary condition along y is wall; only",
        ),
        (change("/", "grid_type", "spherical"), "grid_type is 'spherical'; only cartesian grids"),
        (lambda file: file["dimensions"].attrs.__delitem__("spatial_dims"), "lacks the attribute spatial_dims"),
        (rewrite("dimensions/time", np.arange(5) ** 2), "dimensions/time is not evenly spaced"),
        (rewrite("dimensions/x", np.zeros((4, 12))), "dimensions/x must be one list of coordinates for all"),
        (rewrite("t1_fields/velocity", np.zeros((4, 5, 12, 10, 3))), r"must have the shape \(4, 5, 12, 10, 2\), got"),
        (rewrite("t1_fields/velocity", 3.0), r"must be \(n_traj, T, .*\(n_traj, 5, 12, 10, 2\), got shape \(\)"),
        (lambda file: file.create_group("t0_fields/more"), "there is no data set 'more' in /t0_fields; it has"),
        (rewrite("t0_fields", 3.0), "there is no group 't0_fields'"),
        (rewrite("scalars", 3.0), "there is no group 'scalars'"),
        (rewrite("scalars/viscosity", "0.1"), "scalars/viscosity must be one number or .*, got 1 of .S3"),
        (change("scalars/viscosity", "time_varying", True), "got 4 of float32, which vary in time"),
        (
            rewrite("scalars/viscosity", np.ones(3)),
            "scalars/viscosity must be one number or one per trajectory, got 3",
        ),
        (
            remove("scalars/viscosity"),
            r"none of \['viscosity', 'nu'.* --reader.viscosity names another. Give it with",
        ),
        (lambda file: file.move("t0_fields/map", "t0_fields/time"), "field name 'time' is taken .*--reader.fields="),
    ],
)
def test_well(tmp_path, edit, message):
    write_well(tmp_path / "data.hdf5", edit)
    refused(WellReader(), tmp_path / "data.hdf5", message)


def test_well_without_a_field_that_an_option_names(tmp_path):
    write_well(tmp_path / "data.hdf5")
    refused(
        WellReader(fields=("heat",)), tmp_path / "data.hdf5", r"there are no fields \['heat'\], .* it has \['buoy"
    )


def test_another_file_is_refused_without_overwrite(tmp_path):
    velocity = write_npz(tmp_path / "one.npz")
    store = import_file(NpzReader(), tmp_path / "one.npz", tmp_path / "store.zarr", progress=False)
    stamps = {path: path.stat().st_mtime_ns for path in store.path.rglob("*")}
    write_npz(tmp_path / "two.npz", {"dt": 0.1})
    with pytest.raises(
        StoreError, match=r"(?s)file: stored 'one.npz', wanted 'two.npz'.*sha256: .*--overwrite of import"
    ):
        import_file(NpzReader(), tmp_path / "two.npz", store.path, progress=False)
    again = import_file(NpzReader(), tmp_path / "one.npz", store.path, progress=False)
    assert {path: path.stat().st_mtime_ns for path in store.path.rglob("*")} == stamps
    np.testing.assert_array_equal(again.read("velocity", slice(None)), velocity)
    replaced = import_file(NpzReader(), tmp_path / "two.npz", store.path, progress=False, overwrite=True)
    assert replaced.layout.dt == 0.1


def test_a_reader_whose_options_cannot_be_recorded(tmp_path):
    class Own(ForeignReader):
        @contextmanager
        def open(self, path):
            with NpzReader().open(path) as file:
                yield file

    write_npz(tmp_path / "data.npz")
    refused(Own(), tmp_path / "data.npz", "Own must be a dataclass whose fields are its options")


def test_a_reader_that_reads_another_shape_than_it_says(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Own(ForeignReader):
        @contextmanager
        def open(self, path):
            with NpzReader().open(path) as file:
                yield dataclasses.replace(file, read=lambda rows: {"velocity": np.zeros((len(rows), 6, 1, 15))})

    write_npz(tmp_path / "data.npz")
    refused(
        Own(),
        tmp_path / "data.npz",
        r"velocity of traj.* of shape \(5, 6, 1, 16\), got float64 of shape \(5, 6, 1, 15\)",
    )
