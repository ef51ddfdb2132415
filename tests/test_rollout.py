"""Rollouts: frames and substeps, the captured step, a scheme of one's own, global states."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
import torch
from phi import math
from phi.physics import advect, diffuse
from phiml.backend import default_backend

from burgerslab.physics import (
    WENO,
    DivergedError,
    Domain,
    FiniteDifference,
    FourierSpectral,
    MacCormack,
    Rollout,
    Scheme,
    SemiLagrangian,
    solver_step,
)

DOMAINS = {1: Domain((1.7,), (16,)), 2: Domain((1.7, 0.9), (10, 8)), 3: Domain((1.7, 0.9, 2.3), (8, 9, 8))}
VISCOSITY = torch.tensor(0.01, dtype=torch.float64)


def random_velocity(domain: Domain, num_trajectories: int = 2, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(num_trajectories, domain.dimension, *domain.resolution, dtype=dtype)


@dataclass(frozen=True)
class Counted(Scheme):
    """The scheme inside, and how often Python ran it."""

    inner: Scheme
    capturable: bool = True
    order: int = 1
    calls: list[None] = field(default_factory=list)

    def step(self, velocity, viscosity, dt):
        self.calls.append(None)
        return self.inner.step(velocity, viscosity, dt)


@dataclass(frozen=True)
class Uncapturable(Scheme):
    order = 1
    capturable = False

    def step(self, velocity, viscosity, dt):
        velocity = diffuse.explicit(velocity, viscosity, dt)
        return advect.mac_cormack(velocity, velocity, dt)


# ------------------------------------------------------------------------------------- the captured step


SLOW = pytest.mark.slow
CAPTURED = [
    (FiniteDifference(6), 1, torch.float32),
    (FiniteDifference(6), 2, torch.float64),
    (FourierSpectral(), 1, torch.float64),
    (WENO(), 1, torch.float64),
    (MacCormack(), 1, torch.float64),
    (SemiLagrangian(), 2, torch.float64),
]
CAPTURED += [
    pytest.param(scheme, dimension, dtype, marks=SLOW)
    for scheme in (FiniteDifference(6), FourierSpectral(), WENO(), MacCormack(), SemiLagrangian())
    for dimension in (1, 2, 3)
    for dtype in (torch.float32, torch.float64)
    if (scheme, dimension, dtype) not in CAPTURED
]


@pytest.mark.parametrize(("scheme", "dimension", "dtype"), CAPTURED, ids=str)
def test_captured_equals_eager_bit_for_bit(monkeypatch, scheme: Scheme, dimension: int, dtype: torch.dtype) -> None:
    monkeypatch.setattr(solver_step, "_NUM_STEPS_WORTH_A_CAPTURE", 1)
    domain = DOMAINS[dimension]
    velocity = random_velocity(domain, dtype=dtype)
    weights = torch.randn(2, 2, *velocity.shape[1:], dtype=dtype)
    counted = Counted(scheme)
    results = []
    for capture in (False, True):
        inputs = (velocity.clone().requires_grad_(), torch.tensor([0.01, 0.02], dtype=dtype, requires_grad=True))
        frames = Rollout(counted, domain, 0.02, substeps=2, capture=capture)(*inputs, num_frames=2)
        results.append((frames, *torch.autograd.grad((weights * frames).sum(), inputs)))
    assert len(counted.calls) == 4 + 1
    for eager, captured in zip(*results, strict=True):
        assert captured.dtype == dtype
        assert torch.equal(eager, captured)


@pytest.mark.parametrize(("capturable", "expected_calls"), [(True, [63, 64, 64, 74]), (False, [63, 64, 65, 75])])
def test_when_the_step_is_captured(capturable: bool, expected_calls: list[int]) -> None:
    domain = DOMAINS[1]
    scheme = Counted(SemiLagrangian(), capturable=capturable)
    solver = Rollout(scheme, domain, 1e-3)
    velocity = random_velocity(domain)
    calls = []
    for batch, num_frames in ((velocity, 63), (velocity, 1), (velocity, 1), (velocity[:1], 10)):
        solver(batch, VISCOSITY, num_frames)
        calls.append(len(scheme.calls))
    assert calls == expected_calls  # the capture itself is the 64th call; another shape starts anew


@dataclass(frozen=True)
class CountedTogether(Scheme):
    """PhiFlow's own step, and how often Python ran it in any object that is equal to this one."""

    order = 1
    calls: ClassVar[list[None]] = []

    def step(self, velocity, viscosity, dt):
        self.calls.append(None)
        return advect.semi_lagrangian(velocity, velocity, dt)


