"""Energies of bands and their derivatives in time, and the coefficients that balance them."""

import numpy as np
import pytest
import torch

from burgerslab.physics import ColeHopf, Domain, RandomFourier
from burgerslab.physics.energy_balance import balance_coefficients, band_energies
from tests.reference import spectral_burgers


def exact_frames(resolution, peclet, num_frames, dt, seed=0):
    """Frames of the exact solution, rounded to float32, and its viscosity."""
    domain = Domain((1.0,) * len(resolution), resolution)
    initial = RandomFourier(amplitude=0.6, max_mode=3, curl_free=True)
    potential = initial.sample_potential(domain, np.random.default_rng(seed))
    speed = np.sqrt((potential.velocity(domain.centres()) ** 2).sum(0)).max()
    viscosity = float(speed * domain.spacing[0] / peclet)
    frames = ColeHopf().frames(potential, viscosity, dt * np.arange(num_frames), domain)
    return domain, viscosity, torch.from_numpy(frames.astype(np.float32)).double()


def test_energies_of_two_waves_by_hand() -> None:
    domain = Domain((2.0,), (32,))
    x = torch.from_numpy(domain.centres()[0])
    k = np.pi
    wave = 3.0 * torch.sin(k * x) + 0.5 * torch.cos(4 * k * x) + 7.0  # the mean counts nowhere
    energies = band_energies(wave[None, None], domain)
    # octaves begin at waves 1, 2, 4 and 8; ½ of mean squares, and -ν k² of twice of them
    expected = torch.tensor([9 / 4, 0.0, 0.25 / 4, 0.0], dtype=torch.float64)
    torch.testing.assert_close(energies.energy[0], expected, rtol=0, atol=1e-12)
    diffusion = -2 * expected * torch.tensor([k**2, 0.0, 16 * k**2, 0.0], dtype=torch.float64)
    torch.testing.assert_close(energies.rates[0][0, :, 1], diffusion, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("extent", "resolution"), [((2.0,), (24,)), ((2.0, 1.0), (15, 16)), ((1.0,) * 3, (8, 9, 8))])
def test_derivatives_in_time_are_those_of_the_equation(extent, resolution) -> None:
    # few waves and short times: nothing reaches the waves that a grid of cells leaves out
    domain, nu, c = Domain(extent, resolution), 0.03, 0.7
    initial = RandomFourier(amplitude=1.0, max_mode=1).sample(domain, np.random.default_rng(3))
    fine = Domain(extent, tuple(3 * cells for cells in resolution))
    start = RandomFourier(amplitude=1.0, max_mode=1).sample(fine, np.random.default_rng(3))
    step = 0.004
    # u = v / c for the v of Burgers' equation; backward in time by central differences of five frames
    later = [np.asarray(start) * c]
    for _ in range(4):
        later.append(spectral_burgers(later[-1], extent, nu, step, 8))
    energy = [band_energies(torch.from_numpy(frame / c)[None], fine).energy[0, 0] for frame in later]
    weights = {  # forward differences of five points, Fornberg (1988), table 3
        1: [-25 / 12, 4, -3, 4 / 3, -1 / 4],
        2: [35 / 12, -26 / 3, 19 / 2, -14 / 3, 11 / 12],
        3: [-5 / 2, 9, -12, 7, -3 / 2],
    }
    rates = band_energies(torch.from_numpy(initial)[None], domain).rates
    for order, rate in enumerate(rates, start=1):
        found = sum(rate[0, 0, i] * c ** (order - i) * nu**i for i in range(order + 1))
        expected = sum(w * e for w, e in zip(weights[order], energy, strict=True)) / step**order
        assert float(found) == pytest.approx(float(expected), rel={1: 2e-4, 2: 5e-3, 3: 5e-2}[order])


@pytest.mark.parametrize("peclet", [0.2, 1.0, 2.0])
@pytest.mark.parametrize("dt", [0.02, 0.05])
@pytest.mark.parametrize("resolution", [(128,), (256,), (48, 48)])
def test_exact_frames_balance_with_their_viscosity(resolution, dt, peclet) -> None:
    domain, viscosity, frames = exact_frames(resolution, peclet, 7, dt)
    intervals = [(first, first + 1, dt) for first in range(6)]
    guess = torch.tensor([3 * viscosity], dtype=torch.float64)
    found = balance_coefficients(band_energies(frames, domain), intervals, guess)
    assert float(found.viscosity[0]) == pytest.approx(viscosity, rel=0.01)
    assert float(found.advection[0]) == pytest.approx(1.0, abs=0.02)
    assert abs(float(found.viscosity[0]) / viscosity - 1) < 3 * float(found.viscosity_error[0])


def test_a_uniform_flow_changes_nothing_but_the_phases() -> None:
    domain, viscosity, frames = exact_frames((128,), 1.0, 5, 0.03)
    moved = frames + 2.0
    for frame in range(5):  # by a whole number of cells per frame
        moved[frame] = torch.roll(moved[frame], round(2.0 * 0.03 * 128 * frame), dims=-1)
    intervals = [(first, first + 1, 0.03) for first in range(4)]
    guess = torch.tensor([viscosity], dtype=torch.float64)
    still, moving = (balance_coefficients(band_energies(each, domain), intervals, guess) for each in (frames, moved))
    assert float(moving.viscosity[0]) == pytest.approx(float(still.viscosity[0]), rel=1e-6)
    assert float(moving.advection[0]) == pytest.approx(float(still.advection[0]), rel=1e-6)


def test_rest_and_uniform_flow_tell_nothing() -> None:
    domain = Domain((1.0,), (32,))
    frames = torch.zeros(6, 1, 32, dtype=torch.float64)
    frames[3:] = 0.7  # the second trajectory
    intervals = [(0, 1, 0.1), (1, 2, 0.1)]
    found = balance_coefficients(
        band_energies(frames, domain), intervals, torch.full((2,), 0.01, dtype=torch.float64)
    )
    assert found.viscosity_error.min() > 1e6
    assert found.advection_error.min() > 1e6
