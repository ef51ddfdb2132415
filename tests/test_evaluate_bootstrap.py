"""Intervals of means over trajectories, against distributions whose mean is known."""

import math

import numpy as np
import pytest

from burgerslab.evaluation.bootstrap import mean_intervals

NUM_DRAWS = 1000


@pytest.mark.parametrize(
    ("draw", "num_trajectories"),
    [
        (lambda rng, shape: rng.normal(1.0, 0.3, shape), 20),
        (lambda rng, shape: rng.exponential(1.0, shape), 100),  # skewness 2
    ],
)
def test_an_interval_holds_the_mean_as_often_as_it_says(draw, num_trajectories):
    values = draw(np.random.default_rng(3), (NUM_DRAWS, num_trajectories))
    # Quantities share resamples; several seeds keep one draw of these from deciding for all.
    parts = [mean_intervals(part, num_resamples=1999, seed=seed) for seed, part in enumerate(np.split(values, 20))]
    intervals = [it for part in parts for it in part]
    coverage = np.mean([it.low <= 1.0 <= it.high for it in intervals])
    # three standard deviations of a fraction that is 0.95
    assert abs(coverage - 0.95) < 3 * math.sqrt(0.95 * 0.05 / NUM_DRAWS)
    widths = np.array([it.high - it.low for it in intervals])
    assert np.mean([it.mean for it in intervals]) == pytest.approx(values.mean(), rel=1e-12)
    spread = values.std(axis=1, ddof=1).mean()
    assert widths.mean() == pytest.approx(2 * 1.96 * spread / math.sqrt(num_trajectories), rel=0.2)


def test_values_that_are_not_finite_are_counted_and_kept():
    rng = np.random.default_rng(0)
    values = rng.normal(1.0, 0.1, (4, 10))
    values[1, :1] = math.inf
    values[2, :4] = math.inf
    values[3, 0] = math.nan
    sound, one, four, unknown = mean_intervals(values)
    assert (sound.num_not_finite, one.num_not_finite, four.num_not_finite, unknown.num_not_finite) == (0, 1, 4, 1)
    assert sound.low < sound.mean < sound.high
    # a resample holds none of 1 in 10 with probability 0.9^10 = 0.35, none of 4 in 10 with 0.006
    assert (one.mean, one.high) == (math.inf, math.inf)
    assert 0.9 < one.low < 1.1
    assert (four.low, four.high) == (math.inf, math.inf)
    assert math.isnan(unknown.mean)
    assert math.isnan(unknown.high)


def test_equal_values_and_a_single_one_have_no_spread_to_resample():
    (equal,) = mean_intervals(np.full((1, 6), 2.0))
    assert (equal.low, equal.mean, equal.high) == (2.0, 2.0, 2.0)
    # So near each other that leaving one out changes no mean, where BCa divides zero by zero.
    (near,) = mean_intervals(np.array([[1.0, 1.0, 1.0, 1.0, 1.0 + 2.3e-16]]))
    assert near.low == pytest.approx(1.0, abs=1e-15)
    assert near.high == pytest.approx(1.0, abs=1e-15)
    (single,) = mean_intervals(np.array([[2.0]]))
    assert single.mean == 2.0
    assert math.isnan(single.low)
    assert math.isnan(single.high)
