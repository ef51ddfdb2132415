"""The figure of a hybrid run: how both agents learn, and where the coefficients go, cycle by cycle.

Like those of `plots`, the function returns the figure; it computes no error, writes no file and leaves pyplot alone.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from burgerslab.evaluation.field_panels import LABEL_SIZE
from burgerslab.evaluation.line_styles import LINE_COLOURS

MAX_NUM_PARAMETERS = 4
_LOSSES = {
    "surrogate_data_loss": "surrogate to data",
    "physical_data_loss": "physics to data",
    "interaction_loss": "surrogate to physics",
}
_ERRORS = {"surrogate_val_nrmse": "surrogate", "physical_val_nrmse": "physics"}


def hybrid_figure(cycles: Sequence[Mapping[str, Any]], truth: Mapping[str, float]) -> Figure:
    """Draw losses, validation errors and coefficients over the cycles of a hybrid run.

    Without validation trajectories there is no panel of their errors; of more than four coefficients the first four
    are drawn. Intervals that are not finite are left out.

    Args:
        cycles: For each cycle the entries of ``hybrid.json``.
        truth: Value of each coefficient, where it is known; drawn dashed.

    Returns:
        The figure.

    Raises:
        ValueError: If there are no cycles.
    """
    if not cycles:
        raise ValueError("cycles expected at least one entry, got none")
    numbers = [cycle["cycle"] for cycle in cycles]
    names = list(dict.fromkeys(name for cycle in cycles for name in cycle["parameters"]))[:MAX_NUM_PARAMETERS]
    errors = {key: label for key, label in _ERRORS.items() if any(cycle[key] is not None for cycle in cycles)}
    groups = [("mean square difference / mean square [-]", _LOSSES)]
    if errors:
        groups.append(("nRMSE on validation data [-]", errors))
    num_panels = len(groups) + len(names)
    num_rows = math.ceil(num_panels / 3)
    num_columns = math.ceil(num_panels / num_rows)
    figure = Figure(figsize=(4.2 * num_columns, 3.2 * num_rows), layout="constrained")
    panels = list(np.ravel(figure.subplots(num_rows, num_columns)))
    for ax, (ylabel, labels) in zip(panels, groups, strict=False):
        for (key, label), colour in zip(labels.items(), LINE_COLOURS, strict=False):
            values = np.array([math.nan if cycle[key] is None else cycle[key] for cycle in cycles], dtype=float)
            ax.plot(
                numbers, np.where(values > 0, values, np.nan), color=colour, marker="o", markersize=3, label=label
            )
        ax.set_yscale("log")
        ax.set_ylabel(ylabel, fontsize=LABEL_SIZE)
        ax.legend(fontsize=LABEL_SIZE, frameon=False)
    for ax, name in zip(panels[len(groups) :], names, strict=False):
        _draw_coefficient(ax, numbers, [cycle["parameters"].get(name, {}) for cycle in cycles], truth.get(name))
        ax.set_ylabel("viscosity ν [L²/T]" if name == "viscosity" else name, fontsize=LABEL_SIZE)
    for ax in panels[:num_panels]:
        ax.set_xlabel("cycle", fontsize=LABEL_SIZE)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.tick_params(labelsize=LABEL_SIZE)
        ax.grid(alpha=0.3)
    for ax in panels[num_panels:]:
        ax.remove()
    return figure


def _draw_coefficient(
    ax: Axes, numbers: Sequence[int], rows: Sequence[Mapping[str, Any]], truth: float | None
) -> None:
    """Estimates, their 95 % intervals and the truth."""
    estimates = np.array([row.get("estimate", math.nan) for row in rows], dtype=float)
    ends = np.array([row.get("ci95", (math.nan, math.nan)) for row in rows], dtype=float)
    ends = np.where(np.isfinite(ends), ends, np.nan)
    ax.plot(numbers, estimates, color=LINE_COLOURS[0], marker="o", markersize=3, label="estimate, 95 %")
    ax.vlines(numbers, ends[:, 0], ends[:, 1], color=LINE_COLOURS[0], alpha=0.5, linewidth=3)
    if truth is not None:
        ax.axhline(truth, color="0.15", linestyle="--", linewidth=1, label="truth")
    # Above the axes: intervals may leave no room inside.
    ax.legend(
        fontsize=LABEL_SIZE, frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.0
    )
