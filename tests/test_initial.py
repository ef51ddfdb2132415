"""Initial velocities: amplitudes, spectra, formulas, seeds."""

import random

import numpy as np
import pytest
import torch
from phi import math

from burgerslab.physics import Domain, InitialCondition, PhiFlowNoise, RandomFourier, Shock, Sine

DOMAINS = [Domain((1.7,), (48,)), Domain((1.7, 0.9), (24, 20)), Domain((1.7, 0.9, 2.3), (16, 14, 12))]
RANDOM = [RandomFourier(), RandomFourier(curl_free=True), PhiFlowNoise(scale=0.5), Sine(), Shock()]

every_dimension = pytest.mark.parametrize("domain", DOMAINS, ids=["1D", "2D", "3D"])


def draw(initial: InitialCondition, domain: Domain, seed: int = 5) -> np.ndarray:
    return initial.sample(domain, np.random.default_rng(seed))


def rms_speed(velocity: np.ndarray) -> float:
    return float(np.sqrt((velocity**2).sum(axis=0).mean()))


# --------------------------------------------------------------------------------------------- all of them


@every_dimension
@pytest.mark.parametrize("initial", RANDOM, ids=str)
def test_a_seed_decides_the_draw(initial: InitialCondition, domain: Domain) -> None:
    velocity = draw(initial, domain)
    assert velocity.shape == (domain.dimension, *domain.resolution)
    assert velocity.dtype == np.float64
    np.testing.assert_array_equal(velocity, draw(initial, domain))
    other = draw(initial, domain, seed=6)
    assert np.linalg.norm(velocity - other) > 0.1 * np.linalg.norm(velocity)


@every_dimension
@pytest.mark.parametrize("initial", RANDOM, ids=str)
def test_the_mean_flow_is_zero(initial: InitialCondition, domain: Domain) -> None:
    if isinstance(initial, Shock):
        initial = Shock(width=0.3)  # sharper fronts leave a mean that depends on where they cut the cells
    velocity = draw(initial, domain)
    np.testing.assert_allclose(velocity.reshape(domain.dimension, -1).mean(axis=1), 0, atol=2e-7)


@every_dimension
@pytest.mark.parametrize("amplitude", [0.3, 4.0])
def test_amplitude_is_the_rms_speed_of_random_fields(amplitude: float, domain: Domain) -> None:
    for initial in (
        RandomFourier(amplitude),
        RandomFourier(amplitude, curl_free=True),
        PhiFlowNoise(amplitude, scale=0.5),
    ):
        assert rms_speed(draw(initial, domain)) == pytest.approx(amplitude, rel=1e-12)


@every_dimension
def test_amplitude_is_the_peak_of_waves_and_fronts(domain: Domain) -> None:
    for initial in (Sine(0.3), Shock(0.3, width=0.1)):
        for component in draw(initial, domain):
            assert 0.27 < component.max() <= 0.3
            assert -0.27 > component.min() >= -0.3


@pytest.mark.parametrize(
    "initial", [RandomFourier((0.5, 2.0)), PhiFlowNoise((0.5, 2.0)), Sine((0.5, 2.0)), Shock((0.5, 2.0))], ids=str
)
def test_a_pair_of_amplitudes_is_a_uniform_range(initial: InitialCondition) -> None:
    generator = np.random.default_rng(1)
    samples = [initial.sample(DOMAINS[0], generator) for _ in range(200)]
    measured = [rms_speed(s) if isinstance(initial, RandomFourier | PhiFlowNoise) else s.max() for s in samples]
    assert 0.49 < min(measured) < 0.55
    assert 1.95 < max(measured) < 2.0
    assert np.mean(measured) == pytest.approx(1.25, abs=4 * 1.5 / np.sqrt(12 * 200))  # four standard deviations


