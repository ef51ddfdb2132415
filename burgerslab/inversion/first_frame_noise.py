"""What the noise of first frames does where rollouts start from them as if they were exact.

The rollout carries the noise of a window's first frame along, and with sliding windows the same noisy frame is the
first of one window and data of others. To first order in the noise e, the gradient g = Σ ∂rᵀ r of the misfit is
Σ_s c(s)·e(s) over the frames s of every trajectory, with

    c(s) = Σ_t J_tᵀ ∂r_t of the window that starts at s, minus ∂r of frame s in every window that it is data of,

J_t the derivative of frame t with respect to the first. With independent noise of variance σ², the numbers found are
off by a covariance of σ² H⁻¹ (Σ_s c cᵀ + m R) H⁻¹: R is the share of priors in H, whose means are off by their
standard deviations, and m in how many windows a value occurs. To second order g has a mean, since the errors that
noise makes of r and of ∂r are correlated: it biases the numbers by -H⁻¹ E[g], most where windows are short
(regression dilution: Fuller, Measurement Error Models (1987), section 1.1).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.inversion.gauss_newton import ArrowMatrix
from burgerslab.inversion.objective import Batch, Objective
from burgerslab.inversion.posterior import Posterior
from burgerslab.inversion.sensitivity import linearised
from burgerslab.inversion.solvable import Total
from burgerslab.inversion.window_products import few_directions, over_windows

NOTABLE = 2e-3
"""Residuals in units of the data's size from which they are taken for noise: those of exact data are far smaller."""

_MOST_VALUES = 2**27  # of c: a gibibyte
_STEP = 1e-3  # of the data's size: far above rounding, and small enough for second differences


@dataclass(frozen=True)
class FirstFrameNoise:
    """The effect at the end of a solve.

    Args:
        posterior: The noise without what it adds through first frames, and the covariances above.
        shift: By how much the noise moves the free numbers on average, with the sign turned: to be added to them.
    """

    posterior: Posterior
    shift: Float[Tensor, " F"]


def matters(objective: Objective, posterior: Posterior) -> bool:
    """Whether first frames are noisy and taken for exact."""
    problem = objective.problem
    exact = objective.learns_initial_state or problem.initial_is_known
    return not exact and posterior.noise_std >= NOTABLE * problem.scale


def is_known(objective: Objective) -> bool:
    """Whether `first_frame_noise` can be had: of few numbers, and of data that fit into memory."""
    problem = objective.problem
    num_frames = max(start for _, start in problem.windows) + problem.num_steps + 1
    cells = int(np.prod(problem.domain.resolution)) * problem.domain.dimension
    num_values = (objective.num_shared + objective.num_own) * len(problem.trajectories) * num_frames * cells
    return few_directions(objective) and num_values <= _MOST_VALUES


