"""Settings of runs: where they differ, and all of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from burgerslab.evaluation.report.blocks import Block, Listing, Table

_ABSENT = "–"


def settings_blocks(configs: Mapping[str, Path]) -> list[Block]:
    """A table of the settings that differ, and all settings of each run.

    Args:
        configs: The config of each run, by label.
    """
    texts = {name: path.read_text() for name, path in configs.items()}
    settings = {name: yaml.safe_load(text) for name, text in texts.items()}
    blocks: list[Block] = []
    if len(settings) > 1:
        rows = differences(list(settings.values()))
        shared = [row for row in rows if _ABSENT not in row]
        others = [row for row in rows if _ABSENT in row]
        columns, num_labels = ["setting", *settings], 1 + len(settings)
        if shared:
            caption = "Settings that all runs have and that are not the same."
            blocks.append(Table(columns, shared, caption, num_labels, settings=True))
        elif not others:
            blocks.append(Table(columns, [["all", *("the same" for _ in settings)]], "", num_labels, settings=True))
        if others:
            title = f"{len(others)} settings that only some runs have"
            blocks.append(Table(columns, others, "", num_labels, title, folded=True, settings=True))
    blocks += [Listing(f"All settings of {name}", text) for name, text in texts.items()]
    return blocks


def differences(configs: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Rows of dotted names and the values of each config, for what is not the same in all.

    Args:
        configs: Nested dictionaries of plain values.
    """
    flat = [_flat(config) for config in configs]
    names = list(dict.fromkeys(name for config in flat for name in config))
    rows = [[name, *(config.get(name, _ABSENT) for config in flat)] for name in names]
    return [row for row in rows if len(set(row[1:])) > 1]


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Dotted names and values as text; ``init_args``, which is on every path, is left out."""
    items: list[tuple[str, Any]]
    if isinstance(value, Mapping) and value:
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        items = [(str(number), item) for number, item in enumerate(value)]
    else:
        return {prefix or "value": "none" if value is None else str(value)}
    found: dict[str, str] = {}
    for key, item in items:
        name = prefix if key == "init_args" else f"{prefix}.{key}" if prefix else key
        found |= _flat(item, name)
    return found
