"""Between torch tensors ``(B, C, *N)`` and PhiFlow fields, in both directions.

Dimension names inside PhiFlow: batch ``trajectory`` (and ``frame``), channel ``vector`` labelled with the
axes, spatial ``x``, ``y``, ``z``.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from phi import math
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phiml.backend.torch import TORCH
from torch import Tensor

from burgerslab.physics.domain import Domain

PERIODIC = math.extrapolation.PERIODIC


@contextmanager
def like(tensor: Tensor) -> Iterator[None]:
    """PhiML computing in torch and in the precision of a tensor.

    PhiML keeps both per thread: by default its interpolation would convert results to numpy and lose gradients.

    Raises:
        ValueError: If the tensor is neither float32 nor float64.
    """
    with math.precision(bits(tensor)), TORCH:
        yield


def bits(tensor: Tensor) -> int:
    """Precision of a tensor: 32 or 64.

    Raises:
        ValueError: If the tensor is neither float32 nor float64.
    """
    found = {torch.float32: 32, torch.float64: 64}.get(tensor.dtype)
    if found is None:
        raise ValueError(f"PhiFlow rollouts run in float32 or float64, got {tensor.dtype}; convert the tensor")
    return found


def to_field(
    values: Float[Tensor, "..."],
    domain: Domain,
    components: Sequence[str] | None = None,
    leading: Sequence[str] | None = None,
) -> Field:
    """Wrap values at cell centres as a periodic PhiFlow ``CenteredGrid``; nothing is copied.

    Args:
        values: ``(C, *N)``, ``(B, C, *N)`` or ``(B, T, C, *N)``.
        domain: Box and grid.
        components: Labels of the C components; the axes if not given. A single component that is no axis
            makes a scalar field.
        leading: Names of the axes before C; ``trajectory`` and ``frame`` if not given.

    Raises:
        ValueError: If the shape does not belong to the domain.
    """
    names = domain.axis_names
    components = names if components is None else tuple(components)
    expected = (len(components), *domain.resolution)
    num_leading = values.ndim - len(expected)
    leading = ("trajectory", "frame")[: max(0, num_leading)] if leading is None else tuple(leading)
    if len(leading) != num_leading or tuple(values.shape[num_leading:]) != expected:
        raise ValueError(
            f"values have shape {tuple(values.shape)}, expected (B, C, *N) = "
            f"(B, {', '.join(map(str, expected))}) for domain.resolution {list(domain.resolution)}"
        )
    shapes = [math.batch(name) for name in leading]
    if len(components) == 1 and components != names:
        values = values.squeeze(num_leading)
    else:
        shapes.append(math.channel(vector=list(components)))
    box = Box(**dict(zip(names, domain.extent, strict=True)))
    return CenteredGrid(math.wrap(values, *shapes, math.spatial(*names)), PERIODIC, bounds=box)


def to_native(field: Field, *, frames: bool = False) -> Float[Tensor, "..."]:
    """Unwrap a velocity field to ``(B, C, *N)``, or ``(B, T, C, *N)`` with ``frames``."""
    leading = ["trajectory", "frame"] if frames else ["trajectory"]
    present = [name for name in leading if name in field.values.shape]
    return field.values.native([*present, "vector", *field.resolution.names])


def wrap_viscosity(viscosity: Float[Tensor, "*V"], domain: Domain) -> math.Tensor:
    """Wrap one viscosity ``()``, one per trajectory ``(B,)``, or a field of them ``(1 or B, *N)``, for formulas."""
    if viscosity.ndim == 0:
        return math.wrap(viscosity)
    if viscosity.ndim == 1:
        return math.wrap(viscosity, math.batch("trajectory"))
    return _spread(viscosity, [], domain)


def wrap_forcing(forcing: Float[Tensor, "*F"], domain: Domain) -> math.Tensor:
    """Wrap a constant vector ``(C,)`` or a field of vectors ``(1 or B, C, *N)`` for formulas."""
    vector = math.channel(vector=list(domain.axis_names))
    return math.wrap(forcing, vector) if forcing.ndim == 1 else _spread(forcing, [vector], domain)


def _spread(values: Tensor, channels: list[math.Shape], domain: Domain) -> math.Tensor:
    """Values at the cells; the same for every trajectory where the first axis has one entry."""
    if len(values) == 1:
        return math.wrap(values[0], *channels, math.spatial(*domain.axis_names))
    return math.wrap(values, math.batch("trajectory"), *channels, math.spatial(*domain.axis_names))
