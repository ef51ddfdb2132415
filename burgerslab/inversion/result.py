"""What an inversion found, how sure it is, and what to doubt."""

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.inversion.doubts import doubts
from burgerslab.inversion.first_frame_noise import first_frame_noise, is_known, matters
from burgerslab.inversion.gauss_newton import curvature_of_regularisation, gauss_newton
from burgerslab.inversion.grid_error import discretisation_shift
from burgerslab.inversion.l_curve import LCurve
from burgerslab.inversion.multi_start import Start, doubts_of_starts, starts_as_dict
from burgerslab.inversion.posterior import Estimate, Posterior, correlation, estimates, laplace
from burgerslab.inversion.profile import Profile, profile_likelihoods
from burgerslab.inversion.solution import Solution
from burgerslab.inversion.solve_again import SolveAgain, Solved

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
        starts: With several starts, each of them, the first solve first.
        profiles: On request, the profile likelihood of single numbers, by name.
        l_curve: How a smoothness was chosen, if it was left to the L-curve.
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
    starts: list[Start] = field(default_factory=list)
    profiles: dict[str, Profile] = field(default_factory=dict)
    l_curve: LCurve | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with fields as the range of their numbers."""
        more: dict[str, Any] = {}
        if self.starts:
            more["starts"] = starts_as_dict(self.starts)
        if self.l_curve is not None:
            more["l_curve"] = asdict(self.l_curve)
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
            **more,
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
        if estimate.shift is not None:
            largest = estimate.shift.abs().max()
            row["discretisation_shift"] = float(estimate.shift) if estimate.shift.ndim == 0 else float(largest)
        if estimate.noise_shift is not None:
            row["noise_shift"] = estimate.noise_shift.tolist()
        if name in self.profiles:
            profile = self.profiles[name]
            row["profile_ci95"] = [profile.low, profile.high]
            row["profile"] = {"values": list(profile.values), "two_delta_nll": list(profile.rise)}
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
    again: SolveAgain,
    best: Solved,
    starts: list[Start],
    l_curve: LCurve | None,
    with_profiles: bool,
) -> InversionResult:
    """Estimates with their uncertainty at the end of a solve.

    Args:
        again: Solves on the windows.
        best: What was found.
        starts: Of several starts, each; none otherwise.
        l_curve: How a smoothness was chosen.
        with_profiles: Whether to walk along the profile likelihoods.
    """
    objective = best.scaled.objective
    problem = objective.problem
    free = objective.unflatten(best.flat)
    posterior, shift, noise_shift, remark = _uncertainty(again, best)
    found = estimates(objective, free, posterior, shift, noise_shift)
    start = objective.unflatten(objective.start())
    guesses = {
        name: it.coefficient(start[name], problem).tolist()
        for name, it in objective.learnables.items()
        if found[name].value.numel() <= _MOST_NUMBERS
    }
    warnings = doubts(objective, best.flat, found, posterior, best.solution.converged)
    warnings += doubts_of_starts(starts)
    warnings += [remark] if remark else []
    if l_curve is not None and not l_curve.has_corner:
        warnings.append(
            "the L-curve has no corner, so the smallest weight of the sweep was taken: the data may have no noise; "
            "set smoothness to a number, or to 0"
        )
    return InversionResult(
        estimates=found,
        true=torch.from_numpy(problem.viscosity) if "viscosity" in found else None,
        trajectories=problem.trajectories,
        guesses=guesses,
        bounds={name: it.bounds for name, it in objective.learnables.items() if it.bounds is not None},
        units={name: it.units for name, it in objective.learnables.items()},
        correlation=correlation(posterior),
        noise_std=posterior.noise_std,
        objective=best.value,
        solution=best.solution,
        warnings=warnings,
        starts=starts,
        profiles=profile_likelihoods(again, best, posterior) if with_profiles else {},
        l_curve=l_curve,
    )


def _uncertainty(
    again: SolveAgain, best: Solved
) -> tuple[Posterior, Float[Tensor, " P"] | None, Float[Tensor, " P"] | None, str]:
    """Covariances, the shifts by the grid and by noisy first frames, and why that by the grid is not known."""
    objective, flat, chunks, total = best.scaled.objective, best.flat, again.chunks, again.total
    squares, information = gauss_newton(objective, flat, chunks, total, weighted=False)
    regular = curvature_of_regularisation(objective, flat)
    posterior = laplace(objective, information, regular, squares)
    if not all(bool(torch.isfinite(part).all()) for part in (posterior.shared, posterior.own)):
        return posterior, None, None, ""
    problem = objective.problem
    curvature = information.scaled(1 / (problem.num_observed * problem.scale**2)) + regular
    shift, remark = discretisation_shift(objective, flat, curvature, chunks, total)
    if not (best.solution.converged and matters(objective, posterior) and is_known(objective)):
        return posterior, shift, None, remark
    noise = first_frame_noise(objective, flat, information, regular, squares, chunks, total)
    return noise.posterior, shift, noise.shift, remark
