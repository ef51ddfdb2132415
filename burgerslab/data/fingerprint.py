"""One spelling, one hash and one comparison for the settings that made a store."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

SCHEMA_VERSION = 1
"""Version of the layout of a store; part of every fingerprint."""


class _Absent:
    def __repr__(self) -> str:
        return "(not set)"


ABSENT = _Absent()
"""Stands in a difference for a setting that one side does not have."""


def _plain(value: Any, where: str) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value if not isinstance(value, str) else str(value)
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {float(value)}; only finite numbers can be part of a fingerprint")
        return float(value) + 0.0  # -0.0 becomes 0.0
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}.{index}") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        if strange := [key for key in value if not isinstance(key, str)]:
            raise ValueError(f"{where} has the key {strange[0]!r}; every key of the settings must be text")
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    raise ValueError(
        f"{where} is of type {type(value).__name__}, which has no single spelling; settings are made of "
        "numbers, text, true or false, null, lists and mappings. Convert it first, such as a path with "
        "str() or an array with .tolist()"
    )


def canonical(settings: Mapping[str, Any]) -> str:
    """Spell settings in the one JSON text that equal settings share.

    Keys are sorted, tuples become lists, numpy scalars become numbers, -0.0 becomes 0.0. The
    integer 100 and the real 100.0 stay different: give each setting its declared type first.

    Args:
        settings: Numbers, text, booleans, None, lists, tuples and mappings with text keys.

    Returns:
        ASCII JSON without spaces.

    Raises:
        ValueError: For NaN, infinity, arrays, callables and every other type, naming the setting.
    """
    return json.dumps(_plain(settings, "settings"), sort_keys=True, separators=(",", ":"), allow_nan=False)


def fingerprint(settings: Mapping[str, Any]) -> str:
    """Hash settings together with the version of the store's layout.

    Args:
        settings: As in `canonical`.

    Returns:
        SHA-256 of ``{"schema": SCHEMA_VERSION, "settings": settings}``, 64 hexadecimal digits.

    Raises:
        ValueError: As in `canonical`.
    """
    text = canonical({"schema": SCHEMA_VERSION, "settings": settings})
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _walk(key: str, stored: Any, wanted: Any) -> Iterator[tuple[str, Any, Any]]:
    prefix = f"{key}." if key else ""
    if isinstance(stored, dict) and isinstance(wanted, dict):
        for name in sorted(stored.keys() | wanted.keys()):
            yield from _walk(prefix + name, stored.get(name, ABSENT), wanted.get(name, ABSENT))
    elif isinstance(stored, list) and isinstance(wanted, list) and len(stored) == len(wanted):
        for index, (old, new) in enumerate(zip(stored, wanted, strict=True)):
            yield from _walk(f"{prefix}{index}", old, new)
    # Python holds 1, 1.0 and True for equal, their spellings do not
    elif type(stored) is not type(wanted) or stored != wanted:
        yield key, stored, wanted


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """List every setting in which two sets of settings differ.

    Args:
        stored: Settings that a store was made with.
        wanted: Settings asked for now.

    Returns:
        Dotted key, stored value and wanted value of each difference, ordered by key; `ABSENT`
        where one side has no such key. Nested mappings and lists of equal length are compared
        item by item (``domain.extent.0``). Empty exactly if both have the same fingerprint.

    Raises:
        ValueError: As in `canonical`.
    """
    return list(_walk("", json.loads(canonical(stored)), json.loads(canonical(wanted))))
