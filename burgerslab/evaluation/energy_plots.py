"""Figures of kinetic energy, drawn from arrays: its decay in time, and its spectrum at several times.

Legend of the shapes: R trajectories, T frames, K shells of wave numbers.

Like those of `plots`, these functions return the figure; none computes an energy, writes a file or touches pyplot.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import LogLocator, NullFormatter
from numpy import ndarray

from burgerslab.evaluation.field_panels import LABEL_SIZE, MAX_NUM_COLUMNS
from burgerslab.evaluation.line_styles import line_styles
from burgerslab.evaluation.plots import drawable, error_growth_figure

# Of the largest energy: what lies below is rounding of float32, which fields are stored in.
_LEAST_SHARE = 1e-14


def energy_figure(
    times: Float[ndarray, " T"], curves: Mapping[str, Float[ndarray, "_ T"]], *, ax: Axes | None = None
) -> FigureBase:
    """Draw the decay of kinetic energy: the median over trajectories and the band from 10 % to 90 %.

    Args:
        times: Time of each frame, ascending, units T.
        curves: For each label of the legend the energies of shape (R, T), units L²/T²; "truth" is drawn in black.
        ax: Axes to draw into; None makes a new figure.

    Returns:
        The figure that holds the axes.

    Raises:
        ValueError: As `error_growth_figure`.
    """
    return error_growth_figure(times, curves, "kinetic energy ½⟨|u|²⟩ [L²/T²]", ax=ax)


def spectrum_figure(times: Float[ndarray, " T"], spectra: Mapping[str, Float[ndarray, "T K"]]) -> Figure:
    """Draw energy over wave number, at most four times side by side.

    Both axes are logarithmic, so that the mean flow, k = 0, is left out. Energies below 1e-14 of the largest are
    beyond the axis.

    Args:
        times: Time of each frame, ascending, units T.
        spectra: For each label of the legend, E(k) of one trajectory in the shells k = 0, 1, ..., units L²/T²;
            "truth" is drawn in black.

    Returns:
        The figure.

    Raises:
        ValueError: If there are no spectra, or one whose number of frames is not that of times.
    """
    if not spectra:
        raise ValueError("spectra expected at least one entry, got none")
    for label, values in spectra.items():
        if values.ndim != 2 or len(values) != len(times):
            raise ValueError(f"spectra[{label!r}] expected shape ({len(times)}, shell), got {values.shape}")
    chosen = np.unique(np.linspace(0, len(times) - 1, MAX_NUM_COLUMNS).round().astype(int))
    styles = line_styles(spectra)
    figure = Figure(figsize=(2.6 * max(len(chosen), 2), 3.3), layout="constrained")
    axes = figure.subplots(1, len(chosen), sharex=True, sharey=True, squeeze=False)[0]
    for ax, frame in zip(axes, chosen, strict=True):
        for label, values in spectra.items():
            shells = np.arange(1, values.shape[1])
            ax.plot(shells, drawable(values[frame, 1:], log=True), label=label, **styles[label])
        ax.set_title(f"t = {times[frame]:.3g} [T]", fontsize=LABEL_SIZE + 1)
        ax.set_xlabel("wave number k [per box]", fontsize=LABEL_SIZE)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(numticks=6))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.tick_params(labelsize=LABEL_SIZE)
        ax.grid(alpha=0.3)
    low, high = energy_range(spectra)
    axes[0].set_ylim(low, high)
    axes[0].set_ylabel("energy E(k) [L²/T²]", fontsize=LABEL_SIZE)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=LABEL_SIZE, frameon=False, loc="outside upper center", ncols=4)
    return figure


def energy_range(spectra: Mapping[str, Float[ndarray, "T K"]]) -> tuple[float, float]:
    """Lower and upper end of an axis for E(k), k > 0: half a decade around what is above rounding.

    Args:
        spectra: As of `spectrum_figure`.
    """
    values = np.concatenate([spectrum[:, 1:].ravel() for spectrum in spectra.values()])
    values = values[np.isfinite(values) & (values > 0)]
    if not values.size:
        return 0.1, 10.0
    first = next(iter(spectra.values()))[:, 1:]
    known = first[np.isfinite(first) & (first > 0)]
    # A prediction that blows up must not hide the first curve, which is the truth.
    highest = float(known.max()) if known.size else float(values.max())
    lowest = max(float(values.min()), _LEAST_SHARE * highest)
    return lowest / 3, min(float(values.max()), 1e3 * highest) * 3
