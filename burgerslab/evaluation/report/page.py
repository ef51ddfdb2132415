"""A report as one HTML file, which needs no network: style, scripts and pictures are in it."""

import base64
import io
from collections.abc import Iterator
from importlib.resources import files

import matplotlib
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import FigureBase
from plotly.graph_objects import Figure as Chart
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from burgerslab.evaluation.report.blocks import Facts, Listing, Page, Picture, Remarks, Section, Table
from burgerslab.evaluation.report.chart_style import CONFIG

_TEMPLATES = "burgerslab.evaluation.report"
_DOTS_PER_INCH = 130  # of the maps in a still; its lines and letters are drawn, not dotted
_KINDS = {Table: "table", Picture: "picture", Facts: "facts", Remarks: "remarks", Listing: "listing"}


def render(page: Page) -> str:
    """The HTML of a report.

    Every text is escaped; nothing is loaded from elsewhere, and the page forbids its browser to try.

    Args:
        page: What it shows.
    """
    environment = Environment(
        loader=PackageLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = lambda block: _KINDS[type(block)]
    environment.filters["anchor"] = _anchor
    environment.filters["still"] = still
    numbers = iter(range(1, 10_000))
    environment.filters["chart"] = lambda chart: _chart(chart, numbers)
    return environment.get_template("report.html").render(
        page=page,
        style=Markup(files(_TEMPLATES).joinpath("templates/report.css").read_text()),
        plotly=Markup(get_plotlyjs()),
    )


def still(figure: FigureBase) -> str:
    """A figure of matplotlib as a data URI of an SVG.

    Args:
        figure: The figure.
    """
    buffer = io.BytesIO()
    # A salt of its own would make each report differ from the last.
    with matplotlib.rc_context({"svg.hashsalt": "burgerslab"}):
        figure.savefig(buffer, format="svg", dpi=_DOTS_PER_INCH, metadata={"Date": None})  # type: ignore[attr-defined]
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def _chart(chart: Chart, numbers: Iterator[int]) -> Markup:
    """The script of a chart; Plotly escapes what would end it."""
    return Markup(
        to_html(
            chart,
            config=CONFIG,
            auto_play=False,
            include_plotlyjs=False,
            full_html=False,
            div_id=f"chart-{next(numbers)}",
            default_width="100%",
            validate=False,
        )
    )


def _anchor(section: Section) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in section.title.lower())
