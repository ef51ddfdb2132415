"""Fourier transforms of real values with derivatives that take no more work than the transforms."""

from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule

_ATEN = torch.ops.aten


def with_lean_derivatives(graph: GraphModule) -> GraphModule:
    """Let the transforms of a graph use the derivatives of this file: torch's own go through full complex spectra.

    Args:
        graph: With operations of ``torch.ops.aten``; it is changed.
    """
    for node in graph.graph.nodes:
        if node.target is _ATEN._fft_r2c.default and node.args[3]:
            node.args = node.args[:3]
            node.target = to_half_spectrum
        elif node.target is _ATEN._fft_c2r.default:
            node.target = from_half_spectrum
    graph.recompile()
    return graph


def to_half_spectrum(values: Tensor, axes: list[int], norm: int) -> Tensor:
    """``_fft_r2c`` to the modes 0 to N/2 of the last of the axes."""
    return _ToHalfSpectrum.apply(values, axes, norm)


def from_half_spectrum(spectrum: Tensor, axes: list[int], norm: int, num_cells: int) -> Tensor:
    """``_fft_c2r``; inverse of `to_half_spectrum` up to a factor."""
    return _FromHalfSpectrum.apply(spectrum, axes, norm, num_cells)


class _ToHalfSpectrum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, axes: list[int], norm: int) -> Tensor:
        ctx.axes, ctx.norm, ctx.num_cells = axes, norm, values.shape[axes[-1]]
        return _ATEN._fft_r2c(values, axes, norm, True)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        # The inverse transform counts modes 1 to N/2 - 1 twice, for themselves and their conjugates.
        weighed = _weighed(gradient, 0.5, ctx.axes[-1], ctx.num_cells)
        return _ATEN._fft_c2r(weighed, ctx.axes, ctx.norm, ctx.num_cells), None, None


class _FromHalfSpectrum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, spectrum: Tensor, axes: list[int], norm: int, num_cells: int) -> Tensor:
        ctx.axes, ctx.norm, ctx.num_cells = axes, norm, num_cells
        return _ATEN._fft_c2r(spectrum, axes, norm, num_cells)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        spectrum = _ATEN._fft_r2c(gradient, ctx.axes, ctx.norm, True)
        return _weighed(spectrum, 2.0, ctx.axes[-1], ctx.num_cells), None, None, None


def _weighed(spectrum: Tensor, weight: float, axis: int, num_cells: int) -> Tensor:
    """Times a weight at the modes that have a conjugate outside of the half."""
    parts = torch.view_as_real(spectrum)
    mode = torch.arange(spectrum.shape[axis], device=spectrum.device)
    weights = torch.where((mode == 0) | (2 * mode == num_cells), 1.0, weight).to(parts.dtype)
    return torch.view_as_complex(parts * weights.reshape(-1, *[1] * (parts.ndim - 1 - axis)))
