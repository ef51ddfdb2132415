"""A periodic UNet in 1, 2 or 3 dimensions.

Legend of the shapes: B batch, C_in / C_out / C channels, *N cells (one, two or three periodic axes).
"""

from itertools import pairwise
from math import gcd
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

Norm = Literal["group", "none"]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
INTERPOLATIONS = ("linear", "bilinear", "trilinear")
MAX_NUM_GROUPS = 8
MIN_CELLS_AT_BOTTOM = 2


def wrap(x: Float[Tensor, "B C *N"]) -> Float[Tensor, "B C *M"]:
    """Continue a field periodically by one cell at both ends of every space axis.

    Args:
        x: Field on the N cells of each axis.

    Returns:
        The field on N + 2 cells of each axis: last cell, all cells, first cell.
    """
    # Concatenation, one axis after the other, is faster on a CPU than torch's circular padding,
    # which fills an empty tensor slice by slice, and it keeps channels_last.
    for axis in range(2, x.ndim):
        x = torch.cat((x.narrow(axis, -1, 1), x, x.narrow(axis, 0, 1)), dim=axis)
    return x


class ResidualBlock(nn.Module):
    """Two periodic 3-wide convolutions, each after a normalisation, added to their input: x + f(x).

    f = conv . act . norm . conv . act . norm, the pre-activation block of He et al. (2016, arXiv
    1603.05027, figure 4e).

    Args:
        num_channels: Number of channels of input and output.
        dimension: Number of space axes, 1, 2 or 3.
        norm: "group" for group normalisation in at most 8 groups, "none" for no normalisation.
        activation: Pointwise nonlinearity.
    """

    def __init__(self, num_channels: int, dimension: int, norm: Norm, activation: nn.Module) -> None:
        super().__init__()
        convolution = CONVOLUTIONS[dimension - 1]
        self.norm1 = normalisation(norm, num_channels)
        self.conv1 = convolution(num_channels, num_channels, kernel_size=3)
        self.norm2 = normalisation(norm, num_channels)
        self.conv2 = convolution(num_channels, num_channels, kernel_size=3)
        self.activation = activation

    def forward(self, x: Float[Tensor, "B C *N"]) -> Float[Tensor, "B C *N"]:
        """Apply the block to features of shape (B, num_channels, *N)."""
        y = self.conv1(wrap(self.activation(self.norm1(x))))
        y = self.conv2(wrap(self.activation(self.norm2(y))))
        return x + y