@pytest.mark.parametrize("amplitude", [0.0, -1.0, float("inf"), (2.0, 1.0), (0.0, 1.0)])
@pytest.mark.parametrize("kind", [RandomFourier, PhiFlowNoise, Sine, Shock])
def test_amplitudes_that_make_no_sense_are_refused(kind: type, amplitude) -> None:
    message = rf"{kind.__name__}.amplitude must be a positive number or a pair \[low, high\] of them, got "
    with pytest.raises(ValueError, match=message):
        kind(amplitude)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (RandomFourier, {"max_mode": 0}, "RandomFourier.max_mode must be at least 1, got 0"),
        (PhiFlowNoise, {"scale": 0.0}, "PhiFlowNoise.scale and .smoothness must be positive, got 0.0 and 2.0"),
        (
            PhiFlowNoise,
            {"smoothness": -1.0},
            "PhiFlowNoise.scale and .smoothness must be positive, got 0.25 and -1.0",
        ),
        (Sine, {"mode": 0}, "Sine.mode must be at least 1, got 0"),
        (Shock, {"width": 0.0}, "Shock.width must be positive, got 0.0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(kind: type, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**settings)


# ------------------------------------------------------------------------------------------- Fourier series


@every_dimension
@pytest.mark.parametrize("curl_free", [False, True])
def test_a_series_is_one_function_at_every_resolution(curl_free: bool, domain: Domain) -> None:
    initial = RandomFourier(max_mode=3, curl_free=curl_free)
    finer = Domain(domain.extent, tuple(3 * cells for cells in domain.resolution))
    shared = (slice(None), *(slice(1, None, 3),) * domain.dimension)  # the middle one of three cells
    np.testing.assert_allclose(draw(initial, finer)[shared], draw(initial, domain), rtol=0, atol=1e-12)


@every_dimension
@pytest.mark.parametrize("curl_free", [False, True])
def test_the_spectrum_ends_at_max_mode(curl_free: bool, domain: Domain) -> None:
    velocity = draw(RandomFourier(max_mode=3, curl_free=curl_free), domain)
    power = (np.abs(np.fft.fftn(velocity, axes=range(1, velocity.ndim), norm="forward")) ** 2).sum(axis=0)
    modes = np.meshgrid(*[np.fft.fftfreq(cells, 1 / cells) for cells in domain.resolution], indexing="ij")
    size = np.sqrt(sum(mode**2 for mode in modes))
    inside = (size > 0) & (size <= 3)
    assert inside.sum() == {1: 6, 2: 28, 3: 122}[domain.dimension]
    assert power[inside].min() > 1e-9
    assert power[~inside].max() < 1e-28


def test_amplitudes_fall_with_the_wave_number() -> None:
    generator = np.random.default_rng(2)
    initial = RandomFourier(max_mode=8, decay=1.5)
    velocities = np.stack([initial.sample(DOMAINS[0], generator)[0] for _ in range(500)])
    # The mean logarithm, because the amplitude of each draw shifts all of its modes by the same amount.
    log_power = np.log(np.abs(np.fft.rfft(velocities)[:, 1:9]) ** 2).mean(axis=0)
    slope = np.polyfit(np.log(np.arange(1, 9)), log_power, 1)[0]
    assert slope == pytest.approx(-3, abs=0.3)


def spectral_curl(velocity: np.ndarray, domain: Domain) -> float:
    """Largest |∂_i u_j - ∂_j u_i|."""
    axes = tuple(range(domain.dimension))
    waves = [2 * np.pi * np.fft.fftfreq(c, length / c) for c, length in zip(domain.resolution, domain.extent)]  # noqa: B905
    k = np.meshgrid(*waves, indexing="ij")
    spectrum = [np.fft.fftn(component, axes=axes) for component in velocity]
    pairs = [(i, j) for i in axes for j in axes if i < j]
    return max(np.abs(np.fft.ifftn(1j * (k[i] * spectrum[j] - k[j] * spectrum[i]))).max() for i, j in pairs)


@pytest.mark.parametrize("domain", DOMAINS[1:], ids=["2D", "3D"])
def test_a_curl_free_series_has_no_curl(domain: Domain) -> None:
    assert spectral_curl(draw(RandomFourier(max_mode=3, curl_free=True), domain), domain) < 1e-10
    assert spectral_curl(draw(RandomFourier(max_mode=3), domain), domain) > 1
    assert spectral_curl(draw(Shock(), domain), domain) < 1e-10
    assert spectral_curl(draw(Sine(), domain), domain) < 1e-10


def test_a_grid_too_coarse_for_the_series_is_refused() -> None:
    with pytest.raises(ValueError, match=r"max_mode 8 needs more than 16 cells along each axis, got .* \[32, 16\]"):
        draw(RandomFourier(max_mode=8), Domain((1.0, 1.0), (32, 16)))
    draw(RandomFourier(max_mode=8), Domain((1.0, 1.0), (32, 17)))


# ----------------------------------------------------------------------------------------- waves and fronts


def test_the_sine_formula() -> None:
    domain = Domain((2.0, 0.5), (16, 12))
    x, y = domain.centres()
    velocity = draw(Sine(0.7, mode=2, random_phase=False), domain)
    np.testing.assert_allclose(velocity[0], np.tile(0.7 * np.sin(2 * np.pi * x)[:, None], (1, 12)), atol=1e-15)
    np.testing.assert_allclose(velocity[1], np.tile(0.7 * np.sin(8 * np.pi * y)[None], (16, 1)), atol=1e-14)


def test_plateaus_and_width_of_a_shock() -> None:
    domain = Domain((2.0,), (2000,))
    (x,) = domain.centres()
    velocity = draw(Shock(0.7, width=0.04, random_phase=False), domain)[0]
    np.testing.assert_allclose(velocity[(x > 0.2) & (x < 0.8)], 0.7, rtol=2e-4)
    np.testing.assert_allclose(velocity[(x > 1.2) & (x < 1.8)], -0.7, rtol=2e-4)
    near = np.abs(x - 1.0) < 0.1  # the step down, in the middle
    np.testing.assert_allclose(velocity[near], -0.7 * np.tanh((x[near] - 1.0) / 0.04), atol=3e-3)


@pytest.mark.parametrize("initial", [Sine(random_phase=True), Shock(random_phase=True)], ids=str)
def test_phases_are_drawn_per_axis(initial: InitialCondition) -> None:
    domain = Domain((1.0, 1.0), (64, 64))
    first, second = draw(initial, domain, seed=7)
    assert np.abs(first[:, 0] - second[0]).max() > 0.1
    assert np.ptp(first, axis=1).max() == np.ptp(second, axis=0).max() == 0


# -------------------------------------------------------------------------------------------- PhiFlow noise


@every_dimension
def test_noise_leaves_global_states_alone(monkeypatch, domain: Domain) -> None:
    def states() -> list:
        return [str(np.random.get_state()), torch.get_rng_state().tolist(), math.get_precision()]  # noqa: NPY002

    seeds = []
    monkeypatch.setattr(random, "seed", seeds.append)
    before = states()
    draw(PhiFlowNoise(scale=0.5), domain)
    assert states() == before
    assert seeds == []


def test_noise_does_not_depend_on_global_states() -> None:
    expected = draw(PhiFlowNoise(), DOMAINS[0])
    np.random.seed(77)  # noqa: NPY002
    torch.manual_seed(77)
    np.testing.assert_array_equal(draw(PhiFlowNoise(), DOMAINS[0]), expected)


def test_a_larger_scale_makes_longer_waves() -> None:
    domain = Domain((1.0,), (256,))

    def mean_wave_number(scale: float) -> float:
        power = np.zeros(129)
        for seed in range(20):
            power += np.abs(np.fft.rfft(draw(PhiFlowNoise(scale=scale), domain, seed)[0])) ** 2
        return float((np.arange(129) * power).sum() / power.sum())

    # Waves shorter than scale / √0.1, with amplitudes as k^(-2 smoothness).
    for scale, first in ((0.25, 2.0), (0.05, 7.0)):
        waves = np.arange(first, 129)
        expected = (waves * waves**-8).sum() / (waves**-8).sum()
        assert mean_wave_number(scale) == pytest.approx(expected, rel=0.05)


def test_noise_finer_than_the_cells_is_refused() -> None:
    domain = Domain((1.0,), (64,))
    limit = np.sqrt(0.1) / 32
    message = "PhiFlowNoise.scale 0.00978 is too fine for cells of 0.0156; set it to more than 0.00988 or use a finer"
    with pytest.raises(ValueError, match=message):
        draw(PhiFlowNoise(scale=0.99 * limit), domain)
    assert rms_speed(draw(PhiFlowNoise(scale=1.01 * limit), domain)) == pytest.approx(1, rel=1e-12)
