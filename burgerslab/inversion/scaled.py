"""The objective as the solver sees it: of order 1 at its start, with unit curvature there."""

from collections.abc import Iterable

from jaxtyping import Float
from torch import Tensor

from burgerslab.inversion.conditioning import Conditioning
from burgerslab.inversion.gauss_newton import (
    ArrowMatrix,
    curvature_of_regularisation,
    gauss_newton,
    value_of_misfit,
)
from burgerslab.inversion.objective import Batch, Objective
from burgerslab.inversion.solvable import Total
from burgerslab.inversion.window_products import misfit
from burgerslab.physics import DivergedError


class ScaledObjective:
    """J over its value at the start, in round variables y, which are 0 there.

    Args:
        objective: J.
        origin: Free numbers of the start, ``(P,)``.
        chunks: The windows of this process, float64.
        total: Adds a tensor up over the processes.
        curvature: Half the second derivative of the misfit near the origin, if it is known; None finds it there.

    Raises:
        DivergedError: If the rollout from the start, or its derivatives, are not finite.
    """

    def __init__(
        self,
        objective: Objective,
        origin: Float[Tensor, " P"],
        chunks: Iterable[Batch],
        total: Total,
        curvature: ArrowMatrix | None = None,
    ) -> None:
        self.objective = objective
        if curvature is None:
            value, curvature = gauss_newton(objective, origin, chunks, total)
        else:
            value = value_of_misfit(objective, origin, chunks, total)
        regular = objective.regularisation(objective.unflatten(origin))
        value += 0.0 if regular is None else float(regular)
        self.unit = value if value > 0 else 1.0
        curvature = (curvature + curvature_of_regularisation(objective, origin)).scaled(2 / self.unit)
        if not curvature.is_finite:
            raise DivergedError("the derivatives of the rollout from the start are not finite")
        self._conditioning = Conditioning.of(curvature, objective, origin)

    def to_flat(self, rounded: Float[Tensor, " P"]) -> Float[Tensor, " P"]:
        """Free numbers of a y; differentiable."""
        return self._conditioning.to_flat(rounded, self.objective)

    def to_rounded(self, flat: Float[Tensor, " P"]) -> Float[Tensor, " P"]:
        """The y of free numbers."""
        return self._conditioning.to_rounded(flat, self.objective)

    def bounds(self) -> list[tuple[float | None, float | None]]:
        """Bounds of y."""
        return self._conditioning.bounds(self.objective)

    def misfit(self, rounded: Float[Tensor, " P"], batch: Batch) -> tuple[Float[Tensor, ""], float]:
        """Share of a chunk in J, without priors, in the unit of the start; and the share of its windows in all."""
        share = len(batch["target"]) / len(self.objective.problem.windows)
        return misfit(self.objective, self.to_flat(rounded.cpu()), batch) / self.unit, share

    def penalty(self, rounded: Float[Tensor, " P"]) -> Float[Tensor, ""]:
        """Roughness and priors, in the unit of the start."""
        regular = self.objective.regularisation(self.objective.unflatten(self.to_flat(rounded.cpu())))
        return rounded.new_zeros(()) if regular is None else regular / self.unit
