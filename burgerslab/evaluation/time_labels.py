"""Times as titles of frames."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

_MOST_DIGITS = 6


def time_labels(times: Float[ndarray, " T"]) -> list[str]:
    """The times with as many digits each, so that a title stands still from frame to frame; no more than are needed.

    Args:
        times: Ascending, units T.
    """
    steps = np.diff(times)
    tolerance = 1e-3 * float(steps.min()) if len(steps) else 1e-6
    digits = next(
        (number for number in range(_MOST_DIGITS) if np.abs(times - times.round(number)).max() < tolerance),
        _MOST_DIGITS,
    )
    return [f"{time:.{digits}f}" for time in times]
