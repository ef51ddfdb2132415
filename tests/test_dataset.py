"""Windows hold the frames of the store, with every option, from memory and streamed."""

import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from burgerslab.data import FieldSpec, HybridDataset, StoreLayout, TrajectoriesInMemory
from burgerslab.data.dataset import keep_batch
from burgerslab.data.windows import EpochSampler
from burgerslab.physics import Domain
from tests.small_stores import RICH_VISCOSITY, rich_values, write_store

VALUES = rich_values()
DYNAMIC = np.concatenate([VALUES["velocity"], VALUES["pressure"]], axis=2)
LOG_VISCOSITY = np.broadcast_to(np.log(RICH_VISCOSITY).astype(np.float32)[:, None, None, None], (5, 1, 10, 8))
STREAMED = {"memory_budget": 0}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("rich") / "s.zarr")


def assert_batches_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)


@pytest.mark.parametrize("memory", [{}, STREAMED], ids=["in memory", "streamed"])
@pytest.mark.parametrize(
    ("options", "places"),
    [
        ({"num_predict_steps": 3}, [(t, s) for t in range(5) for s in range(3)]),
        ({"num_predict_steps": 5}, [(t, 0) for t in range(5)]),
        ({"num_predict_steps": 2, "num_frames": 4}, [(t, s) for t in range(5) for s in range(2)]),
        ({"num_predict_steps": 2, "use_sliding_window": False}, [(t, 0) for t in range(5)]),
        ({"num_predict_steps": 4, "sim_indices": [3, 0, 2]}, [(t, s) for t in (3, 0, 2) for s in range(2)]),
    ],
)
def test_every_window_holds_its_frames(store, memory, options, places):
    dataset = HybridDataset(store, static_fields=("viscosity", "forcing"), **options, **memory)
    assert len(dataset) == len(places)
    batch = dataset.batch(range(len(dataset)))
    assert list(zip(batch["trajectory"].tolist(), batch["start"].tolist(), strict=True)) == places
    steps = options["num_predict_steps"]
    for row, (trajectory, start) in enumerate(places):
        np.testing.assert_array_equal(batch["initial"][row], DYNAMIC[trajectory, start])
        np.testing.assert_array_equal(batch["target"][row], DYNAMIC[trajectory, start + 1 : start + 1 + steps])
        static = np.concatenate([LOG_VISCOSITY[trajectory], VALUES["forcing"][trajectory]])
        np.testing.assert_array_equal(batch["static"][row], static)
        assert batch["viscosity"][row] == RICH_VISCOSITY[trajectory]
    assert batch["observed"].all()


def test_channels_stand_in_the_order_of_the_named_fields(store):
    dataset = HybridDataset(store, 2, dynamic_fields=["pressure", "velocity"], static_fields=["forcing"])
    window = dataset[0]
    np.testing.assert_array_equal(window["initial"][:1], VALUES["pressure"][0, 0])
    np.testing.assert_array_equal(window["initial"][1:], VALUES["velocity"][0, 0])
    np.testing.assert_array_equal(window["static"], VALUES["forcing"][0])
    alone = HybridDataset(store, 2, dynamic_fields=["pressure"])[0]
    np.testing.assert_array_equal(alone["target"], VALUES["pressure"][0, 1:3])
    assert alone["static"].shape == (0, 10, 8)


@pytest.mark.parametrize("memory", [{}, STREAMED], ids=["in memory", "streamed"])
def test_a_window_is_the_row_of_its_batch(store, memory):
    dataset = HybridDataset(store, 3, static_fields=["viscosity"], **memory)
    numbers = [7, 0, 14, 7]
    samples, batch = dataset.__getitems__(numbers), dataset.batch(numbers)
    assert len(samples) == 4
    for row, number in enumerate(numbers):
        assert_batches_equal(dataset[number], {name: values[row] for name, values in batch.items()})
        assert_batches_equal(dataset[number], samples[row])
    assert_batches_equal(dataset[-1], dataset[14])
    assert len(list(dataset)) == 15


