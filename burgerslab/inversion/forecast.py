"""Forecasts with what was learned, and their errors."""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from burgerslab import metrics
from burgerslab.inversion.chunks import Batch
from burgerslab.inversion.objective import Objective


def forecast(
    objective: Objective,
    coefficients: Mapping[str, Tensor],
    initial: Float[Tensor, "B C *N"],
    num_steps: int,
    viscosity: Float[Tensor, " B"] | None,
) -> Float[Tensor, "B T C *N"]:
    """Frames 1 to ``num_steps`` of any trajectories, computed in float64.

    Args:
        objective: Has the rollout.
        coefficients: What was learned, in physical units.
        initial: First frames, units L/T.
        num_steps: Number T of frames.
        viscosity: Of each trajectory; needed if no viscosity was learned.

    Raises:
        ValueError: If a coefficient holds only for the trajectories that were fitted, or the viscosity lacks.
    """
    if any(name != "initial_state" for name in objective.own):
        raise ValueError(
            "the coefficients were learned for each trajectory, so there are none for another; leave out "
            "each_trajectory to forecast"
        )
    given = {name: value.to(initial.device) for name, value in coefficients.items() if name != "initial_state"}
    if "viscosity" not in given:
        if viscosity is None:
            raise ValueError("no viscosity was learned; give that of each trajectory")
        given["viscosity"] = viscosity.double()
    return objective.rollout(initial.double(), num_frames=num_steps, **given).to(initial.dtype)


def errors_of_forecasts(
    prediction: Float[Tensor, "B T C *N"], batch: Batch, extent: tuple[float, ...]
) -> dict[str, dict[str, Tensor]]:
    """Errors of an inversion's forecast and of persistence, per trajectory and frame.

    Args:
        prediction: The forecast.
        batch: Whole trajectories, float64.
        extent: Size of the box, units L.
    """
    target = batch["target"]
    forecasts = {"inversion": prediction, "persistence": batch["initial"][:, None].expand_as(target)}
    return {name: metrics.frame_metrics(frames, target, extent) for name, frames in forecasts.items()}
