"""Finding damaged files of a store and naming them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np
import numpy.typing as npt
import zarr

from burgerslab.data.layout import FieldSpec
from burgerslab.data.store_arrays import value_checksum
from burgerslab.data.store_errors import StoreCorruptError
from burgerslab.data.store_record import StoreRecord, mark_file


@dataclass(frozen=True)
class Damage:
    """A file of a store that does not hold what was written.

    Args:
        file: The file, relative to the store, such as ``velocity/c/3/0/0/0/0``.
        reason: What is wrong with it.
        trajectories: Trajectories that cannot be trusted because of it.
    """

    file: str
    reason: str
    trajectories: tuple[int, ...]

    def __str__(self) -> str:
        if len(self.trajectories) > 8:
            affected = f"{len(self.trajectories)} trajectories from {self.trajectories[0]} on"
        else:
            affected = f"trajectories {list(self.trajectories)}"
        return f"{self.file} {self.reason} ({affected})"


def corrupt(path: Path, damage: Sequence[Damage]) -> StoreCorruptError:
    """Word the exception for damaged values."""
    listed = "\n  ".join(str(item) for item in damage[:20])
    more = f"\n  and {len(damage) - 20} more" if len(damage) > 20 else ""
    return StoreCorruptError(
        f"{path}: damaged files:\n  {listed}{more}\nNothing was read from them. `burgerslab generate` "
        "with the config of this store, or `burgerslab import` of its file, makes the damaged blocks again; or "
        "restore the files"
    )


def _read_chunk(
    path: Path, array: zarr.Array, file: str, selection: tuple[slice, ...]
) -> tuple[np.ndarray | None, str]:
    """Values of one chunk, or None and what is wrong with its file."""
    on_disk = path / file
    if not on_disk.exists():
        return None, "is missing"
    if on_disk.stat().st_size == 0:
        return None, "is empty"
    try:
        return np.asarray(array[selection]), ""
    # a crc32c that differs is a ValueError, blosc fails with RuntimeError, a failing disk with OSError
    except (ValueError, RuntimeError, OSError) as error:
        return None, f"cannot be decoded ({error})"


def metadata_damage(path: Path, record: StoreRecord) -> list[Damage]:
    """Compare the ``zarr.json`` of every array with its checksum."""
    everything = tuple(range(record.layout.num_trajectories))
    damage = []
    for name, expected in record.metadata_checksums.items():
        try:
            content = (path / name / "zarr.json").read_bytes()
        except OSError as error:
            damage.append(Damage(f"{name}/zarr.json", f"cannot be read ({error.strerror})", everything))
        else:
            if google_crc32c.value(content) != expected:
                damage.append(Damage(f"{name}/zarr.json", "was changed after it was written", everything))
    return damage


def require_metadata(path: Path, record: StoreRecord) -> None:
    """Raise `StoreCorruptError` if the ``zarr.json`` of an array is damaged."""
    if damage := metadata_damage(path, record):
        files = ", ".join(f"{item.file} {item.reason}" for item in damage)
        raise StoreCorruptError(
            f"{path}: {files}. Restore the file from a copy, or make the whole store again: run "
            "`burgerslab generate` with overwrite set, or `burgerslab import --overwrite`"
        )


def read_small(path: Path, group: zarr.Group, record: StoreRecord, name: str) -> np.ndarray:
    """Read a coordinate, the viscosities or the seeds; raises `StoreCorruptError` if damaged."""
    values, damage = _read_small(path, group, record, name)
    if damage is not None:
        raise corrupt(path, [damage])
    return values


def _read_small(
    path: Path, group: zarr.Group, record: StoreRecord, name: str
) -> tuple[np.ndarray, None] | tuple[None, Damage]:
    file = f"{name}/c/0"
    values, reason = _read_chunk(path, group[name], file, (slice(None),))
    if values is not None and value_checksum(values) == record.value_checksums[name]:
        return values, None
    reason = reason or "holds other values than were written"
    return None, Damage(file, reason, tuple(range(record.layout.num_trajectories)))


def small_damage(path: Path, group: zarr.Group, record: StoreRecord) -> list[Damage]:
    """Check every coordinate, the viscosities and the seeds."""
    found = (_read_small(path, group, record, name)[1] for name in record.value_checksums)
    return [damage for damage in found if damage is not None]


def read_mark(
    path: Path, group: zarr.Group, record: StoreRecord, block: int
) -> tuple[npt.NDArray[np.int64], None] | tuple[None, Damage]:
    """Read the checksums of a block, ``(trajectory, field)``."""
    trajectories = record.trajectories(block)
    file = mark_file(block)
    values, reason = _read_chunk(path, group["checksum"], file, (slice(trajectories.start, trajectories.stop),))
    if values is not None and (values >= 0).all():
        return values, None
    return None, Damage(file, reason or "lacks checksums", tuple(trajectories))


def _chunks_of_block(array: zarr.Array, record: StoreRecord, block: int) -> Iterator[tuple[str, tuple[slice, ...]]]:
    """File and selection of each chunk of a block, in the order of their frames."""
    trajectories = record.trajectories(block)
    rows = slice(trajectories.start, trajectories.stop)
    grid = tuple(math.ceil(size / chunk) for size, chunk in zip(array.shape, array.chunks, strict=True))
    for part in range(math.prod(grid[1:])):
        frames = slice(part * array.chunks[1], min((part + 1) * array.chunks[1], array.shape[1]))
        index = (block, part, *(0 for _ in grid[2:]))
        yield f"{array.basename}/c/{'/'.join(map(str, index))}", (rows, frames)


def field_damage(
    path: Path,
    group: zarr.Group,
    record: StoreRecord,
    block: int,
    spec: FieldSpec,
    expected: npt.NDArray[np.int64] | None,
) -> list[Damage]:
    """Decode every chunk of one field of a block and compare its trajectories with their checksums.

    Args:
        path: Directory of the store.
        group: The store, opened.
        record: Its record.
        block: Index of the block.
        spec: The field.
        expected: Checksum of each trajectory of the block, or None to check the decoding only.

    Returns:
        What is damaged. A chunk that decodes well but holds other values, such as a copy of another
        chunk, is named; where a block has several chunks along its frames, all of them are.
    """
    trajectories = record.trajectories(block)
    checksums = [0] * len(trajectories)
    damage, decoded = [], []
    for file, selection in _chunks_of_block(group[spec.name], record, block):
        values, reason = _read_chunk(path, group[spec.name], file, selection)
        if values is None:
            damage.append(Damage(file, reason, tuple(trajectories)))
            continue
        decoded.append(file)
        numbers = np.ascontiguousarray(values, dtype="<f4").reshape(len(trajectories), -1).view(np.uint8)
        checksums = [google_crc32c.extend(crc, row) for crc, row in zip(checksums, numbers, strict=True)]
    if damage or expected is None:
        return damage
    differing = tuple(
        trajectory
        for trajectory, found, known in zip(trajectories, checksums, expected, strict=True)
        if found != int(known)
    )
    if not differing:
        return []
    others = "" if len(decoded) == 1 else f", or another of the {len(decoded)} chunks of its block does"
    reason = f"holds other values than those whose checksums are in {mark_file(block)}{others}"
    return [Damage(file, reason, differing) for file in decoded]


def block_damage(path: Path, group: zarr.Group, record: StoreRecord, block: int) -> list[Damage]:
    """Check the completion mark of a block and all its fields."""
    mark, damage = read_mark(path, group, record, block)
    found = [] if damage is None else [damage]
    for column, spec in enumerate(record.layout.fields):
        found += field_damage(path, group, record, block, spec, None if mark is None else mark[:, column])
    return found
