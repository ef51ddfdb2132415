"""Half spectra of real fields: there and back, derivatives, decay."""

import numpy as np
import pytest
import torch
from phi import math

from burgerslab.physics import Domain, phi_bridge
from burgerslab.physics.schemes.fourier_modes import FourierModes

EXTENT = (1.7, 0.9, 2.3)


@pytest.mark.parametrize("resolution", [(8,), (9,), (8, 10), (9, 11), (8, 9, 10)], ids=str)
def test_waves_are_differentiated_exactly(resolution: tuple[int, ...]) -> None:
    domain = Domain(EXTENT[: len(resolution)], resolution)
    wave = [2 * np.pi / length * (1 + (i == 0)) for i, length in enumerate(domain.extent)]
    grid = np.meshgrid(*domain.centres(), indexing="ij")
    angle = sum(k * x for k, x in zip(wave, grid, strict=True)) + 0.3
    values = torch.tensor(np.stack([np.sin(angle)] * domain.dimension))[None]
    with phi_bridge.like(values):
        field = phi_bridge.to_field(values, domain)
        modes = FourierModes(field)
        spectrum = modes.forward(field.values)
        assert spectrum.shape.spatial.sizes == (*resolution[:-1], resolution[-1] // 2 + 1)
        back = phi_bridge.to_native(field.with_values(modes.inverse(spectrum)))
        torch.testing.assert_close(back, values, rtol=0, atol=1e-14)
        for name, k in zip(domain.axis_names, wave, strict=True):
            slope = field.with_values(modes.inverse(modes.derivative.vector[name] * spectrum))
            expected = torch.tensor(k * np.cos(angle)).expand_as(values)
            torch.testing.assert_close(phi_bridge.to_native(slope), expected, rtol=0, atol=1e-12)
        decay = modes.decay(math.wrap(values.new_tensor(0.02)), math.wrap(values.new_tensor(0.5)))
        damped = phi_bridge.to_native(field.with_values(modes.inverse(decay * spectrum)))
        torch.testing.assert_close(damped, values * np.exp(-0.01 * sum(k * k for k in wave)), rtol=0, atol=1e-14)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_wave_of_two_cells_has_no_slope(axis: int) -> None:
    domain = Domain(EXTENT[:2], (8, 10))
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(domain.resolution[axis] // 2)
    values = (signs[:, None] if axis == 0 else signs[None, :]).expand(1, 2, 8, 10)
    with phi_bridge.like(values):
        field = phi_bridge.to_field(values, domain)
        modes = FourierModes(field)
        slope = modes.inverse(modes.derivative.vector[domain.axis_names[axis]] * modes.forward(field.values))
        assert phi_bridge.to_native(field.with_values(slope)).abs().max() < 1e-12