def first_frame_noise(
    objective: Objective,
    flat: Float[Tensor, " F"],
    information: ArrowMatrix,
    regular: ArrowMatrix,
    sum_of_squares: float,
    chunks: Iterable[Batch],
    total: Total,
) -> FirstFrameNoise:
    """Covariances and bias, for the price of some seven evaluations.

    Args:
        objective: The misfit, one that `is_known` holds for.
        flat: Its minimum.
        information: Σ ∂r ∂rᵀ over the observed windows, not weighted.
        regular: Half the second derivative of roughness and priors.
        sum_of_squares: Σ r² over the observed windows.
        chunks: The windows of this process, float64.
        total: Adds a tensor up over the processes.
    """
    problem, num = objective.problem, objective.num_shared + objective.num_own
    num_frames = max(start for _, start in problem.windows) + problem.num_steps + 1
    values = int(np.prod(problem.domain.resolution)) * problem.domain.dimension
    responses = torch.zeros(len(problem.trajectories), num_frames, num, values, dtype=torch.float64)
    carried, bend = torch.zeros(1, dtype=torch.float64), torch.zeros_like(flat)
    for batch in chunks:
        seen = {name: part[batch["observed"]] for name, part in batch.items()}
        if len(seen["target"]):
            _add_responses(objective, flat, seen, responses)
            of_windows, second = _effects_of_a_draw(objective, flat, seen)
            carried += of_windows
            bend += second
    responses, carried, bend = total(responses), float(total(carried)), total(bend)
    num_values = problem.num_observed + carried - problem.overlap * objective.num_free
    variance = sum_of_squares / max(1.0, num_values)
    scatter = (responses @ responses.mT).sum(dim=1)
    shared = objective.num_shared
    of_priors = regular.scaled(problem.num_observed * problem.scale**2)
    spread = ArrowMatrix(
        scatter[:, :shared, :shared].sum(0), scatter[:, :shared, shared:], scatter[:, shared:, shared:]
    ) + of_priors.scaled(problem.overlap)
    inverse = torch.linalg.inv((information + of_priors).dense())
    covariance = variance * inverse @ spread.dense() @ inverse
    own = [
        covariance[start : start + objective.num_own, start : start + objective.num_own]
        for start in range(shared, len(flat), max(1, objective.num_own))
    ]
    blocks = torch.stack(own) if own else covariance.new_zeros(objective.num_rows, 0, 0)
    posterior = Posterior(variance**0.5, covariance[:shared, :shared], blocks)
    return FirstFrameNoise(posterior, variance * inverse @ bend)


def _add_responses(objective: Objective, flat: Tensor, batch: Batch, responses: Float[Tensor, "W S R V"]) -> None:
    """Add c(s) of a chunk."""
    own = objective.select(objective.unflatten(flat), batch)
    _, found = linearised(objective, own, batch)
    along = torch.cat([found[name] for name in (*objective.shared, *objective.own)])
    rows, starts = torch.tensor(objective.problem.rows(batch["trajectory"].tolist())), batch["start"].cpu()
    for frame in range(along.shape[2]):
        place = (rows, starts + 1 + frame)
        responses.index_put_(place, -along[:, :, frame].flatten(2).transpose(0, 1).cpu(), accumulate=True)
    with torch.enable_grad():
        initial = batch["initial"].clone().requires_grad_()
        coefficients = {name: value.detach() for name, value in objective.coefficients(own).items()}
        frames = objective.frames_with(coefficients, {**batch, "initial": initial})[:, 1:]
        first = [
            torch.autograd.grad((frames * direction).sum(), initial, retain_graph=True)[0] for direction in along
        ]
    responses.index_put_((rows, starts), torch.stack(first, dim=1).flatten(2).cpu(), accumulate=True)


@torch.no_grad()
def _effects_of_a_draw(
    objective: Objective, flat: Tensor, batch: Batch
) -> tuple[Float[Tensor, ""], Float[Tensor, " F"]]:
    """Σ_t |J_t z|² and half the second derivative of g along z, for a draw z of noise of variance 1."""
    names = zip(batch["trajectory"].tolist(), batch["start"].tolist(), strict=True)
    shape = batch["initial"].shape[1:]
    drawn = np.stack([np.random.default_rng([*name, 77]).standard_normal(shape) for name in names])
    step = _STEP * objective.problem.scale
    z = step * torch.from_numpy(drawn).to(batch["initial"])
    residuals, gradients = [], []
    for sign in (1, 0, -1):
        moved = {**batch, "initial": batch["initial"] + sign * z}
        residual, found = linearised(objective, objective.select(objective.unflatten(flat), moved), moved)
        along = torch.cat([found[name] for name in (*objective.shared, *objective.own)])
        gradients.append((along * residual).flatten(2).sum(dim=2).T)
        residuals.append(residual)
    carried = ((residuals[0] - residuals[2]) / (2 * step)).square().sum().cpu()
    second = (gradients[0] - 2 * gradients[1] + gradients[2]) / (2 * step**2)
    return carried, over_windows(objective, second, batch)
