"""Panels of velocity fields: two of one scale and their difference, over space and time or frame by frame.

Legend of the shapes: T frames, X and Y cells along each axis.
"""

from dataclasses import dataclass, replace

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import FigureBase
from numpy import ndarray

MAX_NUM_COLUMNS = 4
LABEL_SIZE = 9
HIDDEN = "0.6"
MAP_OF_FIELDS = matplotlib.colormaps["viridis"].with_extremes(bad=HIDDEN)
# Of fields around zero; other hues than those of a difference, beside which they stand.
MAP_OF_SIGNED = matplotlib.colormaps["PuOr_r"].with_extremes(bad=HIDDEN)
MAP_OF_DIFFERENCES = matplotlib.colormaps["RdBu_r"].with_extremes(bad=HIDDEN)
# Behind points, which are mostly as dark as the other grey; points of a difference are mostly white.
_BEHIND_POINTS = {MAP_OF_FIELDS.name: "0.88", MAP_OF_SIGNED.name: HIDDEN, MAP_OF_DIFFERENCES.name: HIDDEN}
# Below this share of known cells, these are drawn as points: single cells would be lost among the pixels.
SPARSE = 0.2
# Of one panel, in square points; the points of sparse data fill most of it, unless that makes them dust or blobs.
_PANEL_AREA = 20_000


@dataclass(frozen=True)
class Comparison:
    """What is compared in the panels.

    Args:
        true: Values to compare with, units L/T, ``(T, X)`` or ``(T, X, Y)``; not finite where they are not known.
        predicted: Values of the same shape.
        times: Time of each frame, units T.
        symbol: Of what is drawn.
        name: Of the prediction.
        reference: Of what it is compared with.
        unit: Of what is drawn.
        signed: Whether zero is in the middle of its colours.
    """

    true: ndarray
    predicted: ndarray
    times: ndarray
    symbol: str
    name: str
    reference: str
    unit: str = "L/T"
    signed: bool = False

    @property
    def colours(self) -> Colormap:
        """Map of what is drawn."""
        return MAP_OF_SIGNED if self.signed else MAP_OF_FIELDS

    @property
    def difference(self) -> ndarray:
        """Predicted - true."""
        with np.errstate(invalid="ignore", over="ignore"):
            return self.predicted - self.true

    @property
    def sparse(self) -> bool:
        """Whether so little is known that it is drawn as points."""
        return 0 < np.isfinite(self.true).mean() < SPARSE

    def frames(self, chosen: ndarray) -> "Comparison":
        """The same of some frames.

        Args:
            chosen: Their numbers.
        """
        return replace(self, true=self.true[chosen], predicted=self.predicted[chosen], times=self.times[chosen])


def draw_space_time(figure: FigureBase, fields: Comparison, length: float) -> None:
    """Draw three space-time diagrams side by side.

    Args:
        figure: Empty figure or subfigure.
        fields: Values of shape ``(T, X)``.
        length: Of the box, units L.
    """
    difference = fields.difference
    field_norm, difference_norm = norms(fields)
    panels = (
        (f"{fields.reference}: {fields.symbol}", fields.true, fields.colours, field_norm, fields.sparse),
        (f"{fields.name}: {fields.symbol}", fields.predicted, fields.colours, field_norm, False),
        (f"{fields.name} − {fields.reference}", difference, MAP_OF_DIFFERENCES, difference_norm, fields.sparse),
    )
    edges = (cell_edges(fields.times), np.linspace(0, length, fields.true.shape[1] + 1))
    axes = figure.subplots(1, 3, sharex=True, sharey=True)
    for ax, (title, values, colours, norm, sparse) in zip(axes, panels, strict=True):
        if sparse:
            centres = (fields.times, (edges[1][1:] + edges[1][:-1]) / 2)
            _draw_points(ax, centres, values, colours, norm)
        else:
            cells = np.ma.masked_invalid(values.T)
            ax.pcolormesh(*edges, cells, cmap=colours, norm=norm, rasterized=True)
            ax.set_facecolor(HIDDEN)
        ax.set(xlim=(edges[0][0], edges[0][-1]), ylim=(0, length))
        ax.set_title(title, fontsize=LABEL_SIZE + 1)
        ax.set_xlabel("time t [T]", fontsize=LABEL_SIZE)
        ax.tick_params(labelsize=LABEL_SIZE)
    axes[0].set_ylabel("x [L]", fontsize=LABEL_SIZE)
    draw_both_colour_bars(figure, axes, fields, field_norm, difference_norm)


