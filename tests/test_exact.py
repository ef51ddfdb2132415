"""The Cole-Hopf solution against published numbers, quadrature, spectral solves, limits and symmetries."""

import tracemalloc

import numpy as np
import pytest

from burgerslab.physics import AccuracyError, ColeHopf, Domain, FourierPotential, RandomFourier, Sine
from tests.reference import cole_hopf, spectral_burgers

DOMAINS = [Domain((1.7,), (64,)), Domain((1.7, 0.9), (32, 24)), Domain((1.7, 0.9, 2.3), (16, 14, 12))]
every_dimension = pytest.mark.parametrize("domain", DOMAINS, ids=["1D", "2D", "3D"])


def random_potential(domain, amplitude=1.0, max_mode=3, seed=1):
    initial = RandomFourier(amplitude, max_mode=max_mode, curl_free=True)
    return initial.sample_potential(domain, np.random.default_rng(seed))


def with_mean(potential, mean):
    return FourierPotential(potential.modes, potential.coefficients, potential.extent, np.array(mean))


def tendency(velocity, viscosity, extent):
    """ν Δu - (u·∇)u by Fourier derivatives, ``(C, *N)``."""
    axes = tuple(range(1, velocity.ndim))
    wave_numbers = [
        2 * np.pi * np.fft.fftfreq(n, 1 / n) / length for n, length in zip(velocity.shape[1:], extent, strict=True)
    ]
    spectrum = np.fft.fftn(velocity, axes=axes)
    result = np.zeros_like(velocity)
    for axis, k in enumerate(np.meshgrid(*wave_numbers, indexing="ij")):
        result -= velocity[axis] * np.fft.ifftn(1j * k * spectrum, axes=axes).real
        result -= viscosity * np.fft.ifftn(k**2 * spectrum, axes=axes).real
    return result


# ---------------------------------------------------------------------------------- numbers from elsewhere


def test_published_slope_of_the_steepest_front():
    """Basdevant et al., Comput. Fluids 14 (1986) 23, table 1: |u_x| = 152.00516 for ν = 0.01/π at t = 1.6037/π."""
    domain = Domain((2.0,), (2048,))
    potential = Sine(random_phase=False).sample_potential(domain, np.random.default_rng(0))
    frame = ColeHopf(1e-12).frames(potential, 0.01 / np.pi, [1.6037 / np.pi], domain)[0, 0]
    k = np.pi * np.fft.fftfreq(2048, 1 / 2048)
    to_front = np.exp(1j * k * (1.0 - domain.spacing[0] / 2))  # the front stands at x = 1, between two cells
    slope = (np.fft.fft(frame) * 1j * k * to_front).mean().real
    assert slope == pytest.approx(-152.00516, abs=5e-6)


