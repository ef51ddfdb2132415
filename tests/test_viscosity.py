"""Draws of the viscosity."""

import numpy as np
import pytest

from burgerslab.physics import ConstantViscosity, LogUniformViscosity


def test_a_constant_draws_nothing() -> None:
    generator = np.random.default_rng(3)
    assert [ConstantViscosity(0.02).sample(generator) for _ in range(3)] == [0.02, 0.02, 0.02]
    assert generator.random() == np.random.default_rng(3).random()


def test_every_decade_is_equally_likely() -> None:
    generator = np.random.default_rng(3)
    viscosity = LogUniformViscosity(1e-4, 1e-1)
    draws = np.array([viscosity.sample(generator) for _ in range(3000)])
    assert draws.min() >= 1e-4
    assert draws.max() <= 1e-1
    counts, _ = np.histogram(np.log10(draws), bins=[-4, -3, -2, -1])
    np.testing.assert_allclose(counts, [1000, 1000, 1000], atol=4 * np.sqrt(3000 * 2 / 9))  # four standard deviations
    assert draws[0] == viscosity.sample(np.random.default_rng(3))


@pytest.mark.parametrize("value", [0.0, -0.1, float("nan"), float("inf")])
def test_a_viscosity_is_positive(value: float) -> None:
    with pytest.raises(ValueError, match=f"viscosity must be positive and finite, got {value}"):
        ConstantViscosity(value)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.1, 0.1), (0.2, 0.1), (0.1, float("inf"))])
def test_a_range_of_viscosities_is_ordered(low: float, high: float) -> None:
    with pytest.raises(ValueError, match=f"viscosity needs 0 < low < high, got low {low} and high {high}"):
        LogUniformViscosity(low, high)
