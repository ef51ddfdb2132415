"""Spacing up to rounding, centring, and the end point that repeats the first."""

import math

import numpy as np
import pytest

from burgerslab.data.foreign import Axis, ForeignFileError, evenly_spaced
from burgerslab.data.foreign.coordinates import repeats_first_point, shortest


def accumulated(step, count):
    """A float32 clock that is advanced step by step."""
    return np.cumsum(np.full(count, step, np.float32), dtype=np.float32) - np.float32(step)


@pytest.mark.parametrize(
    ("values", "spacing", "first"),
    [
        (np.arange(202) * 0.01, 0.01, 0.0),
        (np.arange(202, dtype=np.float32) * np.float32(0.01), 0.01, 0.0),
        (np.arange(202, dtype=np.float32).astype(np.float64) * 0.01 + 5, 0.01, 5.0),
        ((np.arange(1024, dtype=np.float32) + 0.5) / 1024, 1 / 1024, 0.5 / 1024),
        (np.linspace(0, 1, 33)[:, None], 1 / 32, 0.0),
        (np.linspace(0, 2 * math.pi, 64, endpoint=False), 2 * math.pi / 64, 0.0),
        (np.array([3, 5, 7]), 2.0, 3.0),
    ],
)
def test_even_spacing(values, spacing, first):
    found = evenly_spaced(values, "x")
    assert found.spacing == pytest.approx(spacing, rel=1e-15)
    assert (found.first, found.count) == (first, values.size)


def test_the_mean_interval_of_a_clock_that_drifts():
    clock = accumulated(0.01, 1001)  # ends at 10.0001335, not at 10
    found = evenly_spaced(clock, "t")
    assert abs(float(clock[-1]) - 10) > 1e-4
    assert found.spacing == pytest.approx(float(clock[-1]) / 1000, rel=1e-6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.linspace(0, 1, 20) ** 1.02, r"x is not evenly spaced: entry \d+ is 0.\d+ instead of 0.\d+ "),
        (np.array([0, 1, 2, 3.05, 4]), "entry 3 is 3.05 instead of 3 "),
        (np.array([0, 1, 1, 2]), r"x must increase; it does not after positions \[1\]"),
        (np.arange(5.0)[::-1], "x decreases; reverse it, and the data along it"),
        (np.array([0, np.nan, 2]), r"x holds values that are not finite, at positions \[1\]"),
        (np.zeros((3, 3)), r"x must be a list of at least 2 real numbers, got shape \(3, 3\) of float64"),
        (np.array([1.0]), r"at least 2 real numbers, got shape \(1,\)"),
        (np.array(["a", "b"]), "real numbers, got shape"),
    ],
)
def test_uneven_spacing_is_refused(values, message):
    with pytest.raises(ForeignFileError, match=message):
        evenly_spaced(values, "x")


@pytest.mark.parametrize(
    ("low", "high", "num_cells"),
    [(0, 1, 128), (-1, 1, 255), (-1, 1, 256), (0, 2 * math.pi, 50), (-8, 8, 33), (2, 3, 9)],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_centring(low, high, num_cells, dtype):
    spacing = (high - low) / num_cells
    nodes = (low + spacing * np.arange(num_cells + 1)).astype(dtype)
    centres = (low + spacing * (np.arange(num_cells) + 0.5)).astype(dtype)
    for points, expected in ((nodes[:-1], "node"), (centres, "cell"), (nodes, "node")):
        axis = Axis(len(points), evenly_spaced(points, "x"))
        assert axis.centring(num_cells) == expected
        assert axis.extent(num_cells, "x") == pytest.approx(high - low, rel=3e-7 if dtype == "float32" else 1e-15)
        assert axis.origin == pytest.approx(float(points[0]) - spacing / 2, abs=1e-6)


def test_centring_of_a_box_that_begins_anywhere_is_unknown():
    axis = Axis(10, evenly_spaced(0.3 + np.arange(10.0), "x"))
    assert axis.centring(10) == "unknown"
    assert Axis(10, None, 1.0).centring(10) == "unknown"


def test_length_and_coordinates_must_agree():
    points = evenly_spaced(np.arange(10) / 10, "x")
    assert Axis(10, points, 1.0).extent(10, "x") == 1.0
    with pytest.raises(ForeignFileError, match=r"length along x is 0.9, but 10 points .* have the period 1; correct"):
        Axis(10, points, 0.9).extent(10, "x")


def test_end_points_that_repeat_the_first():
    nodes = np.linspace(0, 2 * math.pi, 65)
    cells = nodes[:-1] + math.pi / 64
    waves = np.stack([np.sin(nodes), np.cos(3 * nodes)]).astype(np.float32)
    assert repeats_first_point(waves, -1)
    assert not repeats_first_point(waves[:, :-1], -1)
    assert not repeats_first_point(np.stack([np.sin(cells), np.cos(3 * cells)]), -1)
    assert not repeats_first_point(np.ones((2, 64)), -1)  # which says nothing
    plane = np.sin(nodes)[:, None] + np.cos(nodes[:-1] + 0.3)
    assert repeats_first_point(plane, -2)
    assert not repeats_first_point(plane, -1)


@pytest.mark.parametrize(
    ("value", "uncertainty", "expected"),
    [(0.0099999998, 1e-7, 0.01), (0.0099999998, 1e-9, 0.0099999998), (1 / 3, 1e-3, 0.333), (math.pi, 0.0, math.pi)],
)
def test_shortest(value, uncertainty, expected):
    assert shortest(value, uncertainty) == expected
