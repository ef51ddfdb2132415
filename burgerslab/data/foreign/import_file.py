"""Importing a file into a store: checked as a whole first, then copied block by block, resumable at any moment."""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from burgerslab.data.foreign.foreign_errors import ForeignFileError, naming
from burgerslab.data.foreign.periodic_file import PeriodicFile
from burgerslab.data.foreign.reader import FileContents, ForeignReader
from burgerslab.data.generate import provenance
from burgerslab.data.progress_bar import progress_bar
from burgerslab.data.store import Store
from burgerslab.data.store_errors import explained_os_errors
from burgerslab.data.store_plan import StorePlan, find_planned
from burgerslab.data.store_writer import StoreWriter

# Raise when a change makes another store of the same file: stores made before then no longer match.
IMPORT_VERSION = 1


def import_file(
    reader: ForeignReader,
    file: str | Path,
    store: str | Path,
    *,
    viscosity: float | None = None,
    overwrite: bool = False,
    block_size: int | None = None,
    progress: bool = True,
) -> Store:
    """Copy a file of another program into a store and open it.

    Every value is read and checked before anything is written, so that a file with an error leaves no store behind,
    and a store that is there unharmed. Importing the same file again does nothing, or goes on where it was killed.
    Memory holds one block of trajectories at a time.

    Args:
        reader: Knows the format.
        file: The file; its sha256 is part of the store's fingerprint.
        store: Where the store is or will be.
        viscosity: Of every trajectory, units L²/T, in place of what the file says.
        overwrite: Replace a store that was made from something else.
        block_size: Trajectories per block; None chooses about 13 MB.
        progress: Show progress bars.

    Returns:
        The complete store.

    Raises:
        ForeignFileError: If the file does not exist or cannot be imported; says why.
        StoreError: If the store was made from something else, cannot be written, or is no store.
    """
    path, target = Path(file).expanduser(), Path(store).expanduser().resolve()
    with naming(path):
        if not path.is_file():
            raise ForeignFileError("there is no such file")
        with reader.open(path) as opened:
            source = PeriodicFile(opened)
            per_trajectory = _viscosity(opened.contents, viscosity)
            plan = StorePlan(
                layout=source.layout,
                settings=_settings(reader, path, source, opened.contents, viscosity),
                viscosity=per_trajectory,
                seeds=np.arange(source.layout.num_trajectories),
                block_size=source.layout.default_block_size() if block_size is None else block_size,
                provenance={**provenance(), "h5py": version("h5py"), "scipy": version("scipy")},
            )
            with explained_os_errors(target):
                begun = find_planned(target, plan, overwrite)
            if begun is None:  # a store that has been begun was checked then
                for trajectories in _tracked(_blocks(plan), "checking", plan, progress):
                    source.read(trajectories)
            writer = StoreWriter.open(
                target,
                plan.layout,
                plan.settings,
                plan.viscosity,
                plan.seeds,
                overwrite=overwrite,
                block_size=plan.block_size,
                provenance=plan.provenance,
            )
            if not writer.is_complete:
                for block, trajectories in _tracked(writer.pending(), "copying", plan, progress):
                    writer.write(block, source.read(trajectories))
    return writer.finish()


def _viscosity(contents: FileContents, given: float | None) -> np.ndarray:
    if given is not None:
        if not (np.isfinite(given) and given >= 0):
            raise ForeignFileError(f"--viscosity must be finite and not negative, got {given}")
        return np.full(contents.num_trajectories, float(given))
    if contents.viscosity is None:
        raise ForeignFileError(f"the viscosity is not known: {contents.viscosity_source}. Give it with --viscosity")
    wrong = np.flatnonzero(~(np.isfinite(contents.viscosity) & (contents.viscosity >= 0)))
    if wrong.size:
        raise ForeignFileError(
            f"viscosity must be finite and not negative; it is {contents.viscosity[wrong[0]]} for trajectory "
            f"{wrong[0]}"
        )
    return contents.viscosity


def _settings(
    reader: ForeignReader, path: Path, source: PeriodicFile, contents: FileContents, viscosity: float | None
) -> dict[str, Any]:
    """What the store is made from, and how the file was understood."""
    kind = type(reader)
    if not dataclasses.is_dataclass(reader):
        raise ForeignFileError(
            f"{kind.__name__} must be a dataclass whose fields are its options, so that they can be recorded"
        )
    is_own = kind.__module__.startswith("burgerslab.data.foreign.")  # the public path, wherever the class stands
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "source": "imported",
        "import_version": IMPORT_VERSION,
        "format": f"{'burgerslab.data.foreign' if is_own else kind.__module__}.{kind.__qualname__}",
        "options": dataclasses.asdict(reader),
        "file": path.name,
        "sha256": sha256,
        "viscosity": contents.viscosity_source if viscosity is None else float(viscosity),
        "values": f"{source.dtype.name}, {'exact' if _is_exact(source.dtype) else 'rounded to float32'}",
        "first_time": contents.times.first,
        "notes": source.notes,
        "grid": source.grid(),
    }


def _is_exact(dtype: np.dtype) -> bool:
    return np.can_cast(dtype, np.float32, "safe")


def _blocks(plan: StorePlan) -> Iterator[range]:
    for start in range(0, plan.layout.num_trajectories, plan.block_size):
        yield range(start, min(start + plan.block_size, plan.layout.num_trajectories))


def _tracked(items: Iterable[Any], verb: str, plan: StorePlan, progress: bool) -> Iterable[Any]:
    num_blocks = -(-plan.layout.num_trajectories // plan.block_size)
    with progress_bar(f"{verb} trajectories", num_blocks, progress) as tell:
        for number, item in enumerate(items, start=1):
            yield item
            tell(number)
