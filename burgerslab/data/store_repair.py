"""Giving up the damaged blocks of a store, so that they are generated again."""

from pathlib import Path

import zarr

from burgerslab.data.integrity import Damage, block_damage, require_metadata, small_damage
from burgerslab.data.store_errors import StoreBusyError, explained_os_errors
from burgerslab.data.store_locks import StoreLocks
from burgerslab.data.store_record import (
    COMPLETE,
    GENERATING,
    StoreRecord,
    is_finished,
    mark_file,
    read_record,
    write_status,
)


def repair(path: str | Path) -> list[int]:
    """Find the damaged blocks of a store and delete their completion marks and damaged files.

    The store then counts as unfinished, and generating it again makes only these blocks. Damaged
    coordinates, viscosities and seeds are written again by the next `StoreWriter.open`. A sound
    store is left untouched, and only reading is needed to find that out.

    Args:
        path: Directory of the store, complete or not.

    Returns:
        Indices of the blocks to generate again.

    Raises:
        StoreError: If there is no store, its ``zarr.json`` files are damaged, or it cannot be written.
    """
    path = Path(path).expanduser().resolve()
    record = read_record(path)
    require_metadata(path, record)
    group = zarr.open_group(path, mode="r", use_consolidated=False)
    damaged: dict[int, list[Damage]] = {}
    for block in range(record.num_blocks):
        if record.status == COMPLETE or is_finished(path, block):
            damage = block_damage(path, group, record, block)
            if damage:
                damaged[block] = damage
    if damaged or small_damage(path, group, record):
        with explained_os_errors(path):
            return _give_up(path, record, damaged)
    return []


def _give_up(path: Path, record: StoreRecord, damaged: dict[int, list[Damage]]) -> list[int]:
    locks = StoreLocks(path)
    given_up = []
    with locks.whole():
        if read_record(path).identity != record.identity:
            raise StoreBusyError(f"{path}: another process replaced this store while it was checked; repair again")
        write_status(path, record, GENERATING)
        for block, damage in damaged.items():
            lock = locks.claim(block)
            if lock is None:  # its damage is known elsewhere: somebody is generating it again already
                continue
            try:
                for file in (mark_file(block), *(item.file for item in damage)):
                    (path / file).unlink(missing_ok=True)
            finally:
                lock.release()
            given_up.append(block)
    return given_up
