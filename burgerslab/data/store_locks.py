"""Locks by which processes share the generation of one store."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from burgerslab.data.store_errors import StoreBusyError, StoreError

PATIENCE_SECONDS = 600.0
"""How long to wait for another process that changes the state of the whole store."""


class StoreLocks:
    """Lock files of a store, in the hidden directory ``.NAME.locks`` beside it.

    They are ``flock`` locks: the kernel frees them when a process ends, however it ends. Block
    locks are taken only while the lock on the whole store is held, so its holder knows that no
    further block is begun.

    Args:
        path: Directory of the store.
    """

    def __init__(self, path: Path) -> None:
        self._store = path
        self._directory = path.with_name(f".{path.name}.locks")

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Hold the lock on the whole store, waiting for its present holder.

        Yields:
            Nothing; the body is what needs the lock.

        Raises:
            StoreBusyError: If another process keeps the lock for ten minutes.
            StoreError: If the file system has no locks.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._directory / "store.lock", thread_local=False)
        try:
            lock.acquire(timeout=PATIENCE_SECONDS)
        except Timeout as error:
            raise StoreBusyError(
                f"{self._store}: another process has held {lock.lock_file} for {PATIENCE_SECONDS:.0f} s; "
                "end that process or choose another path"
            ) from error
        except NotImplementedError as error:
            raise StoreError(
                f"{self._store}: this file system has no file locks (flock), so processes cannot share a "
                "store safely; generate on a local disk and copy the finished store"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def claim(self, block: int) -> FileLock | None:
        """Take the lock of a block, or return None if a living process has it."""
        lock = FileLock(self._directory / f"block-{block:06d}.lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        return lock

    def claimed_blocks(self) -> list[int]:
        """Blocks that living processes are working on; the caller holds the lock on the whole store."""
        claimed = []
        for file in sorted(self._directory.glob("block-*.lock")):
            block = int(file.stem.removeprefix("block-"))
            lock = self.claim(block)
            if lock is None:
                claimed.append(block)
            else:
                lock.release()
        return claimed

    def forget_blocks(self) -> None:
        """Remove the lock files of all blocks; the caller holds the lock on the whole store."""
        for file in self._directory.glob("block-*.lock"):
            file.unlink(missing_ok=True)
