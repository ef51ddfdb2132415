"""Noise and masks of windows: sizes, independence of how they are read, and nothing of what is hidden."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from burgerslab.data import (
    Centre,
    Endpoints,
    EveryKthCell,
    EveryKthFrame,
    FieldSpec,
    FrameFractions,
    FramePattern,
    HybridDataset,
    Observation,
    RandomCells,
    RandomPoints,
    StoreLayout,
    TrajectoriesInMemory,
)
from burgerslab.data.dataset import keep_batch
from burgerslab.data.description import measure_statistics
from burgerslab.physics import Domain
from tests.small_stores import rich_values, write_store

VALUES = rich_values()
DYNAMIC = np.concatenate([VALUES["velocity"], VALUES["pressure"]], axis=2)
STREAMED = {"memory_budget": 0}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("rich") / "s.zarr")


def everything(dataset, **options):
    """All windows by (trajectory, start)."""
    windows = {}
    for batch in DataLoader(dataset, batch_size=3, collate_fn=keep_batch, **options):
        frames = torch.cat([batch["initial"][:, None], batch["target"]], dim=1)
        for row in range(len(frames)):
            place = (int(batch["trajectory"][row]), int(batch["start"][row]))
            windows[place] = (frames[row], batch["mask"][row] if "mask" in batch else None)
    return windows


def test_noise_has_the_size_of_the_field_it_is_on(tmp_path):
    fields = (FieldSpec("velocity", ("x", "y")), FieldSpec("pressure", ("value",)))
    layout = StoreLayout(Domain((1.0, 1.0), (32, 32)), 3, 20, 0.1, fields)
    values = rich_values(layout)
    values["velocity"][:, :, 0] *= 3
    values["velocity"][:, :, 1] += 7
    values["pressure"] *= 100
    values["velocity"][1] *= 10
    values["pressure"][2] = 5
    store = write_store(tmp_path / "s.zarr", layout, values, viscosity=np.full(3, 0.1))
    (source,) = HybridDataset(store, 1, observation=Observation(noise=0.05)).sources
    clean = np.concatenate([values["velocity"], values["pressure"]], axis=2)
    noise = np.stack([source.frames(number) for number in range(3)]) - clean
    speed = np.sqrt((3**2 + 1**2) / 2)
    expected = 0.05 * np.array([[speed, speed, 100], [10 * speed, 10 * speed, 100], [speed, speed, 0]])
    np.testing.assert_allclose(noise.std(axis=(1, 3, 4)), expected, rtol=0.02)
    assert (np.abs(noise.mean(axis=(1, 3, 4))) < 5 * expected / np.sqrt(20 * 1024) + 1e-12).all()
    draws = (noise[:2] / expected[:2, None, :, None, None]).reshape(2 * 20 * 3, 1024)
    correlation = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlation).max() < 5.5 / np.sqrt(1024), "frames, components and trajectories share no noise"


@pytest.mark.parametrize(
    "observation",
    [
        Observation(noise=0.1),
        Observation(noise=0.1, cells=EveryKthCell(3), frames=EveryKthFrame(2)),
        Observation(noise=0.1, points=RandomPoints(30), initial_known=True),
    ],
    ids=["noise", "patterns", "points"],
)
def test_how_windows_are_read_changes_nothing(store, observation):
    (source,) = HybridDataset(store, 3, observation=observation).sources
    expected = [source.frames(number) for number in range(5)]
    for options in ({}, STREAMED, {"num_frames": 5}, {"sim_indices": [4, 1]}, {"use_sliding_window": False}):
        if observation.points and "num_frames" in options:
            continue  # points are drawn among the frames in use
        for num_workers in (0, 2):
            windows = everything(HybridDataset(store, 3, observation=observation, **options), num_workers=num_workers)
            assert len(windows) >= 2
            for (trajectory, start), (frames, mask) in windows.items():
                np.testing.assert_array_equal(frames, expected[trajectory][start : start + 4])
                if mask is not None:
                    np.testing.assert_array_equal(mask[:, 0], source.mask.of(trajectory)[start : start + 4])


def test_noise_is_the_same_where_less_is_seen(store):
    (full,) = HybridDataset(store, 3, observation=Observation(noise=0.1)).sources
    (part,) = HybridDataset(store, 3, observation=Observation(noise=0.1, cells=Centre(0.5))).sources
    seen = part.mask.of(2)
    assert seen.sum() == 6 * (6 * 4)
    np.testing.assert_array_equal(
        part.frames(2).swapaxes(0, 1)[:, seen], full.frames(2).swapaxes(0, 1)[:, seen], strict=True
    )


def test_other_seeds_make_other_noise(store):
    noises = [
        HybridDataset(store, 3, observation=Observation(noise=0.1, seed=seed)).sources[0].frames(0) - DYNAMIC[0]
        for seed in (0, 1)
    ]
    correlation = np.corrcoef(noises[0].ravel(), noises[1].ravel())[0, 1]
    assert abs(correlation) < 5 / np.sqrt(noises[0].size)


def test_the_known_initial_frame_is_complete_and_clean(store):
    observation = Observation(noise=0.1, cells=EveryKthCell(4), frames=FrameFractions((0.6, 1.0)), initial_known=True)
    windows = everything(HybridDataset(store, 3, observation=observation))
    assert list(windows) == [(trajectory, 0) for trajectory in range(5)]  # frame 3 leaves no room for 3 targets
    for (trajectory, _), (frames, mask) in windows.items():
        np.testing.assert_array_equal(frames[0], DYNAMIC[trajectory, 0])
        assert mask.flatten(1).sum(dim=1).tolist() == [80, 0, 0, 3 * 2]


@pytest.mark.parametrize("initial_known", [False, True])
def test_random_points_have_their_number_and_are_drawn_anew(store, initial_known):
    observation = Observation(
        points=RandomPoints(20, seed=3), frames=EveryKthFrame(2), cells=Centre(0.5), initial_known=initial_known
    )
    (source,) = HybridDataset(store, 5, observation=observation).sources
    masks = np.stack([source.mask.of(trajectory) for trajectory in range(5)])
    assert masks[:, initial_known:].sum(axis=(1, 2, 3)).tolist() == [20] * 5
    assert masks[:, 0].sum(axis=(1, 2)).tolist() == [80] * 5 or not initial_known
    allowed = np.zeros((6, 10, 8), bool)
    allowed[::2] = Centre(0.5).cells((10, 8))
    assert not (masks[:, initial_known:] & ~allowed[initial_known:]).any()
    assert len({mask.tobytes() for mask in masks}) == 5
    (alone,) = HybridDataset(store, 5, sim_indices=[3], observation=observation).sources
    np.testing.assert_array_equal(alone.mask.of(0), masks[3])


@pytest.mark.parametrize("memory", [{}, STREAMED], ids=["in memory", "streamed"])
@pytest.mark.parametrize(
    "observation",
    [
        Observation(frames=EveryKthFrame(2), cells=RandomCells(7), noise=0.0),
        Observation(points=RandomPoints(50), initial_known=True),
        Observation(frames=Endpoints()),
    ],
    ids=["patterns", "points", "endpoints"],
)
def test_hidden_values_leave_no_trace(store, tmp_path, memory, observation):
    steps = 5 if observation.frames == Endpoints() else 3
    dataset = HybridDataset(store, steps, observation=observation, **memory)
    changed = {name: values.copy() for name, values in VALUES.items()}
    for trajectory in range(5):
        hidden = ~dataset.sources[0].mask.of(trajectory)
        for name in ("velocity", "pressure"):
            changed[name][trajectory].swapaxes(0, 1)[:, hidden] = 1e6
    other = HybridDataset(write_store(tmp_path / "s.zarr", values=changed), steps, observation=observation, **memory)
    mine, theirs = everything(dataset), everything(other)
    assert mine.keys() == theirs.keys()
    for place, (frames, mask) in mine.items():
        assert torch.equal(frames, theirs[place][0])
        assert torch.equal(mask, theirs[place][1])
        assert not frames[~mask.expand_as(frames)].any()
        assert not mask.all()
    statistics = [measure_statistics(source.sources) for source in (dataset, other)]
    for name, values in vars(statistics[0]).items():
        assert torch.equal(values, getattr(statistics[1], name))


def test_a_mask_is_served_only_if_something_is_hidden(store):
    assert "mask" not in HybridDataset(store, 3)[0]
    assert "mask" not in HybridDataset(store, 3, observation=Observation(0.1, EveryKthFrame(1), Centre(1.0)))[0]
    batch = HybridDataset(store, 3, observation=Observation(frames=EveryKthFrame(2))).batch([0, 3])
    assert (batch["mask"].shape, batch["mask"].dtype) == ((2, 4, 1, 10, 8), torch.bool)
    assert batch["mask"][:, :, 0, 0, 0].tolist() == [[True, False, True, False]] * 2


def test_generated_trajectories_are_seen_in_full(store):
    source = TrajectoriesInMemory(np.ones((2, 4, 3, 10, 8), np.float32), np.array([0.5, 0.6]), observed=False)
    dataset = HybridDataset(store, 3, generated=[source], observation=Observation(0.1, cells=EveryKthCell(2)))
    batch = dataset.batch([16, 2, 15])
    assert batch["observed"].tolist() == [False, True, False]
    assert batch["mask"].flatten(1).sum(dim=1).tolist() == [320, 80, 320]
    assert (batch["target"][[0, 2]] == 1).all()


def test_fields_are_those_of_the_noisy_values(store):
    options = {"observation": Observation(noise=0.1, frames=EveryKthFrame(3))}
    fields = HybridDataset(store, 3, return_fields=True, **options).batch([1, 0])
    tensors = HybridDataset(store, 3, **options).batch([1, 0])
    velocity = fields["target"]["velocity"].values.numpy(["trajectory", "frame", "vector", "x", "y"])
    np.testing.assert_array_equal(velocity, tensors["target"][:, :, :2])
    assert torch.equal(fields["mask"], tensors["mask"])
    assert fields["observed"].tolist() == [True, True]


def statistics_of(frames, observation):
    mask = observation.mask(range(len(frames)), frames.shape[1], frames.shape[3:])
    values = frames.copy()
    observed = [mask.of(number) for number in range(len(frames))]
    observation.apply(values, np.ones(frames.shape[:3:2]), np.arange(len(frames)), observed)
    return measure_statistics([TrajectoriesInMemory(values, np.full(len(frames), 0.1), mask=mask)])


def test_statistics_are_those_of_what_is_seen():
    frames = np.random.default_rng(0).standard_normal((3, 5, 2, 12), np.float32)
    seen = frames[..., ::3].astype(np.float64)
    statistics = statistics_of(frames, Observation(cells=EveryKthCell(3)))
    np.testing.assert_allclose(statistics.mean, seen.mean(axis=(0, 1, 3)), rtol=1e-12)
    np.testing.assert_allclose(statistics.std, seen.std(axis=(0, 1, 3)), rtol=1e-12)
    changes = np.diff(seen, axis=1)
    np.testing.assert_allclose(statistics.increment_std, np.sqrt((changes**2).mean(axis=(0, 1, 3))), rtol=1e-12)


def test_changes_are_measured_between_consecutive_frames_if_there_are_any():
    frames = np.random.default_rng(0).standard_normal((3, 6, 2, 12), np.float32)
    statistics = statistics_of(frames, Observation(frames=FrameFractions((0.0, 0.6, 0.8))))  # frames 0, 3, 4
    changes = frames[:, 4].astype(np.float64) - frames[:, 3]
    np.testing.assert_allclose(statistics.increment_std, np.sqrt((changes**2).mean(axis=(0, 2))), rtol=1e-12)


def test_changes_over_gaps_are_divided_by_their_length():
    frames = np.random.default_rng(0).standard_normal((3, 7, 2, 12), np.float32)
    statistics = statistics_of(frames, Observation(frames=FrameFractions((0.0, 0.35, 1.0))))  # frames 0, 2, 6
    exact = frames.astype(np.float64)
    changes = np.stack([(exact[:, 2] - exact[:, 0]) / 2, (exact[:, 6] - exact[:, 2]) / 4])
    np.testing.assert_allclose(statistics.increment_std, np.sqrt((changes**2).mean(axis=(0, 1, 3))), rtol=1e-12)


def test_a_linear_change_is_found_in_scattered_points():
    frames = np.broadcast_to(0.25 * np.arange(20, dtype=np.float32)[:, None, None], (2, 20, 1, 50)).copy()
    statistics = statistics_of(frames, Observation(points=RandomPoints(30), initial_known=True))
    np.testing.assert_allclose(statistics.increment_std, [0.25], rtol=1e-12)


def test_nothing_seen_twice_is_refused():
    frames = np.random.default_rng(0).standard_normal((2, 6, 1, 12), np.float32)
    with pytest.raises(ValueError, match=r"no cell .* is observed in two frames.*observation\.initial_known: true"):
        statistics_of(frames, Observation(frames=EveryKthFrame(10)))


class Beyond(FramePattern):
    """Frames that are not there."""

    def frames(self, num_frames):
        return [0, num_frames]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise": -0.1}, r"observation\.noise must be a number from 0 on, got -0\.1"),
        ({"noise": float("nan")}, r"observation\.noise must be a number from 0 on, got nan"),
        ({"seed": -1}, r"observation\.seed must not be negative, got -1"),
        ({"frames": Beyond()}, r"observation\.frames: .* names frames \[0, 6\]; name at least one of 0 to 5"),
        ({"cells": RandomCells(81)}, r"observation\.cells: RandomCells\.number is 81, but a frame has 80 cells"),
        ({"cells": Centre(0.05)}, r"observation\.cells: .* at least one of 10 x 8 cells, got 0 of 10 x 8"),
        (
            {"cells": Centre(0.5), "points": RandomPoints(145)},
            r"observation\.points: RandomPoints\.number is 145, but a trajectory has 144 points to draw from",
        ),
        (
            {"cells": Centre(0.5), "points": RandomPoints(121), "initial_known": True},
            "a trajectory has 120 points to draw from; use 120 at most",
        ),
        (
            {"frames": EveryKthFrame(4)},
            r"leaves no window of num_predict_steps 3.* Raise num_predict_steps \(up to 5",
        ),
    ],
)
def test_observations_that_do_not_fit_are_refused(store, settings, message):
    with pytest.raises(ValueError, match=message):
        HybridDataset(store, 3, observation=Observation(**settings))


def test_too_few_random_points_are_refused():
    with pytest.raises(ValueError, match=r"RandomPoints\.number must be at least 1 .* got 0 and 0"):
        RandomPoints(0)
