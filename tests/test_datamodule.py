"""BurgersDataModule: splits, loaders, order, damage, and what it refuses."""

from itertools import chain
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from burgerslab.data import (
    BurgersDataModule,
    CellRange,
    EveryKthFrame,
    Observation,
    Store,
    generate,
)
from burgerslab.data.store_errors import StoreCorruptError, StoreMismatchError, StoreMissingError
from burgerslab.physics import Domain
from tests.small_stores import RICH, line_simulation, rich_values, write_store

SIMULATION = line_simulation()
STEPS = {"num_predict_steps": 3}
EXPLICIT = {"train_sim_indices": [7, 0, 2], "val_sim_indices": [9], "test_sim_indices": [3, 1]}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return generate(SIMULATION, tmp_path_factory.mktemp("line") / "s.zarr", block_size=2, progress=False)


def datamodule(store, **options):
    module = BurgersDataModule(str(store.path), **{**STEPS, "batch_size": 6, **options})
    module.setup("fit")
    return module


def served(loader):
    return [list(zip(batch["trajectory"].tolist(), batch["start"].tolist(), strict=True)) for batch in iter(loader)]


def test_a_random_split_uses_every_trajectory_once(store):
    module = datamodule(store, split=(0.6, 0.2, 0.2))
    parts = [module.trajectories_of(part).tolist() for part in ("train", "val", "test")]
    assert [len(part) for part in parts] == [6, 2, 2]
    assert sorted(chain(*parts)) == list(range(10))
    assert {trajectory for batch in served(module.train_dataloader()) for trajectory, _ in batch} == set(parts[0])


def test_explicit_trajectories_are_served(store):
    module = datamodule(store, **EXPLICIT)
    assert [module.trajectories_of(part).tolist() for part in ("train", "val", "test")] == [[7, 0, 2], [9], [3, 1]]
    assert served(module.test_dataloader()) == [[(3, 0), (1, 0)]]
    assert served(module.predict_dataloader()) == [[(3, 0), (1, 0)]]
    assert served(module.val_dataloader()) == [[(9, 0)]]


@pytest.mark.parametrize("memory_budget_gib", [4.0, 0.0])
def test_an_epoch_serves_every_training_window_once(store, memory_budget_gib):
    module = datamodule(store, **EXPLICIT, batch_size=5, memory_budget_gib=memory_budget_gib)
    batches = served(module.train_dataloader())
    assert [len(batch) for batch in batches] == [5, 5, 5]
    assert sorted(chain(*batches)) == [(trajectory, start) for trajectory in (0, 2, 7) for start in range(5)]


def test_the_incomplete_last_batch_is_left_out_unless_it_is_the_only_one(store):
    assert [len(batch) for batch in served(datamodule(store, **EXPLICIT).train_dataloader())] == [6, 6]
    assert [len(batch) for batch in served(datamodule(store, **EXPLICIT, batch_size=64).train_dataloader())] == [15]


def test_batches_have_the_declared_shapes(tmp_path):
    write_store(tmp_path / "s.zarr")
    module = BurgersDataModule(
        str(tmp_path / "s.zarr"),
        num_predict_steps=2,
        num_frames=5,
        static_fields=["viscosity", "forcing"],
        split=(0.6, 0.2, 0.2),
        batch_size=4,
    )
    module.prepare_data()
    module.setup("fit")
    assert (module.in_channels, module.out_channels, module.dimension) == (6, 3, 2)
    (batch, *_) = module.train_dataloader()
    shapes = {name: tuple(values.shape) for name, values in batch.items()}
    assert shapes == {
        "initial": (4, 3, 10, 8),
        "target": (4, 2, 3, 10, 8),
        "static": (4, 3, 10, 8),
        "viscosity": (4,),
        "trajectory": (4,),
        "start": (4,),
        "observed": (4,),
    }
    (batch,) = module.val_dataloader()
    assert batch["target"].shape == (1, 4, 3, 10, 8)


