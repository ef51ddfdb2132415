"""Opening a store to train on it, and refusing one that is missing or damaged."""

from pathlib import Path

from burgerslab.data.store import Store
from burgerslab.data.store_errors import StoreCorruptError, StoreMissingError


def open_store(path: Path) -> Store:
    """The complete store at a path.

    Raises:
        StoreMissingError: If there is none; says which options make one.
    """
    try:
        return Store(path)
    except StoreMissingError:
        raise StoreMissingError(
            f"data.store: there is no store at {path.absolute()}. Correct the path, or set data.simulation to have "
            "it simulated, or make it with `burgerslab generate --config ...`"
        ) from None


def require_sound(store: Store) -> None:
    """Read every chunk and compare checksums.

    Raises:
        StoreCorruptError: If something is damaged; says which files.
    """
    damage = store.verify()
    if damage:
        lines = "\n".join(f"  {item.file}: {item.reason}" for item in damage)
        raise StoreCorruptError(
            f"{store.path} is damaged; nothing was trained on it:\n{lines}\nRun `burgerslab generate` with this "
            "config to make the damaged blocks again (if imported, `burgerslab import` of its file), or "
            "restore the files"
        )
