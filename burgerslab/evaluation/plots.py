"""Figures of one trajectory and of the growth of errors, drawn from arrays.

Legend of the shapes: T frames, C components, *N cells (one, two or three axes, axis 0 is x), R trajectories.

Every function returns the figure; none computes a metric, writes a file or touches pyplot's state. Truth and
prediction share one colour scale, which is the range of the truth, so that a prediction that blows up does not
hide it; what lies beyond is drawn in the last colour and marked by an arrow on the colour bar. Values that are
not finite are grey; a truth of which less than a fifth is finite is drawn as points.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from numpy import ndarray

from burgerslab.evaluation.field_panels import LABEL_SIZE, Comparison, draw_snapshots, draw_space_time, rollout_height
from burgerslab.evaluation.line_styles import LINE_COLOURS, SEE_THROUGH, line_styles


def rollout_figure(
    truth: Float[ndarray, "T C *N"],
    prediction: Float[ndarray, "T C *N"],
    times: Float[ndarray, " T"],
    extent: tuple[float, ...],
    *,
    component: int | None = None,
    name: str = "prediction",
    reference: str = "truth",
    figure: FigureBase | None = None,
) -> FigureBase:
    """Draw truth, prediction and prediction - truth of one trajectory.

    In 1D these are three space-time diagrams. In 2D they are three rows of at most four frames, evenly chosen
    from the first to the last of which something is known. In 3D they are the same rows, cut at a layer of cells
    in z: of those of which most is known, the one nearest to the middle.

    Args:
        truth: True velocity, units L/T; nan where it is not known.
        prediction: Predicted velocity, units L/T.
        times: Time of each frame, ascending, units T.
        extent: Length of the box along each axis, units L.
        component: Component to draw; None draws u in 1D and the speed |u| in 2D and 3D.
        name: What made the prediction, for the title.
        reference: What `truth` is, for the titles: noisy or sparse data are no truth.
        figure: Empty figure or subfigure to draw into; None makes a new one.

    Returns:
        The figure drawn into.

    Raises:
        ValueError: If the shapes of the arrays do not fit each other, or there is no such component.
    """
    _check(truth, prediction, times, extent, component)
    dimension = len(extent)
    if figure is None:
        figure = Figure(figsize=(10, rollout_height(extent)), layout="constrained")
    symbol, true, predicted = _scalar(truth, prediction, component)
    if dimension == 3:
        layer = _best_known_layer(true)
        height = (layer + 0.5) * extent[2] / true.shape[3]
        figure.suptitle(f"section at z = {height:.3g} [L]", fontsize=LABEL_SIZE + 1)
        true, predicted = true[..., layer], predicted[..., layer]
    fields = Comparison(true, predicted, times, symbol, name, reference)
    if dimension == 1:
        draw_space_time(figure, fields, extent[0])
    else:
        draw_snapshots(figure, fields, extent[:2])
    return figure


def error_growth_figure(
    times: Float[ndarray, " T"],
    curves: Mapping[str, Float[ndarray, "_ T"]],
    ylabel: str,
    *,
    log: bool = True,
    ax: Axes | None = None,
) -> FigureBase:
    """Draw one value per trajectory and frame against time: the median and the band from 10 % to 90 %.

    Median and band are order statistics over the trajectories (nearest rank, nothing interpolated), in which
    nan ranks highest. A line or band ends where its order statistic is not finite.

    Args:
        times: Time of each frame, ascending, units T.
        curves: For each label of the legend, the values of shape (R, T); "truth" is drawn in black.
        ylabel: Label of the vertical axis, with its unit.
        log: Whether the vertical axis is logarithmic; values of zero are then left out. It stays linear where
            no value is positive.
        ax: Axes to draw into; None makes a new figure.

    Returns:
        The figure that holds the axes.

    Raises:
        ValueError: If there are no curves, more than six, or one whose number of frames is not that of times.
    """
    if not 1 <= len(curves) <= len(LINE_COLOURS):
        raise ValueError(f"curves expected 1 to {len(LINE_COLOURS)} entries, got {len(curves)}")
    for label, values in curves.items():
        if values.shape[1:] != times.shape or not len(values):
            raise ValueError(f"curves[{label!r}] expected shape (trajectory, {len(times)}), got {values.shape}")
    if ax is None:
        ax = Figure(figsize=(6, 3.4), layout="constrained").subplots()
    log = log and any(bool((values > 0).any()) for values in curves.values())
    # A single frame has no line.
    marker = "o" if len(times) == 1 else None
    styles = line_styles(curves)
    for label, values in curves.items():
        style = styles[label]
        low, median, high = (drawable(part, log) for part in median_and_band(values))
        ax.plot(times, median, label=label, marker=marker, **style)
        if len(values) > 1:
            ax.fill_between(times, low, high, color=style["color"], alpha=0.15, linewidth=0)
    if log:
        ax.set_yscale("log")
    ax.set_xlabel("time t [T]", fontsize=LABEL_SIZE)
    ax.set_ylabel(ylabel, fontsize=LABEL_SIZE)
    ax.tick_params(labelsize=LABEL_SIZE)
    ax.grid(alpha=0.3)
    several = any(len(values) > 1 for values in curves.values())
    title = "median, 10-90 % of trajectories" if several else None
    ax.legend(fontsize=LABEL_SIZE, title=title, title_fontsize=LABEL_SIZE - 1, **SEE_THROUGH)
    return ax.figure


def summary_figure(
    truth: Float[ndarray, "T C *N"],
    prediction: Float[ndarray, "T C *N"],
    times: Float[ndarray, " T"],
    extent: tuple[float, ...],
    curves: Mapping[str, Float[ndarray, "_ T"]],
    ylabel: str,
    *,
    component: int | None = None,
    name: str = "prediction",
    log: bool = True,
) -> Figure:
    """Draw one trajectory and, below it, the growth of the error over all trajectories.

    Args:
        truth: True velocity of one trajectory, units L/T.
        prediction: Predicted velocity of the same trajectory, units L/T.
        times: Time of each frame, ascending, units T.
        extent: Length of the box along each axis, units L.
        curves: For each label of the legend, the errors of shape (R, T).
        ylabel: Label of the error, with its unit.
        component: Component to draw; None draws u in 1D and the speed |u| in 2D and 3D.
        name: What made the prediction, for the title.
        log: Whether the axis of the error is logarithmic.

    Returns:
        The figure.

    Raises:
        ValueError: As `rollout_figure` and `error_growth_figure`.
    """
    heights = (rollout_height(extent), 3.0)
    figure = Figure(figsize=(10, sum(heights)), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=heights)
    rollout_figure(truth, prediction, times, extent, component=component, name=name, figure=upper)
    error_growth_figure(times, curves, ylabel, log=log, ax=lower.subplots())
    return figure


def _check(
    truth: ndarray, prediction: ndarray, times: ndarray, extent: tuple[float, ...], component: int | None
) -> None:
    if truth.shape != prediction.shape:
        raise ValueError(f"truth and prediction must have one shape, got {truth.shape} and {prediction.shape}")
    if truth.ndim != 2 + len(extent) or len(extent) not in (1, 2, 3):
        raise ValueError(f"extent expected {truth.ndim - 2} lengths, one per axis of cells (1 to 3), got {extent}")
    if times.shape != truth.shape[:1]:
        raise ValueError(f"times expected {len(truth)} entries, one per frame, got shape {times.shape}")
    if component is not None and not 0 <= component < truth.shape[1]:
        raise ValueError(f"component must be in 0 ... {truth.shape[1] - 1}, got {component}")


def _scalar(truth: ndarray, prediction: ndarray, component: int | None) -> tuple[str, ndarray, ndarray]:
    """Symbol of what is drawn, and its values of shape (T, *N)."""
    if component is None and truth.shape[1] > 1:
        with np.errstate(over="ignore"):
            return "|u|", np.linalg.norm(truth, axis=1), np.linalg.norm(prediction, axis=1)
    symbol = "u" if truth.shape[1] == 1 else f"$u_{'xyz'[component or 0]}$"
    return symbol, truth[:, component or 0], prediction[:, component or 0]


def _best_known_layer(true: ndarray) -> int:
    """Number of the layer in z of (T, X, Y, Z) with most finite values; of several, the one nearest to the middle."""
    known = np.isfinite(true).sum(axis=(0, 1, 2))
    middle = true.shape[3] // 2
    return min(np.flatnonzero(known == known.max()).tolist(), key=lambda layer: abs(layer - middle))


def median_and_band(values: Float[ndarray, "R T"]) -> tuple[Float[ndarray, " T"], ...]:
    """The value that 10 % of trajectories stay below, the median, and the value that 90 % stay below.

    Args:
        values: Of each trajectory; nan counts as larger than everything.
    """
    ranked = np.sort(values, axis=0)
    last = len(ranked) - 1
    with np.errstate(over="ignore", invalid="ignore"):
        median = ranked[last // 2] / 2 + ranked[len(ranked) // 2] / 2
    return ranked[round(0.1 * last)], median, ranked[round(0.9 * last)]


def drawable(values: Float[ndarray, " T"], log: bool) -> Float[ndarray, " T"]:
    """Values with nan, which no line is drawn through, in place of what the axis cannot show.

    Args:
        values: What is to be drawn.
        log: Whether the axis is logarithmic.
    """
    return np.where(np.isfinite(values) & ((values > 0) | (not log)), values, np.nan)
