"""Runs as one page."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import lightning
import torch

import burgerslab
from burgerslab.data import Store, StoreError
from burgerslab.evaluation.report.accuracy import accuracy_table, overview_table
from burgerslab.evaluation.report.blocks import Block, Page, Remarks, Section
from burgerslab.evaluation.report.forecasts import Forecasts, model_labels, roll_out
from burgerslab.evaluation.report.run_files import read_files
from burgerslab.evaluation.report.sections import (
    data_section,
    energy_blocks,
    flow_blocks,
    growth_blocks,
    rollout_blocks,
)
from burgerslab.evaluation.report.settings_tables import settings_blocks
from burgerslab.evaluation.report.training_section import training_section
from burgerslab.evaluation.run_names import named_apart
from burgerslab.evaluation.runs import Run
from burgerslab.evaluation.selection import EvaluationData

# Of fields in all sliders together: about 3 MB of the page.
_NUM_VALUES = 500_000

StoreFacts = Callable[[Store], Sequence[tuple[str, str]]]


def make_page(runs: Sequence[Run], data: EvaluationData, store_facts: StoreFacts, command: str) -> Page:
    """Roll out runs and put everything that is known of them on one page.

    Args:
        runs: Loaded runs.
        data: Which trajectories to roll out over.
        store_facts: Tells what is in a store, what made it, and whether it obeys the equation.
        command: What makes the page, for its head.

    Raises:
        ValueError: If there are no runs, or the same is given twice.
    """
    if not runs:
        raise ValueError("a report needs at least one run")
    runs = [replace(run, name=name) for name, run in named_apart(runs).items()]
    labels = model_labels(runs)
    first = {run.name: next(iter(run.models)) for run in runs}
    short = {name: labels[name, model].removesuffix(f": {model}") for name, model in first.items()}
    files = {run.name: read_files(run.folder) for run in runs}
    forecasts, remarks = roll_out(runs, labels, data)
    notes = [f"{run.name}: {note}" for run in runs for note in run.notes]
    overview: list[Block] = [overview_table(runs, labels, short, forecasts, files)]
    if notes or remarks:
        overview.append(Remarks([*notes, *remarks], alarm=False))
    sections = [Section("Overview", overview)]
    for group in forecasts:
        sections += _group_sections(group, len(forecasts))
    sections += [training_section(run, short[run.name], files[run.name]) for run in runs]
    if facts := _facts_of_stores(runs, data, store_facts):
        sections.append(data_section(facts))
    sections.append(
        Section("Settings", settings_blocks({short[run.name]: run.folder / "config.yaml" for run in runs}))
    )
    made = [
        ("made", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        (
            "with",
            f"burgerslab {burgerslab.__version__}, torch {torch.__version__}, lightning {lightning.__version__}",
        ),
        ("by", command),
    ]
    return Page("Burgers equation: runs and rollouts", ", ".join(short.values()), made, sections)


def _group_sections(group: Forecasts, num_groups: int) -> list[Section]:
    """Rollouts and accuracy of runs that share data."""
    of = f" on {group.tested.store.path.name}" if num_groups > 1 else ""
    if num_groups > 1 and len(group.predictions) == 1:
        of = f" of {next(iter(group.predictions))}"
    sections = []
    if rollouts := rollout_blocks(group, _NUM_VALUES // num_groups):
        sections.append(Section(f"Rollouts{of}", rollouts))
    if group.predictions:
        blocks: list[Block] = [
            accuracy_table(group),
            *growth_blocks(group),
            *energy_blocks(group),
            *flow_blocks(group),
        ]
        sections.append(Section(f"Accuracy{of}", blocks))
    return sections


def _facts_of_stores(
    runs: Sequence[Run], data: EvaluationData, store_facts: StoreFacts
) -> dict[str, Sequence[tuple[str, str]]]:
    facts: dict[str, Sequence[tuple[str, str]]] = {}
    asked = [] if data.store is None else [data.store]
    for path in dict.fromkeys([str(run.store) for run in runs] + asked):
        try:
            facts[path] = store_facts(Store(path))
        except StoreError as error:
            facts[path] = [("warning", str(error))]
    return facts
