"""Diffusion that is exact in Fourier space: alone, and as the integrating factor of a Runge-Kutta step."""

from collections.abc import Callable

from phi import math
from phi.field import Field

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


def advance(velocity: Field, viscosity: math.Tensor, dt: math.Tensor, advection: Tendency) -> Field:
    """One `rk4` step with an advection term that is computed at the cell centres.

    Args:
        velocity: Velocity at the start of the step.
        viscosity: Scalar, or one per ``trajectory``, units L²/T.
        dt: Step size, units T.
        advection: (u·∇)u from the values of u.
    """

    def tendency(spectrum: math.Tensor) -> math.Tensor:
        return fourier(-advection(physical(spectrum)))

    slope_1 = fourier(-advection(velocity.values))
    half_decay = decay(velocity, viscosity, dt / 2)
    return velocity.with_values(physical(rk4(fourier(velocity.values), slope_1, tendency, half_decay, dt)))
