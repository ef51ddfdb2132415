"""What a report is made of: tables, charts, texts, in sections."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from plotly.graph_objects import Figure as Chart


@dataclass(frozen=True)
class Table:
    """Rows of text.

    Args:
        columns: Their headings.
        rows: One entry for each column.
        caption: What the table shows, and how its numbers came about.
        num_labels: So many columns from the left hold words; the others hold numbers, which stand right. Of a number
            with a line break the second line is small, as for an interval.
        title: Above it.
        folded: Whether the screen shows only its title until that is clicked.
        settings: Whether it holds dotted names and long values, which may break anywhere.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    num_labels: int = 1
    title: str = ""
    folded: bool = False
    settings: bool = False


@dataclass(frozen=True)
class Picture:
    """A figure for the screen, and the same for paper and for browsers without scripts.

    Args:
        title: What is drawn.
        caption: How to read it.
        still: Drawn by matplotlib; None leaves paper without it.
        chart: Drawn by Plotly in the browser; None shows the still there, too.
        wide: Whether it takes the whole width; others stand in pairs.
        folded: Whether the screen shows only its title until that is clicked; not for charts, which need a width.
        film: Writes the same as a moving picture; takes the path without a suffix, returns it with one.
    """

    title: str
    caption: str
    still: FigureBase | None
    chart: Chart | None = None
    wide: bool = False
    folded: bool = False
    film: Callable[[Path], Path] | None = None


def narrow_axes() -> Axes:
    """Axes of a new figure that is legible in half the width of a page."""
    return Figure(figsize=(4.6, 2.9), layout="constrained").subplots()


@dataclass(frozen=True)
class Facts:
    """Names and values, as of a data set.

    Args:
        rows: In the order in which they are shown; a row called "warning" stands out.
        title: Above them.
    """

    rows: Sequence[tuple[str, str]]
    title: str = ""


@dataclass(frozen=True)
class Remarks:
    """What to doubt, or to know.

    Args:
        lines: One for each remark.
        alarm: Whether they are doubts.
    """

    lines: Sequence[str]
    alarm: bool = True


@dataclass(frozen=True)
class Listing:
    """Text as it stands in a file, folded up on the screen.

    Args:
        title: What can be unfolded.
        text: The text.
    """

    title: str
    text: str


Block = Table | Picture | Facts | Remarks | Listing


@dataclass(frozen=True)
class Section:
    """A part of the report with a heading.

    Args:
        title: The heading.
        blocks: From top to bottom.
        intro: A sentence below the heading.
    """

    title: str
    blocks: Sequence[Block] = field(default_factory=tuple)
    intro: str = ""


@dataclass(frozen=True)
class Page:
    """A report.

    Args:
        title: Of the page.
        subtitle: What it is about.
        facts: When and with what it was made.
        sections: From top to bottom.
    """

    title: str
    subtitle: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
