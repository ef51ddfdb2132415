"""Diffusion that is exact in Fourier space, as the integrating factor of a Runge-Kutta step."""

from collections.abc import Callable

from phi import math
from phi.field import Field

from burgerslab.physics.equation import Equation
from burgerslab.physics.schemes.fourier_modes import FourierModes

Tendency = Callable[[math.Tensor], math.Tensor]
Acceleration = Callable[[math.Tensor, math.Tensor], math.Tensor]


def rk4(
    start: math.Tensor, slope_1: math.Tensor, tendency: Tendency, half_decay: math.Tensor, dt: math.Tensor
) -> math.Tensor:
    """One RK4 step of dû/dt = -ν|k|²û + tendency(û) in the variable exp(ν|k|²t) û: diffusion limits no step.

    Source: Canuto et al., Spectral Methods: Fundamentals in Single Domains (2006), appendix D.

    Args:
        start: Spectrum û.
        slope_1: ``tendency(start)``; the caller may have a shorter way to it.
        tendency: Everything but diffusion, from spectrum to spectrum.
        half_decay: `FourierModes.decay` over half a step.
        dt: Step size, units T.
    """
    middle = half_decay * start
    decayed_1 = half_decay * slope_1
    slope_2 = tendency(middle + (dt / 2) * decayed_1)
    slope_3 = tendency(middle + (dt / 2) * slope_2)
    slope_4 = tendency(half_decay * (middle + dt * slope_3))
    return half_decay * (middle + (dt / 6) * (decayed_1 + 2 * (slope_2 + slope_3))) + (dt / 6) * slope_4


def advance(
    velocity: Field, equation: Equation, dt: math.Tensor, modes: FourierModes, acceleration: Acceleration
) -> Field:
    """One `rk4` step with an advection term that is computed at the cell centres.

    Args:
        velocity: Velocity at the start of the step.
        equation: Coefficients.
        dt: Step size, units T.
        modes: Of the grid.
        acceleration: Spectrum of -(u·∇)u, from the values of u and their spectrum.
    """

    def slope(values: math.Tensor, spectrum: math.Tensor) -> math.Tensor:
        accelerated = acceleration(values, spectrum)
        if equation.advection is not None:
            accelerated = equation.advection * accelerated
        rest = remainder(modes, equation, spectrum)
        return accelerated if rest is None else accelerated + rest

    start = modes.forward(velocity.values)
    half_decay = modes.decay(equation.viscosity, dt / 2)
    after = rk4(start, slope(velocity.values, start), lambda s: slope(modes.inverse(s), s), half_decay, dt)
    return velocity.with_values(modes.inverse(after))


def remainder(modes: FourierModes, equation: Equation, spectrum: math.Tensor) -> math.Tensor | None:
    """Spectrum of ∇·(d ∇u) + f, d = ν minus its level in the integrating factor; None where both terms are 0.

    The level is between half the largest value and the largest: the explicit rest is never stronger than the exact
    decay beside it, so that a viscosity that varies in space limits no step either.

    Args:
        modes: Of the grid.
        equation: Coefficients.
        spectrum: Of u.
    """
    parts = []
    if equation.viscosity_deficit is not None:
        for name in modes.axis_names:
            along = modes.derivative.vector[name]
            flux = equation.viscosity_deficit * modes.inverse(along * spectrum)
            parts.append(along * modes.forward(flux))
    if equation.forcing is not None:
        parts.append(modes.forward(modes.spread(equation.forcing)))
    return sum(parts[1:], parts[0]) if parts else None
