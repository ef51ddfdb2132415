"""How Plotly charts look: like the figures of matplotlib, which stand in their place on paper."""

import html
from collections.abc import Iterable
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy import ndarray

from burgerslab.evaluation.line_styles import LINE_COLOURS, TRUTH, TRUTH_COLOUR

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"
INK = "#1a1a1a"
_GRID = "#e4e4e4"
_FRAME = "#8a8a8a"
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_AXIS = {
    "showline": True,
    "mirror": True,
    "linecolor": _FRAME,
    "linewidth": 1,
    "gridcolor": _GRID,
    "zeroline": False,
    "ticks": "outside",
    "tickcolor": _FRAME,
    "ticklen": 4,
    "title": {"standoff": 8},
    "automargin": True,
}
# What a reader of a report does with a chart: look closer, and keep a picture of it.
CONFIG = {
    "displaylogo": False,
    "responsive": True,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
    "toImageButtonOptions": {"format": "svg"},
}


def styled(chart: go.Figure, height: int) -> go.Figure:
    """Give a chart fonts, axes and margins.

    Args:
        chart: It is changed.
        height: In pixels.

    Returns:
        The chart.
    """
    chart.update_layout(
        template="none",
        height=height,
        font={"family": FONT, "size": 13, "color": INK},
        paper_bgcolor="white",
        plot_bgcolor="white",
        margin={"l": 70, "r": 16, "t": 44, "b": 52},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "font": {"size": 12}},
        hoverlabel={"font": {"family": FONT, "size": 12}},
    )
    chart.update_xaxes(**_AXIS)
    chart.update_yaxes(**_AXIS, exponentformat="power")
    return chart


def line_options(labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour, dashes and width of lines, as `line_styles` gives them in matplotlib.

    Args:
        labels: Of the lines; "truth" is black and takes no colour from the others.
    """
    options: dict[str, dict[str, Any]] = {TRUTH: {"color": TRUTH_COLOUR, "width": 5}}
    for number, label in enumerate(label for label in labels if label != TRUTH):
        which = number % len(LINE_COLOURS)
        options[label] = {"color": LINE_COLOURS[which], "dash": _DASHES[which], "width": 2}
    return options


def faint(colour: str, opacity: float) -> str:
    """A colour of which so much is seen.

    Args:
        colour: As "#rrggbb".
        opacity: From 0 to 1.
    """
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def plain(label: str) -> str:
    """A user's words, in which Plotly finds no markup.

    Args:
        label: Of a run, say.
    """
    return html.escape(label, quote=False)


def compact(values: ndarray) -> ndarray:
    """Values as they are sent to the browser: float32, of which Plotly writes the bytes.

    Args:
        values: Of any shape.
    """
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, dtype=np.float32)


def colour_scale(name: str, count: int = 64) -> list[list[Any]]:
    """A colour map of matplotlib, so that screen and paper agree.

    Args:
        name: Of the map.
        count: Number of colours.
    """
    import matplotlib
    from matplotlib.colors import to_hex

    places = np.linspace(0, 1, count)
    return [[float(place), to_hex(matplotlib.colormaps[name](place))] for place in places]
