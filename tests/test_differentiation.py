"""Reverse mode in segments, forward mode in a stream: the same derivatives, in bounded memory."""

import re
import subprocess
import sys

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
    solver_step,
)
from tests.test_rollout import Uncapturable

LINE = Domain((1.7,), (16,))
VISCOSITY = torch.tensor(0.02, dtype=torch.float64)


def smooth_velocity(domain: Domain) -> Tensor:
    """Two trajectories of random waves around a mean flow."""
    noise = torch.randn(2, domain.dimension, *domain.resolution, dtype=torch.float64)
    spectrum = torch.fft.fftn(noise, dim=tuple(range(2, noise.ndim)))
    waves = torch.meshgrid(*(torch.fft.fftfreq(n, 1 / n) for n in domain.resolution), indexing="ij")
    smooth = torch.fft.ifftn(spectrum * torch.exp(-sum(m**2 for m in waves) / 4.0), dim=tuple(range(2, noise.ndim)))
    return 0.7 + smooth.real


# ------------------------------------------------------------------------------------------- checkpointing


@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize("checkpoint", [True, 1, 3, 100])
@pytest.mark.parametrize("scheme", [FiniteDifference(6), MacCormack()], ids=str)
def test_segments_give_the_same_gradients_to_the_bit(
    monkeypatch, scheme: Scheme, checkpoint: bool | int, captured: bool
) -> None:
    monkeypatch.setattr(solver_step, "_NUM_STEPS_WORTH_A_CAPTURE", 1)
    velocity = smooth_velocity(LINE)
    weights = torch.randn(2, 5, 1, 16, dtype=torch.float64)
    results = []
    for option in (False, checkpoint):
        solver = Rollout(scheme, LINE, 0.02, substeps=2, refine=2, capture=captured, checkpoint=option)
        inputs = velocity.clone().requires_grad_(), VISCOSITY.log().requires_grad_()
        frames = solver(inputs[0], inputs[1].exp(), 5)
        results.append((frames, *torch.autograd.grad((weights * frames).sum(), inputs)))
    for kept, recomputed in zip(*results, strict=True):
        assert torch.equal(kept, recomputed)


def test_segments_keep_less_for_the_backward_pass() -> None:
    def num_numbers_kept(checkpoint: bool | int) -> int:
        sizes: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            sizes[tensor.data_ptr()] = tensor.numel()
            return tensor

        velocity = smooth_velocity(LINE).requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            frames = Rollout(FiniteDifference(6), LINE, 0.02, checkpoint=checkpoint)(velocity, VISCOSITY, 20)
        assert frames.requires_grad
        return sum(sizes.values())

    # Of every second step the velocity, 2 x 16 numbers, and once the viscosity; nothing else.
    assert num_numbers_kept(2) == 10 * 32 + 1
    assert num_numbers_kept(False) > 10 * num_numbers_kept(2)


def test_a_step_may_leave_the_viscosity_out() -> None:
    class Halving(Scheme):
        order = 1

        def step(self, velocity, viscosity, dt):
            return velocity * 0.5

    viscosity = VISCOSITY.clone().requires_grad_()
    velocity = smooth_velocity(LINE).requires_grad_()
    Rollout(Halving(), LINE, 0.02, checkpoint=2)(velocity, viscosity, 6)[:, -1].sum().backward()
    assert viscosity.grad is None
    torch.testing.assert_close(velocity.grad, torch.full_like(velocity, 0.5**6))


@pytest.mark.parametrize("checkpoint", [0, -1])
def test_segments_of_no_step_are_refused(checkpoint: int) -> None:
    with pytest.raises(ValueError, match=f"checkpoint must be true, false or at least 1 step, got {checkpoint}"):
        Rollout(FiniteDifference(6), LINE, 0.02, checkpoint=checkpoint)


