"""How lines are told apart, in every figure: by colours that colour-blind readers can tell, and by dashes."""

from collections.abc import Iterable
from typing import Any

# Okabe and Ito's colours.
LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# Options of a legend that lies over lines.
SEE_THROUGH = {"framealpha": 0.7, "edgecolor": "none"}
TRUTH = "truth"
TRUTH_COLOUR = "#262626"
_DASHES = (
    "solid",
    (0, (5, 2)),
    (0, (1.2, 1.6)),
    (0, (6, 2, 1.2, 2)),
    (0, (3, 1.5)),
    (0, (6, 1.6, 1.2, 1.6, 1.2, 1.6)),
)


def line_styles(labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Options of matplotlib lines that share axes.

    Args:
        labels: Of the lines; "truth" is black and thicker, below the others, and takes no colour from them.
    """
    others = [label for label in labels if label != TRUTH]
    styles: dict[str, dict[str, Any]] = {TRUTH: {"color": TRUTH_COLOUR, "linewidth": 3.6, "zorder": 1.5}}
    for number, label in enumerate(others):
        colour, dashes = (of[number % len(LINE_COLOURS)] for of in (LINE_COLOURS, _DASHES))
        styles[label] = {"color": colour, "linestyle": dashes, "linewidth": 1.6}
    return styles
