"""Index arithmetic of windows, splits and epochs, against numbers counted by hand."""

import numpy as np
import pytest

from burgerslab.data.split import split_trajectories
from burgerslab.data.windows import EpochSampler, SolveSampler, Windows


def test_sliding_windows_start_at_every_frame_with_room_for_their_targets():
    windows = Windows(num_trajectories=2, num_frames=5, num_predict_steps=2)
    assert (len(windows), windows.num_per_trajectory) == (6, 3)
    trajectories, starts = windows.locate(range(6))
    assert trajectories.tolist() == [0, 0, 0, 1, 1, 1]
    assert starts.tolist() == [0, 1, 2, 0, 1, 2]


def test_windows_that_do_not_slide_start_at_the_first_frame():
    windows = Windows(num_trajectories=3, num_frames=5, num_predict_steps=2, sliding=False)
    assert len(windows) == 3
    trajectories, starts = windows.locate([2, 0, 1])
    assert trajectories.tolist() == [2, 0, 1]
    assert starts.tolist() == [0, 0, 0]


def test_the_longest_window_takes_a_whole_trajectory():
    windows = Windows(num_trajectories=2, num_frames=5, num_predict_steps=4)
    assert [indices.tolist() for indices in windows.locate([0, 1])] == [[0, 1], [0, 0]]


def test_no_window_is_located_for_no_number():
    assert [indices.tolist() for indices in Windows(2, 5, 2).locate([])] == [[], []]


@pytest.mark.parametrize("number", [-1, 6])
def test_a_window_that_does_not_exist_is_refused(number):
    with pytest.raises(IndexError, match=r"are not all in 0\.\.5"):
        Windows(2, 5, 2).locate([0, number])


def test_a_window_longer_than_the_trajectories_is_refused():
    with pytest.raises(
        ValueError, match="needs trajectories of at least 6 frames, got 5: set num_predict_steps to 4"
    ):
        Windows(2, 5, 5)
    with pytest.raises(ValueError, match="num_predict_steps must be at least 1, got 0"):
        Windows(2, 5, 0)


@pytest.mark.parametrize(
    ("num_trajectories", "fractions", "sizes"),
    [
        (10, (0.8, 0.1, 0.1), (8, 1, 1)),
        (64, (0.8, 0.1, 0.1), (51, 7, 6)),
        (3, (0.8, 0.1, 0.1), (1, 1, 1)),
        (4, (0.2, 0.4, 0.4), (1, 2, 1)),
        (5, (0.0, 0.5, 0.5), (0, 3, 2)),
        (10, (0.5, 0.2, 0.0), (5, 2, 0)),
        (10, (1.0, 0.0, 0.0), (10, 0, 0)),
        (100, (0.29, 0.01, 0.7), (29, 1, 70)),
        (7, (0.3, 0.3, 0.3), (2, 2, 2)),
    ],
)
def test_parts_have_their_fractions_and_share_nothing(num_trajectories, fractions, sizes):
    parts = split_trajectories(num_trajectories, fractions, seed=3)
    assert tuple(map(len, parts)) == sizes
    together = np.concatenate(parts)
    assert len(set(together.tolist())) == sum(sizes)
    assert set(together.tolist()) <= set(range(num_trajectories))
    assert all(np.all(np.diff(part) > 0) for part in parts)


def test_a_split_is_a_function_of_the_seed_and_stays_what_it_was():
    def as_lists(seed):
        return [part.tolist() for part in split_trajectories(8, (0.5, 0.25, 0.25), seed)]

    assert as_lists(0) == [[0, 4, 6, 7], [2, 5], [1, 3]]
    assert as_lists(0) == as_lists(0)
    assert as_lists(1) != as_lists(0)


@pytest.mark.parametrize(
    ("num_trajectories", "fractions", "message"),
    [
        (
            2,
            (0.8, 0.1, 0.1),
            "needs at least 3 trajectories, got 2; use more trajectories or set some fractions to 0",
        ),
        (10, (0.8, 0.2, 0.1), "sum to at most 1, got"),
        (10, (1.1, -0.1, 0.0), "fractions between 0 and 1"),
        (10, (float("nan"), 0.1, 0.1), "fractions between 0 and 1"),
    ],
)
def test_fractions_that_do_not_fit_are_refused(num_trajectories, fractions, message):
    with pytest.raises(ValueError, match=message):
        split_trajectories(num_trajectories, fractions, seed=0)


BLOCKS = [range(4 * block, 4 * block + 4) for block in range(6)]


def order_in(epoch, **options):
    sampler = EpochSampler(BLOCKS, **options)
    sampler.set_epoch(epoch)
    return list(sampler)


def test_every_window_comes_once_per_epoch():
    sampler = EpochSampler(BLOCKS, seed=1)
    assert len(sampler) == 24
    assert sorted(sampler) == list(range(24))


def test_the_order_is_a_function_of_seed_and_epoch():
    assert order_in(3, seed=1) == order_in(3, seed=1)
    orders = [order_in(epoch, seed=seed) for seed in (0, 1) for epoch in (0, 1, 2)]
    assert len({tuple(order) for order in orders}) == 6
    sampler = EpochSampler(BLOCKS, seed=1)
    list(sampler)
    sampler.set_epoch(3)
    assert list(sampler) == order_in(3, seed=1)


def test_without_shuffling_windows_keep_their_order():
    assert order_in(5, shuffle=False) == list(range(24))


@pytest.mark.parametrize("group_size", [None, 2])
@pytest.mark.parametrize("num_windows", [24, 23])
def test_ranks_share_the_windows_equally(group_size, num_windows):
    blocks = [range(20), range(20, num_windows)]
    options = {"seed": 1, "group_size": group_size, "num_ranks": 2}
    samplers = [EpochSampler(blocks, rank=rank, **options) for rank in (0, 1)]
    left_out = set()
    for epoch in range(30):
        for sampler in samplers:
            sampler.set_epoch(epoch)
        first, second = map(list, samplers)
        assert len(first) == len(second) == len(samplers[0]) == num_windows // 2
        assert not set(first) & set(second)
        left_out |= set(range(num_windows)) - set(first) - set(second)
    assert (len(left_out) > 5) == (num_windows == 23), "what is left over must differ from epoch to epoch"


@pytest.mark.parametrize(("group_size", "visits"), [(1, [1] * 6), (2, [2] * 3), (4, [4, 2]), (6, [6])])
def test_a_group_is_finished_before_the_next_begins(group_size, visits):
    blocks_in_order = [window // 4 for window in order_in(2, seed=1, group_size=group_size)]
    seen, first = set(), 0
    for num_blocks in visits:
        group = set(blocks_in_order[first : first + 4 * num_blocks])
        assert len(group) == num_blocks
        assert not group & seen
        seen |= group
        first += 4 * num_blocks
    assert seen == set(range(6))
    assert sum(np.diff(blocks_in_order) != 0) > (5 if group_size > 1 else 4), "windows are shuffled within a group"


@pytest.mark.parametrize(
    ("num_windows", "num_ranks", "parts"),
    [
        (5, 1, [[0, 1, 2, 3, 4]]),
        (5, 2, [[0, 2, 4], [1, 3]]),
        (2, 3, [[0], [1], []]),
    ],
)
def test_a_solve_serves_every_window_once(num_windows, num_ranks, parts):
    samplers = [SolveSampler(num_windows, rank, num_ranks) for rank in range(num_ranks)]
    for epoch in (0, 1):
        for sampler in samplers:
            sampler.set_epoch(epoch)
        assert [list(sampler) for sampler in samplers] == parts
    assert [len(sampler) for sampler in samplers] == list(map(len, parts))