def draw_snapshots(figure: FigureBase, fields: Comparison, extent: tuple[float, ...]) -> None:
    """Draw three rows of at most four frames, evenly chosen from those of which something is known.

    Args:
        figure: Empty figure or subfigure.
        fields: Values of shape ``(T, X, Y)``.
        extent: Length of the box along both axes, units L.
    """
    known = np.flatnonzero(np.isfinite(fields.true).any(axis=(1, 2)))
    if not len(known):
        known = np.arange(len(fields.times))
    fields = fields.frames(known[np.unique(np.linspace(0, len(known) - 1, MAX_NUM_COLUMNS).round().astype(int))])
    field_norm, difference_norm = norms(fields)
    panels = (
        (fields.reference, fields.true, fields.colours, field_norm, fields.sparse),
        (fields.name, fields.predicted, fields.colours, field_norm, False),
        (
            f"{fields.name} − {fields.reference}",
            fields.difference,
            MAP_OF_DIFFERENCES,
            difference_norm,
            fields.sparse,
        ),
    )
    centres = tuple(
        (np.arange(size) + 0.5) * length / size for size, length in zip(fields.true.shape[1:], extent, strict=True)
    )
    axes = figure.subplots(3, len(fields.times), sharex=True, sharey=True, squeeze=False)
    for row, (title, frames, colours, norm, sparse) in zip(axes, panels, strict=True):
        for ax, values in zip(row, frames, strict=True):
            if sparse:
                _draw_points(ax, centres, values, colours, norm)
                ax.set(xlim=(0, extent[0]), ylim=(0, extent[1]), aspect="equal")
                ax.tick_params(labelsize=LABEL_SIZE)
                set_few_ticks(ax, extent)
            else:
                draw_map(ax, values, extent, colours, norm)
        row[0].set_ylabel(f"{title}\ny [L]", fontsize=LABEL_SIZE)
    for column, time in enumerate(fields.times):
        axes[0, column].set_title(f"t = {time:.3g} [T]", fontsize=LABEL_SIZE + 1)
        axes[2, column].set_xlabel("x [L]", fontsize=LABEL_SIZE)
    draw_both_colour_bars(figure, axes, fields, field_norm, difference_norm)


def draw_map(
    ax: Axes, values: Float[ndarray, "X Y"], extent: tuple[float, ...], colours: Colormap, norm: Normalize
) -> None:
    """Draw one field over x and y.

    Args:
        ax: Where to.
        values: Of each cell.
        extent: Length of the box along both axes, units L.
        colours: Colour map.
        norm: Its range.
    """
    box = (0, extent[0], 0, extent[1])
    ax.imshow(np.ma.masked_invalid(values.T), origin="lower", extent=box, cmap=colours, norm=norm)
    ax.tick_params(labelsize=LABEL_SIZE)
    set_few_ticks(ax, extent)


def set_few_ticks(ax: Axes, extent: tuple[float, ...]) -> None:
    """Mark begin, middle and end of both axes, for the labels of neighbouring panels nearly touch.

    Args:
        ax: Where to.
        extent: Length of the box along both axes, units L.
    """
    for axis, length in ((ax.xaxis, extent[0]), (ax.yaxis, extent[1])):
        axis.set_ticks([0, length / 2, length], [f"{place:.3g}" for place in (0, length / 2, length)])


