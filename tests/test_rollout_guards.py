"""What a rollout refuses: unstable steps, infinite frames, shapes and numbers that do not fit."""

import re
from dataclasses import dataclass

import jaxtyping
import pytest
import torch

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
    UnstableStepError,
)

LINE = Domain((1.7,), (16,))
VISCOSITY = torch.tensor(0.01, dtype=torch.float64)

GUARDED = [
    (FiniteDifference(2), (1.7,), 1e-6),
    (FiniteDifference(4), (1.7,), 1e-6),
    (FiniteDifference(6), (1.7,), 1e-6),
    pytest.param(FiniteDifference(6), (1.7, 0.9), 1e-6, marks=pytest.mark.slow),
    (FourierSpectral(), (1.7,), 1e-6),
    pytest.param(FourierSpectral(), (1.7, 0.9), 1e-6, marks=pytest.mark.slow),
    (WENO(), (1.7,), 1e-6),
    pytest.param(WENO(), (1.7, 0.9), 1e-6, marks=pytest.mark.slow),
    (SemiLagrangian(), (1.7,), 0.05),
    (SemiLagrangian(), (1.7, 0.9), 0.05),
]


@pytest.mark.parametrize(("scheme", "extent", "viscosity"), GUARDED, ids=str)
def test_the_limit_of_the_guard_is_the_true_one(scheme: Scheme, extent: tuple, viscosity: float) -> None:
    domain = Domain(extent, (20, 12)[: len(extent)])
    # Diffusion limits the semi-Lagrangian scheme, at any speed; a fast flow limits the others.
    flow = 0.0 if isinstance(scheme, SemiLagrangian) else 1.0
    velocity = flow + 1e-10 * torch.randn(1, len(extent), *domain.resolution, dtype=torch.float64)
    limit = scheme.largest_stable_step(
        domain, velocity.abs().amax(dim=(0, *range(2, velocity.ndim))).tolist(), viscosity
    )

    nu = torch.tensor(viscosity, dtype=torch.float64)

    def growth(step_size: float, num_steps: int) -> float:
        solver = Rollout(scheme, domain, step_size * num_steps, num_steps, capture=False)
        return ((solver(velocity, nu, 1) - flow).abs().max() / (velocity - flow).abs().max()).item()

    assert growth(0.98 * limit, 40) < 2
    assert growth(1.3 * limit, 12) > 10


@pytest.mark.parametrize("extent", [(1.7,), (1.7, 0.9)], ids=str)
def test_maccormack_is_stable_at_every_step_size(extent: tuple) -> None:
    domain = Domain(extent, (20, 12)[: len(extent)])
    velocity = 1.0 + torch.randn(1, len(extent), *domain.resolution, dtype=torch.float64)
    assert MacCormack().largest_stable_step(domain, [5.0] * len(extent), 1.0) == float("inf")
    for step_size, viscosity in ((0.1, 1e-6), (1.0, 1e-6), (1.0, 1.0)):  # Courant numbers of 5 to 60
        nu = torch.tensor(viscosity, dtype=torch.float64)
        frames = Rollout(MacCormack(), domain, step_size)(velocity, nu, 20)
        assert frames.abs().max() < 1.2 * velocity.abs().max()


