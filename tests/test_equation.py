"""The coefficients beyond a constant viscosity: advection, forcing, a viscosity that varies in space."""

import numpy as np
import pytest
import torch

from burgerslab.physics import (
    WENO,
    Domain,
    FiniteDifference,
    FourierSpectral,
    GeneralScheme,
    MacCormack,
    Rollout,
    SemiLagrangian,
)

GENERAL: list[GeneralScheme] = [FiniteDifference(), FourierSpectral(), WENO()]
LINE = Domain(extent=(3.0,), resolution=(96,))
SQUARE = Domain(extent=(3.0, 2.0), resolution=(48, 32))


def _coordinates(domain: Domain) -> list[torch.Tensor]:
    """Phase 2π x / extent along each axis, each in the shape that broadcasts."""
    phases = [2 * np.pi * x / length for x, length in zip(domain.centres(), domain.extent, strict=True)]
    return [torch.from_numpy(phase) for phase in np.meshgrid(*phases, indexing="ij", sparse=True)]


def _steady_state(domain: Domain, advection: float) -> dict[str, torch.Tensor]:
    """A velocity, a viscosity that varies, and the forcing by derivatives on paper that keeps it as it is."""
    wave = [2 * np.pi / length for length in domain.extent]
    phase = _coordinates(domain)
    x = phase[0]
    if domain.dimension == 1:
        u, u_x, u_xx = torch.sin(x), wave[0] * torch.cos(x), -(wave[0] ** 2) * torch.sin(x)
        nu, nu_x = 0.1 + 0.05 * torch.cos(x), -0.05 * wave[0] * torch.sin(x)
        forcing = advection * u * u_x - nu * u_xx - nu_x * u_x
        return {"velocity": u[None, None], "viscosity": nu[None], "forcing": forcing[None, None]}
    y = phase[1]
    # u = (sin y, cos x): it has vorticity, and (u·∇)u = (v u_y, u v_x)
    u, v = torch.sin(y) + 0 * x, torch.cos(x) + 0 * y
    u_y, v_x = wave[1] * torch.cos(y) + 0 * x, -wave[0] * torch.sin(x) + 0 * y
    nu = 0.1 + 0.05 * torch.cos(x) * torch.cos(y)
    nu_x, nu_y = -0.05 * wave[0] * torch.sin(x) * torch.cos(y), -0.05 * wave[1] * torch.cos(x) * torch.sin(y)
    forcing_x = advection * v * u_y + nu * wave[1] ** 2 * u - nu_y * u_y
    forcing_y = advection * u * v_x + nu * wave[0] ** 2 * v - nu_x * v_x
    forcing = torch.stack([forcing_x, forcing_y])[None]
    return {"velocity": torch.stack([u, v])[None], "viscosity": nu[None], "forcing": forcing}


@pytest.mark.parametrize("scheme", GENERAL, ids=repr)
@pytest.mark.parametrize("domain", [LINE, SQUARE], ids=["1D", "2D"])
def test_a_forcing_computed_on_paper_keeps_a_flow_steady(scheme: GeneralScheme, domain: Domain) -> None:
    state = _steady_state(domain, advection=0.7)
    start = state.pop("velocity")
    rollout = Rollout(scheme, domain, dt=0.01, substeps=1)
    frames = rollout(start, num_frames=40, advection=torch.tensor(0.7, dtype=torch.float64), **state)
    largest = 2e-4 if isinstance(scheme, WENO) else 1e-5 if isinstance(scheme, FiniteDifference) else 1e-8
    assert float((frames - start[:, None]).abs().max()) < largest
    without = rollout(start, num_frames=40, viscosity=state["viscosity"])
    assert float((without - start[:, None]).abs().max()) > 0.05


@pytest.mark.parametrize("scheme", GENERAL, ids=repr)
def test_advection_is_a_scale_of_the_velocity(scheme: GeneralScheme) -> None:
    """With v = c u, u_t + c (u·∇)u = νΔu becomes v_t + (v·∇)v = νΔv."""
    velocity = torch.sin(_coordinates(LINE)[0])[None, None]
    viscosity = torch.tensor(0.05, dtype=torch.float64)
    rollout = Rollout(scheme, LINE, dt=0.02)
    coefficient = torch.tensor(1.7, dtype=torch.float64)
    scaled = rollout(coefficient * velocity, viscosity, 20) / coefficient
    torch.testing.assert_close(rollout(velocity, viscosity, 20, advection=coefficient), scaled, rtol=1e-6, atol=1e-6)
    still = rollout(velocity, viscosity, 20, advection=torch.tensor(0.0, dtype=torch.float64))
    decay = torch.exp(-viscosity * (2 * np.pi / 3.0) ** 2 * 0.02 * torch.arange(1, 21))
    torch.testing.assert_close(still[0, :, 0], decay[:, None] * velocity[0], rtol=1e-12, atol=1e-12)


