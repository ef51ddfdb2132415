"""Initial velocities of one shape along each axis: the sine wave and the pair of fronts."""

from dataclasses import dataclass

import numpy as np

from burgerslab.physics.amplitude import Amplitude, check_amplitude, draw_amplitude
from burgerslab.physics.domain import Domain
from burgerslab.physics.initial import InitialCondition, Velocity
from burgerslab.physics.potential import FourierPotential


@dataclass(frozen=True)
class Sine(InitialCondition):
    """A single sine wave along each axis: component i is A sin(2π mode x_i / extent_i + φ).

    The classic test: in one dimension a front forms at time extent / (2π mode A).

    Args:
        amplitude: Peak velocity A, units L/T; a pair is a uniform range, drawn per trajectory.
        mode: Number of waves across the box.
        random_phase: Draw the phase φ per trajectory; otherwise it is zero.
    """

    amplitude: Amplitude = 1.0
    mode: int = 1
    random_phase: bool = True

    def __post_init__(self) -> None:
        check_amplitude("Sine", self.amplitude)
        if self.mode < 1:
            raise ValueError(f"Sine.mode must be at least 1, got {self.mode}")

    def sample(self, domain: Domain, generator: np.random.Generator) -> Velocity:
        """Draw one sine wave."""
        amplitude = draw_amplitude(self.amplitude, generator)
        phases = _draw_phases(self.random_phase, domain, generator)
        waves = [
            amplitude * np.sin(2 * np.pi * self.mode * centres / length + phase)
            for centres, length, phase in zip(domain.centres(), domain.extent, phases, strict=True)
        ]
        return _along_axes(waves, domain)

    def sample_potential(self, domain: Domain, generator: np.random.Generator) -> FourierPotential:
        """Draw ψ = -Σ_i A/k_i cos(k_i x_i + φ_i) with k_i = 2π mode / extent_i."""
        amplitude = draw_amplitude(self.amplitude, generator)
        phases = _draw_phases(self.random_phase, domain, generator)
        modes = self.mode * np.eye(domain.dimension, dtype=np.int64)
        wave_numbers = 2 * np.pi * self.mode / np.array(domain.extent)
        coefficients = -amplitude / wave_numbers * np.exp(1j * phases)
        return FourierPotential(modes, coefficients, domain.extent, np.zeros(domain.dimension))


@dataclass(frozen=True)
class Shock(InitialCondition):
    """A smoothed step down and, half a box later, a smoothed step up, along each axis.

    Component i is A tanh(sin(2π x_i / extent_i + φ) / w) / tanh(1/w) with w = 2π width / extent_i: plateaus at ±A
    joined by fronts of half-width ``width``. The step down steepens to a shock, the step up spreads to a
    rarefaction.

    Args:
        amplitude: Plateau velocity A, units L/T; a pair is a uniform range, drawn per trajectory.
        width: Half-width of the initial fronts, units L.
        random_phase: Draw the position of the fronts per trajectory; otherwise the step down is at the middle.
    """

    amplitude: Amplitude = 1.0
    width: float = 0.05
    random_phase: bool = True

    def __post_init__(self) -> None:
        check_amplitude("Shock", self.amplitude)
        if self.width <= 0:
            raise ValueError(f"Shock.width must be positive, got {self.width}")

    def sample(self, domain: Domain, generator: np.random.Generator) -> Velocity:
        """Draw one pair of fronts along each axis."""
        amplitude = draw_amplitude(self.amplitude, generator)
        phases = _draw_phases(self.random_phase, domain, generator)
        waves = []
        for centres, length, phase in zip(domain.centres(), domain.extent, phases, strict=True):
            steepness = length / (2 * np.pi * self.width)
            profile = np.tanh(steepness * np.sin(2 * np.pi * centres / length + phase))
            waves.append(amplitude * profile / np.tanh(steepness))
        return _along_axes(waves, domain)


def _draw_phases(random_phase: bool, domain: Domain, generator: np.random.Generator) -> Velocity:
    return generator.uniform(0, 2 * np.pi, domain.dimension) if random_phase else np.zeros(domain.dimension)


def _along_axes(waves: list[Velocity], domain: Domain) -> Velocity:
    """Component i varies along axis i only: ``(C, *N)``."""
    grids = np.meshgrid(*waves, indexing="ij")
    return np.stack([grid.reshape(domain.resolution) for grid in grids])
