"""What an inversion found, how sure it is, and what to doubt."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.inversion.doubts import doubts
from burgerslab.inversion.gauss_newton import curvature_of_regularisation, gauss_newton
from burgerslab.inversion.objective import Batch, Objective
from burgerslab.inversion.posterior import Estimate, Posterior, correlation, estimates, laplace
from burgerslab.inversion.scaled import ScaledObjective, summed
from burgerslab.inversion.solution import Solution
from burgerslab.inversion.solvable import Total

# Fields have more entries than anyone reads; they are kept as arrays.
_MOST_NUMBERS = 64


@dataclass(frozen=True)
class InversionResult:
    """The end of an inversion.

    Args:
        estimates: Of every coefficient, by name.
        true: What the data set says of the viscosity, units L²/T, ``(trajectory,)``; None if it was not learned.
        trajectories: Numbers of the trajectories that were fitted.
        guesses: The initial guess of every coefficient that is a number.
        bounds: The bounds of every coefficient that has some.
        units: Of every coefficient.
        correlation: Of the free numbers that trajectories share.
        noise_std: Standard deviation of the noise, from the residuals, units L/T.
        objective: Mean square error over the mean square of the data, with priors and generated windows.
        solution: How the solve went.
        warnings: What to doubt.
    """

    estimates: dict[str, Estimate]
    true: Tensor | None
    trajectories: tuple[int, ...]
    guesses: dict[str, Any]
    bounds: dict[str, tuple[float, float]]
    units: dict[str, str]
    correlation: Tensor
    noise_std: float
    objective: float
    solution: Solution
    warnings: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with fields as the range of their numbers."""
        return {
            "parameters": {name: self._row(name) for name in self.estimates},
            "correlation": self.correlation.tolist(),
            "converged": self.solution.converged,
            "message": self.solution.message,
            "iterations": self.solution.num_iterations,
            "evaluations": self.solution.num_evaluations,
            "objective": self.objective,
            "noise_std": self.noise_std,
            "warnings": self.warnings,
        }

    def relative_error(self, name: str) -> Tensor | None:
        """(estimate - truth) / truth of the viscosity, and of the advection coefficient, whose truth is 1."""
        value = self.estimates[name].value
        if name == "advection":
            return value - 1.0
        if name != "viscosity" or self.true is None or value.numel() not in (1, len(self.true)):
            return None
        if value.numel() == 1 and not torch.allclose(self.true, self.true[:1], rtol=1e-12, atol=0.0):
            return None
        return value.reshape(-1) / self.true[: value.numel()] - 1.0

    def _row(self, name: str) -> dict[str, Any]:
        estimate = self.estimates[name]
        row: dict[str, Any] = {"units": self.units[name], "shape": list(estimate.value.shape)}
        if estimate.value.numel() > _MOST_NUMBERS:
            row["estimate_range"] = [float(estimate.value.min()), float(estimate.value.max())]
            row["largest_std"] = float(estimate.std.max())
            return row
        row |= {
            "estimate": estimate.value.tolist(),
            "std": estimate.std.tolist(),
            "ci95": torch.stack([estimate.low, estimate.high], dim=-1).tolist(),
        }
        if name in self.guesses:
            row["initial_guess"] = self.guesses[name]
        if name in self.bounds:
            row["bounds"] = list(self.bounds[name])
        error = self.relative_error(name)
        if error is not None:
            truth = torch.ones(()) if name == "advection" else self.true[: error.numel()]
            shape = estimate.value.shape
            row |= {"true": truth.reshape(shape).tolist(), "relative_error": error.reshape(shape).tolist()}
        return row


def summarise(
    scaled: ScaledObjective, flat: Float[Tensor, " P"], chunks: Iterable[Batch], total: Total, solution: Solution
) -> InversionResult:
    """Estimates with their uncertainty at the end of a solve.

    Args:
        scaled: What was minimised.
        flat: Free numbers found.
        chunks: The windows of this process.
        total: Adds a tensor up over the processes.
        solution: How the solve went.
    """
    objective = scaled.objective
    problem = objective.problem
    free = objective.unflatten(flat)
    posterior = _posterior(objective, free, chunks, total)
    found = estimates(objective, free, posterior)
    start = objective.unflatten(objective.start())
    guesses = {
        name: it.coefficient(start[name], problem).tolist()
        for name, it in objective.learnables.items()
        if found[name].value.numel() <= _MOST_NUMBERS
    }
    return InversionResult(
        estimates=found,
        true=torch.from_numpy(problem.viscosity) if "viscosity" in found else None,
        trajectories=problem.trajectories,
        guesses=guesses,
        bounds={name: it.bounds for name, it in objective.learnables.items() if it.bounds is not None},
        units={name: it.units for name, it in objective.learnables.items()},
        correlation=correlation(posterior),
        noise_std=posterior.noise_std,
        objective=solution.objective * scaled.unit,
        solution=solution,
        warnings=doubts(objective, flat, found, posterior, solution.converged),
    )


def _posterior(objective: Objective, free: dict[str, Tensor], chunks: Iterable[Batch], total: Total) -> Posterior:
    information = summed(gauss_newton(objective, free, chunks, weighted=False), total)
    squares = torch.zeros(1, dtype=torch.float64)
    with torch.no_grad():
        for batch in chunks:
            residual = objective.residual(objective.select(free, batch), batch)
            squares += (residual.square().flatten(1).sum(dim=1) * batch["observed"]).sum().cpu()
    return laplace(objective, information, curvature_of_regularisation(objective, free), float(total(squares)))
