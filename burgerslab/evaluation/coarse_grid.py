"""Velocities on grids that are coarser than those of the data."""

import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.physics import Domain
from burgerslab.physics.refinement import coarsen


def coarsened(domain: Domain, factor: int) -> Domain:
    """The same box with ``factor`` times fewer cells along each axis.

    Raises:
        ValueError: If the cells cannot be divided so, or fewer than 8 would be left.
    """
    if any(cells % factor for cells in domain.resolution):
        raise ValueError(f"{list(domain.resolution)} cells cannot be divided by {factor}")
    return Domain(domain.extent, tuple(cells // factor for cells in domain.resolution))


def coarsenings(domain: Domain) -> list[int]:
    """1, 2, 4 and so on, as far as `coarsened` allows."""
    factors = [1]
    while all(cells % (2 * factors[-1]) == 0 and cells // (2 * factors[-1]) >= 8 for cells in domain.resolution):
        factors.append(2 * factors[-1])
    return factors


def low_pass(values: Float[Tensor, "..."], domain: Domain, factor: int) -> Float[Tensor, "..."]:
    """Values at the cell centres of a coarser grid, of the waves that it holds.

    What is left out would not be lost there but appear as longer waves.

    Args:
        values: ``(..., *N)`` at the cell centres of the domain.
        domain: Box and fine grid.
        factor: How many fine cells a coarse cell has along each axis; 1 returns ``values`` as they are.
    """
    if factor == 1:
        return values
    coarse = coarsened(domain, factor)
    for axis, cells in zip(range(-domain.dimension, 0), coarse.resolution, strict=True):
        spectrum = torch.fft.rfft(values, dim=axis)
        held = torch.arange(spectrum.shape[axis], device=values.device) < cells / 2
        held = held.reshape(-1, *(1,) * (-axis - 1))
        values = torch.fft.irfft(spectrum * held, n=factor * cells, dim=axis)
    return coarsen(values, coarse, factor)
