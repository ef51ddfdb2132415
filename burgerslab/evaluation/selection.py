"""Which trajectories some runs are evaluated on: those that none of them has learned from."""

from collections.abc import Sequence
from dataclasses import dataclass

from burgerslab.data import Store, StoreError
from burgerslab.data.description import describe
from burgerslab.data.split import check_indices
from burgerslab.data.store_errors import StoreMissingError
from burgerslab.evaluation.runs import Run
from burgerslab.evaluation.trajectory_sets import TrajectorySet


@dataclass(frozen=True)
class EvaluationData:
    """Options of the data.

    Args:
        store: Path of the store; None is the one that the runs were trained on.
        test_sim_indices: Trajectories to take; None takes the test trajectories of the runs, or all of a store that
            they were not trained on.
        num_frames: Use only so many frames from the start of each; None is as in the runs.
        eval_batch_size: Trajectories that are rolled out together; None is as in the first run.
    """

    store: str | None = None
    test_sim_indices: tuple[int, ...] | None = None
    num_frames: int | None = None
    eval_batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.num_frames is not None and self.num_frames < 2:
            raise ValueError(
                f"data.num_frames must be at least 2, the first and one to forecast, got {self.num_frames}"
            )
        if self.eval_batch_size is not None and self.eval_batch_size < 1:
            raise ValueError(f"data.eval_batch_size must be at least 1, got {self.eval_batch_size}")


def choose_trajectories(runs: Sequence[Run], data: EvaluationData) -> tuple[TrajectorySet, list[str]]:
    """The trajectories that all runs are evaluated on, and what to tell the user of the choice.

    Args:
        runs: The runs.
        data: The options.

    Raises:
        ValueError: If the runs need different data, or no trajectories are left.
        StoreError: If there is no such store.
    """
    store = _open(runs, data)
    layout = store.layout
    for run in runs:
        _require_same_kind(run, store)
    notes: list[str] = []
    if data.test_sim_indices is not None:
        given = check_indices("data.test_sim_indices", data.test_sim_indices, layout.num_trajectories)
        numbers = set(given.tolist())
        for run in runs:
            if _is_same_data(run, store) and (seen := numbers - set(run.test_trajectories or ())):
                notes.append(
                    f"{run.name} may have learned from trajectories {sorted(seen)}: it was not to test on them"
                )
    else:
        parts = [_unseen(run, store, notes) for run in runs]
        numbers = set.intersection(*parts)
        if len({frozenset(part) for part in parts}) > 1:
            notes.append(f"the runs have different test trajectories; taking the {len(numbers)} that they share")
    if not numbers:
        raise ValueError(
            f"no test trajectories of {store.path} are left: data.split or data.test_sim_indices of "
            f"{'this run names none' if len(runs) == 1 else 'these runs have none in common'}; give "
            "--data.test_sim_indices, or --data.store of other data"
        )
    frames = [min(run.data.get("num_frames") or layout.num_frames, layout.num_frames) for run in runs]
    trajectories = TrajectorySet(
        name="test",
        store=store,
        trajectories=tuple(sorted(numbers)),
        num_frames=data.num_frames or min(frames),
        batch_size=data.eval_batch_size or runs[0].data.get("eval_batch_size", 8),
        dynamic_fields=runs[0].description.dynamic_fields,
        in_distribution=all(_is_same_data(run, store) is not False for run in runs),
        truth=_truth(store),
    )
    return trajectories, notes


def _open(runs: Sequence[Run], data: EvaluationData) -> Store:
    if data.store is not None:
        return Store(data.store)
    places = {run.store.expanduser().resolve() for run in runs}
    if len(places) > 1:
        raise ValueError(
            f"the runs were trained on different stores ({', '.join(sorted(map(str, places)))}): say with "
            "--data.store on which to evaluate them"
        )
    try:
        return Store(places.copy().pop())
    except StoreMissingError:
        raise ValueError(
            f"{runs[0].name}: the store it was trained on is not at {places.pop()}; say with "
            "--data.store where it is now"
        ) from None


def _require_same_kind(run: Run, store: Store) -> None:
    """Refuse data that no grid alone sets apart from those that a run has learned from."""
    known = run.description
    try:
        found = describe(store.layout, known.dynamic_fields, known.static_fields)
    except ValueError as error:
        raise ValueError(f"{run.name} cannot be evaluated on {store.path}: {error}") from error
    if differences := known.differences(found):
        raise ValueError(
            f"{run.name} was trained on other data than {store.path} ({'; '.join(differences)}); use a store with "
            "the same dt and fields"
        )


def _is_same_data(run: Run, store: Store) -> bool | None:
    """Whether a run was trained on a store or a copy of it; None if its own is gone."""
    try:
        return Store(run.store).fingerprint == store.fingerprint
    except StoreError:
        return None


def _unseen(run: Run, store: Store, notes: list[str]) -> set[int]:
    """Trajectories of the store that a run has neither learned from nor chosen its weights by."""
    everything = set(range(store.layout.num_trajectories))
    is_same = _is_same_data(run, store)
    if is_same is False:
        notes.append(f"{run.name} was trained on {run.store}: all {len(everything)} trajectories are new to it")
        return everything
    if run.test_trajectories is None or not set(run.test_trajectories) <= everything:
        raise ValueError(
            f"{run.name}: the store it was trained on, {run.store}, is gone, and nothing tells which of the "
            f"trajectories of {store.path} are new to it; name them with --data.test_sim_indices"
        )
    if is_same is None:
        notes.append(
            f"{run.name}: {run.store}, which it was trained on, is gone; taking {store.path} for a copy of it"
        )
    return set(run.test_trajectories)


def _truth(store: Store) -> str:
    source = store.settings.get("source", "unknown")
    if source == "exact":
        return "exact solution (Cole-Hopf)"
    if source == "simulation":
        scheme = store.settings["scheme"]["class_path"].rpartition(".")[2]
        refine = store.settings["refine"]
        grid = "on the same grid" if refine == 1 else f"on a {refine} times finer grid"
        return f"{scheme} {grid}, {store.settings['substeps']} steps per frame"
    return str(source)
