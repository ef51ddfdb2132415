"""Figures of an inversion, drawn from arrays: how the estimate was found, how it fits, and a viscosity ν(x).

Legend of the shapes: T frames, C components, *N cells (one, two or three axes, axis 0 is x), X cells of one axis.

Like those of `plots`, these functions return the figure; none computes an estimate, writes a file or touches pyplot.
"""

import math
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import MaxNLocator
from numpy import ndarray

from burgerslab.evaluation.field_panels import (
    HIDDEN,
    LABEL_SIZE,
    MAP_OF_FIELDS,
    cell_edges,
    draw_colour_bar,
    draw_map,
    field_range,
    rollout_height,
)
from burgerslab.evaluation.line_styles import LINE_COLOURS
from burgerslab.evaluation.number_text import certain_digits
from burgerslab.evaluation.plots import drawable, rollout_figure

# Another map than that of the fields, for a standard deviation is none.
MAP_OF_STD = matplotlib.colormaps["cividis"].with_extremes(bad=HIDDEN)
MAX_NUM_PARAMETERS = 4
NUM_COLUMNS = 3
OBJECTIVE = "objective"
# Viscosities further apart than this factor are drawn on a logarithmic axis.
LINEAR_FACTOR = 3.0
_LABELS = {"viscosity": "viscosity ν [L²/T]", "advection": "advection coefficient c [-]"}
_TRUTH_COLOUR = "0.15"
# Of a Gaussian, 95 % lie within as many standard deviations.
_DEVIATIONS = 1.96


def inversion_figure(
    data: Float[ndarray, "T C *N"],
    rollout: Float[ndarray, "T C *N"],
    times: Float[ndarray, " T"],
    extent: tuple[float, ...],
    history: Sequence[Mapping[str, float]],
    intervals: Mapping[str, tuple[float, float]],
    truth: Mapping[str, float],
) -> Figure:
    """Draw the way of the estimates, and below it data, rollout and residual (rollout - data) of one trajectory.

    Each parameter that is a number has a panel with its estimate after each iteration, the 95 % interval of the last
    as a bar and a band, and the truth dashed. A viscosity that moves by more than a factor of 3 has a logarithmic
    axis. The last panel is the objective. Of more than four parameters the first four are drawn, and a title says so.

    Args:
        data: Velocity of one trajectory, units L/T; nan where it is not observed, which is left grey.
        rollout: Velocity with the coefficients that were found, units L/T.
        times: Time of each frame, ascending, units T.
        extent: Length of the box along each axis, units L.
        history: For each accepted iteration ``objective`` and the parameters by name; may be empty.
        intervals: 95 % interval of each parameter; one that is not finite is not drawn.
        truth: Value of each parameter, where it is known.

    Returns:
        The figure.

    Raises:
        ValueError: If the shapes of the arrays do not fit each other.
    """
    names = list(dict.fromkeys([name for row in history for name in row if name != OBJECTIVE] + list(intervals)))
    drawn = names[:MAX_NUM_PARAMETERS]
    num_panels = len(drawn) + 1
    # Four panels are two rows of two, not three and one.
    num_columns = 2 if num_panels == 4 else min(num_panels, NUM_COLUMNS)
    num_rows = math.ceil(num_panels / num_columns)
    heights = (2.5 * num_rows, rollout_height(extent) + 0.3)
    figure = Figure(figsize=(10, sum(heights)), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=heights)
    if len(drawn) < len(names):
        upper.suptitle(f"{len(drawn)} of {len(names)} parameters", fontsize=LABEL_SIZE + 1)
    axes = upper.subplots(num_rows, num_columns, squeeze=False).ravel()
    for ax, name in zip(axes, drawn, strict=False):
        _draw_parameter(ax, name, _column(history, name), intervals.get(name), truth.get(name))
    _draw_objective(axes[len(drawn)], _column(history, OBJECTIVE))
    for ax in axes[num_panels:]:
        ax.remove()
    rollout_figure(data, rollout, times, extent, name="rollout", reference="data", figure=lower)
    _tell_what_is_hidden(lower, float(np.isfinite(data).mean()))
    return figure


