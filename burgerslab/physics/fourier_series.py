"""Truncated Fourier series on periodic boxes: their modes, their values on grids of points."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import numpy.typing as npt


def half_space_modes(dimension: int, max_mode: int) -> npt.NDArray[np.int64]:
    """One of each pair ±k of integer wave vectors with 0 < |k| <= max_mode, in lexicographic order: ``(K, C)``."""
    candidates = product(range(-max_mode, max_mode + 1), repeat=dimension)
    origin = (0,) * dimension
    return np.array([k for k in candidates if k > origin and sum(n * n for n in k) <= max_mode**2])


def evaluate_series(
    coefficients: npt.NDArray[np.complex128],
    modes: npt.NDArray[np.int64],
    extent: Sequence[float],
    axes: Sequence[npt.NDArray[np.float64]],
) -> npt.NDArray[np.float64]:
    """Re Σ_k c_k exp(i k·x) on a grid of points, summed axis by axis.

    Args:
        coefficients: c_k of S series, ``(S, K)``.
        modes: Integer wave vectors, ``(K, C)``: k = 2π modes / extent.
        extent: Length of the box along each axis, units L.
        axes: Coordinates of the points along each axis, units L.

    Returns:
        Shape ``(S, len(axes[0]), len(axes[1]), ...)``.
    """
    largest = np.abs(modes).max(axis=0, initial=0)
    spectrum = np.zeros((len(coefficients), *(2 * largest + 1)), dtype=np.complex128)
    spectrum[(slice(None), *(modes + largest).T)] = coefficients
    for degree, points, length in zip(largest, axes, extent, strict=True):
        waves = np.exp(2j * np.pi * np.outer(np.arange(-degree, degree + 1), points) / length)
        spectrum = np.tensordot(spectrum, waves, axes=(1, 0))
    return np.ascontiguousarray(spectrum.real)
