"""What a model is told of its data: facts, and statistics compared with numpy over the whole data."""

import numpy as np
import pytest
import torch

from burgerslab.data import DataDescription, HybridDataset, TrajectoriesInMemory
from burgerslab.data.description import describe, measure_statistics
from tests.small_stores import RICH, RICH_VISCOSITY, rich_values, write_store

VALUES = rich_values()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("rich") / "s.zarr")


@pytest.mark.parametrize("memory_budget", [2**30, 0])
def test_statistics_are_those_of_the_chosen_trajectories(store, memory_budget):
    chosen = [3, 0, 1]
    dataset = HybridDataset(
        store,
        2,
        num_frames=5,
        sim_indices=chosen,
        static_fields=["forcing", "viscosity"],
        memory_budget=memory_budget,
    )
    statistics = measure_statistics(dataset.sources)
    frames = np.concatenate([VALUES["velocity"], VALUES["pressure"]], axis=2)[chosen, :5].astype(np.float64)
    forcing = VALUES["forcing"][chosen].astype(np.float64)
    axes = (0, 1, 3, 4)
    np.testing.assert_allclose(statistics.mean, frames.mean(axis=axes), rtol=1e-12)
    np.testing.assert_allclose(statistics.std, frames.std(axis=axes), rtol=1e-12)
    increments = np.diff(frames, axis=1)
    np.testing.assert_allclose(statistics.increment_std, np.sqrt((increments**2).mean(axis=axes)), rtol=1e-12)
    log_viscosity = np.log(RICH_VISCOSITY[chosen])
    np.testing.assert_allclose(
        statistics.static_mean, [*forcing.mean(axis=(0, 2, 3)), log_viscosity.mean()], rtol=1e-6
    )
    np.testing.assert_allclose(statistics.static_std, [*forcing.std(axis=(0, 2, 3)), log_viscosity.std()], rtol=1e-6)
    assert {values.dtype for values in vars(statistics).values()} == {torch.float64}


def in_memory(frames, static=None):
    return TrajectoriesInMemory(frames, np.full(len(frames), 0.1), static)


def test_an_offset_does_not_drown_the_deviation():
    frames = np.random.default_rng(0).standard_normal((3, 4, 1, 16), np.float32) + np.float32(3000)
    statistics = measure_statistics([in_memory(frames[:2]), in_memory(frames[2:])])
    np.testing.assert_allclose(statistics.std, [frames.astype(np.float64).std()], rtol=1e-12)


@pytest.mark.parametrize(
    ("values", "std"),
    [
        ([0.1, 0.1, 0.1], 1.0),
        ([0.0, 0.0, 0.0], 1.0),
        ([-1e-8, 0.0, 1e-8], np.sqrt(2 / 3) * 1e-8),
        ([-2.0, 1.0, 1.0], np.sqrt(2)),
    ],
)
def test_a_static_channel_that_never_changes_has_deviation_one(values, std):
    frames = np.random.default_rng(0).standard_normal((3, 4, 1, 16), np.float32)
    static = np.broadcast_to(np.array(values, np.float32)[:, None, None], (3, 1, 16))
    np.testing.assert_allclose(measure_statistics([in_memory(frames, static)]).static_std, [std], rtol=1e-6)


def test_equal_viscosities_have_deviation_one(tmp_path):
    store = write_store(tmp_path / "s.zarr", viscosity=np.full(5, 0.013))
    dataset = HybridDataset(store, 2, static_fields=["viscosity"])
    statistics = measure_statistics(dataset.sources)
    np.testing.assert_allclose(statistics.static_mean, [np.log(0.013)], rtol=1e-6)
    assert statistics.static_std.tolist() == [1.0]


@pytest.mark.parametrize("frozen", ["everywhere", "in time"])
def test_a_dynamic_channel_that_never_changes_is_refused(frozen):
    frames = np.random.default_rng(0).standard_normal((3, 4, 2, 16), np.float32)
    frames[:, :, 1] = 0.1 if frozen == "everywhere" else frames[:, :1, 1]
    with pytest.raises(ValueError, match=r"do not change in some channel .* leave that field out of dynamic_fields"):
        measure_statistics([in_memory(frames)])


def test_the_store_is_described_in_the_order_asked_for():
    description = describe(RICH, ["pressure", "velocity"], ["viscosity", "forcing"])
    assert description == DataDescription(
        domain=RICH.domain,
        dt=0.25,
        dynamic_fields=("pressure", "velocity"),
        static_fields=("viscosity", "forcing"),
        components={
            "pressure": ("value",),
            "velocity": ("x", "y"),
            "viscosity": ("viscosity",),
            "forcing": ("x", "y"),
        },
    )
    assert (description.num_dynamic_channels, description.num_static_channels) == (3, 3)


def test_a_description_survives_a_checkpoint(tmp_path):
    description = describe(RICH, None, ["viscosity"])
    torch.save(description.to_dict(), tmp_path / "c.pt")
    assert DataDescription.from_dict(torch.load(tmp_path / "c.pt", weights_only=True)) == description


def test_differences_name_both_sides():
    description = describe(RICH, None, ["viscosity"])
    assert description.differences(describe(RICH, None, ["viscosity"])) == []
    assert description.differences(describe(RICH, ["velocity"], ["viscosity"])) == [
        "dynamic_fields: ('velocity', 'pressure') and ('velocity',)",
        "components: {'velocity': ('x', 'y'), 'pressure': ('value',), 'viscosity': ('viscosity',)} and "
        "{'velocity': ('x', 'y'), 'viscosity': ('viscosity',)}",
    ]
    other = DataDescription.from_dict(
        {**description.to_dict(), "dt": 0.5, "domain": {"extent": (3.0, 2.0), "resolution": (20, 16)}}
    )
    assert description.differences(other) == ["dt: 0.25 and 0.5"]
