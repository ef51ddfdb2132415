"""Figures of how a run came about, drawn from arrays: losses over steps, and estimates over iterations or cycles.

Like those of `plots`, these functions return the figure; none writes a file or touches pyplot.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from burgerslab.evaluation.field_panels import LABEL_SIZE
from burgerslab.evaluation.line_styles import LINE_COLOURS, SEE_THROUGH, TRUTH_COLOUR, line_styles
from burgerslab.evaluation.plots import drawable

# Up to so many values of a line are marked each.
_MOST_MARKED = 60


def history_figure(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], xlabel: str, ylabel: str, *, ax: Axes | None = None
) -> FigureBase:
    """Draw lines over steps, epochs, iterations or cycles, on a logarithmic axis if all their values are positive.

    Args:
        curves: For each label of the legend places and values; what is not finite leaves a gap.
        xlabel: Label of the horizontal axis.
        ylabel: Label of the vertical axis, with its unit.
        ax: Axes to draw into; None makes a new figure.

    Returns:
        The figure that holds the axes.
    """
    if ax is None:
        ax = Figure(figsize=(6, 3.4), layout="constrained").subplots()
    log = all_positive([value for _, values in curves.values() for value in values])
    styles = line_styles(curves)
    for label, (places, values) in curves.items():
        marker = "o" if len(places) <= _MOST_MARKED else None
        shown = drawable(np.array(values, dtype=float), log)
        ax.plot(places, shown, label=label, marker=marker, markersize=3.5, **styles[label])
    if log:
        ax.set_yscale("log")
    _finish(ax, xlabel, ylabel)
    if len(curves) > 1:
        ax.legend(fontsize=LABEL_SIZE, **SEE_THROUGH)
    return ax.figure


def estimate_figure(
    places: Sequence[float],
    estimates: Sequence[float],
    intervals: Sequence[tuple[float, float] | None],
    truth: float | None,
    xlabel: str,
    ylabel: str,
    *,
    ax: Axes | None = None,
) -> FigureBase:
    """Draw an estimate on its way, its 95 % intervals where there are some, and the truth.

    Args:
        places: Iterations or cycles.
        estimates: One for each place.
        intervals: One for each place, or None; one that is not finite is left out.
        truth: None if it is not known.
        xlabel: Label of the horizontal axis.
        ylabel: Label of the vertical axis, with its unit.
        ax: Axes to draw into; None makes a new figure.

    Returns:
        The figure that holds the axes.
    """
    if ax is None:
        ax = Figure(figsize=(6, 3.4), layout="constrained").subplots()
    if truth is not None:
        ax.axhline(truth, color=TRUTH_COLOUR, linestyle="--", linewidth=1.2, label=f"truth {truth:.5g}")
    ax.plot(places, estimates, color=LINE_COLOURS[0], marker="o", markersize=3.5, label="estimate")
    known = [(place, it) for place, it in zip(places, intervals, strict=True) if it and np.isfinite(it).all()]
    if known:
        where, ends = [place for place, _ in known], np.array([it for _, it in known])
        ax.vlines(where, ends[:, 0], ends[:, 1], color=LINE_COLOURS[0], linewidth=3, alpha=0.5, label="95 % interval")
    if spread_out([*estimates, *([] if truth is None else [truth])]):
        ax.set_yscale("log")
    _finish(ax, xlabel, ylabel)
    ax.legend(fontsize=LABEL_SIZE, **SEE_THROUGH)
    return ax.figure


def all_positive(values: Sequence[float]) -> bool:
    """Whether a logarithmic axis can show all values that are finite, and there are some.

    Args:
        values: Any numbers.
    """
    known = np.array(values, dtype=float)
    known = known[np.isfinite(known)]
    return bool(known.size and (known > 0).all())


def spread_out(values: Sequence[float], factor: float = 3.0) -> bool:
    """Whether values are positive, and so far apart that a logarithmic axis shows them better.

    Args:
        values: Any numbers.
        factor: Between the smallest and the largest.
    """
    known = np.array(values, dtype=float)
    known = known[np.isfinite(known)]
    return bool(known.size and known.min() > 0 and known.max() > factor * known.min())


def _finish(ax: Axes, xlabel: str, ylabel: str) -> None:
    ax.set_xlabel(xlabel, fontsize=LABEL_SIZE)
    ax.set_ylabel(ylabel, fontsize=LABEL_SIZE)
    ax.tick_params(which="both", labelsize=LABEL_SIZE)
    ax.grid(alpha=0.3)
