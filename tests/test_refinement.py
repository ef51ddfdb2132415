"""Rollouts on a finer grid: interpolation there and back, gradients, steep fronts against the exact solution."""

import numpy as np
import pytest
import torch
from torch import Tensor

from burgerslab.physics import Domain, FiniteDifference, Rollout, solver_step
from burgerslab.physics.refinement import coarsen, refine
from tests.reference import cole_hopf

EXTENT = (1.7, 0.9, 2.3)


def band_limited(domain: Domain) -> Tensor:
    """Two functions of at most three waves across the box at the cell centres, ``(1, 2, *N)``."""
    phases = [2 * np.pi * x / length for x, length in zip(domain.centres(), domain.extent, strict=True)]
    grid = np.meshgrid(*phases, indexing="ij")
    first = 0.3 + sum(np.sin((i + 1) * phase + 0.4) for i, phase in enumerate(grid))
    second = np.prod([np.cos((3 - i) * phase + 0.7 * i) for i, phase in enumerate(grid)], axis=0)
    return torch.tensor(np.stack([first, second])[None])


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize("resolution", [(8,), (9,), (10, 9), (8, 9, 8)], ids=str)
def test_band_limited_fields_are_interpolated_exactly(resolution: tuple[int, ...], factor: int) -> None:
    domain = Domain(EXTENT[: len(resolution)], resolution)
    coarse, fine = band_limited(domain), band_limited(domain.refined(factor))
    torch.testing.assert_close(refine(coarse, domain, factor), fine, rtol=0, atol=1e-12)
    torch.testing.assert_close(coarsen(fine, domain, factor), coarse, rtol=0, atol=1e-12)


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("resolution", [(8,), (10, 9)], ids=str)
def test_coarsening_undoes_refining_for_every_field(resolution: tuple[int, ...], factor: int) -> None:
    domain = Domain(EXTENT[: len(resolution)], resolution)
    values = torch.randn(2, 3, 1, *resolution, dtype=torch.float64)  # the shortest wave included
    torch.testing.assert_close(coarsen(refine(values, domain, factor), domain, factor), values, rtol=0, atol=1e-13)


def test_three_fine_centres_by_hand() -> None:
    domain = Domain((8.0,), (8,))
    wave = torch.tensor([1.0, -1.0] * 4, dtype=torch.float64)  # cos(π (x - 1/2)), the shortest wave
    fine_x = torch.tensor([-1 / 3, 0, 1 / 3], dtype=torch.float64)  # fine centres about the first coarse one
    torch.testing.assert_close(refine(wave, domain, 3)[:3], torch.cos(torch.pi * fine_x), rtol=0, atol=1e-14)


def test_no_refinement_is_the_identity() -> None:
    domain = Domain((1.7, 0.9), (10, 8))
    velocity = torch.randn(2, 2, 10, 8, dtype=torch.float64)
    assert torch.equal(refine(velocity, domain, 1), velocity)
    assert torch.equal(coarsen(velocity, domain, 1), velocity)
    viscosity = torch.tensor(0.02, dtype=torch.float64)
    plain = Rollout(FiniteDifference(6), domain, 0.02)(velocity, viscosity, 2)
    assert torch.equal(Rollout(FiniteDifference(6), domain, 0.02, refine=1)(velocity, viscosity, 2), plain)


@pytest.mark.parametrize("factor", [2, 3])
def test_a_refined_rollout_is_a_rollout_on_the_finer_grid(factor: int) -> None:
    domain = Domain((1.7, 0.9), (12, 10))
    viscosity = torch.tensor([0.02], dtype=torch.float64)
    refined = Rollout(FiniteDifference(6), domain, 0.02, substeps=2, refine=factor)
    assert refined.domain == domain
    frames = refined(band_limited(domain), viscosity, 3)
    fine = domain.refined(factor)
    expected = Rollout(FiniteDifference(6), fine, 0.02, substeps=2)(band_limited(fine), viscosity, 3)
    torch.testing.assert_close(frames, coarsen(expected, domain, factor), rtol=0, atol=1e-12)


@pytest.mark.parametrize("factor", [2, 3])
def test_gradients_through_a_refined_rollout_captured_or_not(monkeypatch, factor: int) -> None:
    monkeypatch.setattr(solver_step, "_NUM_STEPS_WORTH_A_CAPTURE", 1)
    domain = Domain((1.7,), (9,))
    velocity = torch.randn(1, 1, 9, dtype=torch.float64)
    viscosity = torch.tensor(0.05, dtype=torch.float64)
    weights = torch.randn(1, 2, 1, 9, dtype=torch.float64)

    def loss(velocity: Tensor, viscosity: Tensor, capture: bool = False) -> Tensor:
        solver = Rollout(FiniteDifference(4), domain, 0.02, refine=factor, capture=capture)
        return (weights * solver(velocity, viscosity, 2)).sum()

    gradients = []
    for capture in (False, True):
        inputs = (velocity.clone().requires_grad_(), viscosity.clone().requires_grad_())
        gradients.append(torch.autograd.grad(loss(*inputs, capture), inputs))
    for eager, captured in zip(*gradients, strict=True):
        assert torch.equal(eager, captured)
    direction, step = torch.randn_like(velocity), 1e-5
    difference = loss(velocity + step * direction, viscosity) - loss(velocity - step * direction, viscosity)
    torch.testing.assert_close(difference / (2 * step), (gradients[0][0] * direction).sum(), rtol=1e-7, atol=0)
    difference = loss(velocity, viscosity + step) - loss(velocity, viscosity - step)
    torch.testing.assert_close(difference / (2 * step), gradients[0][1], rtol=1e-7, atol=0)


def test_a_finer_grid_cures_steep_fronts() -> None:
    domain = Domain((1.7,), (64,))
    k = 2 * np.pi / 1.7
    viscosity, time = domain.spacing[0] / 5, 0.6  # a cell Péclet number of 5, after the front has formed

    def velocity(x):
        return np.sin(k * x)

    (x,) = domain.centres()
    exact = cole_hopf(velocity, lambda y: -np.cos(k * y) / k, x, time, viscosity, 1.7)
    start, nu = torch.tensor(velocity(x))[None, None], torch.tensor(viscosity, dtype=torch.float64)
    errors = [
        np.linalg.norm(Rollout(FiniteDifference(6), domain, time, 150, factor)(start, nu, 1)[0, 0, 0].numpy() - exact)
        for factor in (1, 2, 4)
    ]
    assert errors[0] > 3 * errors[1] > 9 * errors[2]
