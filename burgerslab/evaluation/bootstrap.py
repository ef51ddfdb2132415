"""Means over trajectories with their bootstrap intervals."""

import math
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

LEVEL = 0.95
FEWEST_TRAJECTORIES = 5
_NUM_RESAMPLES = 4999
_NUM_AT_ONCE = 2**22  # resampled values in memory: 32 MiB


@dataclass(frozen=True)
class Interval:
    """A mean over independent trajectories, and where it may lie.

    Args:
        mean: The mean; inf or nan if the value of a trajectory is.
        low: Lower end of the interval; nan for a single trajectory.
        high: Upper end.
        num_not_finite: Trajectories whose value is not finite.
    """

    mean: float
    low: float
    high: float
    num_not_finite: int


def mean_intervals(
    values: npt.NDArray[np.float64], level: float = LEVEL, num_resamples: int = _NUM_RESAMPLES, seed: int = 0
) -> list[Interval]:
    """Means over trajectories with BCa bootstrap intervals, for several quantities at once.

    Whole trajectories are resampled, since the frames of one are not independent; all quantities share the resamples.
    The bias-corrected and accelerated interval of Efron (1987, J. Amer. Statist. Assoc. 82, 171) is too short for few
    trajectories by what separates the normal from Student's t quantile; its level is therefore raised to
    1 - 2 Φ(-sqrt(n / (n - 1)) t), t the quantile of n - 1 degrees of freedom (Hesterberg 2015, The American
    Statistician 69, 371, section 4.3). With fewer than 5 trajectories no resampling tells much.

    Args:
        values: One value per quantity and trajectory, ``(K, n)``.
        level: Nominal coverage.
        num_resamples: Resamples of the trajectories.
        seed: Of the resamples.

    Returns:
        One interval per quantity. Where values are not finite, the ends are percentiles of the resampled means, which
        are not finite themselves where a resample holds such a value.
    """
    num_trajectories = values.shape[1]
    means = [float(mean) for mean in values.mean(axis=1)]
    finite = np.isfinite(values)
    varied = finite.all(axis=1) & (np.ptp(np.where(finite, values, 0.0), axis=1) > 0)
    ends = np.array([[mean, mean] for mean in means])  # of values that are all the same
    if num_trajectories == 1:
        ends[:] = math.nan
    elif varied.any():
        expanded = _expanded(level, num_trajectories)
        # Where means are nearly all the same, BCa divides by zero and the ends are nan; see below.
        with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            found = stats.bootstrap(
                (values[varied],),
                np.mean,
                axis=-1,
                vectorized=True,
                n_resamples=num_resamples,
                batch=max(1, _NUM_AT_ONCE // values[varied].size),
                confidence_level=expanded,
                method="BCa",
                rng=np.random.default_rng(seed),
            ).confidence_interval
        ends[varied] = np.stack([found.low, found.high], axis=1)
    if num_trajectories > 1:
        for row in np.flatnonzero(~finite.all(axis=1) | ~np.isfinite(ends).all(axis=1) & varied):
            ends[row] = _percentiles(values[row], level, num_resamples, seed)
    return [
        Interval(mean, float(low), float(high), int(bad))
        for mean, (low, high), bad in zip(means, ends, (~finite).sum(axis=1), strict=True)
    ]


def _expanded(level: float, num_trajectories: int) -> float:
    quantile = stats.t.ppf((1 + level) / 2, num_trajectories - 1)
    tail = stats.norm.sf(math.sqrt(num_trajectories / (num_trajectories - 1)) * quantile)
    return float(1 - 2 * max(tail, 1e-12))


def _percentiles(values: npt.NDArray[np.float64], level: float, num_resamples: int, seed: int) -> list[float]:
    """Order statistics of the resampled means, which may be infinite; nan counts as larger than everything."""
    rows = np.random.default_rng(seed).integers(0, len(values), (num_resamples, len(values)))
    means = np.sort(values[rows].mean(axis=1))
    last = num_resamples - 1
    return [float(means[round(tail * last)]) for tail in ((1 - level) / 2, (1 + level) / 2)]