def test_rollouts_that_are_alike_capture_their_step_once() -> None:
    velocity = random_velocity(DOMAINS[1])
    calls = []
    for dt, num_frames in ((1e-3, 63), (1e-3, 1), (1e-3, 9), (2e-3, 9)):
        Rollout(CountedTogether(), DOMAINS[1], dt)(velocity, VISCOSITY, num_frames)
        calls.append(len(CountedTogether.calls))
    assert calls == [63, 64, 64, 73]


def test_a_step_captured_in_inference_mode_still_gives_gradients(monkeypatch) -> None:
    monkeypatch.setattr(solver_step, "_NUM_STEPS_WORTH_A_CAPTURE", 1)
    domain = DOMAINS[1]
    solver = Rollout(FiniteDifference(6), domain, 0.02)
    velocity = random_velocity(domain)
    with torch.inference_mode():
        solver(velocity.clone(), VISCOSITY.clone(), 1)
    gradients = []
    for each in (solver, Rollout(FiniteDifference(6), domain, 0.02, capture=False)):
        viscosity = VISCOSITY.clone().requires_grad_()
        gradients.append(torch.autograd.grad(each(velocity, viscosity, 2).square().sum(), viscosity)[0])
    assert gradients[0] == gradients[1] != 0


def test_a_scheme_of_ones_own_runs_eagerly_with_gradients() -> None:
    domain = Domain((1.7,), (64,))
    (x,) = domain.centres()
    velocity = torch.tensor(np.sin(2 * np.pi * x / 1.7))[None, None]
    viscosity = torch.tensor(0.02, dtype=torch.float64, requires_grad=True)
    own = Rollout(Uncapturable(), domain, 0.01)(velocity, viscosity, 10)
    accurate = Rollout(FiniteDifference(6), domain, 0.01)(velocity, viscosity.detach(), 10)
    assert torch.linalg.norm(own - accurate) < 2e-2 * torch.linalg.norm(accurate)
    (gradient,) = torch.autograd.grad(own[:, -1].square().mean(), viscosity)
    shifted = [Rollout(Uncapturable(), domain, 0.01)(velocity, VISCOSITY * 0 + nu, 10) for nu in (0.0201, 0.0199)]
    difference = (shifted[0][:, -1].square().mean() - shifted[1][:, -1].square().mean()) / 2e-4
    assert gradient.item() == pytest.approx(difference.item(), rel=1e-3)


# ---------------------------------------------------------------------------------------- frames and time


def test_frames_and_substeps() -> None:
    domain = DOMAINS[1]
    velocity = random_velocity(domain)
    scheme = FiniteDifference(4)
    fine = Rollout(scheme, domain, 0.01)(velocity, VISCOSITY, 6)
    coarse = Rollout(scheme, domain, 0.02, substeps=2)(velocity, VISCOSITY, 3)
    assert fine.shape == (2, 6, 1, 16)
    assert torch.equal(coarse, fine[:, 1::2])  # frame 0 of the result is one dt after the initial frame
    continued = Rollout(scheme, domain, 0.01)(fine[:, 1], VISCOSITY, 4)
    assert torch.equal(continued, fine[:, 2:])


def test_a_uniform_flow_stays() -> None:
    velocity = torch.tensor([1.5, -0.5], dtype=torch.float64).reshape(1, 2, 1, 1).expand(1, 2, 10, 8)
    frames = Rollout(FiniteDifference(6), DOMAINS[2], 0.05)(velocity, VISCOSITY, 2)
    torch.testing.assert_close(frames, velocity[:, None].expand(1, 2, 2, 10, 8), rtol=0, atol=1e-14)


def test_global_states_stay_as_they_were() -> None:
    def states() -> list:
        random_states = [str(np.random.get_state()), torch.get_rng_state().tolist()]  # noqa: NPY002
        return [math.get_precision(), str(default_backend()), torch.get_default_dtype(), *random_states]

    velocity = random_velocity(DOMAINS[2])
    before = states()
    Rollout(SemiLagrangian(), DOMAINS[2], 0.01)(velocity, VISCOSITY, 2)
    Rollout(FiniteDifference(6), DOMAINS[2], 0.01)(velocity, VISCOSITY, 2)
    with pytest.raises(DivergedError):
        Rollout(FiniteDifference(6), DOMAINS[2], 10.0, substeps=3)(1e200 * velocity, VISCOSITY, 1)
    assert states() == before
