"""Space-time discretisations of u_t + (u·∇)u = ν Δu on a periodic grid, written with PhiFlow operators."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from phi import field, math
from phi.field import Field
from phi.physics import advect

from burgerslab.physics.domain import Domain
from burgerslab.physics.phi_bridge import PERIODIC


class Scheme(ABC):
    """One step of the viscous Burgers equation.

    A scheme of your own is a dataclass with a ``step`` and an ``order``; YAML finds it by ``class_path``.
    If ``step`` branches on values (``if speed.max > 1``), set ``capturable = False``: a captured graph
    would keep the branch taken first.

    Attributes:
        order: Formal order in space (in the step size taken proportional to the cell size).
        capturable: Whether the step may be recorded once as a graph and replayed.
    """

    order: int
    capturable: bool = True

    @abstractmethod
    def step(self, velocity: Field, viscosity: math.Tensor, dt: math.Tensor) -> Field:
        """Advance by one step.

        Args:
            velocity: Periodic ``CenteredGrid``, batch dimension ``trajectory``, units L/T.
            viscosity: Scalar, or one per ``trajectory``, units L²/T.
            dt: Step size, units T.

        Returns:
            The velocity one step later, on the same grid.
        """

    def largest_stable_step(self, domain: Domain, speed: Sequence[float], viscosity: float) -> float:
        """Largest stable step size, units T; infinity for a scheme that makes no statement.

        Args:
            domain: Box and grid.
            speed: Largest |u_i| along each axis, units L/T.
            viscosity: Largest viscosity, units L²/T.
        """
        return float("inf")


_STENCILS = {2: (1 / 2,), 4: (2 / 3, -1 / 12), 6: (3 / 4, -3 / 20, 1 / 60)}
_RK4_IMAGINARY_LIMIT = 2.0 * np.sqrt(2.0)


@dataclass(frozen=True)
class FiniteDifference(Scheme):
    """Central differences for advection in rotational form, exact diffusion, RK4 in time.

    The advection term is (u·∇)u = ∇(|u|²/2) + ω×u, which holds for every velocity; in one dimension it is
    the conservative form (u²/2)_x. Diffusion is an integrating factor exp(-ν|k|²t) in Fourier space, so it
    limits no step. Advection is central, without numerical diffusion: cells must resolve the fronts
    (cell Péclet number |u| dx / ν of 2 or less; above 5 fronts ring).

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

    def step(self, velocity: Field, viscosity: math.Tensor, dt: math.Tensor) -> Field:
        """Advance by one integrating-factor RK4 step."""
        spacing = dict(zip(velocity.resolution.names, (float(step) for step in velocity.dx), strict=True))
        wave_vector = math.fftfreq(velocity.resolution, velocity.dx) * (2 * math.PI)
        half_decay = math.exp(-viscosity * (dt / 2) * math.sum(wave_vector * wave_vector, "vector"))

        def tendency(spectrum: math.Tensor) -> math.Tensor:
            return _fourier(-self._advection(_physical(spectrum), spacing))

        start = _fourier(velocity.values)
        slope_1 = _fourier(-self._advection(velocity.values, spacing))
        middle = half_decay * start
        decayed_1 = half_decay * slope_1
        slope_2 = tendency(middle + (dt / 2) * decayed_1)
        slope_3 = tendency(middle + (dt / 2) * slope_2)
        slope_4 = tendency(half_decay * (middle + dt * slope_3))
        end = half_decay * (middle + (dt / 6) * (decayed_1 + 2 * (slope_2 + slope_3))) + (dt / 6) * slope_4
        return velocity.with_values(_physical(end))

    def largest_stable_step(self, domain: Domain, speed: Sequence[float], viscosity: float) -> float:
        """2√2 / (κ Σ_i |u_i| / dx_i): RK4's limit on the imaginary axis, for advection."""
        angle = np.linspace(0.0, np.pi, 2001)
        symbol = sum(2 * c * np.sin(j * angle) for j, c in enumerate(_STENCILS[self.order], start=1))
        rate = sum(u / dx for u, dx in zip(speed, domain.spacing, strict=True)) * float(np.max(symbol))
        return _RK4_IMAGINARY_LIMIT / rate if rate > 0 else float("inf")

    def _advection(self, u: math.Tensor, spacing: dict[str, float]) -> math.Tensor:
        """(u·∇)u = ∇(|u|²/2) + ω×u, with (ω×u)_n = Σ_m u_m (∂_m u_n - ∂_n u_m)."""
        names = list(spacing)
        energy = 0.5 * math.sum(u * u, "vector")
        vector = math.channel(vector=names)
        gradient = math.stack([self._derivative(energy, name, spacing[name]) for name in names], vector)
        if len(names) == 1:
            return gradient
        slopes = {name: self._derivative(u, name, spacing[name]) for name in names}
        along = sum(u.vector[name] * slopes[name] for name in names)
        transposed = math.stack([math.sum(u * slopes[name], "vector") for name in names], vector)
        return gradient + along - transposed

    def _derivative(self, values: math.Tensor, axis: str, spacing: float) -> math.Tensor:
        """∂/∂axis by central differences: one periodic padding, then shifted views."""
        weights = _STENCILS[self.order]
        width, num_cells = len(weights), values.shape.get_size(axis)
        padded = math.pad(values, {axis: (width, width)}, PERIODIC)

        def shifted(offset: int) -> math.Tensor:
            return padded[{axis: slice(width + offset, width + offset + num_cells)}]

        return sum(w * (shifted(j) - shifted(-j)) for j, w in enumerate(weights, start=1)) * (1 / spacing)


@dataclass(frozen=True)
class SemiLagrangian(Scheme):
    """Explicit diffusion, then semi-Lagrangian advection: the Burgers step of PhiFlow's own demos.

    Unconditionally stable for advection, first order for dt proportional to dx. Its interpolation acts like
    extra viscosity: a viscosity recovered through it from exact data is 3 to 35 % off. Prefer
    `FiniteDifference` for anything that is to be compared with truth.

    Stable for ν dt Σ_i 1/dx_i² of at most 1/2.

    Source: Stam, SIGGRAPH (1999) 121, for the advection; forward Euler with the 3-point Laplacian for the
    diffusion.
    """

    order = 1

    def step(self, velocity: Field, viscosity: math.Tensor, dt: math.Tensor) -> Field:
        """Advance by one diffusion step followed by one advection step."""
        diffused = velocity + dt * viscosity * field.laplace(velocity)
        return advect.semi_lagrangian(diffused, diffused, dt)

    def largest_stable_step(self, domain: Domain, speed: Sequence[float], viscosity: float) -> float:
        """1 / (2 ν Σ_i 1/dx_i²): forward Euler's limit, for diffusion."""
        rate = 2.0 * viscosity * sum(1.0 / dx**2 for dx in domain.spacing)
        return 1.0 / rate if rate > 0 else float("inf")


def _fourier(values: math.Tensor) -> math.Tensor:
    return math.fft(values, dims=math.spatial)


def _physical(spectrum: math.Tensor) -> math.Tensor:
    return math.real(math.ifft(spectrum, dims=math.spatial))