@pytest.mark.parametrize("number", [15, -16])
def test_a_window_that_does_not_exist_is_refused(store, number):
    with pytest.raises(IndexError, match=r"all in 0\.\.14"):
        HybridDataset(store, 3)[number]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sim_indices": [0, 5, 9]}, r"sim_indices names trajectories \[5, 9\], but the store has 5: use 0 to 4"),
        ({"sim_indices": [-1]}, r"sim_indices names trajectories \[-1\]"),
        ({"sim_indices": [1, 2, 1]}, r"sim_indices names a trajectory twice: \[1, 2, 1\]"),
        ({"sim_indices": []}, "sim_indices is empty; name at least one trajectory, or leave it out for all"),
        ({"num_frames": 7}, "num_frames must be between 2 and the 6 frames of a trajectory, got 7"),
        ({"num_frames": 1}, "num_frames must be between 2 and the 6 frames of a trajectory, got 1"),
        ({"num_frames": 3}, "num_predict_steps 3 needs trajectories of at least 4 frames, got 3"),
        ({"dynamic_fields": ["speed"]}, r"dynamic_fields \['speed'\] must be .* among \['velocity', 'pressure'\]"),
        ({"dynamic_fields": ["forcing"]}, r"dynamic_fields \['forcing'\] must be"),
        ({"dynamic_fields": ["velocity", "velocity"]}, "must be different names"),
        ({"dynamic_fields": []}, "dynamic_fields is empty"),
        ({"static_fields": ["velocity"]}, r"static_fields \['velocity'\] must .* among \['forcing', 'viscosity'\]"),
    ],
)
def test_what_the_store_does_not_have_is_named(store, options, message):
    with pytest.raises(ValueError, match=message):
        HybridDataset(store, 3, **options)


def test_the_logarithm_of_no_viscosity_is_refused(tmp_path):
    store = write_store(tmp_path / "s.zarr", viscosity=np.array([0.1, 0.0, 0.1, 0.0, 0.1]))
    with pytest.raises(ValueError, match=r"trajectories \[1, 3\] have viscosity 0"):
        HybridDataset(store, 3, static_fields=["viscosity"])
    assert len(HybridDataset(store, 3)) == 15


def generated(num_frames=4, num_channels=3, num_static=0, cells=(10, 8)):
    generator = np.random.default_rng(1)
    return TrajectoriesInMemory(
        generator.standard_normal((2, num_frames, num_channels, *cells), np.float32),
        np.array([0.5, 0.6]),
        generator.standard_normal((2, num_static, *cells), np.float32),
        indices=np.array([4, 1]),
        observed=False,
    )


@pytest.mark.parametrize("memory", [{}, STREAMED], ids=["in memory", "streamed"])
def test_generated_trajectories_follow_the_observed_ones(store, memory):
    source = generated()
    dataset = HybridDataset(store, 3, generated=[source], **memory)
    assert len(dataset) == 15 + 2
    batch = dataset.batch([16, 2, 15])
    assert batch["observed"].tolist() == [False, True, False]
    assert batch["trajectory"].tolist() == [1, 0, 4]
    assert batch["start"].tolist() == [0, 2, 0]
    assert batch["viscosity"].tolist() == [0.6, 0.01, 0.5]
    np.testing.assert_array_equal(batch["target"][0], source.frames(1)[1:])
    np.testing.assert_array_equal(batch["target"][1], DYNAMIC[0, 3:6])
    np.testing.assert_array_equal(batch["initial"][2], source.frames(0)[0])
    assert sorted(np.concatenate(dataset.blocks()).tolist()) == list(range(17))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (generated(num_channels=2), r"must have frames of shape \(C, \*N\) = \(3, 10, 8\).*got \(2, 10, 8\)"),
        (generated(cells=(8, 8)), r"got \(3, 8, 8\)"),
        (generated(num_static=1), r"static fields of shape \(S, \*N\) = \(0, 10, 8\).*and \(1, 10, 8\)"),
        (generated(num_frames=3), r"at least num_predict_steps \+ 1 = 4 frames, got 3"),
    ],
)
def test_generated_trajectories_of_another_kind_are_refused(store, source, message):
    with pytest.raises(ValueError, match=message):
        HybridDataset(store, 3, generated=[source])