@pytest.mark.parametrize("viscosity", [0.1, 0.01, 1e-3, 1e-4])
@pytest.mark.parametrize("time", [0.01, 0.7])
@pytest.mark.parametrize("tolerance", [1e-4, 1e-8, 2e-12])
def test_errors_stay_below_the_tolerance(viscosity, time, tolerance):
    domain = DOMAINS[0]
    potential = random_potential(domain)
    expected = cole_hopf(
        velocity=lambda y: potential.velocity([y])[0],
        potential=lambda y: potential.evaluate([y]),
        x=domain.centres()[0],
        time=time,
        viscosity=viscosity,
        extent=domain.extent[0],
        num_nodes=8192,
    )
    frame = ColeHopf(tolerance).frames(potential, viscosity, [time], domain)[0, 0]
    np.testing.assert_allclose(frame, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("mean", [(0.0, 0.0), (0.3, -0.4)])
def test_an_independent_spectral_solve(mean):
    domain = Domain((1.7, 0.9), (72, 60))
    potential = with_mean(random_potential(domain, max_mode=2), mean)
    expected = spectral_burgers(potential.velocity(domain.centres()), domain.extent, 0.1, 0.2, num_steps=160)
    frame = ColeHopf(1e-12).frames(potential, 0.1, [0.2], domain)[0]
    np.testing.assert_allclose(frame, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("domain", "viscosity"),
    [
        (Domain((1.7,), (128,)), 0.05),
        (Domain((1.7, 0.9), (64, 64)), 0.06),
        (Domain((1.7, 0.9, 1.3), (32, 32, 32)), 0.12),
    ],
    ids=["1D", "2D", "3D"],
)
def test_the_equation_holds(domain, viscosity):
    potential = with_mean(random_potential(domain, max_mode=2), (0.3, -0.2, 0.1)[: domain.dimension])
    step, weights = 0.004, np.array([4 / 5, -1 / 5, 4 / 105, -1 / 280])  # of order 8
    times = 0.15 + step * np.array([-4, -3, -2, -1, 0, 1, 2, 3, 4])
    frames = ColeHopf(1e-13).frames(potential, viscosity, times, domain)
    rate = sum(w * (frames[4 + j] - frames[4 - j]) for j, w in enumerate(weights, start=1)) / step
    expected = tendency(frames[4], viscosity, domain.extent)
    np.testing.assert_allclose(rate, expected, rtol=0, atol=1e-8 * np.abs(expected).max())


# --------------------------------------------------------------------------------------------------- limits


@every_dimension
def test_early_frames_leave_the_initial_velocity_along_its_tendency(domain):
    domain = Domain(domain.extent, (8,) * domain.dimension)  # enough for the derivatives of three waves
    potential = random_potential(domain)
    initial = potential.velocity(domain.centres())
    frames = ColeHopf(1e-12).frames(potential, 0.02, [0.0, 1e-6], domain)
    np.testing.assert_array_equal(frames[0], initial)
    np.testing.assert_allclose(frames[1], initial + 1e-6 * tendency(initial, 0.02, domain.extent), atol=1e-9)


@every_dimension
def test_a_weak_wave_only_diffuses(domain):
    initial = Sine(amplitude=1e-6, random_phase=False)
    frame = ColeHopf(1e-13).frames(initial.sample_potential(domain, np.random.default_rng(0)), 0.02, [2.0], domain)[0]
    expected = initial.sample(domain, np.random.default_rng(0))
    for component, length in zip(expected, domain.extent, strict=True):
        component *= np.exp(-0.02 * (2 * np.pi / length) ** 2 * 2.0)
    # advection adds a second harmonic, of relative size A k t / 2 < 1e-5
    np.testing.assert_allclose(frame, expected, rtol=0, atol=1e-11)


def test_without_viscosity_velocities_travel_unchanged():
    """u(x + u0(x) t, t) = u0(x) until the front forms, up to O(ν)."""
    domain = Domain((1.0,), (64,))
    potential = Sine(random_phase=False).sample_potential(domain, np.random.default_rng(0))
    time, viscosity = 0.1, 1e-6  # the front forms at 1 / (2π) = 0.159
    feet = domain.centres()[0].copy()
    for _ in range(60):
        feet -= (feet + np.sin(2 * np.pi * feet) * time - domain.centres()[0]) / (
            1 + 2 * np.pi * np.cos(2 * np.pi * feet) * time
        )
    frame = ColeHopf().frames(potential, viscosity, [time], domain)[0, 0]
    np.testing.assert_allclose(frame, np.sin(2 * np.pi * feet), rtol=0, atol=1e-4)


# ----------------------------------------------------------------------------- symmetries and conservation


@pytest.mark.parametrize(("dimension", "axis"), [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)])
def test_a_potential_of_one_axis_gives_the_solution_in_one_dimension(dimension, axis):
    domain = DOMAINS[dimension - 1]
    line = Domain(domain.extent[axis : axis + 1], domain.resolution[axis : axis + 1])
    alone = random_potential(line)
    modes = np.zeros((len(alone.modes), dimension), dtype=np.int64)
    modes[:, axis] = alone.modes[:, 0]
    potential = FourierPotential(modes, alone.coefficients, domain.extent, np.zeros(dimension))
    expected = ColeHopf(1e-12).frames(alone, 0.005, [0.3], line)[0, 0]
    frame = ColeHopf(1e-12).frames(potential, 0.005, [0.3], domain)[0]
    shape = [1] * dimension
    shape[axis] = -1
    for component in range(dimension):
        wanted = np.broadcast_to(expected.reshape(shape) if component == axis else 0.0, domain.resolution)
        np.testing.assert_allclose(frame[component], wanted, rtol=0, atol=2e-12)


def test_exchanging_axes_exchanges_components():
    domain = DOMAINS[2]
    potential = with_mean(random_potential(domain), (0.3, -0.2, 0.1))
    order = [2, 0, 1]
    turned = FourierPotential(
        potential.modes[:, order],
        potential.coefficients,
        tuple(potential.extent[axis] for axis in order),
        potential.mean_velocity[order],
    )
    turned_domain = Domain(turned.extent, tuple(domain.resolution[axis] for axis in order))
    frame = ColeHopf(1e-12).frames(potential, 0.03, [0.2], domain)[0]
    turned_frame = ColeHopf(1e-12).frames(turned, 0.03, [0.2], turned_domain)[0]
    np.testing.assert_allclose(turned_frame, frame[order].transpose(0, *(1 + axis for axis in order)), atol=2e-12)


