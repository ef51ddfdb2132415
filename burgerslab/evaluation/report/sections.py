"""The sections of a report, from rollouts and records: what is drawn, in which order, with which words."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from burgerslab.evaluation.animation import rollout_animation, write_animation
from burgerslab.evaluation.derived_fields import Quantity, divergence, velocity_scale, vorticity
from burgerslab.evaluation.energy_plots import energy_figure, spectrum_figure
from burgerslab.evaluation.line_styles import TRUTH
from burgerslab.evaluation.plots import error_growth_figure
from burgerslab.evaluation.quantity_plots import flow_figure, quantity_figure, sections_figure
from burgerslab.evaluation.report.blocks import Block, Facts, Picture, Remarks, Section, narrow_axes
from burgerslab.evaluation.report.forecasts import Forecasts, energies
from burgerslab.evaluation.report.line_charts import band_chart, spectrum_chart
from burgerslab.evaluation.report.rollout_slider import MOST_PREDICTIONS, rollout_slider

_MOST_CURVES = 6


def rollout_blocks(forecasts: Forecasts, num_values: int) -> list[Block]:
    """A slider through the rollout of the first trajectory, and what stays on paper: frames or space-time diagrams.

    Args:
        forecasts: Of a group of runs.
        num_values: About so many values of fields are sent to the browser.
    """
    blocks: list[Block] = [Remarks(forecasts.remarks)] if forecasts.remarks else []
    if not forecasts.predictions:
        return blocks
    extent, times = forecasts.extent, forecasts.times
    truth = velocity_scale(forecasts.truth[0])
    shown = {label: velocity_scale(values[0]) for label, values in forecasts.predictions.items()}
    labels = list(shown)
    parts = [labels[start : start + MOST_PREDICTIONS] for start in range(0, len(labels), MOST_PREDICTIONS)]
    number, name = forecasts.tested.trajectories[0], forecasts.tested.store.path.name
    where = " on the middle layer in z" if len(extent) == 3 else ""
    for part in parts:
        chart = rollout_slider(
            truth, {label: shown[label] for label in part}, times, extent, num_values // len(parts)
        )
        caption = (
            f"{truth.symbol} of test trajectory {number} of {name}{where}. The slider moves all panels; scales are "
            "those of the truth."
        )
        blocks.append(Picture("Rollout, frame by frame", caption, None, chart, wide=True))
    for number, label in enumerate(labels):
        blocks += _stills(forecasts, label, truth, shown[label], folded=number > 0)
    return blocks


def _stills(forecasts: Forecasts, label: str, truth: Quantity, shown: Quantity, folded: bool) -> list[Block]:
    extent, times = forecasts.extent, forecasts.times
    of = f"Test trajectory {forecasts.tested.trajectories[0]}; one scale for truth and prediction."
    what = "space and time" if len(extent) == 1 else "frames of the speed"
    figure = quantity_figure(truth, shown, times, extent, name="prediction")
    film = partial(_film, truth, shown, times, extent)
    # In space and time there is something to see that the slider does not show.
    folded = folded or len(extent) > 1
    blocks: list[Block] = [Picture(f"{label}: {what}", of, figure, wide=True, folded=folded, film=film)]
    if len(extent) == 1:
        return blocks
    velocity, predicted = forecasts.truth[0], forecasts.predictions[label][0]
    if velocity.shape[1] == len(extent):
        pair = (vorticity(velocity, extent), vorticity(predicted, extent))
        figure = quantity_figure(*pair, times, extent, name="prediction")
        blocks.append(Picture(f"{label}: vorticity", of, figure, wide=True, folded=True))
    if len(extent) == 3:
        last = [Quantity(it.values[-1:], it.symbol, it.unit, it.signed) for it in (truth, shown)]
        figure = sections_figure(*last, float(times[-1]), extent, name="prediction")
        blocks.append(Picture(f"{label}: sections of the last frame", of, figure, wide=True, folded=True))
    return blocks


def _film(truth: Quantity, shown: Quantity, times: np.ndarray, extent: tuple[float, ...], stem: Path) -> Path:
    animation = rollout_animation(truth, shown, times, extent)
    return write_animation(animation, stem, len(times))


def flow_blocks(forecasts: Forecasts) -> list[Block]:
    """What the true flow looks like in 2D: speed, vorticity and divergence.

    Args:
        forecasts: Of a group of runs.
    """
    extent, velocity = forecasts.extent, forecasts.truth[0]
    if len(extent) != 2 or velocity.shape[1] != 2:
        return []
    quantities = [velocity_scale(velocity), vorticity(velocity, extent), divergence(velocity, extent)]
    caption = f"Truth, test trajectory {forecasts.tested.trajectories[0]}; each row has its own scale."
    figure = flow_figure(quantities, forecasts.times, extent)
    return [Picture("The true flow: speed, vorticity, divergence", caption, figure, wide=True, folded=True)]


def growth_blocks(forecasts: Forecasts) -> list[Block]:
    """Growth of the relative error, and loss of correlation, over the rollout.

    Args:
        forecasts: Of a group of runs.
    """
    times = forecasts.times[1:]
    blocks: list[Block] = []
    for metric, title, ylabel, log in (
        ("nrmse", "Error over time", "nRMSE [-]", True),
        ("correlation", "Correlation over time", "correlation [-]", False),
        ("spectrum_error", "Error of the spectrum over time", "Σ|ΔE(k)| / ΣE(k) [-]", True),
    ):
        curves = {label: errors.by_frame[metric] for label, errors in forecasts.errors.items()}
        shown = _limited(curves)
        more = f" {len(curves) - len(shown)} more forecasts are in the table." if len(shown) < len(curves) else ""
        blocks.append(
            Picture(
                title,
                _band(len(forecasts.tested.trajectories)) + more,
                error_growth_figure(times, shown, ylabel, log=log, ax=narrow_axes()),
                band_chart(times, shown, ylabel, log),
            )
        )
    return blocks


def energy_blocks(forecasts: Forecasts) -> list[Block]:
    """Decay of energy over all trajectories, and spectra of the first.

    Args:
        forecasts: Of a group of runs.
    """
    velocities = {TRUTH: forecasts.truth, **_limited(forecasts.predictions, _MOST_CURVES - 1)}
    spectra = {label: energies(values) for label, values in velocities.items()}
    with np.errstate(invalid="ignore"):
        totals = {label: values.sum(axis=2) for label, values in spectra.items()}
    first = {label: values[0] for label, values in spectra.items()}
    ylabel = "kinetic energy ½⟨|u|²⟩ [L²/T²]"
    return [
        Picture(
            "Decay of energy",
            _band(len(forecasts.truth)),
            energy_figure(forecasts.times, totals, ax=narrow_axes()),
            band_chart(forecasts.times, totals, ylabel),
        ),
        Picture(
            "Energy spectrum",
            f"Test trajectory {forecasts.tested.trajectories[0]}, shells of wave numbers from 1 on.",
            spectrum_figure(forecasts.times, first),
            spectrum_chart(forecasts.times, first),
            wide=True,
        ),
    ]


def data_section(facts: Mapping[str, Sequence[tuple[str, str]]]) -> Section:
    """Where the data come from, and whether they obey the equation.

    Args:
        facts: Names and values for each store, by path.
    """
    return Section(
        "Data",
        [Facts(rows, title=path) for path, rows in facts.items()],
        "What is in each store, what made it, and whether its frames obey u_t + (u·∇)u = ν Δu with the recorded ν.",
    )


def _band(count: int) -> str:
    if count == 1:
        return "Of the only test trajectory."
    return f"Line: median over {count} test trajectories; band: from 10 % to 90 % of them."


def _limited(curves: Mapping[str, np.ndarray], most: int = _MOST_CURVES) -> dict[str, np.ndarray]:
    """The first curves, and the last, which is persistence: more could not be told apart."""
    labels = list(curves)
    kept = labels if len(labels) <= most else [*labels[: most - 1], labels[-1]]
    return {label: curves[label] for label in kept}
