"""Solutions of Burgers' equation that share no code with the package: quadrature and a spectral solve, in numpy."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def cole_hopf(
    velocity: Callable[[Array], Array],
    potential: Callable[[Array], Array],
    x: Array,
    time: float,
    viscosity: float,
    extent: float,
    num_nodes: int = 1024,
) -> Array:
    """u = Σ w u0 / Σ w with log w = -(x-y)²/(4νt) - ψ(y)/(2ν), for a periodic u0 = ψ' without mean.

    The trapezoidal rule over five periods: exact to rounding once the nodes resolve w.
    """
    y = (np.arange(-2 * num_nodes, 3 * num_nodes) + 0.5) * (extent / num_nodes)
    log_w = -((x[:, None] - y) ** 2) / (4 * viscosity * time) - potential(y) / (2 * viscosity)
    w = np.exp(log_w - log_w.max(axis=1, keepdims=True))
    return (w @ velocity(y)) / w.sum(axis=1)


def spectral_burgers(
    velocity: Array,
    extent: tuple[float, ...],
    viscosity: float,
    time: float,
    num_steps: int,
    divergence: bool = False,
) -> Array:
    """u_t + (u·∇)u = ν Δu by a Fourier method: 2/3 dealiasing, exact diffusion, RK4 in time.

    Args:
        velocity: ``(C, *N)``.
        divergence: Solve u_t + ∇·(u⊗u) = ν Δu instead, which is another equation in more than one dimension.
    """
    num_axes = len(extent)
    axes = tuple(range(1, num_axes + 1))
    modes = [np.fft.fftfreq(cells, 1 / cells) for cells in velocity.shape[1:]]
    kept = np.ones(velocity.shape[1:], dtype=bool)
    for grid in np.meshgrid(*modes, indexing="ij"):
        kept &= np.abs(grid) < max(abs(grid.min()), grid.max()) * 2 / 3
    k = np.stack(
        np.meshgrid(*[2 * np.pi * m / length for m, length in zip(modes, extent, strict=True)], indexing="ij")
    )
    dt = time / num_steps
    half = np.exp(-viscosity * (k**2).sum(axis=0) * dt / 2)

    def physical(spectrum: npt.NDArray[np.complex128]) -> Array:
        return np.fft.ifftn(spectrum, axes=axes).real

    def tendency(spectrum: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
        u = physical(spectrum)
        if divergence:
            fluxes = [np.fft.fftn(u * u[axis], axes=axes) for axis in range(num_axes)]
            return -1.0 * kept * sum(1j * k[axis] * flux for axis, flux in enumerate(fluxes))
        advection = sum(u[axis] * physical(1j * k[axis] * spectrum) for axis in range(num_axes))
        return -1.0 * kept * np.fft.fftn(advection, axes=axes)

    spectrum = np.fft.fftn(velocity, axes=axes) * kept
    for _ in range(num_steps):
        slope_1 = tendency(spectrum)
        slope_2 = tendency(half * (spectrum + dt / 2 * slope_1))
        slope_3 = tendency(half * spectrum + dt / 2 * slope_2)
        slope_4 = tendency(half * (half * spectrum + dt * slope_3))
        spectrum = half * (half * (spectrum + dt / 6 * slope_1) + dt / 3 * (slope_2 + slope_3)) + dt / 6 * slope_4
    return physical(spectrum)
