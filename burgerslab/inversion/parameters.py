"""Parameters that are learned as numbers: the viscosity, the advection coefficient, a constant forcing."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.inversion.learnable import (
    Bound,
    Gaussian,
    Learnable,
    check_bounds,
    check_positive_bounds,
    penalty_of_prior,
)
from burgerslab.inversion.problem import Problem


@dataclass(frozen=True)
class Viscosity(Learnable):
    """The viscosity ν of u_t + c (u·∇)u = ν Δu + f: one number, or one for each trajectory.

    Its free number is log(ν / initial_guess).

    Args:
        initial_guess: Where the solve starts, units L²/T, positive.
        bounds: Smallest and largest value, units L²/T, positive.
        each_trajectory: Whether each trajectory has a viscosity of its own.
        prior: Gaussian prior, of each viscosity alike.

    Raises:
        ValueError: If bounds are not positive and ordered, or the guess is outside.
    """

    initial_guess: float
    bounds: tuple[float, float] = (1.0e-6, 1.0e2)
    each_trajectory: bool = False
    prior: Gaussian | None = None

    def __post_init__(self) -> None:
        check_positive_bounds("Viscosity", self.bounds, self.initial_guess)

    @property
    def name(self) -> str:
        """``viscosity``."""
        return "viscosity"

    @property
    def units(self) -> str:
        """``L^2 T^-1``."""
        return "L^2 T^-1"

    @property
    def per_trajectory(self) -> bool:
        """As the option `each_trajectory` says."""
        return self.each_trajectory

    def num_free(self, problem: Problem) -> int:
        """One."""
        return 1

    def free_start(self, problem: Problem) -> Float[Tensor, " Q"]:
        """Zero: the initial guess."""
        return torch.zeros(1, dtype=torch.float64)

    def free_draw(self, problem: Problem, spread: float, generator: np.random.Generator) -> Tensor:
        """Log-uniform about the guess."""
        return torch.tensor([generator.uniform(-1, 1) * math.log(spread)], dtype=torch.float64)

    def free_bounds(self, problem: Problem) -> list[Bound]:
        """Logarithms of the bounds over the initial guess."""
        low, high = (math.log(bound / self.initial_guess) for bound in self.bounds)
        return [(low, high)]

    def coefficient(self, free: Float[Tensor, "*B Q"], problem: Problem) -> Float[Tensor, "*B"]:
        """One number ``()``, or one per trajectory ``(B,)``."""
        return self.initial_guess * free[..., 0].exp()

    def negative_log_prior(self, free: Float[Tensor, "*B Q"], problem: Problem) -> Float[Tensor, ""] | None:
        """Of the viscosities themselves, not of their logarithms."""
        return None if self.prior is None else penalty_of_prior(self.coefficient(free, problem), self.prior)


@dataclass(frozen=True)
class Advection(Learnable):
    """The advection coefficient c of u_t + c (u·∇)u = ν Δu + f; 1 in the Burgers equation.

    Args:
        initial_guess: Where the solve starts, without unit.
        bounds: Smallest and largest value.
        prior: Gaussian prior.

    Raises:
        ValueError: If bounds are not ordered, or the guess is outside.
    """

    initial_guess: float = 1.0
    bounds: tuple[float, float] = (-10.0, 10.0)
    prior: Gaussian | None = None

    def __post_init__(self) -> None:
        check_bounds("Advection", self.bounds, self.initial_guess)

    @property
    def name(self) -> str:
        """``advection``."""
        return "advection"

    @property
    def units(self) -> str:
        """None: a number."""
        return ""

    def num_free(self, problem: Problem) -> int:
        """One."""
        return 1

    def free_start(self, problem: Problem) -> Float[Tensor, " Q"]:
        """The initial guess itself."""
        return torch.tensor([self.initial_guess], dtype=torch.float64)

    def free_draw(self, problem: Problem, spread: float, generator: np.random.Generator) -> Tensor:
        """Uniform from the guess - 1 to the guess + 1."""
        return torch.tensor([self.initial_guess + generator.uniform(-1, 1)], dtype=torch.float64)

    def free_bounds(self, problem: Problem) -> list[Bound]:
        """The bounds themselves."""
        return [self.bounds]

    def coefficient(self, free: Float[Tensor, "*B Q"], problem: Problem) -> Float[Tensor, "*B"]:
        """One number ``()``."""
        return free[..., 0]

    def negative_log_prior(self, free: Float[Tensor, "*B Q"], problem: Problem) -> Float[Tensor, ""] | None:
        """Of the coefficient."""
        return None if self.prior is None else penalty_of_prior(free, self.prior)


@dataclass(frozen=True)
class Forcing(Learnable):
    """A forcing f of u_t + c (u·∇)u = ν Δu + f that is the same everywhere and always.

    Its free numbers are f over scale² / extent, where scale is the root mean square of the data.

    Args:
        initial_guess: Where the solve starts, one number per axis, units L/T²; None is 0.
        bounds: Smallest and largest value of every component, units L/T².
        prior: Gaussian prior, of each component alike.

    Raises:
        ValueError: If bounds are not ordered, or the guess is outside.
    """

    initial_guess: tuple[float, ...] | None = None
    bounds: tuple[float, float] = (-1.0e3, 1.0e3)
    prior: Gaussian | None = None

    def __post_init__(self) -> None:
        for component in self.initial_guess or (0.0,):
            check_bounds("Forcing", self.bounds, component)

    @property
    def name(self) -> str:
        """``forcing``."""
        return "forcing"

    @property
    def units(self) -> str:
        """``L T^-2``."""
        return "L T^-2"

    def num_free(self, problem: Problem) -> int:
        """One per axis.

        Raises:
            ValueError: If the initial guess has another number of components.
        """
        dimension = problem.domain.dimension
        if self.initial_guess is not None and len(self.initial_guess) != dimension:
            raise ValueError(
                f"Forcing: initial_guess needs {dimension} numbers, one per axis, got {len(self.initial_guess)}"
            )
        return dimension

    def free_start(self, problem: Problem) -> Float[Tensor, " Q"]:
        """The initial guess over its unit."""
        guess = self.initial_guess or (0.0,) * problem.domain.dimension
        return torch.tensor(guess, dtype=torch.float64) / forcing_unit(problem)

    def free_draw(self, problem: Problem, spread: float, generator: np.random.Generator) -> Tensor:
        """The guess, and up to one unit more or less of each component."""
        start = self.free_start(problem)
        return start + torch.from_numpy(generator.uniform(-1, 1, len(start)))

    def free_bounds(self, problem: Problem) -> list[Bound]:
        """The bounds over their unit."""
        low, high = (bound / forcing_unit(problem) for bound in self.bounds)
        return [(low, high)] * problem.domain.dimension

    def coefficient(self, free: Float[Tensor, "*B Q"], problem: Problem) -> Float[Tensor, " C"]:
        """A vector ``(C,)``."""
        return forcing_unit(problem) * free

    def negative_log_prior(self, free: Float[Tensor, "*B Q"], problem: Problem) -> Float[Tensor, ""] | None:
        """Of the components."""
        return None if self.prior is None else penalty_of_prior(self.coefficient(free, problem), self.prior)


def forcing_unit(problem: Problem) -> float:
    """scale² / extent, the size of (u·∇)u over the box, units L/T²."""
    return problem.scale**2 / float(np.max(problem.domain.extent))
