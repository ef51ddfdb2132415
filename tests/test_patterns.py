"""Which frames and cells a pattern chooses, against lists counted by hand."""

import numpy as np
import pytest

from burgerslab.data import (
    CellRange,
    Centre,
    Endpoints,
    EveryKthCell,
    EveryKthFrame,
    FrameFractions,
    Mask,
    RandomCells,
)
from burgerslab.data.windows import ListedWindows, observed_starts


@pytest.mark.parametrize(
    ("pattern", "frames"),
    [
        (Endpoints(), [0, 9]),
        (EveryKthFrame(1), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (EveryKthFrame(4), [0, 4, 8]),
        (EveryKthFrame(20), [0]),
        (FrameFractions((0.0, 0.25, 1.0)), [0, 2, 9]),
        (FrameFractions((1.0, 0.99, 0.3)), [3, 9]),
    ],
)
def test_frames_of_ten(pattern, frames):
    assert list(pattern.frames(10)) == frames


@pytest.mark.parametrize(
    ("pattern", "cells"),
    [
        (CellRange((0.0,), (1.0,)), [0, 1, 2, 3, 4, 5, 6, 7]),
        (CellRange((0.25,), (0.5,)), [2, 3]),
        (CellRange((0.3125,), (0.5625,)), [2, 3]),  # the centre of cell 2 is inside, that of cell 4 outside
        (Centre(0.5), [2, 3, 4, 5]),
        (Centre(0.25), [3, 4]),
        (Centre(1.0), [0, 1, 2, 3, 4, 5, 6, 7]),
        (EveryKthCell(3), [0, 3, 6]),
    ],
)
def test_cells_of_eight(pattern, cells):
    assert np.flatnonzero(pattern.cells((8,))).tolist() == cells


@pytest.mark.parametrize(
    ("pattern", "cells"),
    [
        (CellRange((0.5, 0.0), (1.0, 0.5)), [[2, 0], [3, 0]]),
        (Centre(0.5), [[1, 0], [1, 1], [2, 0], [2, 1]]),
        (EveryKthCell(2), [[0, 0], [2, 0]]),
    ],
)
def test_cells_of_two_axes(pattern, cells):
    assert np.argwhere(pattern.cells((4, 2))).tolist() == cells


def test_random_cells_have_their_number_and_stay_what_they_were():
    assert np.flatnonzero(RandomCells(number=3, seed=1).cells((8,))).tolist() == [2, 3, 6]
    assert RandomCells(fraction=0.3).cells((10, 10)).sum() == 30
    assert RandomCells(fraction=0.001).cells((10, 10)).sum() == 1
    assert (RandomCells(10, seed=1).cells((10, 10)) != RandomCells(10, seed=2).cells((10, 10))).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EveryKthFrame(0), r"EveryKthFrame\.k must be at least 1, got 0"),
        (lambda: FrameFractions(()), r"FrameFractions\.fractions must be numbers from 0"),
        (lambda: FrameFractions((0.5, 1.2)), r"to 1, the last, got \[0\.5, 1\.2\]"),
        (lambda: CellRange((0.5,), (0.5,)), r"with 0 <= low < high <= 1, got \[0\.5\] and \[0\.5\]"),
        (lambda: CellRange((0.0,), (0.5, 1.0)), "one per axis"),
        (lambda: CellRange((0.0,), (0.5,)).cells((4, 4)), "need one fraction per axis, 2 of them"),
        (lambda: Centre(0.0), r"Centre\.fraction must be above 0 and at most 1, got 0"),
        (lambda: EveryKthCell(-1), r"EveryKthCell\.k must be at least 1, got -1"),
        (lambda: RandomCells(), r"give RandomCells\.number or RandomCells\.fraction, got None and None"),
        (lambda: RandomCells(3, 0.5), "got 3 and 0.5"),
        (lambda: RandomCells(0), r"RandomCells\.number must be at least 1, got 0"),
        (lambda: RandomCells(fraction=1.5), r"RandomCells\.fraction must be above 0 and at most 1, got 1\.5"),
        (lambda: RandomCells(1, seed=-1), r"RandomCells\.seed must not be negative, got -1"),
        (lambda: RandomCells(9).cells((8,)), r"RandomCells\.number is 9, but a frame has 8 cells; use 8 at most"),
    ],
)
def test_patterns_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("observed", "steps", "sliding", "starts"),
    [
        ([1, 1, 1, 1, 1], 2, True, [0, 1, 2]),
        ([1, 1, 1, 1, 1], 2, False, [0]),
        ([1, 0, 0, 1, 0, 0, 1], 3, True, [0, 3]),
        ([1, 0, 0, 1, 0, 0, 1], 2, True, []),
        ([1, 0, 0, 1, 0, 0, 1], 4, True, [0]),
        ([1, 0, 0, 0, 1], 4, True, [0]),
        ([1, 0, 0, 1, 1], 1, True, [3]),
        ([1, 0, 0, 1, 1], 1, False, []),
        ([0, 1, 0, 1, 0], 2, True, [1]),
        ([0, 1, 0, 1, 0], 2, False, [1]),
        ([0, 0, 0, 0, 1], 2, True, []),
        ([0, 0, 0, 0, 0], 2, False, []),
    ],
)
def test_windows_start_where_something_is_seen_and_see_something(observed, steps, sliding, starts):
    assert observed_starts(np.array(observed, bool), steps, sliding) == starts


def test_listed_windows_are_numbered_trajectory_by_trajectory():
    windows = ListedWindows([[0, 3], [], [1], [0, 1, 2]])
    assert len(windows) == 6
    trajectories, starts = windows.locate(range(6))
    assert trajectories.tolist() == [0, 0, 2, 3, 3, 3]
    assert starts.tolist() == [0, 3, 1, 0, 1, 2]
    assert windows.of(np.array([3, 1, 0])).tolist() == [3, 4, 5, 0, 1]
    with pytest.raises(IndexError, match=r"windows 0 to 6 are not all in 0\.\.5"):
        windows.locate([0, 6])


def test_a_mask_is_read_in_windows():
    always = np.zeros((4, 3), bool)
    always[0] = True
    mask = Mask(always, [np.array([4, 8, 9]), np.array([11])])
    assert mask.of(0).astype(int).tolist() == [[1, 1, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert mask.of(1).astype(int).tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert [mask.frames(number).tolist() for number in (0, 1)] == [[True] * 4, [True, False, False, True]]
    windows = mask.read(np.array([1, 0, 0]), np.array([2, 0, 1]), 2)
    assert windows.astype(int).tolist() == [
        [[0, 0, 0], [0, 0, 1]],
        [[1, 1, 1], [0, 1, 0]],
        [[0, 1, 0], [0, 0, 1]],
    ]
