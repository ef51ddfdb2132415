"""A rollout in the browser: a slider through its frames moves truth, predictions and differences together.

Legend of the shapes: T frames, *N cells (one, two or three axes, axis 0 is x), X and Y cells along one axis.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from numpy import ndarray
from plotly.subplots import make_subplots

from burgerslab.evaluation.derived_fields import Quantity
from burgerslab.evaluation.field_panels import MAP_OF_DIFFERENCES, Comparison, norms
from burgerslab.evaluation.line_styles import TRUTH
from burgerslab.evaluation.report.chart_style import colour_scale, compact, line_options, plain, styled
from burgerslab.evaluation.time_labels import time_labels

MOST_PREDICTIONS = 4
_MOST_FRAMES = 101
_LEAST_CELLS = 24
_LINES_HEIGHT = 540
_PANEL_HEIGHT = 300
_MILLISECONDS = 120


def rollout_slider(
    truth: Quantity,
    predictions: Mapping[str, Quantity],
    times: Float[ndarray, " T"],
    extent: tuple[float, ...],
    num_values: int,
) -> go.Figure:
    """Truth, predictions and differences with one slider through the frames.

    In 1D the lines lie over each other, with the differences below. In 2D, and in 3D on the middle layer of cells in
    z, each prediction has a map beside that of the truth and one of its difference. Scales are those of the truth.

    Args:
        truth: Values of shape ``(T, *N)``.
        predictions: One to four of the same shape, by label.
        times: Time of each frame, ascending, units T.
        extent: Length of the box along each axis, units L.
        num_values: About so many values are kept: more frames than that allows are left out, and cells averaged.

    Returns:
        The chart, with a frame for each time.

    Raises:
        ValueError: If shapes differ, or there are none or more than four predictions.
    """
    if not 1 <= len(predictions) <= MOST_PREDICTIONS:
        raise ValueError(f"predictions expected 1 to {MOST_PREDICTIONS} entries, got {len(predictions)}")
    for label, prediction in predictions.items():
        if prediction.values.shape != truth.values.shape:
            raise ValueError(
                f"predictions[{label!r}] expected shape {truth.values.shape}, got {prediction.values.shape}"
            )
    if len(extent) == 3:
        layer = truth.values.shape[3] // 2
        truth = replace(truth, values=truth.values[..., layer])
        predictions = {label: replace(it, values=it.values[..., layer]) for label, it in predictions.items()}
        extent = extent[:2]
    frames, factor = _thinning(truth.values.shape, 1 + 2 * len(predictions), num_values)
    times = times[frames]
    fields = {
        label: Comparison(
            _coarse(truth.values[frames], factor),
            _coarse(it.values[frames], factor),
            times,
            truth.symbol,
            label,
            TRUTH,
            truth.unit,
            truth.signed,
        )
        for label, it in predictions.items()
    }
    # At first all predictions are the truth; the middle shows what differs.
    begin = len(times) // 2
    chart = _lines(fields, extent[0], begin) if len(extent) == 1 else _maps(fields, extent, begin)
    return _with_slider(chart, time_labels(times), begin)


def _lines(fields: Mapping[str, Comparison], length: float, begin: int) -> go.Figure:
    chart = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.66, 0.34], vertical_spacing=0.06)
    options = line_options(fields)
    first = next(iter(fields.values()))
    cells = first.true.shape[1]
    x = compact((np.arange(cells) + 0.5) * length / cells)
    lines = [(TRUTH, first.true, 1)]
    lines += [(label, it.predicted, 1) for label, it in fields.items()]
    lines += [(label, it.difference, 2) for label, it in fields.items()]
    for label, values, row in lines:
        chart.add_scatter(
            x=x,
            y=compact(values[begin]),
            name=plain(label),
            line={**options[label], "simplify": False},
            mode="lines",
            legendgroup=label,
            showlegend=row == 1,
            row=row,
            col=1,
        )
    chart.frames = [
        go.Frame(
            data=[go.Scatter(y=compact(values[frame])) for _, values, _ in lines],
            traces=list(range(len(lines))),
            name=str(frame),
        )
        for frame in range(len(first.times))
    ]
    field_norm, limit = _shared_norms(fields)
    margin = 0.06 * (field_norm[1] - field_norm[0])
    styled(chart, _LINES_HEIGHT)
    chart.update_xaxes(range=[0, length])
    chart.update_xaxes(title_text="x [L]", row=2)
    chart.update_yaxes(title_text=f"{first.symbol} [{first.unit}]", row=1)
    chart.update_yaxes(range=[field_norm[0] - margin, field_norm[1] + margin], row=1)
    chart.update_yaxes(title_text=f"difference [{first.unit}]", range=[-1.08 * limit, 1.08 * limit], row=2)
    return chart


def _maps(fields: Mapping[str, Comparison], extent: tuple[float, ...], begin: int) -> go.Figure:
    """One prediction: three maps in a row. Several: a row of values, and below it one of differences."""
    first = next(iter(fields.values()))
    panels: list[tuple[str, ndarray, int, int, bool]] = [(TRUTH, first.true, 1, 1, False)]
    single = len(fields) == 1
    for number, (label, it) in enumerate(fields.items(), start=2):
        panels.append((label, it.predicted, 1, number, False))
        panels.append((f"{label} − {TRUTH}", it.difference, 1 if single else 2, 3 if single else number, True))
    num_rows, num_columns = (1, 3) if single else (2, 1 + len(fields))
    chart = make_subplots(
        num_rows,
        num_columns,
        horizontal_spacing=0.03,
        vertical_spacing=0.14,
        subplot_titles=_titles(panels, num_rows, num_columns),
        specs=[
            [{} if (row, column) != (2, 1) else None for column in range(1, num_columns + 1)]
            for row in range(1, num_rows + 1)
        ],
    )
    centres = [(np.arange(n) + 0.5) * length / n for n, length in zip(first.true.shape[1:], extent, strict=True)]
    for label, values, row, column, is_difference in panels:
        chart.add_heatmap(
            x=compact(centres[0]),
            y=compact(centres[1]),
            z=compact(values[begin].T),
            coloraxis="coloraxis2" if is_difference else "coloraxis",
            hovertemplate=f"x %{{x:.3g}}, y %{{y:.3g}}<br>{plain(label)} %{{z:.4g}}<extra></extra>",
            row=row,
            col=column,
        )
    chart.frames = [
        go.Frame(
            data=[go.Heatmap(z=compact(values[frame].T)) for _, values, _, _, _ in panels],
            traces=list(range(len(panels))),
            name=str(frame),
        )
        for frame in range(len(first.times))
    ]
    styled(chart, 170 + int(_PANEL_HEIGHT * num_rows * min(max(extent[1] / extent[0], 0.6), 1.4)))
    chart.update_xaxes(range=[0, extent[0]], constrain="domain", title_text="x [L]", showgrid=False)
    chart.update_yaxes(range=[0, extent[1]], constrain="domain", showgrid=False)
    for _, _, row, column, _ in panels:
        chart.update_yaxes(
            showticklabels=column == row, title_text="y [L]" if column == row else None, row=row, col=column
        )
    for number in range(1, len(panels) + 1):
        axis = "" if number == 1 else str(number)
        chart.layout[f"yaxis{axis}"].scaleanchor = f"x{axis}"
    return _with_colour_bars(chart, fields, single)


def _titles(panels: Sequence[tuple[str, ndarray, int, int, bool]], num_rows: int, num_columns: int) -> list[str]:
    by_place = {(row, column): plain(label) for label, _, row, column, _ in panels}
    places = [(row, column) for row in range(1, num_rows + 1) for column in range(1, num_columns + 1)]
    return [by_place[place] for place in places if place in by_place]


def _with_colour_bars(chart: go.Figure, fields: Mapping[str, Comparison], single: bool) -> go.Figure:
    first = next(iter(fields.values()))
    (low, high), limit = _shared_norms(fields)
    # Beside a single row both bars are as high as it; beside two rows each has one.
    parts = ((1.02, 1.0), (1.14, 1.0)) if single else ((1.02, 1.0), (1.02, 0.45))
    labels = (f"{first.symbol} [{first.unit}]", f"difference [{first.unit}]")
    ranges = ((low, high), (-limit, limit))
    names = (first.colours.name, MAP_OF_DIFFERENCES.name)
    axes = {}
    for number, ((x, y), label, (cmin, cmax), name) in enumerate(zip(parts, labels, ranges, names, strict=True)):
        bar = {"x": x, "xanchor": "left", "y": y, "yanchor": "top", "len": 1.0 if single else 0.45}
        bar |= {"thickness": 12, "outlinewidth": 0, "title": {"text": label, "side": "right"}}
        colours = {"colorscale": colour_scale(name), "cmin": cmin, "cmax": cmax, "colorbar": bar}
        axes["coloraxis2" if number else "coloraxis"] = colours
    chart.update_layout(**axes, margin={"r": 190 if single else 90})
    return chart


def _shared_norms(fields: Mapping[str, Comparison]) -> tuple[tuple[float, float], float]:
    """Range of the truth, and the widest range of a difference, which is at most as wide."""
    found = [norms(it) for it in fields.values()]
    field_norm = found[0][0]
    limit = max(float(difference.vmax) for _, difference in found)
    return (float(field_norm.vmin), float(field_norm.vmax)), limit or 1.0


def _with_slider(chart: go.Figure, labels: Sequence[str], begin: int) -> go.Figure:
    at_once = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    running = {
        "mode": "immediate",
        "fromcurrent": True,
        "frame": {"duration": _MILLISECONDS, "redraw": True},
        "transition": {"duration": 0},
    }
    steps = [
        {"label": label, "method": "animate", "args": [[str(frame)], at_once]} for frame, label in enumerate(labels)
    ]
    buttons = [
        {"label": "▶ play", "method": "animate", "args": [None, running]},
        {"label": "❚❚ pause", "method": "animate", "args": [[None], at_once]},
    ]
    place = {"pad": {"t": 58, "b": 8}, "y": 0, "yanchor": "top"}
    chart.update_layout(
        margin={"b": 132},
        sliders=[
            {
                **place,
                "active": begin,
                "x": 0.26,
                "len": 0.74,
                "currentvalue": {"prefix": "time t = ", "suffix": " [T]", "font": {"size": 14}},
                "steps": steps,
                "minorticklen": 3,
                "font": {"size": 11},
            }
        ],
        updatemenus=[
            {
                **place,
                "type": "buttons",
                "direction": "left",
                "x": 0,
                "xanchor": "left",
                "showactive": False,
                "buttons": buttons,
                "pad": {"t": 76, "r": 12},
                "font": {"size": 13},
            }
        ],
    )
    return chart


def _thinning(shape: tuple[int, ...], num_fields: int, num_values: int) -> tuple[ndarray, int]:
    """Numbers of the frames that are kept, and how many cells along each axis become one.

    Frames are given up first, down to a third of them; then cells, by factors that divide all axes; then more frames.
    """
    dimension = len(shape) - 1
    whole = math.gcd(*shape[1:])
    factors = [it for it in range(1, whole + 1) if whole % it == 0 and min(shape[1:]) // it >= _LEAST_CELLS]
    num_frames, factor = shape[0], 1
    for factor in factors or [1]:
        affordable = int(num_values * factor**dimension / (math.prod(shape[1:]) * num_fields))
        num_frames = min(shape[0], _MOST_FRAMES, max(affordable, 2))
        if num_frames >= min(shape[0], _MOST_FRAMES) / 3:
            break
    return np.unique(np.linspace(0, shape[0] - 1, num_frames).round().astype(int)), factor


def _coarse(values: Float[ndarray, "T *N"], factor: int) -> Float[ndarray, "T *M"]:
    """Means over blocks of cells."""
    for axis in range(1, values.ndim):
        shape = (*values.shape[:axis], values.shape[axis] // factor, factor, *values.shape[axis + 1 :])
        with np.errstate(over="ignore", invalid="ignore"):
            values = values.reshape(shape).mean(axis=axis + 1)
    return values
