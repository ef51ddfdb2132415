"""Potentials: their velocities, what is found in samples, what the bounds bound."""

import numpy as np
import pytest

from burgerslab.physics import (
    Domain,
    FourierPotential,
    InitialCondition,
    NoPotentialError,
    PhiFlowNoise,
    RandomFourier,
    Shock,
    Sine,
)

DOMAINS = [Domain((1.7,), (48,)), Domain((1.7, 0.9), (24, 20)), Domain((1.7, 0.9, 2.3), (16, 14, 13))]
every_dimension = pytest.mark.parametrize("domain", DOMAINS, ids=["1D", "2D", "3D"])
gradients = pytest.mark.parametrize("initial", [RandomFourier(curl_free=True), Sine(mode=2)], ids=str)


def stream():
    return np.random.default_rng(5)


def test_a_hand_made_potential():
    """ψ = 2 sin(2π x / 3) cos(4π y) = sin(2π x / 3 + 4π y) + sin(2π x / 3 - 4π y), and u = ∇ψ + (1, -1)."""
    potential = FourierPotential(
        np.array([[1, 2], [1, -2]]), np.array([-1j, -1j]), (3.0, 1.0), mean_velocity=np.array([1.0, -1.0])
    )
    x, y = np.array([0.0, 0.75, 2.0]), np.array([0.1, 0.25])
    column = x[:, None]
    np.testing.assert_allclose(
        potential.evaluate([x, y]), 2 * np.sin(2 * np.pi * column / 3) * np.cos(4 * np.pi * y), atol=1e-14
    )
    expected = [
        4 * np.pi / 3 * np.cos(2 * np.pi * column / 3) * np.cos(4 * np.pi * y) + 1,
        -8 * np.pi * np.sin(2 * np.pi * column / 3) * np.sin(4 * np.pi * y) - 1,
    ]
    np.testing.assert_allclose(potential.velocity([x, y]), expected, atol=1e-13)


@every_dimension
@gradients
def test_the_potential_is_that_of_the_sampled_velocity(initial, domain):
    potential = initial.sample_potential(domain, stream())
    np.testing.assert_allclose(potential.velocity(domain.centres()), initial.sample(domain, stream()), atol=1e-13)


@every_dimension
@gradients
def test_a_potential_is_found_in_samples(initial, domain):
    drawn = initial.sample_potential(domain, stream())
    column = (-1, *(1,) * domain.dimension)
    mean = np.array([0.3, -0.2, 0.1][: domain.dimension])
    found = FourierPotential.from_velocity(drawn.velocity(domain.centres()) + mean.reshape(column), domain)
    np.testing.assert_allclose(found.mean_velocity, mean, atol=1e-14)
    elsewhere = [np.linspace(0, length, 7) for length in domain.extent]
    np.testing.assert_allclose(found.evaluate(elsewhere), drawn.evaluate(elsewhere), atol=1e-13)
    single = FourierPotential.from_velocity(drawn.velocity(domain.centres()).astype(np.float32), domain)
    np.testing.assert_allclose(single.evaluate(elsewhere), drawn.evaluate(elsewhere), atol=1e-6)


@every_dimension
def test_a_uniform_flow_has_no_waves(domain):
    found = FourierPotential.from_velocity(np.full((domain.dimension, *domain.resolution), 0.3), domain)
    assert found.modes.shape == (0, domain.dimension)
    np.testing.assert_allclose(found.mean_velocity, 0.3, rtol=1e-15)
    assert found.range_bound == 0


def test_in_one_dimension_every_random_series_has_a_potential():
    initial = RandomFourier(curl_free=False)
    velocity = initial.sample_potential(DOMAINS[0], stream()).velocity(DOMAINS[0].centres())
    np.testing.assert_allclose(velocity, initial.sample(DOMAINS[0], stream()), atol=1e-13)


@pytest.mark.parametrize("domain", [Domain((1.0,), (96,)), Domain((1.0, 2.0), (96, 144))], ids=["1D", "2D"])
def test_fronts_that_are_resolved_have_a_potential(domain):
    initial = Shock(width=0.08)
    velocity = initial.sample_potential(domain, stream()).velocity(domain.centres())
    np.testing.assert_allclose(velocity, initial.sample(domain, stream()), atol=1e-5)


@every_dimension
def test_bounds_lie_just_above_the_largest_values(domain):
    potential = RandomFourier(curl_free=True).sample_potential(domain, stream())
    points = [np.linspace(0, length, {1: 2000, 2: 300, 3: 60}[domain.dimension]) for length in domain.extent]
    velocity = np.abs(potential.velocity(points)).reshape(domain.dimension, -1).max(axis=1)
    largest = {1: 1.2, 2: 1.4, 3: 1.7}[domain.dimension]
    assert (velocity <= potential.speed_bounds).all()
    assert (potential.speed_bounds <= largest * velocity).all()
    assert np.ptp(potential.evaluate(points)) <= potential.range_bound
    for axis in range(domain.dimension):
        slope = np.gradient(potential.velocity(points)[axis], points[axis], axis=axis)
        assert np.abs(slope).max() <= potential.curvature_bounds[axis] <= 1.1 * largest * np.abs(slope).max()


def test_velocities_with_curl_are_refused():
    for initial in (RandomFourier(), PhiFlowNoise(scale=0.5)):
        with pytest.raises(NoPotentialError, match=r"(RandomFourier|PhiFlowNoise).* curl.*curl_free: true"):
            initial.sample_potential(DOMAINS[1], stream())
    gradient = RandomFourier(curl_free=True).sample(DOMAINS[1], stream())
    rotation = RandomFourier().sample(DOMAINS[1], stream())
    FourierPotential.from_velocity(gradient + 1e-7 * rotation, DOMAINS[1])
    with pytest.raises(NoPotentialError, match=r"\de-06 of it is rotational, at most 1e-06 may be"):
        FourierPotential.from_velocity(gradient + 1e-5 * rotation, DOMAINS[1])


class Jump(InitialCondition):
    def sample(self, domain, generator):
        return np.sign(domain.centres()[0] - 0.8)[None]


@pytest.mark.parametrize("initial", [Shock(width=0.01), Jump()], ids=["Shock", "Jump"])
def test_fronts_between_cells_are_refused(initial):
    with pytest.raises(
        NoPotentialError, match=r"(Shock|Jump): the cells do not resolve this velocity: .* at most 1e-06"
    ):
        initial.sample_potential(DOMAINS[0], stream())


@pytest.mark.parametrize(
    ("modes", "coefficients", "message"),
    [
        ([[1], [0]], [1j, 1j], "holds the zero mode; give its velocity as mean_velocity"),
        ([[1, 0]], [1j], r"must have the shapes \(K, C\), \(K,\) and \(C,\) with C = 1 axes of extent, got"),
        ([[1]], [1j, 1j], "must have the shapes"),
    ],
)
def test_series_that_make_no_sense_are_refused(modes, coefficients, message):
    with pytest.raises(ValueError, match=message):
        FourierPotential(np.array(modes), np.array(coefficients), (1.0,), np.zeros(1))


def test_samples_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"velocity must be finite and of shape \(C, \*N\) = \(1, 48\), got \(48,\)"):
        FourierPotential.from_velocity(np.zeros(48), DOMAINS[0])
