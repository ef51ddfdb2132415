"""Windows as PhiFlow fields: the same numbers, with PhiFlow's names, boxes and operators."""

import numpy as np
import pytest
import torch
from phi import field, math
from torch.utils.data import DataLoader

from burgerslab.data import HybridDataset
from burgerslab.data.dataset import keep_batch
from tests.small_stores import rich_values, write_store

VALUES = rich_values()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("rich") / "s.zarr")


@pytest.fixture
def dataset(store):
    return HybridDataset(store, 2, static_fields=["forcing", "viscosity"], return_fields=True)


def test_fields_hold_the_numbers_of_the_tensors(dataset):
    batch = dataset.batch([5, 0])  # frame 1 of trajectory 1, frame 0 of trajectory 0
    velocity, pressure = batch["target"]["velocity"], batch["target"]["pressure"]
    order = ["trajectory", "frame", "vector", "x", "y"]
    np.testing.assert_array_equal(velocity.values.numpy(order)[0], VALUES["velocity"][1, 2:4])
    np.testing.assert_array_equal(velocity.values.numpy(order)[1], VALUES["velocity"][0, 1:3])
    np.testing.assert_array_equal(
        pressure.values.numpy(["trajectory", "frame", "x", "y"])[0], VALUES["pressure"][1, 2:4, 0]
    )
    np.testing.assert_array_equal(
        batch["initial"]["velocity"].values.numpy(["trajectory", "vector", "x", "y"])[1], VALUES["velocity"][0, 0]
    )
    np.testing.assert_array_equal(
        batch["static"]["forcing"].values.numpy(["trajectory", "vector", "x", "y"])[0], VALUES["forcing"][1]
    )
    np.testing.assert_allclose(
        batch["static"]["viscosity"].values.numpy(["trajectory", "x", "y"])[:, 3, 4], np.log([0.02, 0.01]), rtol=1e-6
    )
    assert batch["trajectory"].tolist() == [1, 0]


def test_fields_are_periodic_grids_with_named_dimensions(dataset):
    batch = dataset.batch([5, 0])
    velocity = batch["target"]["velocity"]
    assert velocity.is_grid
    assert velocity.is_centered
    assert velocity.boundary == math.extrapolation.PERIODIC
    assert (float(velocity.bounds.size["x"]), float(velocity.bounds.size["y"])) == (2.0, 1.0)
    assert velocity.resolution.sizes == (10, 8)
    assert set(velocity.values.shape.names) == {"trajectory", "frame", "vector", "x", "y"}
    assert velocity.values.shape.batch.names == ("trajectory", "frame")
    assert velocity.values.shape["vector"].item_names == (("x", "y"),)
    assert set(batch["initial"]["pressure"].values.shape.names) == {"trajectory", "x", "y"}


def test_a_single_window_has_no_batch_dimension(dataset):
    window = dataset[5]
    assert set(window["initial"]["velocity"].values.shape.names) == {"vector", "x", "y"}
    assert set(window["target"]["pressure"].values.shape.names) == {"frame", "x", "y"}
    np.testing.assert_array_equal(
        window["initial"]["velocity"].values.numpy(["vector", "x", "y"]), VALUES["velocity"][1, 1]
    )
    assert window["start"].item() == 1


def test_without_static_fields_there_are_none(store):
    assert HybridDataset(store, 2, return_fields=True)[0]["static"] == {}


def test_operators_of_phiflow_apply(dataset):
    velocity = dataset.batch([5, 0])["target"]["velocity"]
    spacing = np.array([0.2, 0.125])
    numbers = VALUES["velocity"][1, 2:4]
    divergence = sum(
        (np.roll(numbers[:, axis], -1, axis + 1) - np.roll(numbers[:, axis], 1, axis + 1)) / (2 * spacing[axis])
        for axis in (0, 1)
    )
    computed = field.divergence(velocity).values.numpy(["trajectory", "frame", "x", "y"])[0]
    np.testing.assert_allclose(computed, divergence, rtol=1e-4, atol=1e-4)
    laplacian = sum(
        (np.roll(numbers, -1, axis + 2) - 2 * numbers + np.roll(numbers, 1, axis + 2)) / spacing[axis] ** 2
        for axis in (0, 1)
    )
    computed = field.laplace(velocity).values.numpy(["trajectory", "frame", "vector", "x", "y"])[0]
    np.testing.assert_allclose(computed, laplacian, rtol=1e-4, atol=1e-2)


def test_loader_processes_pass_fields_on(dataset):
    loaded = [
        list(DataLoader(dataset, batch_size=8, collate_fn=keep_batch, num_workers=workers)) for workers in (0, 1)
    ]
    order = ["trajectory", "frame", "vector", "x", "y"]
    for one, other in zip(*loaded, strict=True):
        numbers = [batch["target"]["velocity"].values.numpy(order) for batch in (one, other)]
        np.testing.assert_array_equal(*numbers)
        torch.testing.assert_close(one["start"], other["start"], rtol=0, atol=0)
