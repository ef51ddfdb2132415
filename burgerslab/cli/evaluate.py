"""evaluate: finished runs on test trajectories, beside baselines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from burgerslab.cli.parser import Parser
from burgerslab.cli.quiet import quiet

_PURPOSE = "Roll out finished runs over test trajectories, beside persistence and numerical schemes."
_EPILOG = (
    "RUN is the folder of a fit (runs/NAME/version_3), a folder of such (the newest is taken), or a checkpoint. "
    "Written are evaluation.csv (run, set, trajectory, frame, metric, value) and evaluation.json (means with 95 % "
    "bootstrap intervals over trajectories, accuracy against wall time, provenance)."
)


def run_evaluate(options: Sequence[str]) -> int:
    """Evaluate runs, print tables and write the files.

    Args:
        options: Runs and options.
    """
    parser = Parser(prog="burgerslab evaluate", description=_PURPOSE, epilog=_EPILOG)
    _add_arguments(parser)
    settings = parser.parse_args(list(options))
    with quiet():
        return _evaluate(settings)


def _add_arguments(parser: Parser) -> None:
    parser.add_argument("runs", type=str, nargs="+", metavar="RUN", help="Folders of runs, or checkpoints.")
    parser.add_argument(
        "-o", "--output", type=str | None, help="Folder of the files (default: evaluation in the run's folder; of "
        "several runs, runs/evaluation)."
    )  # fmt: skip
    parser.add_argument("--data.store", type=str | None, help="The store (default: that of the runs).")
    parser.add_argument(
        "--data.test_sim_indices",
        type=list[int] | None,
        help="Trajectories (default: the test trajectories of the runs, or all of a store new to them).",
    )
    parser.add_argument("--data.num_frames", type=int | None, help="Frames of each (default: as in the runs).")
    parser.add_argument(
        "--data.eval_batch_size", type=int | None, help="Trajectories at once (default: as in the first run)."
    )
    parser.add_argument(
        "--baselines",
        type=list[Any] | None,
        help="Schemes by name or class_path, of your own too; [] for none but persistence (default: all shipped).",
    )
    parser.add_argument("--sweep.viscosity", type=list[float], default=[], help="New trajectories with these, L²/T.")
    parser.add_argument("--sweep.amplitude", type=list[float], default=[], help="The same with these, L/T.")
    parser.add_argument("--sweep.resolution", type=list[int], default=[], help="The same with so many cells along x.")
    parser.add_argument("--sweep.num_trajectories", type=int, default=8, help="New trajectories for each value.")
    parser.add_argument("--sweep.seed", type=int, default=1, help="Of the new trajectories.")
    parser.add_argument("--timing.repeats", type=int, default=9, help="Repeats of each time; 0 measures none.")
    parser.add_argument("--timing.compile_solvers", type=bool, default=False, help="Compile the solvers' steps.")


def _evaluate(settings: Any) -> int:
    from rich.console import Console

    from burgerslab.evaluation.accuracy_and_time import Timing
    from burgerslab.evaluation.evaluation import evaluate
    from burgerslab.evaluation.evaluation_files import SUMMARY, TABLE, summarise, write_evaluation
    from burgerslab.evaluation.evaluation_tables import print_evaluation
    from burgerslab.evaluation.runs import load_run
    from burgerslab.evaluation.selection import EvaluationData
    from burgerslab.evaluation.sweeps import Sweep

    data, sweep = dict(settings.data.items()), dict(settings.sweep.items())
    for options in (data, sweep):
        for name, value in options.items():
            options[name] = tuple(value) if isinstance(value, list) else value
    repeats = settings.timing.repeats
    timing = None if repeats == 0 else Timing(repeats, settings.timing.compile_solvers)
    schemes = _schemes(settings.baselines)
    options = EvaluationData(**data), schemes, Sweep(**sweep), timing
    runs = [load_run(place) for place in settings.runs]
    default = runs[0].folder / "evaluation" if len(runs) == 1 else Path("runs") / "evaluation"
    folder = Path(settings.output) if settings.output else default
    console = Console()
    with console.status("") as status:
        found = evaluate(runs, folder, *options, say=status.update)
        status.update("intervals")
        summaries = summarise(found)
    write_evaluation(found, folder, summaries)
    print_evaluation(found, summaries)
    for name, file in (("table", TABLE), ("summary", SUMMARY)):
        console.print(f"{name + ':':<12}{folder / file}", soft_wrap=True, highlight=False)
    return 0


def _schemes(names: list[Any] | None) -> Sequence[Any]:
    """The baselines; ends the command if one is no scheme."""
    from burgerslab.evaluation.evaluation import SHIPPED_SCHEMES
    from burgerslab.evaluation.from_settings import instantiate
    from burgerslab.physics import Scheme

    if names is None:
        return SHIPPED_SCHEMES
    parser = Parser(prog="burgerslab evaluate")
    parser.add_argument("--baselines", type=list[Scheme])
    plain = [{"class_path": name} if isinstance(name, str) else name for name in names]
    return tuple(instantiate(parser, {"baselines": plain}).baselines)