MEMORY = """
import resource, torch
from burgerslab.physics import Domain, FiniteDifference, Rollout
domain = Domain((1.0, 1.0), (128, 128))
velocity = (0.01 * torch.randn(4, 2, 128, 128, dtype=torch.float64)).requires_grad_()
viscosity = torch.tensor(0.01, dtype=torch.float64, requires_grad=True)
frames = Rollout(FiniteDifference(6), domain, 0.002, checkpoint=True)(velocity, viscosity, 100)
frames.square().sum().backward()
assert velocity.grad.abs().sum() > 0 and viscosity.grad != 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


@pytest.mark.slow
def test_a_hundred_steps_of_128_squared_cells_are_differentiated_in_little_memory() -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.5  # GiB; without segments 4.1


# --------------------------------------------------------------------------------------------- forward mode


FORWARD = [(FiniteDifference(6), 1), (FourierSpectral(), 2), (SemiLagrangian(), 2)]
FORWARD += [
    pytest.param(scheme, dimension, marks=pytest.mark.slow)
    for scheme in (FiniteDifference(6), FourierSpectral(), WENO(), MacCormack(), SemiLagrangian())
    for dimension in (1, 2)
    if (scheme, dimension) not in [*FORWARD, (WENO(), 2)]  # whose derivative takes half a minute to capture
]


@pytest.mark.parametrize(("scheme", "dimension"), FORWARD, ids=str)
def test_forward_mode_agrees_with_reverse_mode(scheme: Scheme, dimension: int) -> None:
    domain = Domain((1.7, 0.9)[:dimension], (16, 12)[:dimension])
    velocity = smooth_velocity(domain)
    direction = torch.randn_like(velocity)
    weights = torch.randn(3, *velocity.shape, dtype=torch.float64)
    solver = Rollout(scheme, domain, 0.01, substeps=2)
    inputs = velocity.clone().requires_grad_(), VISCOSITY.clone().requires_grad_()
    frames = solver(*inputs, 3)
    by_velocity, by_viscosity = torch.autograd.grad((weights.transpose(0, 1) * frames).sum(), inputs)
    directions = {
        "viscosity": torch.tensor([1.0, 0.0], dtype=torch.float64),
        "velocity": torch.stack([torch.zeros_like(velocity), direction]),
    }
    total = torch.zeros(2, dtype=torch.float64)
    for number, (frame, derivatives) in enumerate(solver.sensitivities(velocity, VISCOSITY, 3, directions)):
        torch.testing.assert_close(frame, frames[:, number].detach(), rtol=1e-12, atol=1e-13)
        total += (weights[number] * derivatives).flatten(1).sum(dim=1)
    expected = torch.stack([by_viscosity, (by_velocity * direction).sum()])
    torch.testing.assert_close(total, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("scheme", [FiniteDifference(6), FourierSpectral()], ids=str)
def test_sensitivities_to_coefficients_on_a_finer_grid(scheme: Scheme) -> None:
    velocity = smooth_velocity(LINE)
    solver = Rollout(scheme, LINE, 0.01, refine=2)
    given = {
        "viscosity": VISCOSITY * (1.5 + torch.cos(2 * torch.pi * torch.arange(16.0, dtype=torch.float64) / 16))[None],
        "advection": torch.tensor(0.8, dtype=torch.float64),
        "forcing": torch.tensor([0.3], dtype=torch.float64),
    }
    # The three parameters scale one coefficient each.
    directions = {name: torch.zeros(3, *tensor.shape, dtype=torch.float64) for name, tensor in given.items()}
    for number, (name, tensor) in enumerate(given.items()):
        directions[name][number] = tensor
    *_, (_, derivatives) = solver.sensitivities(velocity, num_frames=4, directions=directions, **given)
    for number, name in enumerate(given):
        ends = [
            solver(velocity, num_frames=4, **{**given, name: given[name] * scale})[:, -1]
            for scale in (1.0001, 0.9999)
        ]
        torch.testing.assert_close(derivatives[number], (ends[0] - ends[1]) / 2e-4, rtol=1e-6, atol=1e-8)


def test_sensitivities_come_one_by_one() -> None:
    directions = {"viscosity": torch.ones(1, dtype=torch.float64)}
    stream = Rollout(FiniteDifference(6), LINE, 0.01).sensitivities(
        smooth_velocity(LINE), VISCOSITY, 10**9, directions
    )
    first, second = next(stream), next(stream)
    assert first[1].shape == second[1].shape == (1, 2, 1, 16)


@pytest.mark.parametrize(
    ("directions", "message"),
    [
        ({}, "directions are empty; give derivatives of one of velocity, viscosity"),
        ({"forcing": torch.ones(1)}, "directions name forcing, but the rollout was given velocity, viscosity only"),
        (
            {"viscosity": torch.ones(2), "velocity": torch.ones(1, 2, 1, 16)},
            "the directions of velocity have shape (1, 2, 1, 16), expected (2, 2, 1, 16)",
        ),
    ],
    ids=["none", "unknown", "shape"],
)
def test_directions_that_do_not_fit_are_refused(directions: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Rollout(FiniteDifference(6), LINE, 0.01).sensitivities(smooth_velocity(LINE), VISCOSITY, 2, directions)


def test_schemes_that_branch_have_no_sensitivities() -> None:
    directions = {"viscosity": torch.ones(1, dtype=torch.float64)}
    with pytest.raises(ValueError, match="sensitivities need a captured step, but Uncapturable is not capturable"):
        Rollout(Uncapturable(), LINE, 0.01).sensitivities(smooth_velocity(LINE), VISCOSITY, 2, directions)