@pytest.mark.parametrize("scheme", [FiniteDifference(6), SemiLagrangian()], ids=str)
def test_the_guard_says_what_to_change_and_it_helps(scheme: Scheme) -> None:
    domain = Domain((1.0, 1.0), (32, 32))
    velocity = torch.zeros(1, 2, 32, 32, dtype=torch.float64)
    velocity[0, :, 3, 4] = torch.tensor([1.5, -0.4])
    viscosity = 0.013
    # 2√2 / (1.586 · 32 · 1.9) and 1 / (4 · 0.013 · 32²)
    limit = 0.029332 if isinstance(scheme, FiniteDifference) else 0.018780
    dt, substeps = 0.101, 2
    with pytest.raises(UnstableStepError) as caught:
        Rollout(scheme, domain, dt, substeps).check_stability(velocity, viscosity)
    message = str(caught.value)
    assert f"{type(scheme).__name__} is unstable with steps of 0.0505: at speed 1.5, viscosity 0.013" in message
    assert f"cells of 0.0312 its limit is {limit:.3g}" in message
    enough = int(re.search(r"Set substeps to (\d+) or more \(now 2\)", message)[1])
    assert enough == -(-dt // limit)
    short = float(re.search(r"or dt to ([\d.e-]+) or less \(now 0.101\)", message)[1])
    assert short == pytest.approx(substeps * limit, rel=1e-2)
    Rollout(scheme, domain, dt, enough).check_stability(velocity, viscosity)
    Rollout(scheme, domain, short, substeps).check_stability(velocity, viscosity)
    with pytest.raises(UnstableStepError, match=f"now {enough - 1}"):
        Rollout(scheme, domain, dt, enough - 1).check_stability(velocity, viscosity)


@dataclass(frozen=True)
class Squaring(Scheme):
    order = 1

    def step(self, velocity, viscosity, dt):
        return velocity * velocity


def test_no_limit_no_complaint() -> None:
    still = torch.zeros(1, 1, 16, dtype=torch.float64)
    Rollout(FiniteDifference(6), LINE, 1e9).check_stability(still, 1.0)
    Rollout(Squaring(), LINE, 1e9).check_stability(still + 1, 1.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_initial_frames_that_are_not_finite_are_refused(value: float) -> None:
    velocity = torch.ones(3, 1, 16, dtype=torch.float64)
    velocity[1:, 0, 5] = value
    with pytest.raises(
        ValueError, match=r"the initial frames of trajectories \[1, 2\] are not finite; check the data"
    ):
        Rollout(FiniteDifference(6), LINE, 0.01).check_stability(velocity, 0.01)


def test_a_diverged_rollout_says_where_and_what_to_change() -> None:
    velocity = torch.randn(3, 1, 16, dtype=torch.float64)
    velocity[1] *= 1e100
    message = (
        r"the rollout is not finite in 1 of 3 trajectories, first in trajectory 1 at frame 2 \(time 0.02\)\. "
        r"Use more substeps, a finer resolution .* or a larger viscosity"
    )
    with pytest.raises(DivergedError, match=message):
        Rollout(Squaring(), LINE, 0.01)(velocity, VISCOSITY, 3)


# ---------------------------------------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("velocity", "viscosity", "num_frames", "message"),
    [
        (torch.ones(2, 1, 16), torch.tensor(0.1), 0, "num_frames must be at least 1, got 0"),
        (
            torch.ones(2, 1, 16),
            VISCOSITY,
            1,
            "viscosity is torch.float64 and velocity is torch.float32; give both in",
        ),
        (
            torch.ones(2, 1, 16),
            torch.ones(3),
            1,
            r"viscosity has shape \(3,\); for velocity \(2, 1, 16\) give one of \(\), \(2,\), \(1, 16\), \(2, 16\)",
        ),
        (
            torch.ones(2, 1, 17),
            torch.tensor(0.1),
            1,
            r"values have shape \(2, 1, 17\), expected \(B, C, \*N\) = \(B, 1, 16\) for domain.resolution \[16\]",
        ),
        (
            torch.ones(2, 1, 16).half(),
            torch.tensor(0.1).half(),
            1,
            "run in float32 or float64, got torch.float16; convert the tensor",
        ),
    ],
    ids=["num_frames", "mixed dtypes", "viscosity shape", "velocity shape", "half"],
)
def test_what_does_not_fit_is_refused(velocity, viscosity, num_frames: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rollout(FiniteDifference(6), LINE, 0.01)(velocity, viscosity, num_frames)


@pytest.mark.parametrize(
    ("dt", "substeps", "message"),
    [
        (0.0, 1, "dt must be positive and finite, got 0.0"),
        (float("nan"), 1, "dt must be positive and finite, got nan"),
        (0.1, 0, "substeps must be a whole number from 1 on, got 0"),
    ],
)
def test_steps_that_make_no_sense_are_refused(dt: float, substeps: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rollout(FiniteDifference(6), LINE, dt, substeps)


def test_a_refined_rollout_checks_its_own_grid() -> None:
    velocity = torch.sin(2 * torch.pi * (torch.arange(16, dtype=torch.float64) + 0.5) / 16).expand(1, 1, 16)
    limit = FiniteDifference(6).largest_stable_step(LINE.refined(3), [1.0], 0.01)
    Rollout(FiniteDifference(6), LINE, 0.99 * limit, refine=3).check_stability(velocity, 0.01)
    Rollout(FiniteDifference(6), LINE, 2.97 * limit, substeps=3, refine=3).check_stability(velocity, 0.01)
    message = r"cells of 0.0354 its limit is 0.0633.* or a smaller refine \(now 3\)"
    with pytest.raises(UnstableStepError, match=message):
        Rollout(FiniteDifference(6), LINE, 1.01 * limit, refine=3).check_stability(velocity, 0.01)


@pytest.mark.parametrize(
    ("velocity", "message"),
    [
        (
            torch.ones(2, 1, 17),
            r"values have shape \(2, 1, 17\), expected \(B, C, \*N\) = \(B, 1, 16\)",
        ),
        (torch.ones(2, 1, 16).half(), "run in float32 or float64, got torch.float16; convert the tensor"),
    ],
    ids=["velocity shape", "half"],
)
def test_a_refined_rollout_refuses_the_same(velocity: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rollout(FiniteDifference(6), LINE, 0.01, refine=2)(velocity, torch.tensor(0.1, dtype=velocity.dtype), 1)


def test_a_refinement_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="refine must be a whole number from 1 on, got 0"):
        Rollout(FiniteDifference(6), LINE, 0.1, refine=0)


def test_annotated_shapes_are_checked_while_testing() -> None:
    solver = Rollout(FiniteDifference(6), LINE, 0.01)
    with pytest.raises(jaxtyping.TypeCheckError, match="velocity"):
        solver(torch.ones(2, dtype=torch.float64), VISCOSITY, 1)  # neither components nor cells
    with pytest.raises(jaxtyping.TypeCheckError, match="viscosity"):
        solver(torch.ones(2, 1, 16), torch.tensor(1), 1)