def test_a_constant_forcing_is_a_frame_that_falls() -> None:
    """u(x, t) = v(x - f t²/2, t) + f t, where v is the solution without forcing."""
    time, cells = 0.5, 4
    forcing = 2 * cells * LINE.spacing[0] / time**2
    velocity = torch.sin(_coordinates(LINE)[0])[None, None]
    viscosity = torch.tensor(0.2, dtype=torch.float64)
    rollout = Rollout(FourierSpectral(), LINE, dt=time, substeps=100)
    fallen = rollout(velocity, viscosity, 1, forcing=torch.tensor([forcing], dtype=torch.float64))
    free = rollout(velocity, viscosity, 1)
    torch.testing.assert_close(fallen, torch.roll(free, cells, -1) + forcing * time, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("refine", [1, 2])
def test_a_viscosity_field_of_equal_values_is_that_viscosity(refine: int) -> None:
    velocity = torch.stack([torch.sin(_coordinates(SQUARE)[1]) + 0 * _coordinates(SQUARE)[0]] * 2)[None]
    rollout = Rollout(FiniteDifference(), SQUARE, dt=0.02, refine=refine)
    number = rollout(velocity, torch.tensor(0.03, dtype=torch.float64), 5)
    field = rollout(velocity, torch.full((1, 48, 32), 0.03, dtype=torch.float64), 5)
    torch.testing.assert_close(field, number, rtol=1e-12, atol=1e-13)


def test_a_viscosity_that_varies_limits_no_step() -> None:
    """Explicit diffusion would need steps 40 times shorter."""
    start = _steady_state(LINE, 0.0)
    frames = Rollout(FiniteDifference(), LINE, dt=0.2)(
        start["velocity"], 10 * start["viscosity"], 50, advection=torch.tensor(0.0, dtype=torch.float64)
    )
    assert 0.1 * 0.2 * 10 * (np.pi / LINE.spacing[0]) ** 2 > 40 * 2.8
    energy = frames.square().sum(dim=(2, 3))[0]
    assert bool((energy.diff() < 0).all())


@pytest.mark.parametrize("name", ["viscosity", "advection", "forcing"])
def test_gradients_with_respect_to_every_coefficient(name: str) -> None:
    domain = Domain(extent=(3.0,), resolution=(16,))
    generator = torch.Generator().manual_seed(3)
    coefficients = {
        "viscosity": 0.1 + 0.02 * torch.rand((1, 16), dtype=torch.float64, generator=generator),
        "advection": torch.tensor(0.8, dtype=torch.float64),
        "forcing": torch.rand((1, 1, 16), dtype=torch.float64, generator=generator),
    }
    velocity = torch.randn((2, 1, 16), dtype=torch.float64, generator=generator)
    rollout = Rollout(FiniteDifference(), domain, dt=0.02)

    def frames(value: torch.Tensor) -> torch.Tensor:
        return rollout(velocity, num_frames=3, **{**coefficients, name: value})

    assert torch.autograd.gradcheck(frames, (coefficients[name].requires_grad_(),), atol=1e-7)


def test_captured_steps_equal_eager_ones_to_the_bit_with_all_coefficients() -> None:
    state = _steady_state(SQUARE, advection=0.7)
    advection = torch.tensor(1.3, dtype=torch.float64)
    eager = Rollout(FiniteDifference(), SQUARE, 0.01, capture=False)(num_frames=70, advection=advection, **state)
    captured = Rollout(FiniteDifference(), SQUARE, 0.01)(num_frames=70, advection=advection, **state)
    assert torch.equal(eager, captured)


@pytest.mark.parametrize("scheme", [SemiLagrangian(), MacCormack()], ids=repr)
def test_schemes_of_the_plain_equation_say_so(scheme) -> None:
    state = _steady_state(LINE, advection=0.7)
    with pytest.raises(ValueError, match="takes no viscosity or forcing; choose FiniteDifference, FourierSpectral"):
        Rollout(scheme, LINE, 0.01)(num_frames=1, **state)


def test_a_coefficient_of_the_wrong_shape_is_refused() -> None:
    velocity = torch.zeros((2, 1, 96), dtype=torch.float64)
    viscosity = torch.tensor(0.1, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"forcing has shape \(2,\); for velocity .* \(1,\), \(1, 1, 96\)"):
        Rollout(FiniteDifference(), LINE, 0.01)(velocity, viscosity, 1, forcing=torch.zeros(2, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"advection is torch\.float32 and velocity is torch\.float64"):
        Rollout(FiniteDifference(), LINE, 0.01)(velocity, viscosity, 1, advection=torch.tensor(1.0))
