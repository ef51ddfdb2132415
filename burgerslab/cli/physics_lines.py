"""What `burgerslab inspect` says of the physics of a store: resolution, and fitted beside recorded coefficients."""

import math
from typing import Any

import numpy as np


def resolution_facts(store: Any) -> list[tuple[str, str]]:
    """Range of the cell Péclet numbers, and a warning where the grid does not resolve the fronts."""
    import torch

    from burgerslab.data.store_resolution import peclet_numbers
    from burgerslab.physics import explain_under_resolution

    numbers = peclet_numbers(store)
    facts = [("cell Péclet", f"{_range(numbers, '.3g')}, |u|max dx / viscosity; up to 2 the grid resolves fronts")]
    if message := explain_under_resolution(torch.from_numpy(numbers)):
        facts.append(("warning", message))
    return facts


def physics_facts(store: Any) -> list[tuple[str, str]]:
    """Viscosity and advection coefficient that fit the frames, beside the recorded ones, and warnings."""
    from burgerslab.data.physics_check import check_physics
    from burgerslab.data.physics_verdict import findings, warnings

    num_inviscid = int((store.viscosity == 0).sum())
    if num_inviscid == len(store.viscosity):
        return [("physics", "not checked: the recorded viscosity is 0, beside which no fitted one can be put")]
    check = check_physics(store)
    results = findings(check)
    facts = [(finding.method, _finding_line(finding, check)) for finding in results]
    if num_inviscid:
        facts.append(
            ("left out", f"{num_inviscid} of {len(store.viscosity)} trajectories, recorded with a viscosity of 0")
        )
    if check.rollout is None:
        facts.append(("short rollout", "left out: the frames are too far apart for one that takes seconds"))
    messages = warnings(results)
    facts += [("warning", message) for message in messages]
    if messages:
        return facts
    if any(np.isfinite(finding.viscosity).any() for finding in results):
        return [*facts, ("physics", "the frames obey u_t + (u·∇)u = ν Δu with the recorded viscosity")]
    return [*facts, ("physics", "the frames change too little, or too wildly, to tell a viscosity")]


def _finding_line(finding: Any, check: Any) -> str:
    count = len(finding.viscosity)
    parts = []
    if np.isfinite(finding.viscosity).any():
        recorded = _range(check.recorded[:count], ".5g")
        parts.append(
            f"viscosity {_range(finding.viscosity, '.5g')} L²/T, recorded {recorded}, ratio {finding.mean_ratio:.4f} "
            f"({_range(finding.ratio, '.4f')}, ± {_error(finding.viscosity_error)} each)"
        )
    else:
        parts.append("viscosity not told by the frames")
    if np.isfinite(finding.advection).any():
        parts.append(f"advection {_range(finding.advection, '.4f')} ± {_error(finding.advection_error)}")
    else:
        parts.append("advection not told")
    residual = float(np.median(finding.residual))
    parts.append(f"residual {100 * residual:.2g} %" if math.isfinite(residual) else "rollouts diverge")
    return "; ".join(parts) + f" ({count} {'trajectory' if count == 1 else 'trajectories'})"


def _error(values: Any) -> str:
    return f"{float(np.median(values)):.1g}"


def _range(values: Any, form: str) -> str:
    """Smallest to largest of the values that are not NaN; one number where they print alike."""
    known = np.asarray(values)[~np.isnan(values)]
    low, high = format(float(known.min()), form), format(float(known.max()), form)
    return low if low == high else f"{low} to {high}"
