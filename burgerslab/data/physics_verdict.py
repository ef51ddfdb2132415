"""What a check of the physics means: where fitted and recorded values disagree, and which mistakes look like that."""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from torch import Tensor

from burgerslab.data.physics_check import PhysicsCheck
from burgerslab.physics.coefficients import Coefficients
from burgerslab.physics.resolution import likely_bias

Array = npt.NDArray[np.float64]

_DETERMINED = 0.1  # largest standard error, relative for ν, with which a coefficient counts as told by the data
_LEAST_TOLERANCE = 0.01
_NUM_ERRORS = 3.0
_LARGEST_RESIDUAL = 0.1
_BALANCE_BIAS = 5.0  # an energy balance misses on coarse grids more than a rollout does, so many times


@dataclass(frozen=True)
class Finding:
    """One method's answer, beside what is recorded.

    Args:
        method: Its name.
        viscosity: ν of each trajectory, ``(B,)``, units L²/T; NaN where the data do not tell.
        ratio: ν over the recorded viscosity, ``(B,)``.
        advection: c of each trajectory, ``(B,)``; NaN where the data do not tell.
        viscosity_error: Standard error of ν, relative, ``(B,)``.
        advection_error: Standard error of c, ``(B,)``.
        residual: What the fit leaves unexplained, relative, ``(B,)``.
        viscosity_off: Which trajectories have another viscosity than recorded, ``(B,)``.
        advection_off: Which have c other than 1, ``(B,)``.
        equation_off: Which follow no such equation, whatever ν and c, ``(B,)``.
    """

    method: str
    viscosity: Array
    ratio: Array
    advection: Array
    viscosity_error: Array
    advection_error: Array
    residual: Array
    viscosity_off: npt.NDArray[np.bool_]
    advection_off: npt.NDArray[np.bool_]
    equation_off: npt.NDArray[np.bool_]

    @property
    def is_off(self) -> npt.NDArray[np.bool_]:
        """Which trajectories disagree with the store in anything, ``(B,)``."""
        return self.viscosity_off | self.advection_off | self.equation_off

    @property
    def is_unlike_the_equation(self) -> bool:
        """Whether most of what is off follows no such equation."""
        return bool(self.equation_off.sum() > self.is_off.sum() / 2)

    @property
    def mean_ratio(self) -> float:
        """Geometric mean of ``ratio``, weighted by the standard errors; NaN where no trajectory tells ν."""
        known = np.isfinite(self.ratio)
        if not known.any():
            return math.nan
        weights = 1 / np.maximum(self.viscosity_error[known], 1e-9) ** 2
        return float(np.exp((weights * np.log(self.ratio[known])).sum() / weights.sum()))


def findings(check: PhysicsCheck) -> list[Finding]:
    """Judge both fits: the energy balance, and the rollouts where there were any.

    A coefficient is off when it differs by more than 1 %, plus what `FiniteDifference(6)` is likely to miss at the
    cell Péclet number of the data (five times of it for the balance), plus three standard errors; and for the balance
    only if the rollout of that trajectory, where it tells more, does not say otherwise. The equation is off when a
    fit leaves more than a tenth unexplained, plus three times what is likely missed; for the balance only if it tells
    ν and c.

    Args:
        check: What was fitted.
    """
    balance = _finding("energy balance", check.balance, check, _BALANCE_BIAS, needs_no_coefficients=False)
    if check.rollout is None:
        return [balance]
    rollout = _finding("short rollout", check.rollout, check, 1.0, needs_no_coefficients=True)
    return [_without_excused(balance, rollout), rollout]


def warnings(results: list[Finding]) -> list[str]:
    """One message for each method that disagrees with the store; the last says what may be the cause.

    Args:
        results: What `findings` returned.
    """
    disagreeing = [finding for finding in results if finding.is_off.any()]
    messages = [_disagreement(finding) for finding in disagreeing]
    return [*messages[:-1], f"{messages[-1]}. {_cause(disagreeing[-1])}"] if messages else []


def _finding(
    method: str, fit: Coefficients, check: PhysicsCheck, bias_factor: float, needs_no_coefficients: bool
) -> Finding:
    count = len(fit.viscosity)
    recorded = check.recorded[:count]
    viscosity, advection, viscosity_error, advection_error, residual = (
        _array(values)
        for values in (fit.viscosity, fit.advection, fit.viscosity_error, fit.advection_error, fit.residual)
    )
    # either viscosity may be the true one, which decides how well the grid resolves
    peclet = check.peclet[:count] * np.maximum(1.0, recorded / viscosity)
    bias = bias_factor * np.array([likely_bias(min(number, 1e6)) for number in peclet.tolist()]) / 100
    tolerance = _LEAST_TOLERANCE + bias
    viscosity = np.where(viscosity_error < _DETERMINED, viscosity, np.nan)
    advection = np.where(advection_error < _DETERMINED, advection, np.nan)
    ratio = viscosity / recorded
    told = np.isfinite(viscosity) & np.isfinite(advection)
    return Finding(
        method,
        viscosity,
        ratio,
        advection,
        viscosity_error,
        advection_error,
        residual,
        np.abs(np.log(ratio)) > np.log1p(tolerance + _NUM_ERRORS * viscosity_error),
        np.abs(advection - 1) > tolerance + _NUM_ERRORS * advection_error,
        (residual > _LARGEST_RESIDUAL + 3 * bias) & np.isfinite(residual) & (told | needs_no_coefficients),
    )


