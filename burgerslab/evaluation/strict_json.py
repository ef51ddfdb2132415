"""Values as strict JSON can hold them, and records read back."""

import json
import math
from pathlib import Path
from typing import Any

MEND = "move it away to go on without it, or make it again"


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


def read_record(path: Path) -> dict[str, Any]:
    """Names and values of a file; none if there is no such file.

    Args:
        path: Of a JSON file in a run's folder.

    Raises:
        ValueError: If the file is damaged.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: this is no JSON ({error}); was it cut short? {MEND}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected names and values, got {type(content).__name__}; {MEND}")
    return content
