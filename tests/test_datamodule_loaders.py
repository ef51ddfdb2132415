"""Loaders of the datamodule for a solve, and for a mixture of observed and generated trajectories."""

from itertools import chain

import numpy as np
import pytest
import torch

from burgerslab.data import TrajectoriesInMemory, generate
from tests.small_stores import line_simulation
from tests.test_datamodule import EXPLICIT, datamodule, served, trainer_in


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return generate(line_simulation(), tmp_path_factory.mktemp("line") / "s.zarr", block_size=2, progress=False)


@pytest.mark.parametrize("options", [{}, {"num_workers": 2}, {"memory_budget_gib": 0.0}, {"seed": 5}])
def test_a_solve_is_served_every_training_window_in_order(store, options):
    module = datamodule(store, **EXPLICIT, **options)
    order = [(trajectory, start) for trajectory in (7, 0, 2) for start in range(5)]
    for _ in range(2):
        assert served(module.solve_dataloader()) == [order[:6], order[6:12], order[12:]]
    parts = []
    for rank in (0, 1):
        module.trainer = trainer_in(epoch=3, rank=rank, num_ranks=2)
        parts.append(list(chain(*served(module.solve_dataloader()))))
    assert parts == [order[::2], order[1::2]]


def made(num_frames=5, viscosity=0.5, **options):
    frames = np.random.default_rng(2).standard_normal((2, num_frames, 1, 16), np.float32)
    return TrajectoriesInMemory(frames, np.full(2, viscosity), observed=False, **options)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("memory_budget_gib", [4.0, 0.0])
def test_generated_trajectories_are_trained_on_from_the_next_loader_on(store, num_workers, memory_budget_gib):
    options = {"batch_size": 64, "num_workers": num_workers, "memory_budget_gib": memory_budget_gib}
    module = datamodule(store, **EXPLICIT, **options)
    (before,) = module.train_dataloader()
    statistics = vars(module.statistics)
    observed = module._dataset("train").sources[0]
    sources = [made(5), made(4, 0.7, indices=np.array([8, 2]))]
    for _ in range(2):  # set anew, not added to
        module.set_generated(sources)
        (batch,) = module.train_dataloader()
        assert len(batch["start"]) == 15 + 4 + 2
        order = [(row, int(batch["trajectory"][row]), int(batch["start"][row])) for row in range(21)]
        theirs = {(number, start): row for row, number, start in order if not batch["observed"][row]}
        assert sorted(theirs) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (8, 0)]
        for (number, start), row in theirs.items():
            source, place = (sources[0], number) if number < 2 else (sources[1], {8: 0, 2: 1}[number])
            np.testing.assert_array_equal(batch["initial"][row], source.frames(place)[start])
            np.testing.assert_array_equal(batch["target"][row], source.frames(place)[start + 1 : start + 4])
            assert batch["viscosity"][row] == source.viscosity[place]
        mine = sorted(before["initial"].flatten(1).tolist())
        assert sorted(batch["initial"][batch["observed"]].flatten(1).tolist()) == mine
    assert module._dataset("train").sources[0] is observed
    fresh = datamodule(store, **EXPLICIT, **options)
    fresh.set_generated(sources)
    for name, values in vars(fresh.statistics).items():
        assert torch.equal(values, statistics[name])
    assert [len(batch["start"]) for batch in module.solve_dataloader()] == [21]
    module.set_generated([])
    assert [batch["observed"].all().item() for batch in module.train_dataloader()] == [True]
    (again,) = module.train_dataloader()
    assert torch.equal(again["target"], before["target"])


def test_generated_trajectories_of_another_kind_are_refused(store):
    module = datamodule(store, **EXPLICIT)
    module.set_generated([made()])
    with pytest.raises(ValueError, match=r"need at least num_predict_steps \+ 1 = 4 frames, got 3"):
        module.set_generated([made(3)])
    assert len(module.train_dataloader().dataset) == 15 + 4
