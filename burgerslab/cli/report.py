"""report: runs as one HTML file."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from burgerslab.cli.parser import Parser
from burgerslab.cli.quiet import quiet

_PURPOSE = "Write one HTML file on one or several runs; it needs no network."


def run_report(options: Sequence[str]) -> int:
    """Roll out runs over their test trajectories, and write what is known of them to one HTML file.

    Args:
        options: Folders of runs or checkpoints, and ``--output``.
    """
    parser = Parser(prog="burgerslab report", description=_PURPOSE)
    parser.add_argument("runs", type=str, nargs="+", help="Folders of runs (version_N, or the folder above it).")
    parser.add_argument("-o", "--output", type=str, default="report.html", help="The file to write.")
    parser.add_argument(
        "--figures", type=str | None, help="Also write the figures into this folder as PDF, and rollouts as films."
    )
    parser.add_argument(
        "--data.store", type=str | None, help="The store (default: for each run that of its training)."
    )
    parser.add_argument(
        "--data.test_sim_indices",
        type=list[int] | None,
        help="Trajectories (default: the test trajectories of the runs, or all of a store new to them).",
    )
    parser.add_argument("--data.num_frames", type=int | None, help="Frames of each (default: as in the runs).")
    settings = parser.parse_args(list(options))
    output = Path(settings.output).expanduser()
    if output.is_dir():
        raise ValueError(f"output: {output} is a folder; name a file, as in --output={output / 'report.html'}")
    from burgerslab.evaluation.report import make_page, render, write_figures
    from burgerslab.evaluation.runs import load_run

    with quiet(trained_elsewhere=True):
        runs = [load_run(place) for place in settings.runs]
        page = make_page(runs, _data(settings.data), _store_facts, shlex.join(["burgerslab", "report", *options]))
        text = render(page)
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f"{output.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, output)
    print(f"report: {output} ({len(text.encode()) / 1e6:.1f} MB)")
    if settings.figures is not None:
        for path in write_figures(page, Path(settings.figures).expanduser()):
            print(f"figure: {path}")
    return 0


def _data(options: Any) -> Any:
    from burgerslab.evaluation.selection import EvaluationData

    numbers = options.test_sim_indices
    return EvaluationData(options.store, None if numbers is None else tuple(numbers), options.num_frames)


def _store_facts(store: Any) -> list[tuple[str, str]]:
    from burgerslab.cli.physics_lines import physics_facts, resolution_facts
    from burgerslab.cli.stores import store_facts

    return [*store_facts(store), *resolution_facts(store), *physics_facts(store)]
