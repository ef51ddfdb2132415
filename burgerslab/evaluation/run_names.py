"""Names by which tables and legends tell runs apart."""

from collections.abc import Callable, Sequence

from burgerslab.evaluation.runs import Run


def named_apart(runs: Sequence[Run]) -> dict[str, Run]:
    """Runs by names that differ: folder and version, or the whole path, or with the checkpoint.

    Args:
        runs: The runs.

    Raises:
        ValueError: If the same checkpoint of a run is given twice.
    """
    spellings: tuple[Callable[[Run], str], ...] = (
        lambda run: run.name,
        lambda run: str(run.folder),
        lambda run: f"{run.folder} {next(iter(run.checkpoints.values())).stem}",
    )
    for spelling in spellings:
        names = [spelling(run) for run in runs]
        if len(set(names)) == len(runs):
            return dict(zip(names, runs, strict=True))
    twice = next(name for name in names if names.count(name) > 1)
    raise ValueError(f"the run {twice} is given twice; name each once")
