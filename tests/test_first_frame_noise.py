"""What noisy first frames do to an inversion, against noise that is added and against a linear equation."""

import numpy as np
import torch

from burgerslab.inversion import Gaussian, Problem, Viscosity
from burgerslab.inversion.first_frame_noise import _add_responses, _effects_of_a_draw, first_frame_noise
from burgerslab.inversion.gauss_newton import curvature_of_regularisation, gauss_newton
from burgerslab.inversion.objective import Objective
from burgerslab.inversion.window_products import over_windows, products
from burgerslab.physics import Domain, FiniteDifference, Rollout

CELLS, DT, NUM_STEPS, NUM_FRAMES, VISCOSITY = 32, 0.02, 3, 8, 0.02
STARTS = range(NUM_FRAMES - NUM_STEPS)


def _objective(scale: float, prior: Gaussian | None = None, noise_std: float | None = None) -> Objective:
    problem = Problem(
        domain=Domain((1.0,), (CELLS,)),
        dt=DT,
        windows=tuple((trajectory, start) for trajectory in range(2) for start in STARTS),
        num_steps=NUM_STEPS,
        num_observed=2 * len(STARTS) * NUM_STEPS * CELLS,
        num_generated=0,
        overlap=2.0,
        scale=scale,
        speed=(1.0,),
        viscosity=np.full(2, VISCOSITY),
    )
    rollout = Rollout(FiniteDifference(), problem.domain, DT)
    return Objective(problem, [Viscosity(VISCOSITY, prior=prior)], rollout, noise_std=noise_std)


def _trajectories(objective: Objective) -> torch.Tensor:
    """Two that the rollout itself has made, ``(W, S, 1, N)``."""
    x = torch.from_numpy(objective.problem.domain.centres()[0])
    initial = (
        objective.problem.scale * torch.stack([torch.sin(2 * torch.pi * x), torch.cos(4 * torch.pi * x)])[:, None]
    )
    viscosity = torch.tensor(VISCOSITY, dtype=torch.float64)
    return torch.cat([initial[:, None], objective.rollout(initial, viscosity, NUM_FRAMES - 1)], dim=1)


def _windows(frames: torch.Tensor) -> dict[str, torch.Tensor]:
    """All windows of both."""
    pairs = [(trajectory, start) for trajectory in range(2) for start in STARTS]
    return {
        "trajectory": torch.tensor([trajectory for trajectory, _ in pairs]),
        "start": torch.tensor([start for _, start in pairs]),
        "initial": torch.stack([frames[trajectory, start] for trajectory, start in pairs]),
        "target": torch.stack([frames[trajectory, start + 1 : start + 1 + NUM_STEPS] for trajectory, start in pairs]),
        "viscosity": torch.full((len(pairs),), VISCOSITY, dtype=torch.float64),
        "observed": torch.ones(len(pairs), dtype=torch.bool),
    }


def test_the_gradient_answers_to_noise_as_the_responses_say() -> None:
    objective = _objective(scale=1.0)
    frames, flat = _trajectories(objective), objective.start()
    responses = torch.zeros(2, NUM_FRAMES, 1, CELLS, dtype=torch.float64)
    _add_responses(objective, flat, _windows(frames), responses)
    noise = 1e-6 * torch.randn(frames.shape, dtype=torch.float64)
    ends = []
    for sign in (1, -1):
        objective.kept.forget()
        batch = _windows(frames + sign * noise)
        ends.append(over_windows(objective, products(objective, flat, batch)[:, 1:, 0], batch))
    torch.testing.assert_close((ends[0] - ends[1]) / 2, (responses * noise).sum().reshape(1), rtol=1e-5, atol=0.0)


def test_the_bias_is_that_of_a_linear_equation() -> None:
    """In a flow as weak as this nothing is advected: the wave k decays as exp(-ν k² t)."""
    objective = _objective(scale=1e-6)
    batch = _windows(_trajectories(objective))
    carried, bend = _effects_of_a_draw(objective, objective.start(), batch)
    decay = VISCOSITY * (2 * np.pi * np.fft.fftfreq(CELLS, 1 / CELLS)) ** 2 * DT
    steps = np.arange(1, NUM_STEPS + 1)[:, None]
    left = np.exp(-2 * steps * decay)
    num_windows = len(batch["start"])
    np.testing.assert_allclose(float(carried), num_windows * left.sum(), rtol=0.2)
    np.testing.assert_allclose(float(bend), -num_windows * (steps * decay * left).sum(), rtol=0.2)


def test_a_prior_that_says_more_than_the_data_is_what_is_left_of_uncertainty() -> None:
    noise, prior = 0.05, Gaussian(VISCOSITY, 1e-3 * VISCOSITY)
    objective = _objective(scale=1.0, prior=prior, noise_std=noise)
    frames, flat = _trajectories(objective), objective.start()
    chunks = [_windows(frames + noise * torch.randn(frames.shape, dtype=torch.float64))]
    squares, information = gauss_newton(objective, flat, chunks, lambda total: total, weighted=False)
    regular = curvature_of_regularisation(objective, flat)
    found = first_frame_noise(objective, flat, information, regular, squares, chunks, lambda total: total)
    np.testing.assert_allclose(float(found.posterior.shared.sqrt()), 1e-3, rtol=0.1)
    np.testing.assert_allclose(found.posterior.noise_std, noise, rtol=0.1)
