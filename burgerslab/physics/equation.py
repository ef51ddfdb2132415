"""The coefficients of the equation that a step solves."""

from dataclasses import dataclass

from phi import math


@dataclass(frozen=True)
class Equation:
    """u_t + c (u·∇)u = ∇·(ν∇u) + f, as PhiML tensors.

    Args:
        viscosity: ν, a scalar or one per ``trajectory``, units L²/T. Where ν varies in space: a level near its
            largest value.
        viscosity_deficit: ν(x) minus ``viscosity``, with the space axes of the grid, units L²/T; None
            where ν is the same everywhere.
        advection: c, a scalar without unit; None is 1.
        forcing: f, a vector, or a vector at every cell, units L/T²; None is 0.
    """

    viscosity: math.Tensor
    viscosity_deficit: math.Tensor | None = None
    advection: math.Tensor | None = None
    forcing: math.Tensor | None = None
