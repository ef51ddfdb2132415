"""Where the viscosity of a trajectory comes from."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np


class Viscosity(ABC):
    """A distribution of viscosities, one draw per trajectory."""

    @abstractmethod
    def sample(self, generator: np.random.Generator) -> float:
        """Draw the viscosity of one trajectory, units L²/T, positive."""


@dataclass(frozen=True)
class ConstantViscosity(Viscosity):
    """The same viscosity for every trajectory.

    Args:
        value: Viscosity, units L²/T, positive.
    """

    value: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.value) and self.value > 0):
            raise ValueError(f"viscosity must be positive and finite, got {self.value}")

    def sample(self, generator: np.random.Generator) -> float:
        """Return the constant; nothing is drawn."""
        return float(self.value)


@dataclass(frozen=True)
class LogUniformViscosity(Viscosity):
    """Viscosities whose logarithm is uniform: every decade is equally likely.

    Args:
        low: Smallest viscosity, units L²/T, positive.
        high: Largest viscosity, units L²/T.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (0 < self.low < self.high and np.isfinite(self.high)):
            raise ValueError(f"viscosity needs 0 < low < high, got low {self.low} and high {self.high}")

    def sample(self, generator: np.random.Generator) -> float:
        """Draw exp(U(log low, log high))."""
        return float(np.exp(generator.uniform(np.log(self.low), np.log(self.high))))
