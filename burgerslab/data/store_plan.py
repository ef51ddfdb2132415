"""What a store ought to be, and whether the one on disk is that."""

import json
import os
import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from burgerslab.data.fingerprint import canonical, differences, fingerprint
from burgerslab.data.integrity import read_small, require_metadata, small_damage
from burgerslab.data.layout import StoreLayout
from burgerslab.data.store_arrays import (
    SmallArray,
    create_skeleton,
    restore_small_array,
    small_arrays,
    value_checksum,
)
from burgerslab.data.store_errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreMismatchError,
    StoreMissingError,
)
from burgerslab.data.store_locks import StoreLocks
from burgerslab.data.store_record import GENERATING, StoreRecord, is_store, read_record


def _per_trajectory(name: str, values: np.ndarray, kinds: str, layout: StoreLayout) -> np.ndarray:
    if values.shape != (layout.num_trajectories,) or values.dtype.kind not in kinds:
        raise ValueError(
            f"{name} must hold one {'integer' if kinds == 'iu' else 'number'} per trajectory, shape "
            f"({layout.num_trajectories},), got shape {values.shape} of {values.dtype}"
        )
    return values


@dataclass(frozen=True)
class StorePlan:
    """Everything that is known about a store before its first trajectory is made.

    Args:
        layout: Shape and physical facts.
        settings: Settings that make the store.
        viscosity: Viscosity of each trajectory, units L^2/T, at least 0.
        seeds: Seed of each trajectory.
        block_size: Trajectories written at once.
        provenance: What else is worth writing down.

    Raises:
        ValueError: If a length, a type or a range is wrong.
    """

    layout: StoreLayout
    settings: Mapping[str, Any]
    viscosity: np.ndarray
    seeds: np.ndarray
    block_size: int
    provenance: Mapping[str, Any]

    def __post_init__(self) -> None:
        viscosity = _per_trajectory("viscosity", self.viscosity, "fiu", self.layout).astype(np.float64)
        seeds = _per_trajectory("seeds", self.seeds, "iu", self.layout)
        wrong = np.flatnonzero(~(np.isfinite(viscosity) & (viscosity >= 0)))
        if wrong.size:
            raise ValueError(
                f"viscosity must be finite and not negative; it is {viscosity[wrong[0]]} for trajectory {wrong[0]}"
            )
        if not 1 <= self.block_size:
            raise ValueError(f"block_size must be at least 1, got {self.block_size}")
        object.__setattr__(self, "viscosity", viscosity)
        object.__setattr__(self, "seeds", seeds.astype(np.uint64 if seeds.dtype.kind == "u" else np.int64))
        object.__setattr__(self, "block_size", min(int(self.block_size), self.layout.num_trajectories))
        canonical(self.settings)
        canonical(self.provenance)

    def small_arrays(self) -> dict[str, SmallArray]:
        """List the arrays that are written with the skeleton."""
        return small_arrays(self.layout, self.viscosity, self.seeds)

    def match(self, path: Path) -> StoreRecord:
        """Read the store on disk and check that it is the planned one.

        Its block size and provenance may differ; they are kept as they are.

        Args:
            path: Directory of the store.

        Returns:
            Its record.

        Raises:
            StoreMismatchError: If settings, layout, viscosities or seeds differ, naming each
                difference with both values.
            StoreError: As from `read_record`; also if the metadata of an array is damaged.
        """
        record = read_record(path)
        require_metadata(path, record)
        found = differences(record.settings, self.settings)
        if not found:
            facts = differences(record.layout.as_attributes(), self.layout.as_attributes())
            found = [(f"layout.{key}", stored, wanted) for key, stored, wanted in facts]
        if not found:
            found = self._trajectory_differences(path, record)
        if found:
            listed = "\n  ".join(f"{key}: stored {stored!r}, wanted {wanted!r}" for key, stored, wanted in found)
            raise StoreMismatchError(
                f"{path}: this store was made with other settings:\n  {listed}\nChoose another path, or "
                "replace the store with overwrite (data.overwrite: true in a config, --overwrite of import)"
            )
        return record

    def _trajectory_differences(self, path: Path, record: StoreRecord) -> list[tuple[str, Any, Any]]:
        found = []
        for name, wanted in (("viscosity", self.viscosity), ("seed", self.seeds)):
            if value_checksum(wanted) != record.value_checksums[name]:
                group = zarr.open_group(path, mode="r", use_consolidated=False)
                stored = read_small(path, group, record, name)
                if stored.dtype != wanted.dtype:
                    found.append((f"type of {name}", str(stored.dtype), str(wanted.dtype)))
                for index in np.flatnonzero(stored != wanted)[:10]:
                    found.append((f"{name} of trajectory {index}", stored[index].item(), wanted[index].item()))
        return found

    def restore(self, path: Path, record: StoreRecord) -> None:
        """Write damaged coordinates, viscosities and seeds of an unfinished store again."""
        arrays = self.small_arrays()
        group = zarr.open_group(path, mode="r", use_consolidated=False)
        for damage in small_damage(path, group, record):
            name = damage.file.split("/")[0]
            restore_small_array(path, name, arrays[name])

    def create(self, path: Path, locks: StoreLocks) -> StoreRecord:
        """Put an empty store at a path, in place of a store that may be there.

        The caller holds the lock on the whole store. The new store appears by renaming, hence whole
        or not at all; the old one is renamed aside first and deleted last.

        Args:
            path: Directory of the store.
            locks: Its locks.

        Returns:
            The record of the new store.

        Raises:
            StoreBusyError: If another process is writing a block of the old store.
        """
        if claimed := locks.claimed_blocks():
            raise StoreBusyError(
                f"{path}: another process is generating blocks {claimed} of the store that would be replaced; end "
                "it first, or choose another path"
            )
        record = StoreRecord(
            identity=uuid.uuid4().hex,
            status=GENERATING,
            layout=self.layout,
            block_size=self.block_size,
            settings=json.loads(canonical(self.settings)),
            fingerprint=fingerprint(self.settings),
            provenance=json.loads(canonical(self.provenance)),
            metadata_checksums={},
            value_checksums={},
        )
        temporary, record = create_skeleton(path, record, self.small_arrays())
        old = path.with_name(f".{path.name}.old-{uuid.uuid4().hex}")
        replaced = path.exists()
        if replaced:
            os.rename(path, old)
        os.rename(temporary, path)
        locks.forget_blocks()
        if replaced:
            shutil.rmtree(old)
        return record


def remove_orphans(path: Path) -> None:
    """Delete temporary directories that killed processes left; the caller holds the lock on the whole store."""
    name = re.compile(rf"\.{re.escape(path.name)}\.(new|old)-[0-9a-f]{{32}}")
    for neighbour in path.parent.iterdir():
        if name.fullmatch(neighbour.name):
            shutil.rmtree(neighbour)


def find_planned(path: Path, plan: StorePlan, overwrite: bool) -> StoreRecord | None:
    """Read the planned store at a path.

    Args:
        path: Where it should be.
        plan: What it should be.
        overwrite: Whether another or damaged store of this package may be replaced.

    Returns:
        Its record, or None if the store has to be created.

    Raises:
        StoreError: If something else is at the path.
    """
    if not os.path.lexists(path):
        return None
    try:
        return plan.match(path)
    except StoreMissingError as error:
        raise StoreError(
            f"{path}: something that burgerslab did not make is there. Nothing was changed, and overwrite does "
            "not apply to it. Choose another path"
        ) from error
    except (StoreMismatchError, StoreCorruptError):
        if overwrite and is_store(path):
            return None
        raise
