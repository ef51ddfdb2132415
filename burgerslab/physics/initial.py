"""Initial velocities: seeded draws of one trajectory's first frame at the cell centres."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from phi import math
from phi.field import CenteredGrid, Noise
from phi.geom import Box
from phiml.backend import NUMPY

from burgerslab.physics.amplitude import Amplitude, check_amplitude, draw_amplitude
from burgerslab.physics.domain import Domain
from burgerslab.physics.fourier_series import evaluate_series, half_space_modes
from burgerslab.physics.phi_bridge import PERIODIC
from burgerslab.physics.potential import FourierPotential, NoPotentialError

Velocity = npt.NDArray[np.float64]

_PHIFLOW_NOISE_CUTOFF = np.sqrt(0.1)  # PhiFlow drops every wave with (scale / wavelength)² of 0.1 or less


class InitialCondition(ABC):
    """A distribution of initial velocities, one draw per trajectory."""

    @abstractmethod
    def sample(self, domain: Domain, generator: np.random.Generator) -> Velocity:
        """Draw one initial velocity.

        Args:
            domain: Box and grid.
            generator: Source of every random number of the draw.

        Returns:
            Velocity at the cell centres, shape ``(C, *N)``, float64, units L/T.
        """

    def sample_potential(self, domain: Domain, generator: np.random.Generator) -> FourierPotential:
        """Draw the potential of the velocity that `sample` draws from the same generator.

        Unless a class knows better, the potential of the trigonometric interpolant of the sampled velocity.

        Args:
            domain: Box and grid.
            generator: Source of every random number of the draw.

        Raises:
            NoPotentialError: If the velocity is no gradient, or the cells do not resolve it.
        """
        try:
            return FourierPotential.from_velocity(self.sample(domain, generator), domain)
        except NoPotentialError as error:
            raise NoPotentialError(f"{type(self).__name__}: {error}") from None


@dataclass(frozen=True)
class RandomFourier(InitialCondition):
    """A truncated Fourier series with random amplitudes and phases.

    Each component is Σ_k a_k cos(k·x + φ_k) over the wave vectors with 0 < |k| <= max_mode (in units of
    2π/extent), a_k normal with standard deviation |k|^-decay, φ_k uniform. The mean flow is zero. A seed gives
    the same function at every resolution.

    Args:
        amplitude: Root mean square of the speed over the box, units L/T; a pair is a uniform range, drawn
            per trajectory.
        max_mode: Largest number of waves across the box.
        decay: How fast amplitudes fall with the wave number.
        curl_free: Draw a potential and take its gradient, as the Cole-Hopf solution needs.
    """

    amplitude: Amplitude = 1.0
    max_mode: int = 4
    decay: float = 1.0
    curl_free: bool = False

    def __post_init__(self) -> None:
        check_amplitude("RandomFourier", self.amplitude)
        if self.max_mode < 1:
            raise ValueError(f"RandomFourier.max_mode must be at least 1, got {self.max_mode}")

    def sample(self, domain: Domain, generator: np.random.Generator) -> Velocity:
        """Draw one series and evaluate it at the cell centres.

        Raises:
            ValueError: If the grid has fewer than two cells for the shortest wave.
        """
        modes, coefficients = self._draw(domain, generator)
        return evaluate_series(coefficients, modes, domain.extent, domain.centres())

    def sample_potential(self, domain: Domain, generator: np.random.Generator) -> FourierPotential:
        """Draw the same series and integrate it: ψ_k = Σ_i k_i u_k,i / (i |k|²).

        Raises:
            NoPotentialError: In more than one dimension, unless ``curl_free``.
            ValueError: If the grid has fewer than two cells for the shortest wave.
        """
        if domain.dimension > 1 and not self.curl_free:
            raise NoPotentialError(
                "RandomFourier draws velocities with curl, which have no potential; set curl_free: true"
            )
        modes, coefficients = self._draw(domain, generator)
        wave_vectors = 2 * np.pi * modes / np.array(domain.extent)
        potential = (wave_vectors.T * coefficients).sum(axis=0) / (1j * (wave_vectors**2).sum(axis=1))
        return FourierPotential(modes, potential, domain.extent, np.zeros(domain.dimension))

    def _draw(
        self, domain: Domain, generator: np.random.Generator
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.complex128]]:
        """Modes ``(K, C)`` and coefficients of the velocity ``(C, K)``."""
        if 2 * self.max_mode >= min(domain.resolution):
            raise ValueError(
                f"RandomFourier.max_mode {self.max_mode} needs more than {2 * self.max_mode} cells along each axis, "
                f"got domain.resolution {list(domain.resolution)}"
            )
        amplitude = draw_amplitude(self.amplitude, generator)
        modes = half_space_modes(domain.dimension, self.max_mode)
        wave_vectors = 2 * np.pi * modes / np.array(domain.extent)
        envelope = np.linalg.norm(modes, axis=1) ** -self.decay
        if self.curl_free:
            potential = _draw_coefficients(envelope / np.linalg.norm(wave_vectors, axis=1), 1, generator)
            coefficients = 1j * wave_vectors.T * potential
        else:
            coefficients = _draw_coefficients(envelope, domain.dimension, generator)
        coefficients *= amplitude / np.sqrt(np.sum(np.abs(coefficients) ** 2) / 2)
        return modes, coefficients


@dataclass(frozen=True)
class PhiFlowNoise(InitialCondition):
    """PhiFlow's ``Noise``: smoothed white noise, periodic, independent components.

    Args:
        amplitude: Root mean square of the speed over the cells, units L/T; a pair is a uniform range, drawn per
            trajectory.
        scale: Length scale of the noise, units L.
        smoothness: How fast small scales fall off.
    """

    amplitude: Amplitude = 1.0
    scale: float = 0.25
    smoothness: float = 2.0

    def __post_init__(self) -> None:
        check_amplitude("PhiFlowNoise", self.amplitude)
        if self.scale <= 0 or self.smoothness <= 0:
            raise ValueError(
                f"PhiFlowNoise.scale and .smoothness must be positive, got {self.scale} and {self.smoothness}"
            )

    def sample(self, domain: Domain, generator: np.random.Generator) -> Velocity:
        """Draw one noise field; no global random state is changed.

        Raises:
            ValueError: If the cells hold no wave shorter than 3.2 scales, where PhiFlow's noise begins.
        """
        largest_wave_number = np.linalg.norm(
            [cells // 2 / length for cells, length in zip(domain.resolution, domain.extent, strict=True)]
        )
        smallest_scale = _PHIFLOW_NOISE_CUTOFF / largest_wave_number
        if self.scale <= smallest_scale:
            raise ValueError(
                f"PhiFlowNoise.scale {self.scale:.3g} is too fine for cells of {max(domain.spacing):.3g}; set it to "
                f"more than {smallest_scale:.3g} or use a finer resolution"
            )
        amplitude = draw_amplitude(self.amplitude, generator)
        names = list(domain.axis_names)
        noise = Noise(math.channel(vector=names), scale=self.scale, smoothness=self.smoothness)
        box = Box(**dict(zip(names, domain.extent, strict=True)))
        resolution = math.spatial(**dict(zip(names, domain.resolution, strict=True)))
        numpy_state = np.random.get_state()  # noqa: NPY002 - PhiML draws from numpy's global state
        try:
            np.random.seed(int(generator.integers(2**31)))  # noqa: NPY002 - math.seed seeds all states
            with math.precision(64), NUMPY:
                grid = CenteredGrid(noise, PERIODIC, bounds=box, resolution=resolution)
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
        values = np.asarray(grid.values.numpy(["vector", *names]), dtype=np.float64)
        values -= values.mean(axis=tuple(range(1, values.ndim)), keepdims=True)
        return values * (amplitude / _rms_speed(values))


def _rms_speed(velocity: Velocity) -> float:
    return float(np.sqrt(np.mean(np.sum(velocity**2, axis=0))))


def _draw_coefficients(
    envelope: Velocity, num_components: int, generator: np.random.Generator
) -> npt.NDArray[np.complex128]:
    """a_k exp(iφ_k) per component and mode: ``(C, K)``."""
    shape = (num_components, len(envelope))
    phases = generator.uniform(0, 2 * np.pi, shape)
    return envelope * generator.standard_normal(shape) * np.exp(1j * phases)
