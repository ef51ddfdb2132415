"""Writing a store block by block, by any number of processes, killed and resumed at any moment."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from filelock import FileLock

from burgerslab.data.layout import FieldSpec, StoreLayout
from burgerslab.data.store import Store, incomplete
from burgerslab.data.store_arrays import value_checksum
from burgerslab.data.store_errors import StoreBusyError, explained_os_errors
from burgerslab.data.store_locks import StoreLocks
from burgerslab.data.store_plan import StorePlan, find_planned, remove_orphans
from burgerslab.data.store_record import COMPLETE, StoreRecord, is_finished, read_record, write_status

POLL_SECONDS = 0.1
"""How often to look whether a block that another process holds has been finished or given up."""


class StoreWriter:
    """Writes the blocks of one store; made by `StoreWriter.open`.

    Processes that open the same store share its blocks: each block is handed to one of them at a
    time. A block counts once its data and then its checksums are on disk, so a process killed at
    any moment loses only the block that it was making. Loss of power may lose later files than
    that; the checksums then tell.

    Args:
        path: Directory of the store, absolute.
        record: Its record.
    """

    def __init__(self, path: Path, record: StoreRecord) -> None:
        self.path = path
        self._record = record
        self._locks = StoreLocks(path)
        self._held: int | None = None

    @classmethod
    def open(
        cls,
        path: str | Path,
        layout: StoreLayout,
        settings: Mapping[str, Any],
        viscosity: Sequence[float] | np.ndarray,
        seeds: Sequence[int] | np.ndarray,
        *,
        overwrite: bool = False,
        block_size: int | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> "StoreWriter":
        """Create a store, resume an unfinished one, or find that it is complete.

        Args:
            path: Directory of the store; its parents are made if needed.
            layout: Shape and physical facts.
            settings: Settings that make the store, see `canonical`.
            viscosity: Viscosity of each trajectory, units L^2/T.
            seeds: Seed of each trajectory.
            overwrite: Whether to replace a store that was made with other settings or is damaged
                beyond its blocks. A store with the same settings is resumed all the same.
            block_size: Trajectories made and written at once; by default as many as give chunks of
                about 13 MB. A store that exists keeps its own.
            provenance: What else to write down, such as versions; a store that exists keeps its own.

        Returns:
            The writer.

        Raises:
            ValueError: If viscosities, seeds or settings are not as described.
            StoreMismatchError: If the store there was made with other settings.
            StoreBusyError: If the store to replace is being written.
            StoreError: If something else is there, or the location cannot be written.
        """
        path = Path(path).expanduser().resolve()
        plan = StorePlan(
            layout=layout,
            settings=settings,
            viscosity=np.asarray(viscosity),
            seeds=np.asarray(seeds),
            block_size=layout.default_block_size() if block_size is None else block_size,
            provenance={} if provenance is None else provenance,
        )
        with explained_os_errors(path):
            record = find_planned(path, plan, overwrite)
            if record is not None and record.status == COMPLETE:
                return cls(path, record)
            locks = StoreLocks(path)
            with locks.whole():
                remove_orphans(path)
                record = find_planned(path, plan, overwrite)
                if record is None:
                    record = plan.create(path, locks)
                elif record.status != COMPLETE:
                    plan.restore(path, record)
        return cls(path, record)

    @classmethod
    def join(cls, path: Path, identity: str) -> "StoreWriter":
        """Take part in the writing of a store that another process has opened.

        Args:
            path: Directory of the store, absolute.
            identity: `identity` of that process's writer.

        Returns:
            The writer.

        Raises:
            StoreBusyError: If another store is at the path.
            StoreError: As from `read_record`.
        """
        return cls(path, _read_same(path, identity))

    @property
    def identity(self) -> str:
        """Random name of this very store; a store put in its place has another one."""
        return self._record.identity

    @property
    def block_size(self) -> int:
        """Number of trajectories of a block; the last block may be shorter."""
        return self._record.block_size

    @property
    def num_blocks(self) -> int:
        """Number of blocks of the store."""
        return self._record.num_blocks

    @property
    def is_complete(self) -> bool:
        """Whether the store is complete, as its attributes say now."""
        return self._reread().status == COMPLETE

    def _reread(self) -> StoreRecord:
        return _read_same(self.path, self._record.identity)

    def trajectories(self, block: int) -> range:
        """Trajectories of a block."""
        return self._record.trajectories(block)

    def unfinished(self, among: Sequence[int] | None = None) -> list[int]:
        """Blocks that are not on disk with their completion marks.

        Args:
            among: Blocks to look at; None is all.
        """
        return [
            block
            for block in (range(self.num_blocks) if among is None else among)
            if not is_finished(self.path, block)
        ]

    def pending(self, among: Sequence[int] | None = None) -> Iterator[tuple[int, range]]:
        """Hand out the unfinished blocks, one at a time.

        Each block stays locked while the caller works on it, and must be written before the next
        one is asked for. Blocks that other processes hold are waited for, and handed out here if
        those processes end without finishing them.

        Args:
            among: Blocks to hand out; None is all.

        Yields:
            Index of a block and its trajectories. Ends when every block is finished, by whomever.

        Raises:
            StoreBusyError: If another process has replaced the store.
            ValueError: If a block was handed out and not written.
        """
        while blocks := self.unfinished(among):
            worked = False
            for block in blocks:
                lock = self._claim(block)
                if lock is None:
                    continue
                worked, self._held = True, block
                try:
                    yield block, self._record.trajectories(block)
                    if not is_finished(self.path, block):
                        raise ValueError(f"block {block} was handed out by pending() but never given to write()")
                finally:
                    self._held = None
                    lock.release()
            if not worked:
                time.sleep(POLL_SECONDS)

    def _claim(self, block: int) -> FileLock | None:
        """Lock a block that is neither finished nor held by another process."""
        if is_finished(self.path, block):
            return None
        with explained_os_errors(self.path), self._locks.whole():
            self._reread()
            return None if is_finished(self.path, block) else self._locks.claim(block)

    def write(self, block: int, fields: Mapping[str, np.ndarray]) -> None:
        """Write all fields of the block that `pending` has handed out.

        Args:
            block: Index of the block.
            fields: Values of every field, ``(n, frame, component, *space)``, or without the frames
                for a static field; stored as float32.

        Raises:
            ValueError: If the block is not held, a field is missing or has another shape, or values
                are not finite, naming the trajectories. Nothing of the block is written then.
            StoreError: If the disk is full or cannot be written.
        """
        if block != self._held:
            raise ValueError(f"block {block} is not the one that pending() has handed out ({self._held})")
        layout, trajectories = self._record.layout, self._record.trajectories(block)
        if set(fields) != {spec.name for spec in layout.fields}:
            raise ValueError(
                f"write() needs the fields {[spec.name for spec in layout.fields]}, got {sorted(fields)}"
            )
        values = {spec.name: self._checked(spec, fields[spec.name], trajectories) for spec in layout.fields}
        checksums = [[value_checksum(one) for one in values[spec.name]] for spec in layout.fields]
        rows = slice(trajectories.start, trajectories.stop)
        with explained_os_errors(self.path):
            group = zarr.open_group(self.path, mode="r+", use_consolidated=False)
            for name, array in values.items():
                group[name][rows] = array
            group["checksum"][rows] = np.array(checksums, np.int64).T

    def _checked(self, spec: FieldSpec, values: np.ndarray, trajectories: range) -> npt.NDArray[np.float32]:
        shape = self._record.layout.shape(spec, len(trajectories))
        if values.shape != shape or values.dtype.kind not in "fiu":
            raise ValueError(
                f"field {spec.name!r} of trajectories {trajectories.start} to {trajectories.stop - 1} must be real "
                f"numbers of shape {shape}, got {values.dtype} of shape {values.shape}"
            )
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which is refused next
            single = values.astype(np.float32)
        finite = np.isfinite(single).reshape(len(trajectories), -1).all(axis=1)
        if not finite.all():
            wrong = [trajectories[index] for index in np.flatnonzero(~finite)]
            raise ValueError(
                f"field {spec.name!r} of trajectories {wrong} holds values that are not finite: the simulation "
                "diverged. Nothing of this block was written"
            )
        return single

    def finish(self) -> Store:
        """Declare the store complete once all blocks are finished, and open it.

        Returns:
            The complete store.

        Raises:
            StoreIncompleteError: If blocks are unfinished.
            StoreError: If the location cannot be written.
        """
        if not self.is_complete:
            with explained_os_errors(self.path), self._locks.whole():
                record = self._reread()
                if self.unfinished():
                    raise incomplete(self.path, record)
                for orphan in self.path.rglob("*.partial"):  # of killed writers; nobody writes any more
                    orphan.unlink()
                self._locks.forget_blocks()
                write_status(self.path, record, COMPLETE)
        return Store(self.path)


def _read_same(path: Path, identity: str) -> StoreRecord:
    record = read_record(path)
    if record.identity != identity:
        raise StoreBusyError(f"{path}: another process has replaced this store; start again")
    return record
