"""Weighted essentially non-oscillatory upwind differences."""

from collections.abc import Sequence
from dataclasses import dataclass

from phi import math
from phi.field import Field

from burgerslab.physics.domain import Domain
from burgerslab.physics.equation import Equation
from burgerslab.physics.phi_bridge import PERIODIC
from burgerslab.physics.schemes import exact_diffusion
from burgerslab.physics.schemes.fourier_modes import FourierModes
from burgerslab.physics.schemes.scheme import GeneralScheme, advective_limit

# Largest c with |R(-c λ)| <= 1 for RK4's stability function R and every eigenvalue λ of dx times the difference.
_LARGEST_COURANT_NUMBER = 1.73
# Jiang & Shu add 1e-6 to the smoothness. Relative to the slopes' mean square it has no unit, and a field's amplitude
# does not change its weights; the mean is smooth where the maximum of Osher & Fedkiw (2003, equation 3.38) has kinks.
_RELATIVE_EPSILON = 1e-6
_TINY = 1e-30  # keeps 0/0 away from uniform flow, in float32 too


@dataclass(frozen=True)
class WENO(GeneralScheme):
    """Fifth-order upwind WENO differences for advection, exact diffusion, RK4 in time.

    The advection term is (u·∇)u, component by component: Σ_j u_j ∂_j u_i, each ∂_j from the side the wind u_j blows
    from. Three candidate stencils are weighted by their smoothness, so that none reaches across a front: fronts that
    no cells resolve stay free of ringing. Upwinding spreads them over cells, though, and the advective form does not
    conserve momentum: such a front moves at a speed that is off. Diffusion is an integrating factor and limits no
    step.

    Fifth order in space, third next to inflection points that few cells resolve; RK4 in time. Stable for
    Σ_i |u_i| dt / dx_i below 1.73, the limit of RK4 with the weights of smooth data.

    Source: Jiang & Shu, J. Comput. Phys. 126 (1996) 202, equations 2.9 to 2.17, for weights and smoothness; Jiang &
    Peng, SIAM J. Sci. Comput. 21 (2000) 2126, for their use on slopes.
    """

    order = 5

    def advance(self, velocity: Field, equation: Equation, dt: math.Tensor) -> Field:
        """Advance by one integrating-factor RK4 step."""
        spacing = dict(zip(velocity.resolution.names, (float(step) for step in velocity.dx), strict=True))
        modes = FourierModes(velocity)

        def acceleration(u: math.Tensor, spectrum: math.Tensor) -> math.Tensor:
            return modes.forward(-_advection(u, spacing))

        return exact_diffusion.advance(velocity, equation, dt, modes, acceleration)

    def largest_stable_step(self, domain: Domain, speed: Sequence[float], viscosity: float) -> float:
        """1.73 / Σ_i |u_i| / dx_i: RK4's limit for fifth-order upwind advection."""
        return advective_limit(_LARGEST_COURANT_NUMBER, domain, speed)


def _advection(u: math.Tensor, spacing: dict[str, float]) -> math.Tensor:
    """Σ_j max(u_j, 0) ∂_j⁻u + min(u_j, 0) ∂_j⁺u."""
    total = 0
    for axis, dx in spacing.items():
        from_left, from_right = _one_sided_derivatives(u, axis, dx)
        along = u.vector[axis]
        total = total + math.maximum(along, 0) * from_left + math.minimum(along, 0) * from_right
    return total


def _one_sided_derivatives(values: math.Tensor, axis: str, dx: float) -> tuple[math.Tensor, math.Tensor]:
    """∂/∂axis with stencils from three cells behind to two ahead, and mirrored."""
    num_cells = values.shape.get_size(axis)
    padded = math.pad(values, {axis: (3, 3)}, PERIODIC)
    slopes = (padded[{axis: slice(1, None)}] - padded[{axis: slice(0, -1)}]) * (1 / dx)
    between = [slopes[{axis: slice(j, j + num_cells)}] for j in range(6)]
    return _weighted(*between[:5]), _weighted(*between[:0:-1])  # the second one backwards: 5, 4, 3, 2, 1


def _weighted(a: math.Tensor, b: math.Tensor, c: math.Tensor, d: math.Tensor, e: math.Tensor) -> math.Tensor:
    """Slope at a cell centre from the five mean slopes around it, in the order in which the wind meets them.

    The centre lies between ``c`` and ``d``.
    """
    candidates = (2 * a - 7 * b + 11 * c) / 6, (-b + 5 * c + 2 * d) / 6, (2 * c + 5 * d - e) / 6
    roughness = (
        13 / 12 * (a - 2 * b + c) ** 2 + 1 / 4 * (a - 4 * b + 3 * c) ** 2,
        13 / 12 * (b - 2 * c + d) ** 2 + 1 / 4 * (b - d) ** 2,
        13 / 12 * (c - 2 * d + e) ** 2 + 1 / 4 * (3 * c - 4 * d + e) ** 2,
    )
    size = (a * a + b * b + c * c + d * d + e * e) / 5 + _TINY
    weights = [
        share / (_RELATIVE_EPSILON + rough / size) ** 2
        for share, rough in zip((0.1, 0.6, 0.3), roughness, strict=True)
    ]
    return sum(w * q for w, q in zip(weights, candidates, strict=True)) / sum(weights)
