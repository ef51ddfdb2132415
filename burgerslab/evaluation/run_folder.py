"""Where a finished run keeps its config and its checkpoints."""

import re
from dataclasses import dataclass
from pathlib import Path

_PREFERRED = ("best.ckpt", "last.ckpt")
_OF_HYBRID = "hybrid.ckpt"


@dataclass(frozen=True)
class RunFolder:
    """The files of a run that `burgerslab fit` has left.

    Args:
        folder: The run's folder, ``version_N``.
        config: Its ``config.yaml``.
        checkpoint: The weights to evaluate: best.ckpt, else last.ckpt, else the only one there is.
        last_of_both: The last state of both agents of a hybrid run; None where there is none.
        notes: What was chosen among several, for the user.
    """

    folder: Path
    config: Path
    checkpoint: Path
    last_of_both: Path | None
    notes: tuple[str, ...] = ()


def find_run(place: str | Path) -> RunFolder:
    """Find the files of a run.

    Args:
        place: The run's folder, a folder of runs ``version_N`` (the newest that has a checkpoint is taken), or a
            checkpoint in a run's folder.

    Raises:
        ValueError: If there is no run; says what is missing.
    """
    path = Path(place).expanduser()
    if not path.exists():
        raise ValueError(f"run {place}: there is nothing at {path.absolute()}; give the folder that `fit` printed")
    if path.is_file():
        return _of_checkpoint(path)
    if (path / "config.yaml").exists():
        return _of_folder(path)
    versions = sorted(
        (it for it in path.iterdir() if re.fullmatch(r"version_\d+", it.name)), key=lambda it: int(it.name[8:])
    )
    if versions:
        return _newest(path, versions)
    if (path / "checkpoints").is_dir():
        raise ValueError(
            f"run {path}: there are checkpoints but no config.yaml, which says what model they are of; "
            "`burgerslab fit` writes it, a Trainer of your own does not"
        )
    raise ValueError(f"run {path}: this is no run's folder: it has no config.yaml, no checkpoints and no version_N")


def _of_checkpoint(path: Path) -> RunFolder:
    if path.suffix != ".ckpt":
        raise ValueError(f"run {path}: expected a folder or a checkpoint (.ckpt)")
    for folder in (path.parent.parent, path.parent):
        if (folder / "config.yaml").exists():
            return RunFolder(folder, folder / "config.yaml", path, None)
    raise ValueError(
        f"run {path}: there is no config.yaml in {path.parent.parent.absolute()}, which says what model the "
        "checkpoint is of; leave checkpoints where fit writes them, or copy the whole folder of the run"
    )


def _of_folder(folder: Path) -> RunFolder:
    found = sorted((folder / "checkpoints").glob("*.ckpt"))
    names = {path.name: path for path in found}
    of_hybrid = names.pop(_OF_HYBRID, None)
    for name in _PREFERRED:
        if name in names:
            return RunFolder(folder, folder / "config.yaml", names[name], of_hybrid)
    if not names and of_hybrid is not None:  # killed before its first validation
        return RunFolder(folder, folder / "config.yaml", of_hybrid, of_hybrid)
    if len(names) == 1:
        return RunFolder(folder, folder / "config.yaml", *names.values(), of_hybrid)
    if names:
        raise ValueError(
            f"run {folder}: there are {len(names)} checkpoints and none is called best.ckpt or last.ckpt; give one "
            f"of {', '.join(str(path) for path in names.values())}"
        )
    raise ValueError(
        f"run {folder}: there is no checkpoint in {folder / 'checkpoints'}: the fit ended before it wrote one, or "
        "this is the folder of a validate, test or predict; give the folder of a fit"
    )


def _newest(root: Path, versions: list[Path]) -> RunFolder:
    without = []
    for version in reversed(versions):
        if not (version / "config.yaml").exists() or not list((version / "checkpoints").glob("*.ckpt")):
            without.append(version.name)
            continue
        found = _of_folder(version)
        skipped = f"; {', '.join(without)} {'has' if len(without) == 1 else 'have'} no checkpoint" if without else ""
        note = f"{root}: taking {version.name}, the newest of {len(versions)} runs with a checkpoint{skipped}"
        if len(versions) - len(without) == 1:
            note = f"{root}: taking {version.name}, the only run with a checkpoint{skipped}"
        return RunFolder(found.folder, found.config, found.checkpoint, found.last_of_both, (note,))
    raise ValueError(f"run {root}: none of its {len(versions)} runs has a config.yaml and a checkpoint")
