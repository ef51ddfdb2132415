"""Diffusion that is exact in Fourier space: alone, and as the integrating factor of a Runge-Kutta step."""

from collections.abc import Callable

from phi import math
from phi.field import Field

from burgerslab.physics.equation import Equation

Tendency = Callable[[math.Tensor], math.Tensor]


def fourier(values: math.Tensor) -> math.Tensor:
    """Discrete Fourier transform over the box."""
    return math.fft(values, dims=math.spatial)


def physical(spectrum: math.Tensor) -> math.Tensor:
    """Values at the cell centres of a spectrum of real values."""
    return math.real(math.ifft(spectrum, dims=math.spatial))


def wave_vectors(velocity: Field) -> math.Tensor:
    """2π m / extent for every mode m of the grid, units 1/L."""
    return math.fftfreq(velocity.resolution, velocity.dx) * (2 * math.PI)


def decay(velocity: Field, viscosity: math.Tensor, time: math.Tensor) -> math.Tensor:
    """exp(-ν|k|²t), the factor by which diffusion alone multiplies every mode.

    PhiFlow's ``diffuse.fourier`` is not used: it takes the cell size for 1.

    Args:
        velocity: Field whose grid is meant.
        viscosity: Scalar, or one per ``trajectory``, units L²/T.
        time: How long it diffuses, units T.
    """
    k = wave_vectors(velocity)
    return math.exp(-viscosity * time * math.sum(k * k, "vector"))


def rk4(
    start: math.Tensor, slope_1: math.Tensor, tendency: Tendency, half_decay: math.Tensor, dt: math.Tensor
) -> math.Tensor:
    """One RK4 step of dû/dt = -ν|k|²û + tendency(û) in the variable exp(ν|k|²t) û: diffusion limits no step.

    Source: Canuto et al., Spectral Methods: Fundamentals in Single Domains (2006), appendix D.

    Args:
        start: Spectrum û.
        slope_1: ``tendency(start)``; the caller may have a shorter way to it.
        tendency: Everything but diffusion, from spectrum to spectrum.
        half_decay: `decay` over half a step.
        dt: Step size, units T.
    """
    middle = half_decay * start
    decayed_1 = half_decay * slope_1
    slope_2 = tendency(middle + (dt / 2) * decayed_1)
    slope_3 = tendency(middle + (dt / 2) * slope_2)
    slope_4 = tendency(half_decay * (middle + dt * slope_3))
    return half_decay * (middle + (dt / 6) * (decayed_1 + 2 * (slope_2 + slope_3))) + (dt / 6) * slope_4


def advance(velocity: Field, equation: Equation, dt: math.Tensor, advection: Tendency) -> Field:
    """One `rk4` step with an advection term that is computed at the cell centres.

    Args:
        velocity: Velocity at the start of the step.
        equation: Coefficients.
        dt: Step size, units T.
        advection: (u·∇)u from the values of u.
    """

    def slope(values: math.Tensor, spectrum: math.Tensor) -> math.Tensor:
        advected = advection(values)
        if equation.advection is not None:
            advected = equation.advection * advected
        rest = remainder(velocity, equation, spectrum)
        return fourier(-advected) if rest is None else fourier(-advected) + rest

    start = fourier(velocity.values)
    half_decay = decay(velocity, equation.viscosity, dt / 2)
    after = rk4(start, slope(velocity.values, start), lambda s: slope(physical(s), s), half_decay, dt)
    return velocity.with_values(physical(after))


def remainder(velocity: Field, equation: Equation, spectrum: math.Tensor) -> math.Tensor | None:
    """Spectrum of ∇·(d ∇u) + f, d = ν - max ν <= 0; None where both terms are 0.

    With the largest value in the integrating factor the explicit rest only takes away from an exact decay that is at
    least as strong: a viscosity that varies in space limits no step either.

    Args:
        velocity: Field whose grid is meant.
        equation: Coefficients.
        spectrum: Of u.
    """
    parts = []
    if equation.viscosity_deficit is not None:
        derivative = 1j * wave_vectors(velocity)
        for name in velocity.resolution.names:
            along = derivative.vector[name]
            flux = equation.viscosity_deficit * physical(along * spectrum)
            parts.append(along * fourier(flux))
    if equation.forcing is not None:
        parts.append(fourier(equation.forcing + 0 * velocity.values))
    return sum(parts[1:], parts[0]) if parts else None
