"""How runs got where they are: losses, the way of estimates, cycles; and what they estimate."""

from collections.abc import Mapping, Sequence
from typing import Any

from burgerslab.evaluation.history_plots import estimate_figure, history_figure
from burgerslab.evaluation.inversion_plots import viscosity_field_figure
from burgerslab.evaluation.number_text import interval_text, number_text
from burgerslab.evaluation.report.blocks import Block, Picture, Remarks, Section, Table, narrow_axes
from burgerslab.evaluation.report.evaluation_section import evaluation_blocks
from burgerslab.evaluation.report.line_charts import estimate_chart, history_chart
from burgerslab.evaluation.report.run_files import Curve, RunFiles, number
from burgerslab.evaluation.runs import Run

_PARAMETER_LABELS = {"viscosity": "viscosity ν [L²/T]", "advection": "advection coefficient c [-]"}
_UNITS = {"viscosity": "L^2 T^-1", "advection": "1"}
_MOST_PARAMETERS = 4
_MOST_ROWS = 16
_CYCLE_LOSSES = {
    "surrogate_data_loss": "surrogate to data",
    "physical_data_loss": "physics to data",
    "interaction_loss": "surrogate to physics",
}
_CYCLE_ERRORS = {"surrogate_val_nrmse": "surrogate", "physical_val_nrmse": "physics"}


def training_section(run: Run, label: str, files: RunFiles) -> Section:
    """One run: how it went, and what it found.

    Args:
        run: The run.
        label: Its name in legends.
        files: Its records.
    """
    intro = {
        "surrogate": "A surrogate: a network that was trained to advance the velocity.",
        "inversion": "An inversion: coefficients of the equation that fit the training trajectories best.",
        "hybrid": "A hybrid run: a surrogate and an inversion that learned from data and from each other, in turn.",
    }[run.kind]
    blocks: list[Block] = [Remarks(doubts)] if (doubts := _doubts(files)) else []
    blocks += _parameter_tables(run, files)
    blocks += _loss_pictures(files)
    blocks += _iteration_pictures(files.inversion)
    blocks += _cycle_pictures(files.cycles, _truth_of(run, files))
    blocks += _field_pictures(run, files)
    blocks += evaluation_blocks(files.evaluation)
    return Section(f"Run {label}", blocks, intro)


def final_parameters(run: Run, files: RunFiles) -> dict[str, Mapping[str, Any]]:
    """What a run estimates in the end, by name: of the inversion, or of the last cycle of a hybrid run.

    Args:
        run: The run.
        files: Its records.
    """
    if files.inversion:
        return files.inversion["parameters"]
    if not files.cycles:
        return {}
    truth = _truth_of(run, files)
    found = {}
    for name, it in files.cycles[-1]["parameters"].items():
        known: dict[str, Any] = {"units": _UNITS.get(name, "")}
        if name in truth:
            known |= {"true": truth[name], "relative_error": it["estimate"] / truth[name] - 1}
        found[name] = {**it, **known}
    return found


def _doubts(files: RunFiles) -> list[str]:
    doubts = list(files.inversion.get("warnings", []))
    if files.inversion and not files.inversion["converged"]:
        doubts.insert(0, f"The solve did not converge: {files.inversion['message']}")
    if files.cycles:
        doubts += files.cycles[-1]["doubts"]
        for cycle in files.cycles:
            doubts += [f"Cycle {cycle['cycle']}: the guard took the {agent} back" for agent in cycle["returned"]]
    return doubts


def _parameter_tables(run: Run, files: RunFiles) -> list[Block]:
    rows = [row for name, it in final_parameters(run, files).items() for row in _rows(name, it)]
    if not rows:
        return []
    if files.inversion:
        state = "converged" if files.inversion["converged"] else "did not converge"
        caption = (
            f"The solve {state} in {files.inversion['iterations']} iterations, {files.inversion['evaluations']} "
            f"evaluations, {files.inversion['wall_time']:.3g} s; noise of the data by its residuals "
            f"{number_text(number(files.inversion['noise_std']), 3)} L/T."
        )
    else:
        caption = f"After cycle {files.cycles[-1]['cycle']}."
    columns = ["parameter", "unit", "estimate", "std", "95 % interval", "truth", "error"]
    return [Table(columns, rows, caption, num_labels=2)]


def _rows(name: str, it: Mapping[str, Any]) -> list[list[str]]:
    """One row for a number, one for each of a few, and one for the range of a field."""
    unit = _unit(it.get("units", ""))
    if "estimate_range" in it:
        low, high = (number(end) for end in it["estimate_range"])
        shape = " × ".join(map(str, it["shape"]))
        largest = f"≤ {number(it['largest_std']):.2g}"
        return [[f"{name} ({shape})", unit, f"{low:.4g} … {high:.4g}", largest, "", "", ""]]
    if isinstance(it["estimate"], list):
        found = _flat(it["estimate"])
        columns = {key: _flat(it[key]) for key in ("std", "true", "relative_error") if key in it}
        ends = it.get("ci95", [])
        parts = [
            {"estimate": value, "units": it.get("units", "")}
            | {key: values[place] for key, values in columns.items()}
            | ({"ci95": ends[place]} if len(it["shape"]) == 1 and ends else {})
            for place, value in enumerate(found[:_MOST_ROWS])
        ]
        rows = [row for place, part in enumerate(parts) for row in _rows(f"{name} [{place}]", part)]
        more = len(found) - len(parts)
        return rows + ([[f"{more} more", "", "", "", "", "", ""]] if more else [])
    low, high = (number(end) for end in it.get("ci95", (None, None)))
    estimate, interval = interval_text(number(it["estimate"]), low, high)
    error = f"{100 * number(it['relative_error']):+.3g} %" if "relative_error" in it else "–"
    truth = number_text(number(it.get("true")), 6)
    return [[name, unit, estimate, number_text(number(it.get("std")), 2), interval, truth, error]]


