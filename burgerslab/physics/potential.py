"""Velocity potentials as Fourier series: what the Cole-Hopf solution starts from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from burgerslab.physics.domain import Domain
from burgerslab.physics.fourier_series import evaluate_series

Array = npt.NDArray[np.float64]

# What rounding to float32 leaves of curl and of unresolved waves is ten times smaller.
_LARGEST_RELATIVE_CURL = 1e-6
_LARGEST_RELATIVE_TAIL = 1e-6
_SAMPLES_PER_WAVE = 6


class NoPotentialError(ValueError):
    """A velocity that is no gradient, or that its samples do not resolve."""


@dataclass(frozen=True, eq=False)
class FourierPotential:
    """A potential ψ(x) = Re Σ_k c_k exp(i k·x) and the velocity u0 = ∇ψ + U of it, on a periodic box.

    Args:
        modes: Integer wave vectors ``(K, C)``, one of each pair ±k and not zero: k = 2π modes / extent.
        coefficients: c_k, complex ``(K,)``, units L²/T.
        extent: Length of the box along each axis, units L.
        mean_velocity: U, ``(C,)``, units L/T.

    Raises:
        ValueError: If the shapes do not fit or a mode is zero.
    """

    modes: npt.NDArray[np.int64]
    coefficients: npt.NDArray[np.complex128]
    extent: tuple[float, ...]
    mean_velocity: Array

    def __post_init__(self) -> None:
        dimension = len(self.extent)
        shapes = (self.modes.shape, self.coefficients.shape, self.mean_velocity.shape)
        expected = ((len(self.modes), dimension), (len(self.modes),), (dimension,))
        if shapes != expected:
            raise ValueError(
                "FourierPotential.modes, .coefficients and .mean_velocity must have the shapes (K, C), (K,) and (C,) "
                f"with C = {dimension} axes of extent, got {shapes}"
            )
        if not self.modes.any(axis=1).all():
            raise ValueError("FourierPotential.modes holds the zero mode; give its velocity as mean_velocity")

    @classmethod
    def from_velocity(cls, velocity: npt.NDArray[np.floating], domain: Domain) -> "FourierPotential":
        """Potential of the trigonometric interpolant of a sampled velocity.

        ψ_k = Σ_i k_i u_k,i / (i |k|²). Nyquist modes are left out.

        Args:
            velocity: At the cell centres, ``(C, *N)``, units L/T.
            domain: Box and grid.

        Raises:
            NoPotentialError: If more than 1e-6 of the velocity (root mean square) is rotational, or is waves
                shorter than 3 cells: the cells do not resolve it.
            ValueError: If the velocity has another shape or is not finite.
        """
        expected = (domain.dimension, *domain.resolution)
        if velocity.shape != expected or not np.isfinite(velocity).all():
            raise ValueError(f"velocity must be finite and of shape (C, *N) = {expected}, got {velocity.shape}")
        axes = tuple(range(1, domain.dimension + 1))
        modes = np.stack(
            np.meshgrid(*[np.rint(np.fft.fftfreq(n, 1 / n)) for n in domain.resolution], indexing="ij")
        ).reshape(domain.dimension, -1)
        spectrum = np.fft.fftn(np.asarray(velocity, dtype=np.float64), axes=axes).reshape(domain.dimension, -1)
        spectrum = spectrum / domain.num_cells * np.exp(-1j * np.pi * (modes.T / domain.resolution).sum(axis=1))
        size = np.linalg.norm(spectrum)
        mean = spectrum[:, 0].real.copy()  # fftfreq begins with the zero mode
        modes, spectrum = modes[:, 1:], spectrum[:, 1:]
        wave_vectors = 2 * np.pi * modes / np.array(domain.extent)[:, None]
        coefficients = (wave_vectors * spectrum).sum(axis=0) / (1j * (wave_vectors**2).sum(axis=0))
        cells_per_axis = np.array(domain.resolution)[:, None]
        is_short = (3 * np.abs(modes) > cells_per_axis).any(axis=0)
        curl = np.linalg.norm((spectrum - 1j * wave_vectors * coefficients)[:, ~is_short])
        if curl > _LARGEST_RELATIVE_CURL * size:
            raise NoPotentialError(
                f"this velocity has curl and therefore no potential: {curl / size:.1e} of it is rotational, at most "
                f"{_LARGEST_RELATIVE_CURL:.0e} may be. Use one without curl, as of RandomFourier with curl_free: true"
            )
        tail = np.linalg.norm(spectrum[:, is_short])
        if tail > _LARGEST_RELATIVE_TAIL * size:
            raise NoPotentialError(
                f"the cells do not resolve this velocity: {tail / size:.1e} of it are waves shorter than 3 cells, "
                f"at most {_LARGEST_RELATIVE_TAIL:.0e} may be. Use a finer resolution or a smoother velocity"
            )
        sign = np.array([next(number for number in mode if number) for mode in modes.T])
        kept = (sign > 0) & (2 * np.abs(modes) < cells_per_axis).all(axis=0)
        speed = np.abs(coefficients) * np.linalg.norm(wave_vectors, axis=0)
        kept &= speed > np.finfo(np.float64).eps * size
        return cls(modes.T[kept].astype(np.int64), 2 * coefficients[kept], domain.extent, mean)

    @property
    def wave_vectors(self) -> Array:
        """k, ``(K, C)``, units 1/L."""
        return 2 * np.pi * self.modes / np.array(self.extent)

    def evaluate(self, axes: Sequence[Array]) -> Array:
        """ψ on a grid of points, units L²/T.

        Args:
            axes: Coordinates along each axis, units L.

        Returns:
            Shape ``(len(axes[0]), len(axes[1]), ...)``.
        """
        return evaluate_series(self.coefficients[None], self.modes, self.extent, axes)[0]

    def velocity(self, axes: Sequence[Array]) -> Array:
        """u0 = ∇ψ + U on a grid of points, units L/T, shape ``(C, len(axes[0]), len(axes[1]), ...)``."""
        fluctuation = evaluate_series(self._gradient, self.modes, self.extent, axes)
        return fluctuation + self.mean_velocity.reshape(-1, *(1,) * len(axes))

    @cached_property
    def range_bound(self) -> float:
        """An upper bound of max ψ - min ψ, units L²/T."""
        return 2 * float(self._bounds(self.coefficients[None])[0])

    @cached_property
    def speed_bounds(self) -> Array:
        """Upper bounds of |∂_i ψ| along each axis, ``(C,)``, units L/T."""
        return self._bounds(self._gradient)

    @cached_property
    def curvature_bounds(self) -> Array:
        """Upper bounds of |∂_i² ψ| along each axis, ``(C,)``, units 1/T."""
        return self._bounds(1j * self.wave_vectors.T * self._gradient)

    @property
    def _gradient(self) -> npt.NDArray[np.complex128]:
        return 1j * self.wave_vectors.T * self.coefficients

    def _bounds(self, coefficients: npt.NDArray[np.complex128]) -> Array:
        """Largest values of series over the box: ``(S, K) -> (S,)``.

        A trigonometric polynomial of degree m exceeds its largest sample on M > 2m equidistant points at most by
        1 / cos(π m / M), per axis (Ehlich and Zeller, Math. Z. 86 (1964) 41).
        """
        degrees = np.abs(self.modes).max(axis=0, initial=0)
        counts = [max(1, _SAMPLES_PER_WAVE * int(degree)) for degree in degrees]
        axes = [length * np.arange(count) / count for length, count in zip(self.extent, counts, strict=True)]
        samples = evaluate_series(coefficients, self.modes, self.extent, axes)
        excess = np.prod(1 / np.cos(np.pi * degrees / counts))
        return np.abs(samples).reshape(len(samples), -1).max(axis=1) * excess
