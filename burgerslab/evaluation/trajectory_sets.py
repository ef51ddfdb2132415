"""Sets of whole trajectories that forecasts are compared with."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from burgerslab.data import HybridDataset, Store
from burgerslab.evaluation.forecasts import Batch, Facts
from burgerslab.physics import Scheme


@dataclass(frozen=True)
class TrajectorySet:
    """Trajectories of a store, from their first frame on.

    Args:
        name: ``test``, or what was changed, as in ``viscosity 0.01``.
        store: Where they are.
        trajectories: Their numbers.
        num_frames: Frames of each that are used, the first one included.
        batch_size: Trajectories that are rolled out together.
        dynamic_fields: What is forecast.
        in_distribution: Whether they are like those trained on.
        truth: What made them.
    """

    name: str
    store: Store
    trajectories: tuple[int, ...]
    num_frames: int
    batch_size: int
    dynamic_fields: tuple[str, ...]
    in_distribution: bool
    truth: str

    def batches(self, static_fields: tuple[str, ...] = ()) -> Iterator[Batch]:
        """Whole trajectories in order, with the static fields that are asked for."""
        dataset = self._dataset(static_fields)
        for first in range(0, len(dataset), self.batch_size):
            yield dataset.batch(range(first, min(first + self.batch_size, len(dataset))))

    def facts(self, static_fields: tuple[str, ...] = ()) -> Facts:
        """What forecasts may know of them."""
        speed, viscosity = self._scales
        return Facts(self._dataset(static_fields).description, speed, viscosity)

    def were_made_by(self, scheme: Scheme) -> bool:
        """Whether a scheme made them on their own grid, so that its error says nothing about the equation."""
        settings = self.store.settings
        if settings.get("source") != "simulation" or settings.get("refine") != 1:
            return False
        return settings["scheme"]["class_path"].rpartition(".")[2] == type(scheme).__name__

    @cached_property
    def _scales(self) -> tuple[tuple[float, ...], float]:
        fastest = np.zeros(self.store.layout.domain.dimension)
        for trajectory in self.trajectories:
            first = self.store.read("velocity", [trajectory])[0, 0]
            fastest = np.maximum(fastest, np.abs(first).reshape(len(first), -1).max(axis=1))
        return tuple(fastest.tolist()), float(self.store.viscosity[list(self.trajectories)].max())

    @cached_property
    def _datasets(self) -> dict[tuple[str, ...], HybridDataset]:
        return {}

    def _dataset(self, static_fields: tuple[str, ...]) -> HybridDataset:
        if static_fields not in self._datasets:
            self._datasets[static_fields] = HybridDataset(
                self.store,
                num_predict_steps=self.num_frames - 1,
                num_frames=self.num_frames,
                sim_indices=self.trajectories,
                dynamic_fields=self.dynamic_fields,
                static_fields=static_fields,
                use_sliding_window=False,
            )
        return self._datasets[static_fields]
