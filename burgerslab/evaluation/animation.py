"""A rollout as a moving picture: truth, prediction and difference, frame by frame."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.animation import FFMpegWriter, FuncAnimation, PillowWriter
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from numpy import ndarray

from burgerslab.evaluation.derived_fields import Quantity
from burgerslab.evaluation.field_panels import (
    LABEL_SIZE,
    MAP_OF_DIFFERENCES,
    Comparison,
    draw_both_colour_bars,
    draw_map,
    norms,
)
from burgerslab.evaluation.line_styles import TRUTH, line_styles
from burgerslab.evaluation.time_labels import time_labels

_DOTS_PER_INCH = 120
_SECONDS = 6.0
_MOST_PER_SECOND, _LEAST_PER_SECOND = 20.0, 3.0


def rollout_animation(
    truth: Quantity,
    prediction: Quantity,
    times: Float[ndarray, " T"],
    extent: tuple[float, ...],
    *,
    name: str = "prediction",
    reference: str = TRUTH,
) -> FuncAnimation:
    """Animate truth, prediction and difference of a scalar field.

    In 1D these are two lines over each other, and the difference below; in 2D three maps, in 3D the same of the
    middle layer of cells in z. Scales are the same for all frames, and those of the truth.

    Args:
        truth: Values of shape ``(T, *N)``.
        prediction: Values of the same quantity, of the same shape.
        times: Time of each frame, ascending, units T.
        extent: Length of the box along each axis, units L.
        name: What made the prediction, for the titles.
        reference: What `truth` is.

    Returns:
        The animation, which `write_animation` writes.

    Raises:
        ValueError: If the shapes do not fit each other.
    """
    if truth.values.shape != prediction.values.shape or truth.values.shape[0] != len(times):
        raise ValueError(
            f"truth and prediction must have one shape, with {len(times)} frames, got {truth.values.shape} and "
            f"{prediction.values.shape}"
        )
    fields = Comparison(
        truth.values, prediction.values, times, truth.symbol, name, reference, truth.unit, truth.signed
    )
    if len(extent) == 3:
        layer = fields.true.shape[3] // 2
        parts = (fields.true[..., layer], fields.predicted[..., layer], times)
        fields = Comparison(*parts, fields.symbol, name, reference, fields.unit, fields.signed)
    figure, show = _lines(fields, extent[0]) if len(extent) == 1 else _maps(fields, extent)
    show(0)
    # Laid out once: panels must stand still, and a layout takes longer than a frame.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return FuncAnimation(figure, show, frames=len(times), init_func=partial(show, 0))


def write_animation(animation: FuncAnimation, stem: Path, num_frames: int) -> Path:
    """Write an animation of some six seconds: as mp4 where ffmpeg is installed, else as gif.

    Args:
        animation: From `rollout_animation`.
        stem: Path without the suffix.
        num_frames: Of the animation.

    Returns:
        Path of the file.
    """
    per_second = min(max(num_frames / _SECONDS, _LEAST_PER_SECOND), _MOST_PER_SECOND)
    if FFMpegWriter.isAvailable():
        path = stem.with_name(f"{stem.name}.mp4")
        # Players of browsers and slides decode no other pixels than yuv420p, which needs even numbers of them.
        even = ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p"]
        animation.save(path, FFMpegWriter(fps=per_second, codec="h264", extra_args=even), dpi=_DOTS_PER_INCH)
        return path
    path = stem.with_name(f"{stem.name}.gif")
    animation.save(path, PillowWriter(fps=per_second), dpi=_DOTS_PER_INCH)
    return path


def _lines(fields: Comparison, length: float) -> tuple[Figure, Callable[[int], tuple[Artist, ...]]]:
    """The figure, and what shows a frame in it."""
    x = (np.arange(fields.true.shape[1]) + 0.5) * length / fields.true.shape[1]
    field_norm, difference_norm = norms(fields)
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    styles = line_styles([TRUTH, fields.name])
    (true,) = upper.plot(x, fields.true[0], label=fields.reference, **styles[TRUTH])
    (predicted,) = upper.plot(x, fields.predicted[0], label=fields.name, **styles[fields.name])
    (difference,) = lower.plot(x, fields.difference[0], **styles[fields.name])
    margin = 0.06 * (field_norm.vmax - field_norm.vmin)
    upper.set(xlim=(0, length), ylim=(field_norm.vmin - margin, field_norm.vmax + margin))
    lower.set(ylim=(1.1 * difference_norm.vmin, 1.1 * difference_norm.vmax))
    for ax, label in ((upper, fields.symbol), (lower, "difference")):
        ax.set_ylabel(f"{label} [{fields.unit}]", fontsize=LABEL_SIZE + 1)
        ax.tick_params(labelsize=LABEL_SIZE)
        ax.grid(alpha=0.3)
    lower.set_xlabel("x [L]", fontsize=LABEL_SIZE + 1)
    upper.legend(fontsize=LABEL_SIZE, frameon=False, loc="upper right")
    title, labels = figure.suptitle(""), time_labels(fields.times)

    def show(frame: int) -> tuple[Artist, ...]:
        true.set_ydata(fields.true[frame])
        predicted.set_ydata(fields.predicted[frame])
        difference.set_ydata(fields.difference[frame])
        title.set_text(f"t = {labels[frame]} [T]")
        return true, predicted, difference, title

    return figure, show


def _maps(fields: Comparison, extent: tuple[float, ...]) -> tuple[Figure, Callable[[int], tuple[Artist, ...]]]:
    """The figure, and what shows a frame in it."""
    field_norm, difference_norm = norms(fields)
    panel = 3.1 * min(max(extent[1] / extent[0], 0.5), 1.5)
    figure = Figure(figsize=(10.6, 0.9 + panel), layout="constrained")
    axes = figure.subplots(1, 3, sharex=True, sharey=True)
    panels = (
        (fields.reference, fields.true, fields.colours, field_norm),
        (fields.name, fields.predicted, fields.colours, field_norm),
        (f"{fields.name} − {fields.reference}", fields.difference, MAP_OF_DIFFERENCES, difference_norm),
    )
    for ax, (label, values, colours, norm) in zip(axes, panels, strict=True):
        draw_map(ax, values[0], extent[:2], colours, norm)
        ax.set_title(label, fontsize=LABEL_SIZE + 1)
        ax.set_xlabel("x [L]", fontsize=LABEL_SIZE)
    axes[0].set_ylabel("y [L]", fontsize=LABEL_SIZE)
    draw_both_colour_bars(figure, axes, fields, field_norm, difference_norm)
    title, labels = figure.suptitle(""), time_labels(fields.times)

    def show(frame: int) -> tuple[Artist, ...]:
        for ax, (_, values, _, _) in zip(axes, panels, strict=True):
            ax.images[0].set_data(np.ma.masked_invalid(values[frame].T))
        title.set_text(f"t = {labels[frame]} [T]")
        return *(ax.images[0] for ax in axes), title

    return figure, show
