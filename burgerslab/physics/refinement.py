"""Band-limited interpolation between a grid of cell centres and one that is k times finer."""

import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.physics.domain import Domain


def refine(values: Float[Tensor, "..."], domain: Domain, factor: int) -> Float[Tensor, "..."]:
    """Evaluate the trigonometric interpolant at the cell centres of a ``factor`` times finer grid.

    Exact for data without waves shorter than two cells. The shortest wave that the cells of an even axis hold is
    taken as a cosine about their centres. Differentiable.

    Args:
        values: ``(..., *N)`` at the cell centres of the domain.
        domain: Box and coarse grid.
        factor: How many fine cells one coarse cell is divided into along each axis; 1 returns ``values`` as they are.

    Returns:
        ``(..., *factor·N)`` at the centres of ``domain.refined(factor)``.

    Raises:
        ValueError: If the last axes are not those of the domain.
    """
    _check_shape(values, domain)
    if factor == 1:
        return values
    for axis, num_cells in zip(_axes(domain), domain.resolution, strict=True):
        # The first fine centre lies (factor - 1) / (2 factor) coarse cells before the first coarse one.
        shift = (1 - factor) / (2 * factor)
        spectrum = torch.fft.rfft(values, dim=axis) * factor
        if num_cells % 2 == 0:
            # Shared by the waves m = N/2 and -N/2, which are one on the coarse grid and two on the fine one.
            halved = torch.ones(spectrum.shape[axis], dtype=values.dtype, device=values.device)
            halved[-1] = 0.5
            spectrum = spectrum * _along(halved, axis, values.ndim)
        shifted = spectrum * _phase(values, num_cells, spectrum.shape[axis], shift, axis)
        values = torch.fft.irfft(shifted, n=factor * num_cells, dim=axis)
    return values


def coarsen(values: Float[Tensor, "..."], domain: Domain, factor: int) -> Float[Tensor, "..."]:
    """Evaluate values on a ``factor`` times finer grid at the cell centres of the domain; undoes `refine`.

    For odd factors these are centres of fine cells too. For even ones they lie midway between two, where the
    trigonometric interpolant is evaluated. Point values, no averages over cells. Differentiable.

    Args:
        values: ``(..., *factor·N)`` at the centres of ``domain.refined(factor)``.
        domain: Box and coarse grid.
        factor: How many fine cells a coarse cell has along each axis; 1 returns ``values`` as they are.

    Returns:
        ``(..., *N)`` at the cell centres of the domain.

    Raises:
        ValueError: If the last axes are not those of the refined domain.
    """
    fine = domain.refined(factor)
    _check_shape(values, fine)
    if factor == 1:
        return values
    for axis, num_cells in zip(_axes(domain), fine.resolution, strict=True):
        if factor % 2 == 0:
            spectrum = torch.fft.rfft(values, dim=axis)
            shifted = spectrum * _phase(values, num_cells, spectrum.shape[axis], 0.5, axis)
            values = torch.fft.irfft(shifted, n=num_cells, dim=axis)
        first = (factor - 1) // 2
        values = values[(..., slice(first, None, factor)) + (slice(None),) * (-axis - 1)]
    return values


def _axes(domain: Domain) -> range:
    return range(-domain.dimension, 0)


def _phase(like: Tensor, num_cells: int, num_modes: int, shift: float, axis: int) -> Tensor:
    """exp(2πi m shift / N) for m = 0 to num_modes - 1: moves a spectrum by a fraction of a cell."""
    mode = torch.arange(num_modes, dtype=like.dtype, device=like.device)
    angle = mode * (2 * torch.pi * shift / num_cells)
    return _along(torch.polar(torch.ones_like(angle), angle), axis, like.ndim)


def _along(weights: Tensor, axis: int, num_axes: int) -> Tensor:
    shape = [1] * num_axes
    shape[axis] = len(weights)
    return weights.reshape(shape)


def _check_shape(values: Tensor, domain: Domain) -> None:
    if tuple(values.shape[-domain.dimension :]) != domain.resolution:
        cells = ", ".join(map(str, domain.resolution))
        raise ValueError(
            f"values have shape {tuple(values.shape)}, expected (B, C, *N) = (B, {domain.dimension}, {cells}) for "
            f"domain.resolution {list(domain.resolution)}"
        )
