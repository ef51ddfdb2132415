"""Objects made again from settings that were written to a file."""

import warnings
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from jsonargparse import ArgumentParser, Namespace


def instantiate(parser: ArgumentParser, settings: Mapping[str, Any]) -> Namespace:
    """Check settings and make the objects they name.

    Args:
        parser: Has the types; with ``exit_on_error=False``.
        settings: Plain values, objects as ``class_path`` and ``init_args``.

    Raises:
        ArgumentError: If a setting has another type or a class is not found.
        ValueError: If a class refuses its settings.
    """
    parsed = parser.parse_object(deepcopy(dict(settings)))  # which puts Namespaces in place of nested mappings
    with warnings.catch_warnings():  # jsonargparse 4.49 has renamed the method
        old_name = r"\s*(By default only one Json|``instantiate_classes`)"
        warnings.filterwarnings("ignore", old_name, DeprecationWarning)
        return parser.instantiate_classes(parsed)


def innermost(error: Exception) -> str:
    """What jsonargparse complains about in the end, in place of everything that it could have been."""
    lines = [line.strip(" -") for line in str(error).splitlines()]
    ends = [number for number, line in enumerate(lines) if line.startswith("Expected a <class 'NoneType'>")]
    return lines[ends[0] - 1] if ends and ends[0] else lines[-1]