def draw_colour_bar(
    figure: FigureBase, axes: ndarray, drawn: tuple[ndarray, ...], colours: Colormap, norm: Normalize, label: str
) -> None:
    """Draw a colour bar beside panels, with arrows where values lie beyond its ends.

    Args:
        figure: That holds the panels.
        axes: The panels, along one axis or two.
        drawn: All values in them.
        colours: Colour map.
        norm: Its range.
        label: With the unit.
    """
    values = np.concatenate([array[np.isfinite(array)] for array in drawn])
    below, above = bool((values < norm.vmin).any()), bool((values > norm.vmax).any())
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    # Bars along several rows of panels are as thick as those along one.
    aspect = 22 * (len(axes) if axes.ndim == 2 else 1)
    bar = figure.colorbar(
        ScalarMappable(norm, colours), ax=axes.ravel().tolist(), extend=extend[below, above], pad=0.02, aspect=aspect
    )
    bar.set_label(label, fontsize=LABEL_SIZE)
    bar.ax.tick_params(labelsize=LABEL_SIZE)


def draw_both_colour_bars(
    figure: FigureBase, axes: ndarray, fields: Comparison, field_norm: Normalize, difference_norm: Normalize
) -> None:
    """Draw the colour bar of the values beside all panels but the last of the axis, that of the difference beside it.

    Args:
        figure: That holds the panels.
        axes: The panels; the first axis has three entries, of which the last are differences.
        fields: What is drawn in them.
        field_norm: Range of the values.
        difference_norm: Range of the differences.
    """
    drawn, difference, symbol = (fields.true, fields.predicted), (fields.difference,), fields.symbol
    draw_colour_bar(figure, axes[:2], drawn, fields.colours, field_norm, f"{symbol} [{fields.unit}]")
    label = f"difference of {symbol} [{fields.unit}]"
    draw_colour_bar(figure, axes[2:], difference, MAP_OF_DIFFERENCES, difference_norm, label)


def norms(fields: Comparison) -> tuple[Normalize, Normalize]:
    """Ranges of the values, which is that of the truth, and of the difference, at most as wide.

    Args:
        fields: What is compared.
    """
    field_norm = field_range(fields.true, fields.predicted)
    if fields.signed:
        largest = max(abs(field_norm.vmin), abs(field_norm.vmax))
        field_norm = Normalize(-largest, largest)
    width = field_norm.vmax - field_norm.vmin
    # A difference beyond the range of the truth is off the scale: the rest stays visible.
    difference = fields.difference
    largest = np.abs(difference[np.isfinite(difference)]).max(initial=0.0)
    limit = min(float(largest), width) or width
    return field_norm, Normalize(-limit, limit)


def field_range(*values: ndarray) -> Normalize:
    """Range of the finite values of the first array that has some; 1 wide if that has but one value, 0 to 1 if none.

    Args:
        values: Arrays, in the order in which they are asked.
    """
    for array in values:
        known = array[np.isfinite(array)]
        if known.size:
            low, high = float(known.min()), float(known.max())
            return Normalize(low, high) if low < high else Normalize(low - 0.5, high + 0.5)
    return Normalize(0.0, 1.0)


def rollout_height(extent: tuple[float, ...]) -> float:
    """Height in inches at a width of 10 inches, in which panels with equal axes leave little blank.

    Args:
        extent: Length of the box along each axis.
    """
    if len(extent) == 1:
        return 3.4
    return 1.1 + 3 * min(max(1.9 * extent[1] / extent[0], 0.8), 2.1)


def cell_edges(centres: Float[ndarray, " T"]) -> Float[ndarray, " T+1"]:
    """Places half way between neighbours, and as far beyond both ends; half a unit to both sides of a single one.

    Args:
        centres: Ascending.
    """
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])


def _draw_points(ax: Axes, centres: tuple[ndarray, ...], values: ndarray, colours: Colormap, norm: Normalize) -> None:
    """Values have one axis for each of the centres."""
    known = np.isfinite(values)
    places = (centre[index] for centre, index in zip(centres, np.nonzero(known), strict=True))
    size = float(np.clip(0.6 * _PANEL_AREA / max(known.sum(), 1), 3, 25))
    ax.scatter(*places, c=values[known], s=size, cmap=colours, norm=norm, linewidths=0)
    ax.set_facecolor(_BEHIND_POINTS[colours.name])