def trainer_in(epoch=0, rank=0, num_ranks=1):
    """As much of a Trainer as train_dataloader looks at."""
    progress = SimpleNamespace(current=SimpleNamespace(processed=epoch))
    return SimpleNamespace(global_rank=rank, world_size=num_ranks, fit_loop=SimpleNamespace(epoch_progress=progress))


def test_the_order_is_a_function_of_seed_and_epoch(store):
    def order(seed=0, epoch=0, **options):
        module = datamodule(store, seed=seed, **EXPLICIT, **options)
        module.trainer = trainer_in(epoch)
        return served(module.train_dataloader())

    assert order() == order()
    assert order() != order(epoch=1)
    assert order() != order(seed=1)
    assert order(epoch=3) == order(epoch=3, num_workers=1), "workers must start in the epoch that is resumed"


def test_the_epoch_moves_on_with_the_sampler(store):
    module = datamodule(store, **EXPLICIT)
    loader = module.train_dataloader()
    loader.sampler.set_epoch(4)
    module.trainer = trainer_in(4)
    assert served(loader) == served(module.train_dataloader())


def test_ranks_share_the_training_windows(store):
    parts = []
    for rank in (0, 1):
        module = datamodule(store, **EXPLICIT, batch_size=7)
        module.trainer = trainer_in(rank=rank, num_ranks=2)
        parts.append({window for batch in served(module.train_dataloader()) for window in batch})
    assert [len(part) for part in parts] == [7, 7]
    assert not parts[0] & parts[1]


def test_parts_without_trajectories_have_no_loader(store):
    module = datamodule(store, split=(1.0, 0.0, 0.0))
    assert module.val_dataloader() == module.test_dataloader() == []


def test_the_memory_budget_is_shared_by_all_parts(store):
    size = 10 * 8 * 16 * 4 / 2**30
    for factor, streamed in ((1.001, False), (0.999, True)):
        module = datamodule(store, split=(0.6, 0.2, 0.2), memory_budget_gib=factor * size)
        loaders = (module.train_dataloader(), module.val_dataloader(), module.test_dataloader())
        assert [loader.dataset.num_held is not None for loader in loaders] == [streamed] * 3


def test_statistics_see_the_training_trajectories_only(tmp_path):
    values = rich_values()
    options = {"train_sim_indices": [0, 2], "val_sim_indices": [4], "test_sim_indices": [1, 3]}
    first = datamodule(write_store(tmp_path / "a.zarr", values=values), **options).statistics
    changed = {name: field.copy() for name, field in values.items()}
    for field in changed.values():
        field[[1, 3, 4]] *= 1000
    second = datamodule(write_store(tmp_path / "b.zarr", values=changed), **options).statistics
    for name, tensor in vars(first).items():
        torch.testing.assert_close(getattr(second, name), tensor, rtol=0, atol=0)
    expected = values["velocity"][[0, 2]].astype(np.float64).std(axis=(0, 1, 3, 4))
    np.testing.assert_allclose(first.std[:2], expected, rtol=1e-12)


def test_a_missing_store_is_simulated_once(tmp_path, store):
    path = tmp_path / "new" / "s.zarr"
    module = BurgersDataModule(str(path), SIMULATION, **STEPS)
    assert (module.layout, path.exists()) == (SIMULATION.layout, False)
    module.prepare_data()
    np.testing.assert_array_equal(Store(path).read("velocity", slice(None)), store.read("velocity", slice(None)))
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*") if file.is_file()}
    module.prepare_data()
    assert {file: file.stat().st_mtime_ns for file in path.rglob("*") if file.is_file()} == before


