"""Viscosity and advection coefficient from short rollouts: those whose rollouts are nearest to the frames."""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.physics.coefficients import Coefficients, fit_coefficients
from burgerslab.physics.divergence import DivergedError
from burgerslab.physics.domain import Domain
from burgerslab.physics.refinement import refine
from burgerslab.physics.rollout import Rollout
from burgerslab.physics.schemes import FiniteDifference

_SCHEME = FiniteDifference(6)
_COURANT_FRACTION = 0.6  # of the scheme's limit, with c at its first guess; c may grow by half
_MOST_GROWTH = 1.5
_FLOAT32_ROUNDING = 2.0**-24 / 3**0.5
_NUM_ITERATIONS = 8


def num_substeps(
    velocity: Float[Tensor, "B C *N"], domain: Domain, dt: float, advection: Float[Tensor, "B"], refinement: int = 1
) -> int:
    """Solver steps per ``dt`` that `rollout_coefficients` takes.

    Args:
        velocity: First frames, ``(B, C, *N)``, units L/T.
        domain: Box and grid.
        dt: Time between frames, units T.
        advection: First guess of c, ``(B,)``.
        refinement: How many times finer the grid is that is solved on.
    """
    fine = refine(velocity, domain, min(2, refinement))  # a peak may lie between cells
    components = fine.abs() * advection.abs().reshape(-1, *(1,) * (velocity.ndim - 1))
    speed = components.amax(dim=(0, *range(2, velocity.ndim))).tolist()
    limit = _COURANT_FRACTION * _SCHEME.largest_stable_step(domain.refined(refinement), speed, 0.0)
    return max(1, math.ceil(dt / limit))


def rollout_coefficients(
    windows: Float[Tensor, "B W T C *N"],
    domain: Domain,
    dt: float,
    viscosity: Float[Tensor, "B"],
    advection: Float[Tensor, "B"],
    refinement: int = 1,
) -> Coefficients:
    """ν and c whose rollouts from the first frame of each window are nearest to its later frames, per trajectory.

    v = c u solves v_t + (v·∇)v = ν Δv when u solves u_t + c (u·∇)u = ν Δu, so that any scheme does for any c.

    Args:
        windows: W windows of T frames of each trajectory, ``(B, W, T, C, *N)``, float64, units L/T.
        domain: Box and grid.
        dt: Time between the frames of a window, units T.
        viscosity: First guess, ``(B,)``, units L²/T, positive.
        advection: First guess of c, ``(B,)``, not zero.
        refinement: Solve on a grid with this many times more cells along each axis.

    Returns:
        The fit. Its residual is the root mean square difference beyond float32 rounding, relative to how far the
        later frames are from the first ones; it is infinite where rollouts diverge. For the standard errors, all
        differences within one frame count as one.
    """
    num_windows, num_frames = windows.shape[1], windows.shape[2] - 1
    start, target = windows[:, :, 0].flatten(0, 1), windows[:, :, 1:].flatten(1)
    substeps = num_substeps(start, domain, dt, advection.repeat_interleave(num_windows), refinement)
    rollout = Rollout(_SCHEME, domain, dt, substeps, refinement)
    change = (windows[:, :, 1:] - windows[:, :, :1]).flatten(1).square().mean(1).sqrt()
    scale = torch.where(change > 0, change, torch.ones_like(change))

    def misfit(nu: Tensor, c: Tensor) -> Tensor:
        factor = c.repeat_interleave(num_windows).reshape(-1, *(1,) * (start.ndim - 1))
        try:
            with torch.no_grad():
                frames = rollout(start * factor, nu.repeat_interleave(num_windows), num_frames) / factor[:, None]
        except DivergedError:
            return torch.full_like(target, torch.inf)
        return (frames.reshape(target.shape) - target) / scale[:, None]

    rounding = 2 * _FLOAT32_ROUNDING * windows.flatten(1).abs().amax(1) / scale
    fit = fit_coefficients(
        misfit, viscosity, advection, num_windows * num_frames, rounding, _NUM_ITERATIONS, _MOST_GROWTH
    )
    residual = (fit.residual**2 - rounding**2).clamp_min(0.0).sqrt()
    return replace(fit, residual=torch.where(change > 0, residual, torch.zeros_like(change)))
