"""What every scheme offers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from phi import math
from phi.field import Field

from burgerslab.physics.domain import Domain
from burgerslab.physics.equation import Equation


class SchemeOrExact(ABC):
    """What makes the frames of a simulation: steps of a `Scheme`, or the exact solution, `ColeHopf`."""

    @property
    @abstractmethod
    def is_exact(self) -> bool:
        """Whether frames hold the solution itself."""


class Scheme(SchemeOrExact):
    """One step of the viscous Burgers equation.

    A scheme of your own is a dataclass with a ``step`` and an ``order``; YAML finds it by ``class_path``.
    If ``step`` branches on values (``if speed.max > 1``), set ``capturable = False``: a captured graph
    would keep the branch taken first.

    Attributes:
        order: Formal order in the cell size on smooth data. A scheme whose docstring names an order in time
            of its own has this one in space; for the others the step size is taken proportional to the cell size.
        capturable: Whether the step may be recorded once as a graph and replayed.
    """

    order: int
    capturable: bool = True

    @property
    def is_exact(self) -> bool:
        """False: frames hold an approximation."""
        return False

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


class GeneralScheme(Scheme):
    """A scheme that also solves u_t + c (u·∇)u = ∇·(ν∇u) + f, with coefficients that may be learned."""

    @abstractmethod
    def advance(self, velocity: Field, equation: Equation, dt: math.Tensor) -> Field:
        """Advance by one step; with c = 1 and constant ν alone it is `step`.

        Args:
            velocity: Periodic ``CenteredGrid``, batch dimension ``trajectory``, units L/T.
            equation: Coefficients.
            dt: Step size, units T.
        """

    def step(self, velocity: Field, viscosity: math.Tensor, dt: math.Tensor) -> Field:
        """Advance by one step of the Burgers equation."""
        return self.advance(velocity, Equation(viscosity), dt)


def advective_limit(courant_number: float, domain: Domain, speed: Sequence[float]) -> float:
    """Step size at which Σ_i |u_i| dt / dx_i reaches a Courant number, units T; infinity without flow.

    Args:
        courant_number: Largest stable Σ_i |u_i| dt / dx_i.
        domain: Box and grid.
        speed: Largest |u_i| along each axis, units L/T.
    """
    rate = sum(u / dx for u, dx in zip(speed, domain.spacing, strict=True))
    return courant_number / rate if rate > 0 else float("inf")
