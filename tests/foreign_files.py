"""Small files in the layouts of other programs, with known values."""

import math

import h5py
import numpy as np
import scipy.io


def velocities(num_trajectories=5, num_frames=6, cells=(16,), dtype="float32"):
    """Random velocities ``(trajectory, frame, component, *space)``."""
    shape = (num_trajectories, num_frames, len(cells), *cells)
    return np.random.default_rng(7).standard_normal(shape).astype(dtype)


def write_pdebench(path, velocity=None, num_extra_stamps=1, replace=(), **attributes):
    """PDEBench's layout, written in float32 as its scripts do: cell centres on [0, 1], one time stamp too many."""
    velocity = velocities() if velocity is None else velocity
    num_frames, num_cells = velocity.shape[1], velocity.shape[3]
    edges = np.linspace(0, 1, num_cells + 1, dtype=np.float32)
    arrays = {
        "tensor": velocity[:, :, 0],
        "x-coordinate": edges[:-1] + np.float32(0.5 / num_cells),
        "t-coordinate": np.arange(num_frames + num_extra_stamps, dtype=np.float32) * np.float32(0.01),
    }
    with h5py.File(path, "w") as file:
        for name, values in {**arrays, **dict(replace)}.items():
            if values is not None:
                file[name] = values
        file.attrs.update(attributes)
    return velocity


def write_npz(path, replace=(), compressed=False, **velocity_options):
    """The documented arrays, in float32."""
    velocity = velocities(**velocity_options)
    arrays = {"velocity": velocity, "dt": 0.05, "length": 2.0, "viscosity": 0.02, **dict(replace)}
    save = np.savez_compressed if compressed else np.savez
    save(path, **{name: values for name, values in arrays.items() if values is not None})
    return velocity


def shock(x, times):
    """A solution like Raissi's: odd in x, zero at both ends, ``(x, t)``."""
    return -np.sin(math.pi * x)[:, None] * np.exp(-times) + 0.1 * np.sin(2 * math.pi * x)[:, None] * times


def write_mat(path, replace=()):
    """Raissi's layout: both ends of [-1, 1] are points, 256 points and 100 times in float64."""
    x, times = np.linspace(-1, 1, 256), np.linspace(0, 0.99, 100)
    solution = shock(x, times)
    arrays = {"x": x[:, None], "t": times[:, None], "usol": solution, **dict(replace)}
    scipy.io.savemat(path, {name: values for name, values in arrays.items() if values is not None})
    return solution


def write_well(path, edit=None):
    """The Well's layout in two dimensions: nodes, a buoyancy, a map constant in time and a stress tensor."""
    random = np.random.default_rng(3)
    num, frames, width, height = 4, 5, 12, 10
    arrays = {
        "velocity": random.standard_normal((num, frames, width, height, 2), np.float32),
        "buoyancy": random.standard_normal((num, frames, width, height), np.float32),
        "map": random.standard_normal((width, height), np.float32),
        "stress": random.standard_normal((num, frames, width, height, 2, 2), np.float32),
    }
    with h5py.File(path, "w") as file:
        file.attrs.update({"grid_type": "cartesian", "n_spatial_dims": 2, "n_trajectories": num})
        dimensions = file.create_group("dimensions")
        dimensions.attrs["spatial_dims"] = ["x", "y"]
        dimensions["time"] = np.arange(frames, dtype=np.float32) * np.float32(0.1) + 2
        dimensions["x"] = np.arange(width, dtype=np.float32) / width
        dimensions["y"] = np.arange(height, dtype=np.float32) * 2 / height - 1
        for name in ("x", "y"):
            condition = file.create_group(f"boundary_conditions/{name}_periodic")
            condition.attrs.update({"associated_dims": [name], "bc_type": "PERIODIC"})
        file["scalars/viscosity"] = np.array([0.01, 0.02, 0.03, 0.04], np.float32)
        for group, name, varies in (
            ("t1_fields", "velocity", True),
            ("t0_fields", "buoyancy", True),
            ("t0_fields", "map", False),
            ("t2_fields", "stress", True),
        ):
            file[f"{group}/{name}"] = arrays[name]
            both = {"dim_varying": [True, True], "sample_varying": varies, "time_varying": varies}
            file[f"{group}/{name}"].attrs.update(both)
        if edit is not None:
            edit(file)
    return arrays
