"""Figures of scalar fields that are made of a velocity: of truth and prediction, of several quantities, of sections.

Legend of the shapes: T frames, *N cells (one, two or three axes, axis 0 is x), X, Y and Z cells along one axis.

Like those of `plots`, these functions return the figure; none computes a field, writes a file or touches pyplot.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure, FigureBase
from numpy import ndarray

from burgerslab.evaluation.derived_fields import Quantity
from burgerslab.evaluation.field_panels import (
    LABEL_SIZE,
    MAP_OF_DIFFERENCES,
    MAX_NUM_COLUMNS,
    Comparison,
    draw_both_colour_bars,
    draw_colour_bar,
    draw_map,
    draw_snapshots,
    draw_space_time,
    norms,
    rollout_height,
)

# Axis across which a section lies, and the two along it.
_SECTIONS = ((2, (0, 1)), (1, (0, 2)), (0, (1, 2)))


def quantity_figure(
    truth: Quantity,
    prediction: Quantity,
    times: Float[ndarray, " T"],
    extent: tuple[float, ...],
    *,
    name: str = "prediction",
    reference: str = "truth",
    figure: FigureBase | None = None,
) -> FigureBase:
    """Draw truth, prediction and difference of a scalar field.

    In 1D these are three space-time diagrams, in 2D three rows of at most four frames, and in 3D the same rows, cut
    at the middle layer of cells in z. A signed quantity has a diverging scale around zero.

    Args:
        truth: Values of shape ``(T, *N)``.
        prediction: Values of the same quantity, of the same shape.
        times: Time of each frame, ascending, units T.
        extent: Length of the box along each axis, units L.
        name: What made the prediction, for the titles.
        reference: What `truth` is.
        figure: Empty figure or subfigure to draw into; None makes a new one.

    Returns:
        The figure drawn into.

    Raises:
        ValueError: If the shapes do not fit each other.
    """
    fields = _comparison(truth, prediction, times, extent, name, reference)
    if figure is None:
        figure = Figure(figsize=(10, rollout_height(extent)), layout="constrained")
    if len(extent) == 1:
        draw_space_time(figure, fields, extent[0])
        return figure
    if len(extent) == 3:
        layer = fields.true.shape[3] // 2
        height = (layer + 0.5) * extent[2] / fields.true.shape[3]
        figure.suptitle(f"section at z = {height:.3g} [L]", fontsize=LABEL_SIZE + 1)
        parts = (fields.true[..., layer], fields.predicted[..., layer], times)
        fields = Comparison(*parts, fields.symbol, name, reference, fields.unit, fields.signed)
    draw_snapshots(figure, fields, extent[:2])
    return figure


def flow_figure(quantities: Sequence[Quantity], times: Float[ndarray, " T"], extent: tuple[float, ...]) -> Figure:
    """Draw several quantities of one flow in 2D: a row for each, with at most four frames and a scale of its own.

    Args:
        quantities: Of shape ``(T, X, Y)`` each, as speed, vorticity and divergence.
        times: Time of each frame, ascending, units T.
        extent: Length of the box along both axes, units L.

    Returns:
        The figure.

    Raises:
        ValueError: If there are no quantities, or one has another shape.
    """
    if not quantities:
        raise ValueError("quantities expected at least one entry, got none")
    for quantity in quantities:
        _check(quantity, times, extent)
    if len(extent) != 2:
        raise ValueError(f"extent expected two lengths, got {extent}")
    chosen = np.unique(np.linspace(0, len(times) - 1, MAX_NUM_COLUMNS).round().astype(int))
    panel = 2.05 * min(max(extent[1] / extent[0], 0.5), 2.0)
    figure = Figure(figsize=(10, 0.7 + (panel + 0.2) * len(quantities)), layout="constrained")
    axes = figure.subplots(len(quantities), len(chosen), sharex=True, sharey=True, squeeze=False)
    for row, quantity in zip(axes, quantities, strict=True):
        frames = quantity.values[chosen]
        fields = Comparison(frames, frames, times[chosen], quantity.symbol, "", "", quantity.unit, quantity.signed)
        norm, _ = norms(fields)
        for ax, values in zip(row, frames, strict=True):
            draw_map(ax, values, extent, fields.colours, norm)
        row[0].set_ylabel("y [L]", fontsize=LABEL_SIZE)
        label = f"{quantity.symbol} [{quantity.unit}]"
        draw_colour_bar(figure, row, (frames,), fields.colours, norm, label)
    for column, time in enumerate(times[chosen]):
        axes[0, column].set_title(f"t = {time:.3g} [T]", fontsize=LABEL_SIZE + 1)
        axes[-1, column].set_xlabel("x [L]", fontsize=LABEL_SIZE)
    return figure


def sections_figure(
    truth: Quantity,
    prediction: Quantity,
    time: float,
    extent: tuple[float, ...],
    *,
    name: str = "prediction",
    reference: str = "truth",
) -> Figure:
    """Draw truth, prediction and difference of one frame in 3D on the three planes through the middle of the box.

    Args:
        truth: One frame, ``(1, X, Y, Z)``.
        prediction: The same frame of the same quantity.
        time: Of the frame, units T.
        extent: Length of the box along the three axes, units L.
        name: What made the prediction, for the titles.
        reference: What `truth` is.

    Returns:
        The figure.

    Raises:
        ValueError: If the shapes do not fit each other.
    """
    if len(extent) != 3:
        raise ValueError(f"extent expected three lengths, got {extent}")
    fields = _comparison(truth, prediction, np.array([time]), extent, name, reference)
    field_norm, difference_norm = norms(fields)
    figure = Figure(figsize=(10, 8.4), layout="constrained")
    figure.suptitle(f"t = {time:.3g} [T]", fontsize=LABEL_SIZE + 1)
    axes = figure.subplots(3, 3)
    rows = (
        (reference, fields.true[0], fields.colours, field_norm),
        (name, fields.predicted[0], fields.colours, field_norm),
        (f"{name} − {reference}", fields.difference[0], MAP_OF_DIFFERENCES, difference_norm),
    )
    for row, (title, values, colours, norm) in zip(axes, rows, strict=True):
        for ax, (across, along) in zip(row, _SECTIONS, strict=True):
            _draw_section(ax, values, across, along, extent, colours, norm)
        row[0].set_ylabel(f"{title}\n{row[0].get_ylabel()}", fontsize=LABEL_SIZE)
    for ax, (across, _) in zip(axes[0], _SECTIONS, strict=True):
        cells = fields.true.shape[1 + across]
        place = (cells // 2 + 0.5) * extent[across] / cells
        ax.set_title(f"{'xyz'[across]} = {place:.3g} [L]", fontsize=LABEL_SIZE + 1)
    draw_both_colour_bars(figure, axes, fields, field_norm, difference_norm)
    return figure


def _draw_section(
    ax: Axes,
    values: Float[ndarray, "X Y Z"],
    across: int,
    along: tuple[int, int],
    extent: tuple[float, ...],
    colours: Colormap,
    norm: Normalize,
) -> None:
    section = np.take(values, values.shape[across] // 2, axis=across)
    draw_map(ax, section, tuple(extent[axis] for axis in along), colours, norm)
    ax.set_xlabel(f"{'xyz'[along[0]]} [L]", fontsize=LABEL_SIZE)
    ax.set_ylabel(f"{'xyz'[along[1]]} [L]", fontsize=LABEL_SIZE)


def _comparison(
    truth: Quantity, prediction: Quantity, times: ndarray, extent: tuple[float, ...], name: str, reference: str
) -> Comparison:
    _check(truth, times, extent)
    if prediction.values.shape != truth.values.shape:
        raise ValueError(
            f"truth and prediction must have one shape, got {truth.values.shape} and {prediction.values.shape}"
        )
    values = (truth.values, prediction.values, times)
    return Comparison(*values, truth.symbol, name, reference, truth.unit, truth.signed)


def _check(quantity: Quantity, times: ndarray, extent: tuple[float, ...]) -> None:
    if quantity.values.ndim != 1 + len(extent) or quantity.values.shape[0] != len(times):
        raise ValueError(
            f"{quantity.symbol} expected shape ({len(times)}, *cells) with {len(extent)} axes of cells, got "
            f"{quantity.values.shape}"
        )
