"""Every scheme's gradients against finite differences, its two precisions, the independence of its trajectories."""

import pytest
import torch
from torch import Tensor

from burgerslab.physics import Domain, Scheme
from tests.test_schemes import every_scheme, solve, swirl


@every_scheme
@pytest.mark.parametrize("dimension", [1, 2])
def test_gradients_against_finite_differences(scheme: Scheme, dimension: int) -> None:
    domain = Domain((1.7, 0.9)[:dimension], (10, 8)[:dimension])
    shape = (1, dimension, *domain.resolution)
    # Bilinear interpolation has kinks where a path starts or ends on a cell centre: 0 < u dt < dx keeps off them.
    # MacCormack has others where its clamp sets in: short steps of the Taylor test seldom meet one.
    velocity = 0.5 + torch.rand(shape, dtype=torch.float64)
    viscosity = torch.tensor([0.03], dtype=torch.float64)
    weights = torch.randn(shape, dtype=torch.float64)
    directions = {
        "viscosity": (torch.zeros(shape, dtype=torch.float64), torch.tensor([0.02], dtype=torch.float64)),
        "velocity": (0.1 * torch.randn(shape, dtype=torch.float64), torch.tensor([0.0], dtype=torch.float64)),
    }

    def loss(velocity: Tensor, viscosity: Tensor) -> Tensor:
        after = solve(scheme, domain, velocity, viscosity, 0.06, 2)
        return (weights * after**2).flatten(1).sum(dim=1)

    inputs = (velocity.clone().requires_grad_(), viscosity.clone().requires_grad_())
    gradients = torch.autograd.grad(loss(*inputs).sum(), inputs)
    steps = torch.tensor([0.0, 1e-4, -1e-4, 4e-4, 2e-4, 1e-4], dtype=torch.float64)  # all in one batch
    for direction in directions.values():
        slope = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True))
        batch = velocity + steps.reshape(-1, *(1,) * (dimension + 1)) * direction[0]
        losses = loss(batch, viscosity + steps * direction[1])
        torch.testing.assert_close((losses[1] - losses[2]) / 2e-4, slope, rtol=1e-6, atol=1e-9)
        remainders = (losses[3:] - losses[0] - steps[3:] * slope).abs()
        assert torch.log2(remainders[:-1] / remainders[1:]).tolist() == pytest.approx([2, 2], abs=0.2)


@every_scheme
def test_float32_agrees_with_float64(scheme: Scheme) -> None:
    domain = Domain((1.7, 0.9), (24, 16))
    velocity = torch.tensor(swirl(domain))
    double = solve(scheme, domain, velocity, 0.02, 0.05, 2)
    single = solve(scheme, domain, velocity.float(), 0.02, 0.05, 2)
    assert (double.dtype, single.dtype) == (torch.float64, torch.float32)
    assert torch.linalg.norm(single.double() - double) < 1e-6 * torch.linalg.norm(double)


@every_scheme
def test_trajectories_of_a_batch_are_independent(scheme: Scheme) -> None:
    domain = Domain((1.7, 0.9), (16, 8))
    velocity = torch.randn(3, 2, 16, 8, dtype=torch.float64)
    viscosity = torch.tensor([0.001, 0.01, 0.05], dtype=torch.float64)
    together = solve(scheme, domain, velocity, viscosity, 0.03, 2)
    for one in (0, 2):
        alone = solve(scheme, domain, velocity[one : one + 1], viscosity[one], 0.03, 2)
        torch.testing.assert_close(together[one : one + 1], alone, rtol=0, atol=1e-14)
    assert torch.linalg.norm(together - solve(scheme, domain, velocity, 0.01, 0.03, 2)) > 0.1