def normalisation(norm: Norm, num_channels: int) -> nn.Module:
    """Normalisation layer whose number of groups divides the number of channels.

    The number of groups is the largest of 8, 4, 2, 1 that leaves every group the same number of channels
    and at least two. Statistics run over all cells, hence they do not break translation equivariance.

    Args:
        norm: "group" or "none".
        num_channels: Number of channels of the features.

    Returns:
        A group normalisation, or the identity for "none".
    """
    if norm == "none":
        return nn.Identity()
    # A group of one channel would cancel the bias of the convolution before it and equalise all channels.
    num_groups = max(1, gcd(num_channels, 2 * MAX_NUM_GROUPS) // 2)
    return nn.GroupNorm(num_groups, num_channels)


class Doubling(nn.Module):
    """Twice the cells along every axis: a pointwise convolution, then linear interpolation around the periodic box.

    A transposed convolution in its place leaves a checkerboard in the output (Odena, Dumoulin and Olah, Distill
    2016), which a rollout amplifies.

    Args:
        in_channels: Number of channels of the coarse field.
        out_channels: Number of channels of the fine field.
        dimension: Number of space axes, 1, 2 or 3.
    """

    def __init__(self, in_channels: int, out_channels: int, dimension: int) -> None:
        super().__init__()
        self.convolution = CONVOLUTIONS[dimension - 1](in_channels, out_channels, kernel_size=1)
        self.mode = INTERPOLATIONS[dimension - 1]

    def forward(self, x: Float[Tensor, "B C_in *N"]) -> Float[Tensor, "B C_out *M"]:
        """Interpolate to twice the cells."""
        x = nn.functional.interpolate(wrap(self.convolution(x)), scale_factor=2, mode=self.mode)
        for axis in range(2, x.ndim):  # the two fine cells of the coarse one that `wrap` added at each end
            x = x.narrow(axis, 2, x.shape[axis] - 4)
        return x


class UNet(nn.Module):
    """UNet on a periodic box (Ronneberger et al. 2015, arXiv 1505.04597) with residual blocks.

    Every axis is halved ``levels`` times while the channels double: level l has filters * 2**l channels on
    N / 2**l cells. Cells are merged by 2-wide convolutions with stride 2, which need no padding, and split by
    linear interpolation; the centre of a coarse cell stays the centre of its fine cells. All other convolutions
    are continued periodically, so the network commutes with every shift by a multiple of 2**levels cells. Skips
    are added rather than concatenated, which makes a training step a quarter faster (2D, 64 x 64 cells, 16
    filters, two CPU cores).

    The last convolution starts at zero: at initialisation the output is exactly zero, which a surrogate
    that adds it to its last frame reads as "no change". In the very first optimiser step, therefore, only
    that convolution has a gradient.

    Args:
        in_channels: Number of channels of the input, e.g. history frames times components.
        out_channels: Number of channels of the output.
        dimension: Number of space axes, 1, 2 or 3.
        filters: Number of channels at full resolution.
        levels: Number of halvings; 0 leaves a plain residual network.
        norm: "group" for group normalisation (8 groups, fewer where ``filters`` is no multiple of 16), "none"
            for no normalisation.
        activation: Pointwise nonlinearity, shared by all blocks; None is ``torch.nn.GELU()``.

    Raises:
        ValueError: If a number is out of range, the norm is unknown, or the activation works in place.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dimension: int,
        filters: int = 32,
        levels: int = 3,
        norm: Norm = "group",
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        for name, number in (("in_channels", in_channels), ("out_channels", out_channels), ("filters", filters)):
            if number < 1:
                raise ValueError(f"UNet {name} must be at least 1, got {number}")
        if dimension not in (1, 2, 3):
            raise ValueError(f"UNet dimension must be 1, 2 or 3, got {dimension}")
        if levels < 0:
            raise ValueError(f"UNet levels must be at least 0, got {levels}")
        if norm not in get_args(Norm):
            raise ValueError(f"UNet norm must be one of {', '.join(get_args(Norm))}, got {norm!r}")
        activation = nn.GELU() if activation is None else activation
        if getattr(activation, "inplace", False):
            raise ValueError("UNet activation would overwrite the shortcuts, set its inplace: false, got true")

        self.in_channels = in_channels
        self.dimension = dimension
        self.levels = levels
        convolution = CONVOLUTIONS[dimension - 1]
        widths = [filters * 2**level for level in range(levels + 1)]

        self.stem = convolution(in_channels, filters, kernel_size=3)
        self.encoder = nn.ModuleList(ResidualBlock(width, dimension, norm, activation) for width in widths[:-1])
        self.down = nn.ModuleList(
            convolution(fine, coarse, kernel_size=2, stride=2) for fine, coarse in pairwise(widths)
        )
        self.bottom = ResidualBlock(widths[-1], dimension, norm, activation)
        self.up = nn.ModuleList(Doubling(coarse, fine, dimension) for fine, coarse in pairwise(widths))
        self.decoder = nn.ModuleList(ResidualBlock(width, dimension, norm, activation) for width in widths[:-1])
        self.norm = normalisation(norm, filters)
        self.activation = activation
        self.head = convolution(filters, out_channels, kernel_size=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Float[Tensor, "B C_in *N"]) -> Float[Tensor, "B C_out *N"]:
        """Map fields to fields on the same cells.

        Args:
            x: Input of shape (B, in_channels, *N).

        Returns:
            Output of shape (B, out_channels, *N).

        Raises:
            ValueError: If the number of channels or axes differs from what the network was built for, or an
                axis cannot be halved ``levels`` times with at least 2 cells left.
        """
        self._check(tuple(x.shape))
        x = self.stem(wrap(x))
        skips = []
        for block, down in zip(self.encoder, self.down, strict=True):
            x = block(x)
            skips.append(x)
            x = down(x)
        x = self.bottom(x)
        for level in reversed(range(self.levels)):
            x = self.decoder[level](skips[level] + self.up[level](x))
        return self.head(self.activation(self.norm(x)))

    def _check(self, shape: tuple[int, ...]) -> None:
        if len(shape) != self.dimension + 2:
            raise ValueError(
                f"UNet expected an input of {self.dimension + 2} axes (batch, channel, {self.dimension} of "
                f"cells), got shape {shape}; set its dimension to the number of axes of the domain"
            )
        if shape[1] != self.in_channels:
            raise ValueError(
                f"UNet expected {self.in_channels} channels, got {shape[1]}; set its in_channels: {shape[1]}"
            )
        factor = 2**self.levels
        cells = shape[2:]
        if any(number % factor for number in cells):
            raise ValueError(
                f"UNet with levels: {self.levels} expected a multiple of {factor} cells along every axis, got "
                f"{cells}; lower its levels or change the domain's resolution"
            )
        if min(cells) < MIN_CELLS_AT_BOTTOM * factor:
            raise ValueError(
                f"UNet with levels: {self.levels} expected at least {MIN_CELLS_AT_BOTTOM * factor} cells along "
                f"every axis, got {cells}; lower its levels or raise the domain's resolution"
            )
