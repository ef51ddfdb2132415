"""The Fourier modes of a periodic grid: transforms of real values, wave numbers, derivatives."""

from functools import cached_property

import torch
from phi import math
from phi.field import Field
from torch import Tensor


class FourierModes:
    """Modes of the real fields on a grid.

    The values being real, modes m and -m are conjugates, and of the last axis only m = 0 to N/2 are kept: half the
    memory and half the work of PhiML's ``math.fft``, which is complex throughout. Spectra are PhiML tensors with the
    spatial dimensions of the grid, the last one shorter.

    Args:
        grid: Any field on the grid.
    """

    def __init__(self, grid: Field) -> None:
        self._resolution = grid.resolution
        self._dx = grid.dx

    @property
    def axis_names(self) -> tuple[str, ...]:
        """Names of the spatial dimensions."""
        return tuple(self._resolution.names)

    def spread(self, values: math.Tensor) -> math.Tensor:
        """The same values at every cell where they have no spatial dimensions yet."""
        return math.expand(values, self._resolution)

    def forward(self, values: math.Tensor) -> math.Tensor:
        """Spectrum of the values at the cell centres."""
        native, rest = self._native(values)
        return self._wrapped(torch.fft.rfftn(native, dim=self._axes), rest)

    def inverse(self, spectrum: math.Tensor) -> math.Tensor:
        """Values at the cell centres."""
        native, rest = self._native(spectrum)
        return self._wrapped(torch.fft.irfftn(native, s=self._resolution.sizes, dim=self._axes), rest)

    @cached_property
    def wave_vectors(self) -> math.Tensor:
        """2π m / extent for every mode m, units 1/L."""
        return self._half(math.fftfreq(self._resolution, self._dx)) * (2 * math.PI)

    @cached_property
    def angles(self) -> math.Tensor:
        """2π m / N, by which the phase of every mode m changes from one cell to the next."""
        return self._half(math.fftfreq(self._resolution)) * (2 * math.PI)

    @cached_property
    def derivative(self) -> math.Tensor:
        """Factor i k of every mode by which it is differentiated; 0 for waves of two cells.

        Such a wave is a cosine about the cell centres, where its slope is 0.
        """
        return 1j * math.where(math.abs(self.angles) < 0.999 * math.PI, self.wave_vectors, 0.0)

    def decay(self, viscosity: math.Tensor, time: math.Tensor) -> math.Tensor:
        """exp(-ν|k|²t), the factor by which diffusion alone multiplies every mode.

        PhiFlow's ``diffuse.fourier`` is not used: it takes the cell size for 1.

        Args:
            viscosity: Scalar, or one per ``trajectory``, units L²/T.
            time: How long it diffuses, units T.
        """
        return math.exp(viscosity * (-time * math.sum(self.wave_vectors**2, "vector")))

    @property
    def _axes(self) -> tuple[int, ...]:
        return tuple(range(-self._resolution.rank, 0))

    def _half(self, of_all_modes: math.Tensor) -> math.Tensor:
        name, size = self._resolution.names[-1], self._resolution.sizes[-1]
        return of_all_modes[{name: slice(0, size // 2 + 1)}]

    def _native(self, tensor: math.Tensor) -> tuple[Tensor, math.Shape]:
        """As a torch tensor with the space axes last, and the other dimensions."""
        rest = tensor.shape.without(self._resolution)
        return tensor.native([*rest.names, *self._resolution.names]), rest

    def _wrapped(self, native: Tensor, rest: math.Shape) -> math.Tensor:
        sizes = dict(zip(self._resolution.names, native.shape[rest.rank :], strict=True))
        return math.wrap(native, rest, math.spatial(**sizes))
