"""Central finite differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from phi import math
from phi.field import Field

from burgerslab.physics.domain import Domain
from burgerslab.physics.equation import Equation
from burgerslab.physics.schemes import exact_diffusion
from burgerslab.physics.schemes.fourier_modes import FourierModes
from burgerslab.physics.schemes.scheme import GeneralScheme, advective_limit

_STENCILS = {2: (1 / 2,), 4: (2 / 3, -1 / 12), 6: (3 / 4, -3 / 20, 1 / 60)}
_RK4_IMAGINARY_LIMIT = 2.0 * np.sqrt(2.0)


@dataclass(frozen=True)
class FiniteDifference(GeneralScheme):
    """Central differences for advection in rotational form, exact diffusion, RK4 in time.

    The advection term is (u·∇)u = ∇(|u|²/2) + ω×u, which holds for every velocity; in one dimension it is
    the conservative form (u²/2)_x. Diffusion is an integrating factor exp(-ν|k|²t) in Fourier space, so it
    limits no step. Differences are taken there too, as multiplications by i Σ_j 2 c_j sin(j k dx) / dx: the same
    numbers for less time and memory than shifted copies of the values take. Advection is central, without numerical
    diffusion: cells must resolve the fronts (cell Péclet number |u| dx / ν of 2 or less; above 5 fronts ring).

    Fourth order in time. Stable for Σ_i |u_i| dt / dx_i below 2√2 / κ, where κ is the largest modified wave
    number of the stencil times dx (1, 1.37, 1.59 for orders 2, 4, 6).

    Stencils: Fornberg, Math. Comp. 51 (1988) 699, table 1. Rotational form: Zang, Appl. Numer. Math. 7
    (1991) 27. Integrating factor: Canuto et al., Spectral Methods (2006), appendix D.

    Args:
        order: Order of the central differences: 2, 4 or 6.
    """

    order: int = 6

    def __post_init__(self) -> None:
        if self.order not in _STENCILS:
            raise ValueError(f"FiniteDifference.order must be one of {sorted(_STENCILS)}, got {self.order}")

    def advance(self, velocity: Field, equation: Equation, dt: math.Tensor) -> Field:
        """Advance by one integrating-factor RK4 step."""
        modes = FourierModes(velocity)
        difference = 1j * self._modified_wave_vectors(modes, velocity.dx)
        minus_difference = -difference

        def acceleration(u: math.Tensor, spectrum: math.Tensor) -> math.Tensor:
            gradient = minus_difference * modes.forward(0.5 * math.sum(u * u, "vector"))
            turn = _turn(u, spectrum, modes, difference)
            return gradient if turn is None else gradient + turn

        return exact_diffusion.advance(velocity, equation, dt, modes, acceleration)

    def largest_stable_step(self, domain: Domain, speed: Sequence[float], viscosity: float) -> float:
        """2√2 / (κ Σ_i |u_i| / dx_i): RK4's limit on the imaginary axis, for advection."""
        angle = np.linspace(0.0, np.pi, 2001)
        symbol = sum(2 * c * np.sin(j * angle) for j, c in enumerate(_STENCILS[self.order], start=1))
        return advective_limit(float(_RK4_IMAGINARY_LIMIT / np.max(symbol)), domain, speed)

    def _modified_wave_vectors(self, modes: FourierModes, dx: math.Tensor) -> math.Tensor:
        """Σ_j 2 c_j sin(j k dx) / dx: the wave number that the stencil sees instead of k, units 1/L."""
        weights = enumerate(_STENCILS[self.order], start=1)
        return sum(2 * c * math.sin(j * modes.angles) for j, c in weights) / dx


def _turn(u: math.Tensor, spectrum: math.Tensor, modes: FourierModes, difference: math.Tensor) -> math.Tensor | None:
    """Spectrum of -ω×u, (ω×u)_n = Σ_m u_m (∂_m u_n - ∂_n u_m); None in one dimension, where there is no ω."""
    force = dict.fromkeys(modes.axis_names, 0)
    for n, m in combinations(modes.axis_names, 2):
        shear = difference.vector[m] * spectrum.vector[n] - difference.vector[n] * spectrum.vector[m]
        vorticity = modes.inverse(shear)
        force[n] = force[n] - u.vector[m] * vorticity
        force[m] = force[m] + u.vector[n] * vorticity
    if len(force) == 1:
        return None
    return modes.forward(math.stack(list(force.values()), math.channel(vector=list(force))))
