"""Fitting ν and c of u_t + c (u·∇)u = ν Δu to misfits, one pair per trajectory: damped Gauss-Newton."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Misfit = Callable[[Tensor, Tensor], Tensor]

_CONVERGED = 1e-4
_NEAR = 0.02
_LARGEST_FACTOR = 1e3  # between the first guess of the viscosity and the ends of the search
_DIFFERENCE = 1e-4


@dataclass(frozen=True)
class Coefficients:
    """What was fitted, for each of B trajectories.

    Args:
        viscosity: ν, ``(B,)``, units L²/T.
        advection: c, ``(B,)``, without unit; Burgers' equation has 1.
        viscosity_error: Standard error of ν relative to ν, ``(B,)``; infinite where the data do not tell ν.
        advection_error: Standard error of c, ``(B,)``; infinite where the data do not tell c.
        residual: What the equation with ν and c leaves unexplained, relative, ``(B,)``.
    """

    viscosity: Float[Tensor, "B"]
    advection: Float[Tensor, "B"]
    viscosity_error: Float[Tensor, "B"]
    advection_error: Float[Tensor, "B"]
    residual: Float[Tensor, "B"]


def fit_coefficients(
    misfit: Misfit,
    viscosity: Float[Tensor, "B"],
    advection: Float[Tensor, "B"],
    num_independent: int,
    floor: Float[Tensor, "B"],
    num_iterations: int,
    largest_advection: float = math.inf,
) -> Coefficients:
    """Minimise |misfit(ν, c)|² over log ν and c, for each trajectory by itself.

    Levenberg-Marquardt with differences for derivatives: two more evaluations per iteration. Steps are at most a
    factor e in ν and half of c.

    Args:
        misfit: From ν ``(B,)`` and c ``(B,)`` to ``(B, R)``. Infinite where it cannot be had.
        viscosity: First guess, ``(B,)``, units L²/T, positive. ν is sought between 1/1000 and 1000 times of it.
        advection: First guess, ``(B,)``, not zero.
        num_independent: How many of the R numbers have errors of their own.
        floor: Smallest root mean square of a misfit that is believed, in its units: that of rounded data.
        num_iterations: At most so many.
        largest_advection: |c| is sought up to so many times its first guess.

    Returns:
        The fit; its ``residual`` is the root mean square of the misfit.
    """
    first, log_viscosity = viscosity.log(), viscosity.log()
    half_range, largest = math.log(_LARGEST_FACTOR), largest_advection * advection.abs()
    damping = torch.full_like(viscosity, 1e-3)
    current = misfit(viscosity, advection)
    slopes = _slopes(misfit, log_viscosity, advection, current)
    for _ in range(num_iterations):
        step = _damped_step(slopes, current, damping)
        longest = torch.stack([torch.ones_like(advection), 0.5 * advection.abs()], dim=1)
        step = step / (step.abs() / longest).amax(dim=1, keepdim=True).clamp_min(1.0)
        proposed = torch.clamp(log_viscosity + step[:, 0], first - half_range, first + half_range)
        proposed_advection = torch.clamp(advection + step[:, 1], -largest, largest)
        trial = misfit(proposed.exp(), proposed_advection)
        better = trial.square().sum(1) < current.square().sum(1)
        log_viscosity = torch.where(better, proposed, log_viscosity)
        advection = torch.where(better, proposed_advection, advection)
        current = torch.where(better[:, None], trial, current)
        damping = torch.where(better, damping / 10, damping * 10).clamp(1e-9, 1e9)
        if bool((step.abs() < _CONVERGED).all()):
            break
        if bool((step.abs() < _NEAR).all()):  # slopes change as little as the coefficients
            continue
        slopes = _slopes(misfit, log_viscosity, advection, current)
    mean_square = current.square().mean(1)
    believed = torch.maximum(mean_square, floor**2)
    variance = believed * current.shape[1] / num_independent
    aa, ab, bb = _normal(slopes)
    # Schur complements: what is left of one column once the other has explained what it can.
    own_viscosity = (aa - torch.where(bb > 0, ab**2 / bb, torch.zeros_like(ab))).clamp_min(0.0)
    own_advection = (bb - torch.where(aa > 0, ab**2 / aa, torch.zeros_like(ab))).clamp_min(0.0)
    return Coefficients(
        log_viscosity.exp(),
        advection,
        (variance / own_viscosity).sqrt().nan_to_num(nan=torch.inf, posinf=torch.inf),
        (variance / own_advection).sqrt().nan_to_num(nan=torch.inf, posinf=torch.inf),
        mean_square.sqrt(),
    )


def _slopes(misfit: Misfit, log_viscosity: Tensor, advection: Tensor, current: Tensor) -> Tensor:
    """Derivatives of the misfit with respect to log ν and c, ``(B, R, 2)``."""
    along_viscosity = misfit((log_viscosity + _DIFFERENCE).exp(), advection)
    shift = _DIFFERENCE * advection
    along_advection = misfit(log_viscosity.exp(), advection + shift)
    return torch.stack(
        [(along_viscosity - current) / _DIFFERENCE, (along_advection - current) / shift[:, None]], dim=2
    )


def _normal(slopes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    viscosity, advection = slopes.unbind(dim=2)
    return viscosity.square().sum(1), (viscosity * advection).sum(1), advection.square().sum(1)


def _damped_step(slopes: Tensor, current: Tensor, damping: Tensor) -> Tensor:
    """Solution of the damped normal equations, ``(B, 2)``; zero where nothing depends on a coefficient."""
    aa, ab, bb = _normal(slopes)
    tiny = torch.finfo(aa.dtype).tiny ** 0.5
    aa, bb = aa * (1 + damping) + tiny, bb * (1 + damping) + tiny
    right = -(slopes * current[:, :, None]).sum(1)
    determinant = aa * bb - ab**2
    numerators = [bb * right[:, 0] - ab * right[:, 1], aa * right[:, 1] - ab * right[:, 0]]
    return (torch.stack(numerators, dim=1) / determinant[:, None]).nan_to_num(0.0, 0.0, 0.0)