def test_trajectories_in_memory_need_one_entry_each():
    frames = np.zeros((2, 3, 1, 8), np.float32)
    with pytest.raises(ValueError, match="one entry per trajectory and at least one, got 2, 1, 2 and 2"):
        TrajectoriesInMemory(frames, np.array([0.1]))
    with pytest.raises(ValueError, match="got 0, 0, 0 and 0"):
        TrajectoriesInMemory(frames[:0], np.empty(0))


def batches(dataset, **options):
    sampler = EpochSampler(dataset.blocks(), seed=3, group_size=dataset.num_held)
    return list(DataLoader(dataset, batch_size=4, sampler=sampler, **options))


@pytest.mark.parametrize("memory", [{}, STREAMED], ids=["in memory", "streamed"])
def test_loader_processes_and_collation_change_nothing(store, memory):
    dataset = HybridDataset(store, 3, static_fields=["viscosity"], **memory)
    expected = batches(dataset, collate_fn=keep_batch)
    assert [len(batch["start"]) for batch in expected] == [4, 4, 4, 3]
    with_workers = batches(dataset, collate_fn=keep_batch, num_workers=2)
    for others in (with_workers, batches(dataset), batches(pickle.loads(pickle.dumps(dataset)))):
        for one, other in zip(expected, others, strict=True):
            assert_batches_equal(one, other)


def decoded_bytes(source):
    return sum(array.nbytes for block in source._decoded.values() for array in block)


@pytest.mark.parametrize(("num_held", "num_frames"), [(1, None), (2, None), (2, 4)])
def test_streaming_decodes_each_trajectory_once_per_epoch_within_its_budget(store, num_held, num_frames):
    per_trajectory = 4 * 80 * ((num_frames or 6) * 3 + 2)
    budget = num_held * 2 * per_trajectory  # blocks of two trajectories
    options = {"static_fields": ["forcing"], "num_frames": num_frames}
    dataset = HybridDataset(store, 2, memory_budget=budget, **options)
    in_memory = HybridDataset(store, 2, **options)
    (source,) = dataset.sources
    assert (dataset.num_held, in_memory.num_held) == (num_held, None)
    sampler = EpochSampler(dataset.blocks(), group_size=dataset.num_held)
    for epoch in range(3):
        sampler.set_epoch(epoch)
        order = list(sampler)
        for first in range(0, len(order), 3):
            windows = order[first : first + 3]
            assert_batches_equal(dataset.batch(windows), in_memory.batch(windows))
            assert decoded_bytes(source) <= budget
            # nothing held may be a view of something larger
            assert all(array.base is None for block in source._decoded.values() for array in block)
    # the last group of an epoch may still be held when the next epoch visits it first
    assert 3 * 5 - 2 * 2 * num_held <= source.num_decoded <= 3 * 5
    fresh = HybridDataset(store, 2, memory_budget=budget, **options)
    fresh.batch(order)
    assert fresh.sources[0].num_decoded == 5


def test_data_that_fit_the_budget_exactly_are_held_in_memory(store):
    size = 5 * 4 * 80 * 6 * 3
    assert HybridDataset(store, 2, memory_budget=size).num_held is None
    assert HybridDataset(store, 2, memory_budget=size - 1).num_held == 2
    assert HybridDataset(store, 2, memory_budget=0).num_held == 1


def test_scattered_trajectories_are_decoded_by_blocks_of_the_store(store):
    dataset = HybridDataset(store, 5, sim_indices=[4, 1, 2, 0], memory_budget=0)
    assert [block.tolist() for block in dataset.blocks()] == [[1, 3], [2], [0]]
    assert dataset.batch([1, 3, 2, 0])["trajectory"].tolist() == [1, 0, 2, 4]
    assert dataset.sources[0].num_decoded == 4


def test_one_dimension_with_many_trajectories_per_block(tmp_path):
    layout = StoreLayout(Domain((1.0,), (16,)), 7, 3, 0.1, (FieldSpec("velocity", ("x",)),))
    values = rich_values(layout)
    store = write_store(tmp_path / "s.zarr", layout, values, viscosity=np.full(7, 0.1), block_size=4)
    batch = HybridDataset(store, 1, memory_budget=0).batch(range(14))
    np.testing.assert_array_equal(batch["initial"], values["velocity"][:, :2].reshape(14, 1, 16))
