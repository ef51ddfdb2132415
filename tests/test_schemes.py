"""Every scheme against exact solutions, an independent solver, conservation laws and symmetries."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from burgerslab.physics import (
    WENO,
    Domain,
    FiniteDifference,
    FourierSpectral,
    MacCormack,
    Rollout,
    Scheme,
    SemiLagrangian,
)
from tests.reference import cole_hopf, spectral_burgers

SCHEMES = [
    FiniteDifference(2),
    FiniteDifference(4),
    FiniteDifference(6),
    FourierSpectral(),
    WENO(),
    MacCormack(),
    SemiLagrangian(),
]
CONSERVATIVE = [scheme for scheme in SCHEMES if isinstance(scheme, FiniteDifference | FourierSpectral)]

every_scheme = pytest.mark.parametrize("scheme", SCHEMES, ids=str)


def solve(scheme: Scheme, domain: Domain, velocity, viscosity, time: float, num_steps: int) -> Tensor:
    """The last frame ``(B, C, *N)`` after ``num_steps`` steps."""
    velocity = torch.as_tensor(velocity)
    viscosity = torch.as_tensor(viscosity, dtype=velocity.dtype)
    return Rollout(scheme, domain, time, substeps=num_steps, capture=False)(velocity, viscosity, 1)[:, 0]


def grids(domain: Domain) -> list[np.ndarray]:
    """Phases 2π x / extent at the cell centres, one array of cells per axis."""
    phases = [2 * np.pi * x / length for x, length in zip(domain.centres(), domain.extent, strict=True)]
    return np.meshgrid(*phases, indexing="ij")


# ---------------------------------------------------------------------------------------------- accuracy


def error_against_cole_hopf(scheme: Scheme, num_cells: int, num_steps: int, viscosity: float, time: float) -> float:
    extent = 1.7
    k = 2 * np.pi / extent

    def velocity(y):
        return np.sin(k * y) + 0.2 * np.cos(2 * k * y + 0.3)

    def potential(y):
        return -np.cos(k * y) / k + 0.1 * np.sin(2 * k * y + 0.3) / k

    domain = Domain((extent,), (num_cells,))
    (x,) = domain.centres()
    solved = solve(scheme, domain, velocity(x)[None, None], viscosity, time, num_steps)[0, 0].numpy()
    exact = cole_hopf(velocity, potential, x, time, viscosity, extent)
    return float(np.sqrt(np.mean((solved - exact) ** 2)))


# cells, cells per step or number of steps, viscosity, time. With a fixed number of steps these are so short that only
# the error in space is left; semi-Lagrangian steps have to stay below dx²/2ν.
ORDER_RUNS = {
    FiniteDifference: ((48, 96), lambda num_cells: 24, 0.1, 0.15),
    FourierSpectral: ((96, 192), lambda num_cells: num_cells // 4, 0.05, 0.9),
    WENO: ((96, 192), lambda num_cells: 40, 0.1, 0.15),
    MacCormack: ((64, 128), lambda num_cells: num_cells // 8, 0.02, 0.15),
    SemiLagrangian: ((128, 256), lambda num_cells: num_cells * 15 // 128, 0.002, 0.1),
}


@every_scheme
def test_order_of_convergence_to_the_exact_solution(scheme: Scheme) -> None:
    resolutions, num_steps, viscosity, time = ORDER_RUNS[type(scheme)]
    errors = [error_against_cole_hopf(scheme, n, num_steps(n), viscosity, time) for n in resolutions]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(scheme.order, abs=0.25)


def test_the_spectral_error_in_space_falls_faster_than_any_power() -> None:
    errors = [error_against_cole_hopf(FourierSpectral(), n, 32, 0.1, 0.15) for n in (12, 24, 48)]
    orders = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert orders[0] > 4
    assert orders[1] > 1.5 * orders[0]


@pytest.mark.parametrize("scheme", [FiniteDifference(6), FourierSpectral()], ids=str)
def test_fourth_order_in_time(scheme: Scheme) -> None:
    domain = Domain((1.7,), (24,))
    velocity = np.sin(grids(domain)[0])[None, None]
    coarse, middle, fine = (solve(scheme, domain, velocity, 0.05, 0.3, n) for n in (6, 12, 24))
    ratio = torch.linalg.norm(coarse - middle) / torch.linalg.norm(middle - fine)
    assert math.log2(ratio) == pytest.approx(4, abs=0.25)


@every_scheme
@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_a_faint_wave_decays_exactly(scheme: Scheme, dimension: int) -> None:
    domain = Domain((1.7, 0.9, 2.3)[:dimension], (24, 16, 20)[:dimension])
    k_squared = sum((2 * np.pi / length) ** 2 for length in domain.extent)
    viscosity = 0.01
    time = 0.05 / (viscosity * k_squared)
    wave = np.sin(sum(grids(domain)) + 0.4)
    velocity = 1e-8 * np.stack([wave, -2 * wave, 3 * wave][:dimension])[None]
    solved = solve(scheme, domain, velocity, viscosity, time, num_steps=2).numpy()
    decay = np.exp(-0.05)
    # The semi-Lagrangian scheme diffuses by a 3-point Laplacian and forward Euler, (k dx)²/12 and ν k² dt/2 off.
    allowed = 0.02 if isinstance(scheme, SemiLagrangian) else 1e-6
    assert np.abs(solved - decay * velocity).max() < allowed * (1 - decay) * np.abs(velocity).max()


def swirl(domain: Domain) -> np.ndarray:
    """A smooth velocity with vorticity and divergence, ``(1, C, *N)``."""
    if domain.dimension == 2:
        x, y = grids(domain)
        components = [0.6 * np.sin(x + y) + 0.3 * np.cos(y), 0.5 * np.cos(x) - 0.4 * np.sin(y + 1)]
    else:
        x, y, z = grids(domain)
        components = [0.6 * np.sin(y + z) + 0.3 * np.cos(x), 0.5 * np.cos(x) + 0.2 * np.sin(z), 0.4 * np.sin(x + y)]
    return np.stack(components)[None]


@pytest.mark.parametrize(
    ("scheme", "resolution", "tolerance"),
    [
        (FiniteDifference(2), (32, 24), 2e-2),
        (FiniteDifference(4), (32, 24), 2e-3),
        (FiniteDifference(6), (32, 24), 5e-4),
        (FourierSpectral(), (32, 24), 3e-4),
        (WENO(), (32, 24), 1e-3),
        (MacCormack(), (32, 24), 1e-2),
        (SemiLagrangian(), (32, 24), 8e-2),
        (FiniteDifference(6), (12, 10, 10), 1e-2),
        (FourierSpectral(), (12, 10, 10), 2e-2),
        pytest.param(WENO(), (12, 10, 10), 1e-2, marks=pytest.mark.slow),
        pytest.param(MacCormack(), (12, 10, 10), 5e-2, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_rotational_flow_against_a_spectral_solver(scheme: Scheme, resolution: tuple, tolerance: float) -> None:
    extent = (1.3, 1.0, 1.6)[: len(resolution)]
    coarse = Domain(extent, resolution)
    fine = Domain(extent, tuple(3 * cells for cells in resolution))  # every third centre is a coarse centre
    shared = (slice(None), *(slice(1, None, 3),) * len(resolution))
    reference = spectral_burgers(swirl(fine)[0], extent, 0.02, 0.15, 6)[shared]
    other_equation = spectral_burgers(swirl(fine)[0], extent, 0.02, 0.15, 6, divergence=True)[shared]
    solved = solve(scheme, coarse, swirl(coarse), 0.02, 0.15, 6)[0].numpy()
    size = np.linalg.norm(reference)
    assert np.linalg.norm(solved - reference) < tolerance * size
    assert np.linalg.norm(other_equation - reference) > 0.1 * size


# ------------------------------------------------------------------------- conservation and symmetries


@pytest.mark.parametrize("scheme", CONSERVATIVE, ids=str)
def test_momentum_is_conserved_in_one_dimension(scheme: Scheme) -> None:
    domain = Domain((0.7,), (32,))
    velocity = 0.5 + torch.rand(2, 1, 32, dtype=torch.float64)
    solved = solve(scheme, domain, velocity, 0.01, 0.05, 5)
    assert torch.linalg.norm(solved - velocity) > 0.5
    torch.testing.assert_close(solved.mean(dim=2), velocity.mean(dim=2), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("scheme", "steps_per_cell", "tolerance"),
    [
        (FiniteDifference(2), 2, 5e-2),
        (FiniteDifference(4), 2, 5e-3),
        (FiniteDifference(6), 2, 1e-3),
        (FourierSpectral(), 2, 1e-3),
        (WENO(), 2, 1e-2),
        (MacCormack(), 1, 2e-2),
        (SemiLagrangian(), 1, 1e-1),  # traces back with the speed at the arrival point, which is first order
    ],
    ids=str,
)
def test_galilean_invariance(scheme: Scheme, steps_per_cell: int, tolerance: float) -> None:
    domain = Domain((1.7, 0.9), (24, 16))
    time, num_cells = 0.06, 3
    dx, dy = domain.spacing
    mean_flow = torch.tensor([dx, -dy], dtype=torch.float64).reshape(2, 1, 1) * num_cells / time
    velocity = torch.tensor(swirl(domain))
    both = torch.cat([velocity, velocity + mean_flow])
    still, moving = solve(scheme, domain, both, 0.01, time, steps_per_cell * num_cells)
    followed = moving.roll((-num_cells, num_cells), dims=(1, 2)) - mean_flow
    assert torch.linalg.norm(still - velocity) > 0.1 * torch.linalg.norm(still)
    assert torch.linalg.norm(followed - still) < tolerance * torch.linalg.norm(still)


@pytest.mark.parametrize("scheme", [WENO(), MacCormack()], ids=str)
def test_an_unresolved_front_does_not_ring(scheme: Scheme) -> None:
    domain = Domain((1.0,), (64,))
    velocity = np.sin(grids(domain)[0])[None, None]

    def variation(values: Tensor) -> float:
        return (values - values.roll(1, -1)).abs().sum().item()

    # A cell Péclet number of 20, at a time when the front has formed: the exact solution's variation falls.
    upwind, central = (solve(each, domain, velocity, 1 / 1280, 0.3, 60) for each in (scheme, FiniteDifference(6)))
    assert variation(upwind) < variation(torch.as_tensor(velocity)) < 0.9 * variation(central)


@every_scheme
def test_translation_by_cells(scheme: Scheme) -> None:
    domain = Domain((1.7, 0.9), (12, 10))
    velocity = torch.randn(1, 2, 12, 10, dtype=torch.float64)
    both = torch.cat([velocity, velocity.roll((5, -3), dims=(2, 3))])  # paths and stencils cross the ends of the box
    solved, moved = solve(scheme, domain, both, 0.01, 0.03, 2)
    torch.testing.assert_close(moved, solved.roll((5, -3), dims=(1, 2)), rtol=0, atol=1e-13)


@every_scheme
def test_reflection_symmetry(scheme: Scheme) -> None:
    domain = Domain((1.7, 0.9), (12, 10))
    velocity = torch.randn(1, 2, 12, 10, dtype=torch.float64)
    along_x, along_y = torch.tensor([[-1.0, 1.0], [1.0, -1.0]], dtype=torch.float64).reshape(2, 2, 1, 1)
    mirrored = torch.cat([velocity, along_x * velocity.flip(2), along_y * velocity.flip(3)])
    solved, solved_x, solved_y = solve(scheme, domain, mirrored, 0.01, 0.03, 2)
    torch.testing.assert_close(solved_x, along_x * solved.flip(1), rtol=0, atol=1e-13)
    torch.testing.assert_close(solved_y, along_y * solved.flip(2), rtol=0, atol=1e-13)


@every_scheme
def test_the_axes_are_alike(scheme: Scheme) -> None:
    velocity = torch.randn(1, 2, 12, 10, dtype=torch.float64)
    solved = solve(scheme, Domain((1.7, 0.9), (12, 10)), velocity, 0.01, 0.03, 2)
    exchanged = solve(scheme, Domain((0.9, 1.7), (10, 12)), velocity.flip(1).mT.contiguous(), 0.01, 0.03, 2)
    torch.testing.assert_close(exchanged, solved.flip(1).mT, rtol=0, atol=1e-13)


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(ValueError, match=r"FiniteDifference.order must be one of \[2, 4, 6\], got 8"):
        FiniteDifference(8)