def viscosity_field_figure(
    centres: tuple[Float[ndarray, " _"], ...],
    value: Float[ndarray, "*N"],
    std: Float[ndarray, "*N"],
    truth: Float[ndarray, "*N"] | None = None,
) -> Figure:
    """Draw a viscosity that varies in space, and how sure it is.

    In 1D this is ν(x) with the band of ± 1.96 standard deviations. In 2D these are maps of the truth, if it is known,
    the estimate on the same scale, and the standard deviation. In 3D they are cut at the middle layer of cells in z.

    Args:
        centres: Centres of the cells along each axis, ascending, units L.
        value: Estimate, units L²/T.
        std: Its standard deviation, units L²/T.
        truth: The true viscosity, units L²/T; None if it is not known.

    Returns:
        The figure.

    Raises:
        ValueError: If the shapes of the arrays do not fit each other.
    """
    shape = tuple(len(axis) for axis in centres)
    for name, array in (("value", value), ("std", std), ("truth", truth)):
        if array is not None and (array.shape != shape or len(shape) not in (1, 2, 3)):
            raise ValueError(
                f"{name} expected shape {shape}, that of the centres along 1 to 3 axes, got {array.shape}"
            )
    if len(shape) == 1:
        return _viscosity_line(centres[0], value, std, truth)
    height = None
    if len(shape) == 3:
        layer = shape[2] // 2
        height = float(centres[2][layer])
        value, std, truth = value[..., layer], std[..., layer], None if truth is None else truth[..., layer]
    figure = _viscosity_maps(centres[:2], value, std, truth)
    if height is not None:
        figure.suptitle(f"section at z = {height:.3g} [L]", fontsize=LABEL_SIZE + 1)
    return figure


def _viscosity_line(x: ndarray, value: ndarray, std: ndarray, truth: ndarray | None) -> Figure:
    figure = Figure(figsize=(6.5, 3.6), layout="constrained")
    ax = figure.subplots()
    low, high = value - _DEVIATIONS * std, value + _DEVIATIONS * std
    ax.fill_between(x, low, high, color=LINE_COLOURS[0], alpha=0.25, linewidth=0, label="95 % interval")
    ax.plot(x, value, color=LINE_COLOURS[0], label="estimate")
    if truth is not None:
        ax.plot(x, truth, color=_TRUTH_COLOUR, linestyle="--", label="true")
    ax.set_xlabel("x [L]", fontsize=LABEL_SIZE)
    ax.set_ylabel(_LABELS["viscosity"], fontsize=LABEL_SIZE)
    ax.set_xlim(*cell_edges(x)[[0, -1]])
    _finish(ax)
    return figure


def _viscosity_maps(centres: tuple[ndarray, ...], value: ndarray, std: ndarray, truth: ndarray | None) -> Figure:
    edges = [cell_edges(axis) for axis in centres]
    extent = tuple(float(axis[-1] - axis[0]) for axis in edges)
    panels = [("true ν", truth)] if truth is not None else []
    panels += [("estimated ν", value), ("standard deviation of ν", std)]
    height = 0.8 + min(max(7.1 / len(panels) * extent[1] / extent[0], 1.2), 5.0)
    figure = Figure(figsize=(10, height), layout="constrained")
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True)
    shared = tuple(values for _, values in panels[:-1])
    norm, norm_of_std = field_range(*shared), Normalize(0.0, float(std[np.isfinite(std)].max(initial=0.0)) or 1.0)
    for ax, (title, values) in zip(axes, panels, strict=True):
        last = ax is axes[-1]
        draw_map(ax, values, extent, MAP_OF_STD if last else MAP_OF_FIELDS, norm_of_std if last else norm)
        ax.set_title(title, fontsize=LABEL_SIZE + 1)
        ax.set_xlabel("x [L]", fontsize=LABEL_SIZE)
    axes[0].set_ylabel("y [L]", fontsize=LABEL_SIZE)
    draw_colour_bar(figure, axes[:-1], shared, MAP_OF_FIELDS, norm, _LABELS["viscosity"])
    draw_colour_bar(figure, axes[-1:], (std,), MAP_OF_STD, norm_of_std, "standard deviation [L²/T]")
    return figure