def _array(values: Tensor) -> Array:
    return values.double().numpy()


def _without_excused(balance: Finding, rollout: Finding) -> Finding:
    """Take back what is off by the balance where a rollout knows better and finds nothing off."""
    count = len(rollout.ratio)
    sound = np.isfinite(rollout.viscosity) & np.isfinite(rollout.advection) & ~rollout.equation_off
    viscosity_off, advection_off = balance.viscosity_off.copy(), balance.advection_off.copy()
    less_sure = rollout.viscosity_error > balance.viscosity_error[:count]
    viscosity_off[:count] &= ~sound | rollout.viscosity_off | less_sure
    less_sure = rollout.advection_error > balance.advection_error[:count]
    advection_off[:count] &= ~sound | rollout.advection_off | less_sure
    return replace(balance, viscosity_off=viscosity_off, advection_off=advection_off)


def _disagreement(finding: Finding) -> str:
    count = f"{finding.method}: in {int(finding.is_off.sum())} of {len(finding.is_off)} trajectories"
    if finding.is_unlike_the_equation:
        unexplained = 100 * float(np.median(finding.residual[finding.equation_off]))
        return (
            f"{count} the frames do not obey u_t + c (u·∇)u = ν Δu with any ν and c; the best leave "
            f"{unexplained:.2g} % unexplained"
        )
    parts = []
    if finding.viscosity_off.any():
        parts.append(f"the viscosity is {_typical(finding.ratio, finding.viscosity_off):.4g} times the recorded one")
    if finding.advection_off.any():
        advection = _typical(finding.advection, finding.advection_off)
        parts.append(f"the advection coefficient is {advection:.4g} instead of 1")
    return f"{count} {' and '.join(parts)}"


def _cause(finding: Finding) -> str:
    if finding.is_unlike_the_equation:
        return (
            "Forcing, walls or another boundary, another equation (∇·(u⊗u) in more than one dimension), axes in "
            "another order or direction, or frames at unequal times look like that"
        )
    return likely_cause(
        _typical(finding.ratio, finding.viscosity_off), _typical(finding.advection, finding.advection_off)
    )


def _typical(values: Array, off: npt.NDArray[np.bool_]) -> float:
    """Median of what is off; 1, as it should be, where nothing is."""
    return float(np.median(values[off])) if off.any() else 1.0


def likely_cause(ratio: float, advection: float) -> str:
    """The mistakes that change ν by one factor and c by another.

    With times too short by a factor, both grow by it; with lengths too long by a factor, c grows by it and ν by its
    square; with velocities too small by a factor, only c grows.

    Args:
        ratio: Fitted over recorded viscosity.
        advection: Fitted advection coefficient.
    """

    def is_near(value: float, target: float, tolerance: float = 0.03) -> bool:
        return value > 0 and abs(math.log(value / target)) < tolerance

    if abs(advection) < 0.05:
        return "The data may solve u_t = ν Δu, without advection"
    if is_near(advection, 1.0, 0.005):
        for factor, name in ((math.pi, "π"), (2.0, "2"), (4 * math.pi**2, "4π²")):
            if is_near(ratio, 1 / factor):
                example = ", as Nu is in PDEBench" if name == "π" else ""
                return f"The recorded number may be {name} times the viscosity{example}"
            if is_near(ratio, factor):
                return f"The recorded number may be the viscosity over {name}"
        if 1 < ratio < 1.5:
            return "The solver that made the data may add numerical diffusion; or the viscosity is recorded wrongly"
        return "The viscosity may be recorded wrongly"
    if is_near(advection, ratio):
        drift = abs(math.log(advection)) < 0.1
        clock = ", or its clock counted in float32 and drifted" if drift else ""
        return f"The time between frames may be {advection:.4g} times the recorded dt{clock}"
    if is_near(ratio, advection**2):
        return f"The box may be {1 / advection:.4g} times as long as the recorded extent"
    if is_near(ratio, 1.0):
        form = {2.0: "(u²)_x in place of (u²/2)_x, or ", 0.5: "(u²/4)_x in place of (u²/2)_x, or "}
        known = next((text for target, text in form.items() if is_near(advection, target)), "")
        return f"The data may solve {known}u_t + {advection:.3g} (u·∇)u = ν Δu, or be in another unit of velocity"
    return "More than one of dt, extent, viscosity and the unit of velocity may be recorded wrongly"
