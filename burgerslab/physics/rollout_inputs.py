"""Checks of what a rollout is given beside the initial frames: coefficients of the equation, and derivatives."""

from collections.abc import Mapping

from torch import Tensor

from burgerslab.physics.schemes import GeneralScheme, Scheme


def check_coefficients(coefficients: Mapping[str, Tensor], velocity: Tensor, scheme: Scheme) -> None:
    """Refuse coefficients that do not fit the velocity or the scheme.

    Args:
        coefficients: ``viscosity`` and, where given, ``advection`` and ``forcing``.
        velocity: ``(B, C, *N)``.
        scheme: What is to solve with them.

    Raises:
        ValueError: Says which one, and what would fit.
    """
    for name, tensor in coefficients.items():
        if tensor.dtype != velocity.dtype:
            raise ValueError(f"{name} is {tensor.dtype} and velocity is {velocity.dtype}; give both in one dtype")
        _check_shape(name, tensor, velocity)
    general = [name for name, tensor in coefficients.items() if name != "viscosity" or tensor.ndim > 1]
    if general and not isinstance(scheme, GeneralScheme):
        raise ValueError(
            f"{type(scheme).__name__} solves u_t + (u·∇)u = ν Δu with a ν that is the same everywhere, and "
            f"takes no {' or '.join(general)}; choose FiniteDifference, FourierSpectral or WENO"
        )


def complete_directions(directions: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The derivatives of every input with respect to K parameters, with zeros where none are given.

    Args:
        directions: Derivatives by name, the shape of the input after a leading axis of K.
        inputs: What a rollout takes, by name.

    Raises:
        ValueError: If there are none, or one belongs to no input or does not fit it.
    """
    if not directions:
        raise ValueError(f"directions are empty; give derivatives of one of {', '.join(inputs)}")
    num_directions = len(next(iter(directions.values())))
    for name, tensor in directions.items():
        if name not in inputs:
            raise ValueError(f"directions name {name}, but the rollout was given {', '.join(inputs)} only")
        expected = (num_directions, *inputs[name].shape)
        if tuple(tensor.shape) != expected:
            raise ValueError(f"the directions of {name} have shape {tuple(tensor.shape)}, expected {expected}")
    return {
        name: directions[name].to(tensor) if name in directions else tensor.new_zeros(num_directions, *tensor.shape)
        for name, tensor in inputs.items()
    }


def _check_shape(name: str, tensor: Tensor, velocity: Tensor) -> None:
    batch, components, *cells = velocity.shape
    allowed = {
        "viscosity": [(), (batch,), (1, *cells), (batch, *cells)],
        "advection": [()],
        "forcing": [(components,), (1, components, *cells), (batch, components, *cells)],
    }[name]
    if tuple(tensor.shape) not in allowed:
        raise ValueError(
            f"{name} has shape {tuple(tensor.shape)}; for velocity {tuple(velocity.shape)} give one of "
            f"{', '.join(map(str, dict.fromkeys(allowed)))}: one number, one per trajectory, or one per cell"
        )