def _draw_parameter(
    ax: Axes, name: str, values: ndarray, interval: tuple[float, float] | None, truth: float | None
) -> None:
    """Values are the estimates after iterations 1, 2, ..."""
    iterations = np.arange(1, len(values) + 1)
    title = _in_words(float(values[-1]), interval) if len(values) else ""
    if interval is not None and not np.isfinite(interval).all():
        interval = None
    if interval is not None:
        ax.axhspan(*interval, color=LINE_COLOURS[0], alpha=0.2, linewidth=0, label="95 % interval")
        place = max(len(values), 1)
        ax.plot([place, place], interval, color=LINE_COLOURS[0], marker="_", markersize=9, linewidth=1.5)
    if truth is not None:
        ax.axhline(truth, color=_TRUTH_COLOUR, linestyle="--", linewidth=1.2, label=f"true {truth:.5g}")
    reached = [*values, *(interval or ()), *(() if truth is None else (truth,))]
    log = name == "viscosity" and _spans(np.array(reached, dtype=float), LINEAR_FACTOR)
    ax.plot(iterations, drawable(values, log), color=LINE_COLOURS[0], marker="o", markersize=3.5, label="estimate")
    if log:
        ax.set_yscale("log")
    ax.set_title(title, fontsize=LABEL_SIZE)
    ax.set_ylabel(_LABELS.get(name, name), fontsize=LABEL_SIZE)
    _draw_iterations(ax, len(values))
    _finish(ax)


def _draw_objective(ax: Axes, values: ndarray) -> None:
    log = bool((values > 0).any())
    iterations = np.arange(1, len(values) + 1)
    ax.plot(iterations, drawable(values, log), color=LINE_COLOURS[1], marker="o", markersize=3.5)
    if log:
        ax.set_yscale("log")
    if not len(values):
        ax.set_yticks([])
    ax.set_ylabel("objective [-]", fontsize=LABEL_SIZE)
    _draw_iterations(ax, len(values))
    _finish(ax)


def _draw_iterations(ax: Axes, number: int) -> None:
    ax.set_xlabel("accepted iteration", fontsize=LABEL_SIZE)
    ax.set_xlim(0.5, max(number, 1) + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if not number:
        ax.set_xticks([])
        ax.text(0.5, 0.5, "no iteration", transform=ax.transAxes, ha="center", va="center", fontsize=LABEL_SIZE)


def _finish(ax: Axes) -> None:
    ax.tick_params(which="both", labelsize=LABEL_SIZE)
    ax.grid(alpha=0.3)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize=LABEL_SIZE - 1, frameon=False)


def _tell_what_is_hidden(figure: FigureBase, share: float) -> None:
    """Put the share of the data that is observed above them, beside the title that says where they are cut."""
    if share < 1:
        title = f"{100 * share:.3g} % of the data are observed, the rest is grey"
        section = figure.get_suptitle()
        figure.suptitle(f"{section}; {title}" if section else title, fontsize=LABEL_SIZE + 1)


def _column(history: Sequence[Mapping[str, float]], name: str) -> Float[ndarray, " _"]:
    return np.array([row.get(name, math.nan) for row in history], dtype=float)


def _spans(values: ndarray, factor: float) -> bool:
    """Whether finite values are positive and further apart than a factor."""
    values = values[np.isfinite(values)]
    return bool(values.size and values.min() > 0 and values.max() > factor * values.min())


def _in_words(estimate: float, interval: tuple[float, float] | None) -> str:
    """The estimate and its interval, with two digits of the width of that."""
    if interval is None:
        return f"{estimate:.5g}"
    low, high = interval
    digits = certain_digits(estimate, low, high)
    text, *ends = (f"{value:#.{digits}g}" for value in (estimate, low, high))
    return f"{text}  (95 %: {ends[0]} to {ends[1]})"