def _unit(text: str) -> str:
    """As physicists write it: L²/T in place of L^2 T^-1."""
    return {"L^2 T^-1": "L²/T", "L T^-1": "L/T", "L T^-2": "L/T²", "1": "-"}.get(text, text)


def _flat(values: Any) -> list[Any]:
    return [item for value in values for item in _flat(value)] if isinstance(values, list) else [values]


def _loss_pictures(files: RunFiles) -> list[Block]:
    losses = dict(files.losses)
    objective = losses.pop("objective", None)
    blocks = (
        [_history("Training loss", "As logged, over gradient steps.", losses, "step", "loss [-]")] if losses else []
    )
    if objective is not None and not files.inversion.get("history"):
        curves = {"objective": objective}
        blocks.append(_history("Objective", "As logged.", curves, "step", "objective [-]"))
    if files.validation:
        caption = "Mean over whole validation trajectories."
        blocks.append(_history("Validation error", caption, files.validation, "epoch", "nRMSE [-]"))
    return blocks


def _iteration_pictures(inversion: Mapping[str, Any]) -> list[Block]:
    history = inversion.get("history", [])
    if not history:
        return []
    blocks: list[Block] = []
    names = [name for name in history[0] if name != "objective"][:_MOST_PARAMETERS]
    places = list(range(1, len(history) + 1))
    for name in names:
        it = inversion["parameters"][name]
        ends: list[tuple[float, float] | None] = [None] * len(history)
        ends[-1] = tuple(number(end) for end in it["ci95"])  # type: ignore[assignment]
        truth = number(it["true"]) if "true" in it else None
        values = [number(row[name]) for row in history]
        caption = "After each accepted iteration of L-BFGS-B; the bar at the last is the 95 % interval."
        blocks.append(_estimate(name, caption, places, values, ends, truth, "accepted iteration"))
    curves = {"objective": (places, [number(row["objective"]) for row in history])}
    caption = "Mean square error over the mean square of the data, with what the inversion adds to it."
    blocks.append(_history("Objective", caption, curves, "accepted iteration", "objective [-]"))
    return blocks


def _cycle_pictures(cycles: Sequence[Mapping[str, Any]], truth: Mapping[str, float]) -> list[Block]:
    if not cycles:
        return []
    places = [number(cycle["cycle"]) for cycle in cycles]

    def curves(names: Mapping[str, str]) -> dict[str, Curve]:
        columns = {label: [number(cycle[key]) for cycle in cycles] for key, label in names.items()}
        return {label: (places, values) for label, values in columns.items() if any(it == it for it in values)}

    caption = "Mean square difference over mean square, at the end of each cycle."
    blocks: list[Block] = [
        _history("Both agents, cycle by cycle", caption, curves(_CYCLE_LOSSES), "cycle", "relative square [-]")
    ]
    if errors := curves(_CYCLE_ERRORS):
        caption = "Rollouts of both agents over whole validation trajectories."
        blocks.append(_history("Validation error per cycle", caption, errors, "cycle", "nRMSE [-]"))
    names = list(dict.fromkeys(name for cycle in cycles for name in cycle["parameters"]))[:_MOST_PARAMETERS]
    for name in names:
        rows = [cycle["parameters"].get(name, {}) for cycle in cycles]
        ends = [tuple(number(end) for end in row["ci95"]) if "ci95" in row else None for row in rows]
        values = [number(row.get("estimate")) for row in rows]
        caption = "At the end of each cycle; bars are 95 % intervals."
        blocks.append(_estimate(name, caption, places, values, ends, truth.get(name), "cycle"))  # type: ignore[arg-type]
    return blocks


def _field_pictures(run: Run, files: RunFiles) -> list[Block]:
    """A viscosity that varies in space."""
    value, std = (files.fields.get(f"viscosity_{part}") for part in ("value", "std"))
    domain = run.description.domain
    if value is None or std is None or value.squeeze().shape != domain.resolution:
        return []
    figure = viscosity_field_figure(domain.centres(), value.squeeze(), std.squeeze())
    return [Picture("Viscosity over space", "Estimate and how sure it is.", figure, wide=domain.dimension > 1)]


def _truth_of(run: Run, files: RunFiles) -> dict[str, float]:
    """What the coefficients of a hybrid run should be: it is the store that says so, and it may be gone."""
    from burgerslab.data import Store, StoreError

    truth = {"advection": 1.0}
    if not files.cycles:
        return truth
    try:
        viscosity = Store(run.store).viscosity
    except StoreError:
        return truth
    if (viscosity == viscosity[0]).all():
        truth["viscosity"] = float(viscosity[0])
    return truth


def _history(title: str, caption: str, curves: Mapping[str, Curve], xlabel: str, ylabel: str) -> Picture:
    return Picture(
        title,
        caption,
        history_figure(curves, xlabel, ylabel, ax=narrow_axes()),
        history_chart(curves, xlabel, ylabel),
    )


def _estimate(
    name: str,
    caption: str,
    places: Sequence[float],
    values: Sequence[float],
    ends: Sequence[tuple[float, float] | None],
    truth: float | None,
    xlabel: str,
) -> Picture:
    drawn = (places, values, ends, truth, xlabel, _PARAMETER_LABELS.get(name, name))
    return Picture(
        f"{name.capitalize()} over {xlabel.split()[-1]}s",
        caption,
        estimate_figure(*drawn, ax=narrow_axes()),
        estimate_chart(*drawn),
    )
