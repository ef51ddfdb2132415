"""Values as strict JSON can hold them."""

import math
from typing import Any


def finite(value: Any) -> Any:
    """Replace what is not finite by its text, since JSON has neither infinity nor nan.

    Args:
        value: Nested dictionaries, lists and tuples of plain values.

    Returns:
        The same, with ``"inf"``, ``"-inf"`` and ``"nan"`` for such numbers, and lists for tuples.
    """
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
