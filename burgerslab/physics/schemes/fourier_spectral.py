"""The Fourier pseudo-spectral method."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from phi import math
from phi.field import Field

from burgerslab.physics.domain import Domain
from burgerslab.physics.equation import Equation
from burgerslab.physics.schemes import exact_diffusion
from burgerslab.physics.schemes.fourier_modes import FourierModes
from burgerslab.physics.schemes.scheme import GeneralScheme, advective_limit

_RK4_IMAGINARY_LIMIT = 2.0 * np.sqrt(2.0)


@dataclass(frozen=True)
class FourierSpectral(GeneralScheme):
    """Fourier pseudo-spectral advection with 2/3 dealiasing, exact diffusion, RK4 in time.

    The advection term is (u·∇)u, component by component: Σ_j u_j ∂_j u_i with derivatives taken in Fourier space
    and products at the cell centres. Modes |m| < N/3 of each axis are kept and all others are set to zero, in the
    initial frame too: products of kept modes then alias into none of them. In one dimension momentum and, without
    viscosity and errors in time, energy are conserved.

    In space the error falls faster than any power of dx on smooth data; `order` is the one in time, 4. Kept modes
    must resolve the fronts: from a cell Péclet number |u| dx / ν of 2 on they ring.

    Stable for Σ_i |u_i| dt / dx_i below 2√2 / κ, where κ = k_max dx is the largest kept wave number times dx,
    just under 2π/3.

    Source: Orszag, J. Atmos. Sci. 28 (1971) 1074, for the dealiasing; Canuto et al., Spectral Methods (2006),
    section 3.3 and appendix D.
    """

    order = 4

    def advance(self, velocity: Field, equation: Equation, dt: math.Tensor) -> Field:
        """Advance by one integrating-factor RK4 step."""
        modes = FourierModes(velocity)
        kept = _kept_modes(modes, velocity.resolution)
        minus_kept = -kept

        def tendency(spectrum: math.Tensor) -> math.Tensor:
            u = modes.inverse(spectrum)
            advection = sum(
                u.vector[name] * modes.inverse(modes.derivative.vector[name] * spectrum) for name in modes.axis_names
            )
            if equation.advection is not None:
                advection = equation.advection * advection
            rest = exact_diffusion.remainder(modes, equation, spectrum)
            advected = minus_kept * modes.forward(advection)
            return advected if rest is None else advected + kept * rest

        start = kept * modes.forward(velocity.values)
        half_decay = modes.decay(equation.viscosity, dt / 2)
        after = exact_diffusion.rk4(start, tendency(start), tendency, half_decay, dt)
        return velocity.with_values(modes.inverse(after))

    def largest_stable_step(self, domain: Domain, speed: Sequence[float], viscosity: float) -> float:
        """2√2 / Σ_i k_max,i |u_i|: RK4's limit on the imaginary axis, for advection."""
        kept = [2 * np.pi * _largest_kept_mode(cells) / cells for cells in domain.resolution]
        phase_speed = [angle * u for angle, u in zip(kept, speed, strict=True)]
        return advective_limit(_RK4_IMAGINARY_LIMIT, domain, phase_speed)


def _largest_kept_mode(num_cells: int) -> int:
    """The largest integer below N/3."""
    return (num_cells - 1) // 3


def _kept_modes(modes: FourierModes, resolution: math.Shape) -> math.Tensor:
    """1 where every |m_i| < N_i/3, otherwise 0."""
    limits = [2 * np.pi * (_largest_kept_mode(cells) + 0.5) / cells for cells in resolution.sizes]
    inside = math.abs(modes.angles) < math.wrap(limits, math.channel(vector=resolution.names))
    return math.to_float(math.all(inside, "vector"))
