"""What is looked at of a velocity field beside its components: speed, vorticity, divergence.

Legend of the shapes: T frames, C components, *N cells (one, two or three periodic axes, axis 0 is x).

Derivatives are taken in Fourier space, exact for what the grid holds; the mode of the highest wave number of an even
number of cells has none. A frame with a value that is not finite has no derivative anywhere: it is nan.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray


@dataclass(frozen=True)
class Quantity:
    """A scalar field over time, and how it is written.

    Args:
        values: Of each frame and cell, ``(T, *N)``.
        symbol: For titles and colour bars.
        unit: In terms of L and T.
        signed: Whether zero is its middle, so that it is drawn in two hues.
    """

    values: ndarray
    symbol: str
    unit: str
    signed: bool = False


def velocity_scale(velocity: Float[ndarray, "T C *N"]) -> Quantity:
    """The velocity u where it has one component, else the speed |u|.

    Args:
        velocity: Units L/T.
    """
    if velocity.shape[1] == 1:
        return Quantity(velocity[:, 0], "u", "L/T")
    with np.errstate(over="ignore"):
        return Quantity(np.linalg.norm(velocity, axis=1), "|u|", "L/T")


def divergence(velocity: Float[ndarray, "T C *N"], extent: tuple[float, ...]) -> Quantity:
    """Divergence, the sum of ∂u_i / ∂x_i.

    Args:
        velocity: As many components as axes, units L/T.
        extent: Length of the box along each axis, units L.

    Raises:
        ValueError: If there are not as many components as axes.
    """
    _check(velocity, extent)
    terms = (_derivative(velocity[:, axis], axis, extent[axis]) for axis in range(len(extent)))
    return Quantity(sum(terms, np.zeros(())), "∇·u", "1/T", signed=True)


def vorticity(velocity: Float[ndarray, "T C *N"], extent: tuple[float, ...]) -> Quantity:
    """Vorticity: ω = ∂u_y / ∂x - ∂u_x / ∂y in two dimensions, the length |∇ × u| in three.

    Args:
        velocity: As many components as axes, units L/T.
        extent: Length of the box along each axis, units L.

    Raises:
        ValueError: If there are not as many components as axes, or there is but one.
    """
    _check(velocity, extent)
    if len(extent) == 1:
        raise ValueError("vorticity needs at least two axes, got one")

    def curl(first: int, second: int) -> ndarray:
        return _derivative(velocity[:, second], first, extent[first]) - _derivative(
            velocity[:, first], second, extent[second]
        )

    if len(extent) == 2:
        return Quantity(curl(0, 1), "ω", "1/T", signed=True)
    parts = np.stack([curl(first, second) for first, second in ((1, 2), (2, 0), (0, 1))])
    return Quantity(np.linalg.norm(parts, axis=0), "|ω|", "1/T")


def _derivative(values: Float[ndarray, "T *N"], axis: int, length: float) -> Float[ndarray, "T *N"]:
    """Along an axis of cells; float64."""
    number = values.shape[axis + 1]
    modes = np.fft.rfftfreq(number, 1 / number)
    if number % 2 == 0:
        modes[-1] = 0.0
    along = np.moveaxis(values.astype(np.float64), axis + 1, -1)
    with np.errstate(invalid="ignore", over="ignore"):
        slope = np.fft.irfft(2j * np.pi / length * modes * np.fft.rfft(along), number)
    # A line of cells knows nothing of a neighbour that is not finite, but the frame is then no field any more.
    broken = ~np.isfinite(along).reshape(len(along), -1).all(axis=1)
    slope[broken] = np.nan
    return np.moveaxis(slope, -1, axis + 1)


def _check(velocity: ndarray, extent: tuple[float, ...]) -> None:
    if velocity.ndim != 2 + len(extent) or velocity.shape[1] != len(extent):
        raise ValueError(
            f"velocity expected shape (frame, {len(extent)}, *cells), one component for each length of the extent "
            f"{extent}, got {velocity.shape}"
        )