@every_dimension
def test_a_mean_flow_carries_the_solution_along(domain):
    potential = random_potential(domain)
    time, cells = 0.25, (3, -2, 5)[: domain.dimension]
    mean = np.array([n * dx / time for n, dx in zip(cells, domain.spacing, strict=True)])
    still = ColeHopf(1e-12).frames(potential, 0.02, [time], domain)[0]
    moving = ColeHopf(1e-12).frames(with_mean(potential, mean), 0.02, [time], domain)[0]
    expected = np.roll(still, cells, axis=tuple(range(1, still.ndim))) + mean.reshape(-1, *(1,) * domain.dimension)
    np.testing.assert_allclose(moving, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("domain", "viscosity"), list(zip(DOMAINS, (2e-5, 1e-3, 1e-2), strict=True)), ids=str)
def test_velocities_stay_within_the_initial_ones(domain, viscosity):
    potential = random_potential(domain)
    fine = [np.linspace(0, length, 4 * n) for n, length in zip(domain.resolution, domain.extent, strict=True)]
    for frame in ColeHopf(1e-9).frames(potential, viscosity, [0.01, 0.5, 8.0], domain):
        for component, initial in zip(frame, potential.velocity(fine), strict=True):
            assert component.max() <= initial.max() * 1.003  # what may lie between the fine points
            assert component.min() >= initial.min() * 1.003


@every_dimension
def test_the_mean_is_conserved(domain):
    mean = np.array((0.3, -0.2, 0.1)[: domain.dimension])
    frames = ColeHopf(1e-12).frames(with_mean(random_potential(domain, 0.5), mean), 0.3, [0.05, 0.5, 50.0], domain)
    means = frames.mean(axis=tuple(range(2, frames.ndim)))
    np.testing.assert_allclose(means, np.broadcast_to(mean, means.shape), rtol=0, atol=1e-9)
    everywhere = np.broadcast_to(mean.reshape(-1, *(1,) * domain.dimension), frames[2].shape)
    np.testing.assert_allclose(frames[2], everywhere, rtol=0, atol=1e-11)  # waves have died out


# ------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("domain", "viscosity", "tolerance", "message"),
    [
        (DOMAINS[0], 1e-7, 1e-10, r"loses \S+ to rounding in double precision, tolerance is 1\.0e-10"),
        (DOMAINS[0], 0.01, 1e-15, r"loses \S+ to rounding in double precision, tolerance is 1\.0e-15"),
        (DOMAINS[2], 1e-6, 1e-8, r"needs \S+ (weights per frame|GiB of memory) at time 0\.01, at most"),
    ],
    ids=["viscosity", "tolerance", "work"],
)
def test_the_smallest_viscosity_that_works_is_named_and_works(domain, viscosity, tolerance, message):
    potential = random_potential(domain)
    solution = ColeHopf(tolerance)
    with pytest.raises(AccuracyError, match=message) as raised:
        solution.frames(potential, viscosity, [0.0, 0.01], domain)
    smallest = float(str(raised.value).split("initial velocity is ")[1])
    solution.check(potential, smallest, [0.0, 0.01], domain)
    with pytest.raises(AccuracyError):
        solution.check(potential, 0.98 * smallest, [0.0, 0.01], domain)


def test_a_grid_too_large_at_any_viscosity_is_refused():
    domain = Domain((1.7, 0.9, 2.3), (1024, 1024, 1024))
    with pytest.raises(AccuracyError, match=r"No viscosity works on this grid; use a coarser resolution"):
        ColeHopf().frames(random_potential(DOMAINS[2]), 0.1, [0.1], domain)


def test_memory_stays_bounded():
    domain = Domain((1.0, 1.0), (16, 16))
    potential = random_potential(domain)
    solution = ColeHopf(1e-8)
    solution.frames(potential, 1e-4, [0.01], domain)
    tracemalloc.start()
    solution.frames(potential, 2e-6, [0.002], domain)  # 15 million nodes, 360 MB at once
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6


@pytest.mark.parametrize(
    ("viscosity", "times", "extent", "message"),
    [
        (0.0, [0.1], 1.7, "viscosity must be positive and finite, got 0"),
        (0.1, [], 1.7, "times must be one or more numbers"),
        (0.1, [-0.1], 1.7, r"times must be one or more numbers that are not negative, got \[-0\.1\]"),
        (0.1, [0.1], 1.8, r"the potential has the extent \[1\.7\], domain \[1\.8\]"),
    ],
)
def test_arguments_out_of_range_are_refused(viscosity, times, extent, message):
    with pytest.raises(ValueError, match=message):
        ColeHopf().frames(random_potential(DOMAINS[0]), viscosity, times, Domain((extent,), (64,)))


@pytest.mark.parametrize("tolerance", [0.0, 1e-16, 0.1, float("nan")])
def test_tolerances_out_of_range_are_refused(tolerance):
    with pytest.raises(ValueError, match=r"ColeHopf\.tolerance must be between 1e-15 and 1e-2, got"):
        ColeHopf(tolerance)
