"""Where generated trajectories are held: in memory, or in a store for as long as their cycle lasts."""

import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from burgerslab.data import BurgersDataModule, StoreLayout, StoreWriter, Trajectories, TrajectoriesInMemory
from burgerslab.data.stored_trajectories import TrajectoriesInStore
from burgerslab.data.trajectories import VISCOSITY_FIELD, Array, Indices


@dataclass(frozen=True)
class Batch:
    """Trajectories that were generated together.

    Args:
        frames: Dynamic fields, the first frame included, ``(B, T + 1, C, *N)``, float32.
        static: Static fields, ``(B, S, *N)``, float32.
    """

    frames: Tensor
    static: Tensor


class GeneratedStores:
    """Holds generated trajectories in memory, or beyond a budget in zarr stores.

    Args:
        memory_budget_gib: Largest size of the trajectories of one agent and cycle in memory, GiB.
        keep: Leave the stores where they are when their cycle ends.
    """

    def __init__(self, memory_budget_gib: float, keep: bool) -> None:
        self._memory_budget = int(memory_budget_gib * 2**30)
        self._keep = keep
        self._folders: list[Path] = []

    def hold(
        self,
        batches: Iterable[Batch],
        num_frames: int,
        viscosity: np.ndarray,
        first_number: int,
        datamodule: BurgersDataModule,
        folder: Path,
    ) -> Trajectories:
        """Take trajectories as they are generated.

        Args:
            batches: The trajectories.
            num_frames: Frames of each, the first one included.
            viscosity: Of each, ``(trajectory,)``, units L²/T.
            first_number: Number of the first; the others follow.
            datamodule: Data with the same fields and cells.
            folder: Where a store would be made.
        """
        description = datamodule.description
        channels = description.num_dynamic_channels * num_frames + description.num_static_channels
        size = 4 * len(viscosity) * channels * math.prod(description.domain.resolution)
        numbers = np.arange(first_number, first_number + len(viscosity))
        if size <= self._memory_budget and not self._keep:
            held = list(batches)
            return TrajectoriesInMemory(
                torch.cat([batch.frames for batch in held]).numpy(),
                viscosity,
                torch.cat([batch.static for batch in held]).numpy(),
                indices=numbers,
                observed=False,
            )
        self._folders.append(folder)
        return self._write(batches, num_frames, viscosity, numbers, datamodule, folder)

    def drop(self) -> None:
        """Remove the stores, if they are not to be kept; whoever reads from them must be gone."""
        folders, self._folders = self._folders, []
        self.remove(folders)

    def remove(self, folders: Iterable[Path]) -> None:
        """Remove these stores, as far as they are there, if stores are not to be kept."""
        if self._keep:
            return
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
            if folder.parent.exists() and not any(folder.parent.iterdir()):
                folder.parent.rmdir()

    def _write(
        self,
        batches: Iterable[Batch],
        num_frames: int,
        viscosity: np.ndarray,
        numbers: np.ndarray,
        datamodule: BurgersDataModule,
        folder: Path,
    ) -> Trajectories:
        description, layout = datamodule.description, datamodule.layout
        stored = [name for name in description.static_fields if name != VISCOSITY_FIELD]
        fields = tuple(layout.field(name) for name in (*description.dynamic_fields, *stored))
        shape = StoreLayout(layout.domain, len(viscosity), num_frames, layout.dt, fields)
        settings = {"source": "generated", "of": datamodule.store_path.name, "first_number": int(numbers[0])}
        made = iter(batches)
        first = next(made)
        path, seeds, size = folder / "trajectories.zarr", numbers.astype(np.uint64), len(first.frames)
        writer = StoreWriter.open(path, shape, settings, viscosity, seeds, overwrite=True, block_size=size)
        for block, _ in writer.pending():
            batch = first if block == 0 else next(made)
            arrays = {}
            channel = 0
            for name in description.dynamic_fields:
                end = channel + len(layout.field(name).components)
                arrays[name] = batch.frames[:, :, channel:end].numpy()
                channel = end
            channel = 0
            for name in description.static_fields:
                end = channel + (1 if name == VISCOSITY_FIELD else len(layout.field(name).components))
                if name != VISCOSITY_FIELD:
                    arrays[name] = batch.static[:, channel:end].numpy()
                channel = end
            writer.write(block, arrays)
        per_block = 4 * size * math.prod(first.frames.shape[1:])
        source = TrajectoriesInStore(
            writer.finish(),
            np.arange(len(viscosity)),
            description.dynamic_fields,
            description.static_fields,
            None,
            max(1, self._memory_budget // per_block),
        )
        return _Renumbered(source, numbers)


class _Renumbered(Trajectories):
    """Generated trajectories of a store, with numbers that no observed one has.

    Args:
        source: The trajectories.
        indices: Their numbers.
    """

    def __init__(self, source: TrajectoriesInStore, indices: Indices) -> None:
        self._source = source
        self.indices = indices
        self.viscosity = source.viscosity
        self.num_frames = source.num_frames
        self.num_held = source.num_held
        self.observed = False

    def frames(self, trajectory: int) -> Array:
        """Dynamic fields of one trajectory, ``(T, C, *N)``."""
        return self._source.frames(trajectory)

    def static(self, trajectory: int) -> Array:
        """Static fields of one trajectory, ``(S, *N)``."""
        return self._source.static(trajectory)

    def read(self, trajectories: Indices, starts: Indices, length: int) -> tuple[Array, Array]:
        """Frames ``(B, length, C, *N)`` and static fields ``(B, S, *N)``."""
        return self._source.read(trajectories, starts, length)

    def blocks(self) -> list[Indices]:
        """Trajectories that are decoded together."""
        return self._source.blocks()
