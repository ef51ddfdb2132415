"""What speaks against believing an inversion: each doubt as a sentence that says what to do."""

import torch
from jaxtyping import Float
from torch import Tensor

from burgerslab.inversion.first_frame_noise import matters
from burgerslab.inversion.objective import Objective
from burgerslab.inversion.posterior import Estimate, Posterior
from burgerslab.physics import explain_under_resolution

_LARGEST_RELATIVE_STD = 0.5
_NO_FIT = 0.7  # residual over the data's size
_MOST_STDS = 3
_NOTABLE_SHIFT = 1e-3  # of the parameter: below, nobody refines a grid for it


class InversionWarning(UserWarning):
    """A reason to doubt the result of an inversion."""


def doubts(
    objective: Objective, flat: Float[Tensor, " P"], found: dict[str, Estimate], posterior: Posterior, converged: bool
) -> list[str]:
    """All that apply.

    Args:
        objective: The misfit.
        flat: Free numbers at the optimum.
        found: Estimates there.
        posterior: Their covariances.
        converged: Whether the solve did; else its residual tells nothing of the data.
    """
    return [
        *_unresolved(objective, found),
        *_moved_by_the_grid(objective, found),
        *_undetermined(objective, found, posterior),
        *_at_bounds(objective, flat),
        *(_noisy_first_frames(objective, found, posterior) if converged else []),
    ]


def _unresolved(objective: Objective, found: dict[str, Estimate]) -> list[str]:
    problem, refine = objective.problem, objective.rollout.refine
    viscosity = found["viscosity"].value if "viscosity" in found else torch.from_numpy(problem.viscosity)
    cell = max(speed * dx for speed, dx in zip(problem.speed, problem.domain.spacing, strict=True)) / refine
    advection = float(found["advection"].value.abs()) if "advection" in found else 1.0
    message = explain_under_resolution(advection * cell / viscosity.reshape(-1).detach())
    return [] if message is None else [f"the result is likely to be biased: {message}"]


def _moved_by_the_grid(objective: Objective, found: dict[str, Estimate]) -> list[str]:
    messages = []
    for name, estimate in found.items():
        if name == "initial_state" or estimate.shift is None:
            continue
        shift, size = estimate.shift.abs(), estimate.value.abs().max()
        notable = (shift > _MOST_STDS * estimate.std) & (shift > _NOTABLE_SHIFT * size)
        if bool(notable.any()):
            messages.append(
                f"the error of the grid moves {name} by about {float(shift[notable].max()):.2g}, more than "
                f"{_MOST_STDS} standard deviations of what noise does; set model.refine to "
                f"{2 * objective.rollout.refine} or more (now {objective.rollout.refine})"
            )
    return messages


def _undetermined(objective: Objective, found: dict[str, Estimate], posterior: Posterior) -> list[str]:
    messages = []
    for name, estimate in found.items():
        if name == "initial_state":
            unknown = torch.isinf(estimate.std).flatten(1).any(dim=1).nonzero()[:, 0].tolist()
            if unknown:
                rows = ", ".join(str(objective.problem.trajectories[row]) for row in unknown[:8])
                messages.append(
                    f"the data do not determine all modes of the initial_state of {len(unknown)} trajectories ({rows}"
                    f"{', ...' if len(unknown) > 8 else ''}): give InitialState fewer num_modes, or observe more"
                )
        elif not bool(torch.isfinite(estimate.std).all()):
            messages.append(
                f"the data do not determine {name}, or not together with the other parameters: fix one of them, give "
                "it a prior, or observe more frames, in which the flow changes"
            )
        elif name == "viscosity" and bool((estimate.std > _LARGEST_RELATIVE_STD * estimate.value.abs()).any()):
            worst = float((estimate.std / estimate.value).max())
            cause = (
                "The rollout is as far from the data as nothing at all; start from another initial_guess, or from "
                "several (model.num_starts)"
                if posterior.noise_std > _NO_FIT * objective.problem.scale
                else "Too little is dissipated within a window; use longer windows (data.num_predict_steps), more "
                "frames or less noise"
            )
            messages.append(
                f"the data hardly tell the viscosity: its standard deviation is {100 * worst:.3g} % of it. {cause}"
            )
    return messages


def _at_bounds(objective: Objective, flat: Float[Tensor, " P"]) -> list[str]:
    names = [name for name in objective.shared for _ in range(len(objective.unflatten(flat)[name]))]
    names += [name for name in objective.own for _ in range(objective.unflatten(flat)[name].shape[1])] * (
        objective.num_rows
    )
    touched = [
        name
        for name, number, (low, high) in zip(names, flat.tolist(), objective.bounds(), strict=True)
        if (low is not None and number <= low + 1e-9) or (high is not None and number >= high - 1e-9)
    ]
    return [
        f"{name} ended at a bound, {touched.count(name)} times: its interval means nothing; widen "
        f"model.learnable_parameters' bounds of {name}, now {list(objective.learnables[name].bounds or ())}"
        for name in dict.fromkeys(touched)
    ]


def _noisy_first_frames(objective: Objective, found: dict[str, Estimate], posterior: Posterior) -> list[str]:
    if not matters(objective, posterior):
        return []
    shifts = [
        f"{name} by about {float(estimate.noise_shift.abs().max()):.2g}"
        for name, estimate in found.items()
        if estimate.noise_shift is not None
    ]
    effect = "parameters are biased and their intervals not to be trusted"
    if shifts:
        effect = (
            f"that spreads and biases parameters ({', '.join(shifts)}), which their standard deviations and "
            "intervals allow for, but no profile likelihood does"
        )
    return [
        f"the residual is {100 * posterior.noise_std / objective.problem.scale:.2g} % of the data, and rollouts "
        f"start from observed first frames as if these were exact: {effect}. Add burgerslab.inversion.InitialState "
        "to model.learnable_parameters, with one long window per trajectory"
    ]
