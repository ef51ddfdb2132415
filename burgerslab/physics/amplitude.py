"""Amplitudes of initial velocities: one number for all trajectories, or a range to draw from."""

import numpy as np

Amplitude = float | tuple[float, float]


def check_amplitude(owner: str, amplitude: Amplitude) -> None:
    """Refuse an amplitude that is no positive number and no range of them.

    Args:
        owner: Name of the class whose ``amplitude`` it is, for the message.
        amplitude: One number, or the ends of a range, units L/T.

    Raises:
        ValueError: If it is neither.
    """
    low, high = amplitude if isinstance(amplitude, tuple) else (amplitude, amplitude)
    if not (0 < low <= high and np.isfinite(high)):
        raise ValueError(
            f"{owner}.amplitude must be a positive number or a pair [low, high] of them, got {amplitude}"
        )


def draw_amplitude(amplitude: Amplitude, generator: np.random.Generator) -> float:
    """Draw uniformly from a range; a number is itself, and draws nothing.

    Args:
        amplitude: One number, or the ends of a range, units L/T.
        generator: Source of the draw.
    """
    return float(generator.uniform(*amplitude)) if isinstance(amplitude, tuple) else float(amplitude)
