"""Plotly charts of lines, drawn from arrays, beside their matplotlib twins in `plots` and its neighbours.

Legend of the shapes: R trajectories, T frames, K shells of wave numbers.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from numpy import ndarray
from plotly.subplots import make_subplots

from burgerslab.evaluation.energy_plots import energy_range
from burgerslab.evaluation.field_panels import MAX_NUM_COLUMNS
from burgerslab.evaluation.line_styles import LINE_COLOURS, TRUTH_COLOUR
from burgerslab.evaluation.plots import drawable, median_and_band
from burgerslab.evaluation.report.chart_style import compact, faint, line_options, plain, styled
from burgerslab.evaluation.time_labels import time_labels

_HEIGHT = 360
_DECADES = 2.5
_PAIR_HEIGHT = 340


def band_chart(
    times: Float[ndarray, " T"], curves: Mapping[str, Float[ndarray, "R T"]], ylabel: str, log: bool = True
) -> go.Figure:
    """The median over trajectories and the band from 10 % to 90 %, as `error_growth_figure` draws them.

    Args:
        times: Time of each frame, ascending, units T.
        curves: Values of each label.
        ylabel: Label of the vertical axis, with its unit.
        log: Whether that is logarithmic.
    """
    chart = go.Figure()
    options = line_options(curves)
    log = log and any(bool((values > 0).any()) for values in curves.values())
    x = compact(times)
    for label, values in curves.items():
        low, median, high = (drawable(part, log) for part in median_and_band(values))
        line = options[label]
        if len(values) > 1:
            band = {
                "x": x,
                "mode": "lines",
                "line": {"width": 0},
                "hoverinfo": "skip",
                "showlegend": False,
                "legendgroup": label,
            }
            chart.add_scatter(y=compact(low), **band)
            chart.add_scatter(y=compact(high), fill="tonexty", fillcolor=faint(line["color"], 0.15), **band)
        mode = "lines+markers" if len(times) == 1 else "lines"
        chart.add_scatter(x=x, y=compact(median), name=plain(label), line=line, mode=mode, legendgroup=label)
    chart.update_xaxes(title_text="time t [T]")
    chart.update_yaxes(title_text=plain(ylabel))
    _logarithmic(chart, log)
    return _hovering(styled(chart, _PAIR_HEIGHT))


def spectrum_chart(times: Float[ndarray, " T"], spectra: Mapping[str, Float[ndarray, "T K"]]) -> go.Figure:
    """Energy over wave number at four times at most, as `spectrum_figure` draws it.

    Args:
        times: Time of each frame, ascending, units T.
        spectra: E(k) of one trajectory for each label, in the shells k = 0, 1, ..., units L²/T².
    """
    chosen = np.unique(np.linspace(0, len(times) - 1, MAX_NUM_COLUMNS).round().astype(int))
    titles = [f"t = {label} [T]" for label in np.array(time_labels(times))[chosen]]
    chart = make_subplots(
        1, len(chosen), shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.02, x_title=None
    )
    options = line_options(spectra)
    for column, frame in enumerate(chosen, start=1):
        for label, values in spectra.items():
            chart.add_scatter(
                x=np.arange(1, values.shape[1]),
                y=compact(drawable(values[frame, 1:], log=True)),
                name=plain(label),
                line=options[label],
                mode="lines",
                legendgroup=label,
                showlegend=column == 1,
                row=1,
                col=column,
            )
    styled(chart, _HEIGHT)
    # dtick "D1" labels digits, which would run into each other; powers of ten suffice.
    chart.update_xaxes(type="log", title_text="wave number k [per box]", dtick=1, exponentformat="power")
    low, high = energy_range(spectra)
    chart.update_yaxes(type="log", range=[math.log10(low), math.log10(high)], exponentformat="power")
    chart.update_yaxes(title_text="energy E(k) [L²/T²]", col=1)
    chart.update_layout(margin={"t": 76}, legend={"y": 1.13})
    return _hovering(chart)


def history_chart(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], xlabel: str, ylabel: str
) -> go.Figure:
    """Lines over steps, epochs, iterations or cycles, on a logarithmic axis where all values are positive.

    Args:
        curves: For each label places and values.
        xlabel: Label of the horizontal axis.
        ylabel: Label of the vertical axis, with its unit.
    """
    chart = go.Figure()
    options = line_options(curves)
    values = np.array([value for _, column in curves.values() for value in column], dtype=float)
    known = values[np.isfinite(values)]
    log = bool(known.size and (known > 0).all())
    for label, (places, column) in curves.items():
        shown = drawable(np.array(column, dtype=float), log)
        mode = "lines+markers" if len(places) <= 60 else "lines"
        chart.add_scatter(
            x=list(places), y=compact(shown), name=plain(label), mode=mode, line=options[label], marker={"size": 5}
        )
    chart.update_xaxes(title_text=plain(xlabel))
    chart.update_yaxes(title_text=plain(ylabel))
    chart.update_layout(showlegend=len(curves) > 1)
    _logarithmic(chart, log)
    return _hovering(styled(chart, _PAIR_HEIGHT))


def estimate_chart(
    places: Sequence[float],
    estimates: Sequence[float],
    intervals: Sequence[tuple[float, float] | None],
    truth: float | None,
    xlabel: str,
    ylabel: str,
) -> go.Figure:
    """An estimate on its way, its 95 % intervals where there are some, and the truth.

    Args:
        places: Iterations or cycles.
        estimates: One for each place.
        intervals: One for each place, or None.
        truth: None if it is not known.
        xlabel: Label of the horizontal axis.
        ylabel: Label of the vertical axis, with its unit.
    """
    chart = go.Figure()
    colour = LINE_COLOURS[0]
    known = [(place, it) for place, it in zip(places, intervals, strict=True) if it and np.isfinite(it).all()]
    if truth is not None and len(places):
        ends = [min(places) - 0.5, max(places) + 0.5]
        line = {"color": TRUTH_COLOUR, "dash": "dash", "width": 1.6}
        chart.add_scatter(x=ends, y=[truth, truth], mode="lines", name=f"truth {truth:.5g}", line=line)
    middle = dict(zip(places, estimates, strict=True))
    bars: dict[str, list[float]] = {"plus": [], "minus": []}
    for place, (low, high) in known:
        bars["plus"].append(high - middle[place])
        bars["minus"].append(middle[place] - low)
    line = {"color": colour, "width": 2}
    chart.add_scatter(
        x=list(places), y=list(estimates), mode="lines+markers", name="estimate", line=line, marker={"size": 6}
    )
    if known:
        bar = {"type": "data", "symmetric": False, "array": bars["plus"], "arrayminus": bars["minus"]}
        chart.add_scatter(
            x=[place for place, _ in known],
            y=[middle[place] for place, _ in known],
            mode="markers",
            marker={"size": 7, "color": colour},
            error_y={**bar, "thickness": 2, "width": 6, "color": colour},
            name="95 % interval",
        )
    reached = np.array([*estimates, *([] if truth is None else [truth])], dtype=float)
    reached = reached[np.isfinite(reached)]
    log = bool(reached.size and reached.min() > 0 and reached.max() > 3 * reached.min())
    chart.update_xaxes(title_text=plain(xlabel))
    chart.update_yaxes(title_text=plain(ylabel))
    _logarithmic(chart, log)
    return _hovering(styled(chart, _PAIR_HEIGHT))


def _logarithmic(chart: go.Figure, log: bool) -> None:
    """Powers of ten alone where there are several, else 1, 2 and 5 too: other digits run into each other.

    Within a decade Plotly chooses, for a 2 without a power of ten beside it says nothing.
    """
    if not log:
        return
    shown = np.concatenate([np.asarray(trace.y, dtype=float) for trace in chart.data])
    shown = shown[np.isfinite(shown) & (shown > 0)]
    decades = math.log10(shown.max() / shown.min()) if shown.size else 0.0
    dtick = 1 if decades > _DECADES else "D2" if decades > 1 else None
    chart.update_yaxes(type="log", exponentformat="power", dtick=dtick)


def _hovering(chart: go.Figure) -> go.Figure:
    chart.update_layout(hovermode="closest")
    return chart
