"""What every learnable parameter offers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from burgerslab.inversion.problem import Problem

Bound = tuple[float | None, float | None]


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian prior.

    Args:
        mean: Expected value, in the units of the parameter.
        std: Standard deviation, in the units of the parameter, positive.
    """

    mean: float
    std: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.mean) and np.isfinite(self.std) and self.std > 0):
            raise ValueError(f"a prior needs a finite mean and a positive std, got {self.mean} and {self.std}")


class Learnable(ABC):
    """A coefficient of the equation, or the initial state, as a function of free numbers.

    Free numbers have no unit and are of order 1: the logarithm of a viscosity, an amplitude over its scale. Solvers
    see these alone. A parameter of your own is a frozen dataclass with these methods.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What is learned: ``viscosity``, ``advection``, ``forcing`` or ``initial_state``."""

    @property
    @abstractmethod
    def units(self) -> str:
        """Units of the coefficient, such as ``L^2 T^-1``."""

    @property
    def per_trajectory(self) -> bool:
        """Whether every trajectory has free numbers of its own."""
        return False

    bounds: tuple[float, float] | None = None
    """Smallest and largest value in the coefficient's units; None where there are none."""

    @abstractmethod
    def num_free(self, problem: Problem) -> int:
        """Number Q of free numbers, of each trajectory if `per_trajectory`.

        Raises:
            ValueError: If the parameter does not suit the data.
        """

    @abstractmethod
    def free_start(self, problem: Problem) -> Float[Tensor, " Q"]:
        """Free numbers of the initial guess."""

    def free_draw(self, problem: Problem, spread: float, generator: np.random.Generator) -> Tensor | None:
        """Free numbers of another start, ``(Q,)``; None starts as the first solve did.

        Args:
            problem: Facts of the data.
            spread: Above 1: positive parameters begin between their guess / spread and guess · spread.
            generator: Draws.
        """
        return None

    @abstractmethod
    def free_bounds(self, problem: Problem) -> list[Bound]:
        """Lower and upper bound of each free number; None where there is none."""

    @abstractmethod
    def coefficient(self, free: Float[Tensor, "*B Q"], problem: Problem) -> Float[Tensor, "..."]:
        """The coefficient in physical units, in a shape that `Rollout` takes."""

    def negative_log_prior(self, free: Float[Tensor, "*B Q"], problem: Problem) -> Float[Tensor, ""] | None:
        """What a prior adds to the negative logarithm of the likelihood; None without a prior."""
        return None

    def roughness(self, free: Float[Tensor, "*B Q"], problem: Problem) -> Float[Tensor, ""] | None:
        """What is added to the misfit, the mean square over the mean square of the data; None for nothing."""
        return None


def penalty_of_prior(value: Float[Tensor, "*V"], prior: Gaussian) -> Float[Tensor, ""]:
    """½ Σ ((value - mean) / std)², the negative logarithm of the prior but for a constant."""
    return 0.5 * ((value - prior.mean) / prior.std).square().sum()


def check_positive_bounds(name: str, bounds: tuple[float, float], initial_guess: float) -> None:
    """`check_bounds`, and refuse bounds that are not positive.

    Raises:
        ValueError: Says what to write.
    """
    check_bounds(name, bounds, initial_guess)
    if not bounds[0] > 0:
        raise ValueError(f"{name}: bounds must be positive, got {list(bounds)}")


def check_bounds(name: str, bounds: tuple[float, float], initial_guess: float) -> None:
    """Refuse bounds that are in the wrong order or leave the initial guess outside.

    Raises:
        ValueError: Says what to write.
    """
    low, high = bounds
    if not low < high:
        raise ValueError(f"{name}: bounds must be [lower, upper], got {list(bounds)}")
    if not low <= initial_guess <= high:
        raise ValueError(f"{name}: initial_guess {initial_guess:g} is not within bounds {list(bounds)}")
