"""Reading a complete store of trajectories."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from burgerslab.data.integrity import (
    Damage,
    block_damage,
    corrupt,
    field_damage,
    metadata_damage,
    read_mark,
    read_small,
    require_metadata,
    small_damage,
)
from burgerslab.data.layout import FieldSpec, StoreLayout
from burgerslab.data.progress_bar import progress_bar
from burgerslab.data.store_arrays import value_checksum
from burgerslab.data.store_errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreIncompleteError,
    StoreMismatchError,
    StoreMissingError,
)
from burgerslab.data.store_record import COMPLETE, StoreRecord, is_finished, read_record

__all__ = [
    "Damage",
    "FieldSpec",
    "Store",
    "StoreBusyError",
    "StoreCorruptError",
    "StoreError",
    "StoreIncompleteError",
    "StoreLayout",
    "StoreMismatchError",
    "StoreMissingError",
    "incomplete",
]


def incomplete(path: Path, record: StoreRecord) -> StoreIncompleteError:
    """Word the exception for a store that is not complete, with the number of finished trajectories."""
    command = "import" if record.settings.get("source") == "imported" else "generate"
    finished = sum(len(record.trajectories(block)) for block in range(record.num_blocks) if is_finished(path, block))
    return StoreIncompleteError(
        f"{path}: {finished} of {record.layout.num_trajectories} trajectories are finished; its making was "
        f"interrupted or is still running. Run `burgerslab {command}` again to resume"
    )


class Store:
    """A complete store, read-only.

    Opening checks the attributes of the store and the metadata of its arrays; it needs read access
    only and takes no lock. Values are checked when they are read. A store can be pickled, and
    opens its files again in the process that reads from it.

    Args:
        path: Directory of the store.

    Attributes:
        path: Directory of the store, absolute.
        layout: Shape and physical facts.
        settings: Settings that made the store.
        fingerprint: Hash of the settings.
        provenance: What else was written down about its making.
        times: Times of the frames, units T, shape (frame,).

    Raises:
        StoreMissingError: If there is no store at the path.
        StoreIncompleteError: If it is not completely generated.
        StoreMismatchError: If it has another schema version.
        StoreCorruptError: If its attributes or the metadata of an array were changed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().resolve()
        self._record = read_record(self.path)
        if self._record.status != COMPLETE:
            raise incomplete(self.path, self._record)
        require_metadata(self.path, self._record)
        self.layout: StoreLayout = self._record.layout
        self.settings: dict[str, Any] = self._record.settings
        self.fingerprint: str = self._record.fingerprint
        self.provenance: dict[str, Any] = self._record.provenance
        self.times = self.layout.times()
        self._opened: zarr.Group | None = None
        self._marks: dict[int, npt.NDArray[np.int64]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def __repr__(self) -> str:
        layout = self.layout
        fields = ", ".join(spec.name for spec in layout.fields)
        return (
            f"Store({str(self.path)!r}: {layout.num_trajectories} trajectories of {layout.num_frames} frames of "
            f"{fields} on {' x '.join(map(str, layout.domain.resolution))} cells)"
        )

    @property
    def _group(self) -> zarr.Group:
        if self._opened is None:
            self._opened = zarr.open_group(self.path, mode="r", use_consolidated=False)
        return self._opened

    @property
    def block_size(self) -> int:
        """Number of consecutive trajectories that were written, and are decoded, together."""
        return self._record.block_size

    @cached_property
    def viscosity(self) -> npt.NDArray[np.float64]:
        """Viscosity of each trajectory, units L^2/T, shape (trajectory,), not writable."""
        return self._small("viscosity")

    @cached_property
    def seeds(self) -> npt.NDArray[np.integer]:
        """Seed of each trajectory, shape (trajectory,), not writable."""
        return self._small("seed")

    def _small(self, name: str) -> np.ndarray:
        values = read_small(self.path, self._group, self._record, name)
        values.setflags(write=False)
        return values

    def read(self, field: str, trajectories: Sequence[int] | np.ndarray | slice) -> npt.NDArray[np.float32]:
        """Read whole trajectories of one field, each verified against its checksum.

        Args:
            field: Name of the field.
            trajectories: Indices from 0 on, in any order, or a slice.

        Returns:
            Values of shape ``(n, frame, component, *space)``, without the frames for a static field.

        Raises:
            ValueError: If there is no such field or trajectory.
            StoreCorruptError: If a value is not what was written, naming the file.
        """
        spec = self.layout.field(field)
        wanted = self._indices(trajectories)
        values = np.empty(self.layout.shape(spec, len(wanted)), np.float32)
        blocks = wanted // self._record.block_size
        for block in np.unique(blocks):
            positions = np.flatnonzero(blocks == block)
            self._read_block(spec, int(block), wanted[positions], positions, values)
        return values

    def _indices(self, trajectories: Sequence[int] | np.ndarray | slice) -> npt.NDArray[np.int64]:
        count = self.layout.num_trajectories
        if isinstance(trajectories, slice):
            return np.arange(count)[trajectories]
        wanted = np.asarray(trajectories)
        if wanted.size == 0:
            return np.empty(0, np.int64)
        if wanted.ndim != 1 or wanted.dtype.kind not in "iu":
            raise ValueError(f"trajectories must be a slice or a list of integers, got {trajectories!r}")
        if outside := [int(index) for index in wanted if not 0 <= index < count]:
            raise ValueError(f"{self.path}: no trajectories {outside}; the store has 0 to {count - 1}")
        return wanted.astype(np.int64)

    def _read_block(
        self,
        spec: FieldSpec,
        block: int,
        wanted: npt.NDArray[np.int64],
        positions: npt.NDArray[np.int64],
        out: npt.NDArray[np.float32],
    ) -> None:
        column = self.layout.fields.index(spec)
        mark = self._mark(block)
        start, stop = int(wanted.min()), int(wanted.max()) + 1
        try:
            decoded = np.asarray(self._group[spec.name][start:stop])
        # the same causes as when single chunks are read: crc32c, blosc, the disk
        except (ValueError, RuntimeError, OSError) as error:
            raise self._diagnosed(spec, block, mark[:, column]) from error
        first = self._record.trajectories(block).start
        for position, trajectory in zip(positions, wanted, strict=True):
            one = decoded[trajectory - start]
            if value_checksum(one) != mark[trajectory - first, column]:
                raise self._diagnosed(spec, block, mark[:, column])
            out[position] = one

    def _mark(self, block: int) -> npt.NDArray[np.int64]:
        if block not in self._marks:
            mark, damage = read_mark(self.path, self._group, self._record, block)
            if damage is not None:
                raise corrupt(self.path, [damage])
            self._marks[block] = mark
        return self._marks[block]

    def _diagnosed(self, spec: FieldSpec, block: int, expected: npt.NDArray[np.int64]) -> StoreCorruptError:
        damage = field_damage(self.path, self._group, self._record, block, spec, expected)
        if damage:
            return corrupt(self.path, damage)
        return StoreCorruptError(
            f"{self.path}: block {block} of {spec.name} was damaged at the first reading and sound at the second; "
            "the store was replaced meanwhile, or the disk or the memory of this machine is failing"
        )

    def verify(self, progress: bool = False) -> list[Damage]:
        """Read every file of every array and compare all values with their checksums.

        Args:
            progress: Whether to show a progress bar.

        Returns:
            What is damaged; empty for a sound store.
        """
        damage = metadata_damage(self.path, self._record)
        if damage:
            return damage
        group = zarr.open_group(self.path, mode="r", use_consolidated=False)
        damage = small_damage(self.path, group, self._record)
        num_blocks = self._record.num_blocks
        with progress_bar(f"Verifying {self.path.name}", num_blocks, progress) as tell:
            for block in range(num_blocks):
                damage += block_damage(self.path, group, self._record, block)
                tell(block + 1)
        return damage