def test_a_store_of_other_settings_is_refused_or_replaced(tmp_path):
    path = tmp_path / "s.zarr"
    generate(line_simulation(num_trajectories=4), path, progress=False)
    other = line_simulation(num_trajectories=4, seed=1)
    with pytest.raises(StoreMismatchError, match=r"seed: stored 0, wanted 1"):
        BurgersDataModule(str(path), other, **STEPS).prepare_data()
    BurgersDataModule(str(path), other, overwrite=True, **STEPS).prepare_data()
    assert Store(path).settings["seed"] == 1


@pytest.mark.parametrize("method", [BurgersDataModule.prepare_data, lambda module: module.layout])
def test_a_missing_store_without_a_simulation_is_explained(tmp_path, method):
    module = BurgersDataModule(str(tmp_path / "s.zarr"))
    with pytest.raises(StoreMissingError, match=r"data\.store: there is no store at .*s\.zarr.*data\.simulation"):
        method(module)


def test_a_flipped_bit_is_found_before_training(tmp_path):
    path = tmp_path / "s.zarr"
    generate(SIMULATION, path, block_size=2, progress=False)
    chunk = path / "velocity" / "c" / "3" / "0" / "0" / "0"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    for simulation in (SIMULATION, None):
        with pytest.raises(StoreCorruptError, match=r"nothing was trained on it:\n  velocity/c/3/0/0/0: "):
            BurgersDataModule(str(path), simulation, **STEPS).prepare_data()
    BurgersDataModule(str(path), verify=False).prepare_data()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, r"data\.batch_size must be at least 1, got 0"),
        ({"eval_batch_size": 0}, r"data\.eval_batch_size must be at least 1, got 0"),
        ({"seed": -1}, r"data\.seed must be at least 0, got -1"),
        ({"num_workers": -1}, r"data\.num_workers must be at least 0, got -1"),
        ({"memory_budget_gib": -1.0}, r"data\.memory_budget_gib must not be negative, got -1"),
        ({"train_sim_indices": [0]}, "belong together: give all three, or none and data.split"),
        ({**EXPLICIT, "test_sim_indices": [7, 1, 9]}, r"share trajectories \[7, 9\]; a trajectory belongs to one"),
        ({**EXPLICIT, "val_sim_indices": [10]}, r"data\.val_sim_indices names trajectories \[10\].* use 0 to 9"),
        ({"split": (0.9, 0.2, 0.1)}, "sum to at most 1"),
        ({"num_frames": 9}, r"data\.num_frames must be between 2 and the 8 frames of a trajectory, got 9"),
        ({"num_predict_steps": 8}, r"data\.num_predict_steps 8 needs trajectories of at least 9 frames, got 8"),
        (
            {"observation": Observation(frames=EveryKthFrame(4))},
            r"data\.observation leaves no window of num_predict_steps 3",
        ),
        (
            {"observation": Observation(cells=CellRange((0.0, 0.0), (0.5, 0.5)))},
            r"data\.observation\.cells: CellRange\.low and CellRange\.high need one fraction per axis, 1 of them",
        ),
        ({"dynamic_fields": ["pressure"]}, r"dynamic_fields \['pressure'\] must be"),
    ],
)
@pytest.mark.parametrize("simulation", [SIMULATION, None], ids=["simulated", "stored"])
def test_contradictory_options_are_refused_before_anything_is_done(store, tmp_path, simulation, options, message):
    path = tmp_path / "s.zarr" if simulation else store.path
    with pytest.raises(ValueError, match=message):
        BurgersDataModule(str(path), simulation, **{**STEPS, **options}).setup("fit")
    assert list(tmp_path.iterdir()) == []


def test_the_facts_of_a_store_come_from_the_store(tmp_path):
    write_store(tmp_path / "s.zarr")
    module = BurgersDataModule(str(tmp_path / "s.zarr"), num_predict_steps=1, dynamic_fields=["velocity"])
    assert module.layout == RICH
    assert module.description.domain == Domain((2.0, 1.0), (10, 8))
    assert (module.in_channels, module.out_channels) == (2, 2)
