"""BurgersDataModule: from a store, or the simulation that makes it, to batches of windows."""

import copy
from collections.abc import Sequence
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from torch.utils.data import DataLoader

from burgerslab.data.dataset import Batch, HybridDataset, check_windows, keep_batch
from burgerslab.data.description import DataDescription, Statistics, describe, measure_statistics
from burgerslab.data.generate import generate
from burgerslab.data.observe import Observation
from burgerslab.data.simulation import Simulation
from burgerslab.data.sound_store import open_store, require_sound
from burgerslab.data.split import Split
from burgerslab.data.store import Store, StoreLayout
from burgerslab.data.trajectories import Trajectories
from burgerslab.data.windows import EpochSampler, SolveSampler


class BurgersDataModule(pl.LightningDataModule):
    """Windows of a zarr store, split by trajectory.

    Training serves shuffled windows; validation, test and prediction serve whole trajectories from their first
    frame. A missing store is simulated first. ``observation`` applies to the training trajectories alone: what is
    learned from noisy and partial data is validated and tested against the clean truth.

    Args:
        store: Path of the zarr store.
        simulation: What to simulate when the store is missing, and what an existing store must agree with; None
            takes the store as it is.
        overwrite: Replace a store that was made with other settings.
        verify: Read every chunk of the store and compare checksums before anything is trained on it.
        num_predict_steps: Target frames of a training window.
        num_frames: Use only so many frames from the start of each trajectory; None is all.
        dynamic_fields: Fields that change in time; None is all in the store.
        static_fields: Fields without a time; ``viscosity`` stands for log ν, so that one network serves many.
        use_sliding_window: A training window at every frame; otherwise one per trajectory.
        observation: Noise on the training trajectories, and what of them is hidden; None is neither.
        split: Fractions of the trajectories for training, validation and test, drawn at random with ``seed``.
        train_sim_indices: Trajectories to train on instead; give all three or none.
        val_sim_indices: Trajectories to validate on.
        test_sim_indices: Trajectories to test on and to predict.
        batch_size: Windows per training batch; the incomplete last batch of an epoch is left out.
        eval_batch_size: Trajectories per validation, test and prediction batch.
        seed: Of the split and of the order of windows.
        num_workers: Loader processes; windows in memory are read faster without any.
        pin_memory: Page-locked batches, for faster copies to a GPU; without one it has no effect.
        memory_budget_gib: Decoded trajectories held in memory by each process, GiB, shared out among training,
            validation and test by their numbers of trajectories; beyond it they are streamed from the store in
            shuffled groups.

    Raises:
        ValueError: If an option is out of range or options contradict each other.
    """

    def __init__(
        self,
        store: str,
        simulation: Simulation | None = None,
        overwrite: bool = False,
        verify: bool = True,
        num_predict_steps: int = 8,
        num_frames: int | None = None,
        dynamic_fields: list[str] | None = None,
        static_fields: list[str] | None = None,
        use_sliding_window: bool = True,
        observation: Observation | None = None,
        split: tuple[float, float, float] = (0.8, 0.1, 0.1),
        train_sim_indices: list[int] | None = None,
        val_sim_indices: list[int] | None = None,
        test_sim_indices: list[int] | None = None,
        batch_size: int = 32,
        eval_batch_size: int = 8,
        seed: int = 0,
        num_workers: int = 0,
        pin_memory: bool = False,
        memory_budget_gib: float = 4.0,
    ) -> None:
        super().__init__()
        for option, value, least in (
            ("batch_size", batch_size, 1),
            ("eval_batch_size", eval_batch_size, 1),
            ("seed", seed, 0),
            ("num_workers", num_workers, 0),
        ):
            if value < least:
                raise ValueError(f"data.{option} must be at least {least}, got {value}")
        if not memory_budget_gib >= 0:
            raise ValueError(f"data.memory_budget_gib must not be negative, got {memory_budget_gib}")
        self.store_path = Path(store)
        self.simulation = simulation
        self.overwrite = overwrite
        self.verify = verify
        self.num_predict_steps = num_predict_steps
        self.num_frames = num_frames
        self.dynamic_fields = dynamic_fields
        self.static_fields = tuple(static_fields or ())
        self.use_sliding_window = use_sliding_window
        self.observation = observation
        self.split = Split(split, seed, train_sim_indices, val_sim_indices, test_sim_indices)
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.seed = seed
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.memory_budget = int(memory_budget_gib * 2**30)
        self._store: Store | None = None
        self._verified = False
        self._datasets: dict[str, HybridDataset] = {}
        self._statistics: Statistics | None = None
        self._check_against_layout()

    @property
    def layout(self) -> StoreLayout:
        """Shape and physical facts of the data; known before a missing store is simulated."""
        if self._store is not None:
            return self._store.layout
        if self.simulation is not None:
            return self.simulation.layout
        self._store = open_store(self.store_path)
        return self._store.layout

    @property
    def description(self) -> DataDescription:
        """What a model must know of the data."""
        return describe(self.layout, self.dynamic_fields, self.static_fields)

    @property
    def in_channels(self) -> int:
        """Channels that a network reads: dynamic and static."""
        return self.description.num_dynamic_channels + self.description.num_static_channels

    @property
    def out_channels(self) -> int:
        """Channels that a network predicts: dynamic."""
        return self.description.num_dynamic_channels

    @property
    def dimension(self) -> int:
        """Number of space axes."""
        return self.layout.domain.dimension

    @property
    def statistics(self) -> Statistics:
        """Means and standard deviations of what is observed of the training trajectories."""
        if self._statistics is None:
            self._statistics = measure_statistics(self._dataset("train").sources[:1])  # without the generated
        return self._statistics

    def with_windows(
        self, num_predict_steps: int | None = None, use_sliding_window: bool | None = None
    ) -> "BurgersDataModule":
        """The same data in other training windows; generated trajectories are not taken along.

        Raises:
            ValueError: If trajectories are too short for one window.
        """
        twin = copy.copy(self)
        twin.trainer = None
        if num_predict_steps is not None:
            twin.num_predict_steps = num_predict_steps
        if use_sliding_window is not None:
            twin.use_sliding_window = use_sliding_window
        twin._datasets = {part: dataset for part, dataset in self._datasets.items() if part != "train"}
        twin._check_against_layout()
        return twin

    def training_windows(self) -> HybridDataset:
        """The windows trained on: first the observed ones, then those of `set_generated`."""
        return self._dataset("train")

    def trajectories_of(self, part: str) -> np.ndarray:
        """Trajectory numbers of ``train``, ``val`` or ``test``."""
        return self.split.parts(self.layout.num_trajectories)[part]

    def prepare_data(self) -> None:
        """Simulate a missing store and verify every chunk; once per machine.

        Raises:
            StoreError: If the store is missing and there is no simulation, has other settings, or is damaged.
        """
        if self.simulation is not None:
            store = generate(self.simulation, self.store_path, overwrite=self.overwrite)
        else:
            store = open_store(self.store_path)
        if self.verify and not self._verified:  # Lightning asks again when it tests after a fit
            require_sound(store)
            self._verified = True

    def setup(self, stage: str) -> None:
        """Open the store; windows are decoded when a loader first asks for them."""
        if self._store is None:
            self._store = open_store(self.store_path)
        self._check_against_layout()

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled windows of the training trajectories."""
        dataset = self._dataset("train")
        rank, num_ranks, epoch = 0, 1, 0
        if self.trainer is not None:
            rank, num_ranks = self.trainer.global_rank, self.trainer.world_size
            # trainer.current_epoch is one behind while a run resumes from the end of an epoch
            epoch = self.trainer.fit_loop.epoch_progress.current.processed
        sampler = EpochSampler(dataset.blocks(), self.seed, dataset.num_held, rank, num_ranks)
        # On resume Lightning makes the iterator before it calls set_epoch; workers would prefetch epoch 0.
        sampler.set_epoch(epoch)
        return self._loader(dataset, self.batch_size, sampler)

    def set_generated(self, sources: Sequence[Trajectories]) -> None:
        """Let training windows come from generated trajectories too, from the next loader on; none takes them away.

        The observed trajectories stay decoded, and the statistics stay theirs.

        Args:
            sources: Trajectories with ``observed`` False, with the channels and cells of the data, in physical units,
                at least ``num_predict_steps + 1`` frames long. They count as seen in full.

        Raises:
            ValueError: If a channel or a length does not fit; what was set before then stays.
        """
        self._datasets["train"] = self._dataset("train").with_generated(sources)

    def solve_dataloader(self) -> DataLoader[Batch]:
        """Every training window once, always in the same order: for an objective that is one deterministic number.

        Rank r of R serves windows r, r + R, r + 2 R and so on, so that sums over batches and ranks are sums over all
        windows. Nothing is left out or served twice; with fewer windows than ranks, some ranks serve none.
        """
        dataset = self._dataset("train")
        rank, num_ranks = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        return DataLoader(
            dataset,
            batch_size=self.batch_size,
            sampler=SolveSampler(len(dataset), rank, num_ranks),
            collate_fn=keep_batch,
            pin_memory=self.pin_memory and torch.accelerator.is_available(),
        )

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """Whole validation trajectories; no loader when there are none."""
        return self._eval_loader("val")

    def test_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """Whole test trajectories."""
        return self._eval_loader("test")

    def predict_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """Whole test trajectories."""
        return self._eval_loader("test")

    def _dataset(self, part: str) -> HybridDataset:
        if self._store is None:
            self._store = open_store(self.store_path)
        if part not in self._datasets:
            if len(self.trajectories_of(part)) == 0:
                raise ValueError(
                    f"no trajectories for {part}: change data.split, or name some in data.{part}_sim_indices"
                )
            whole = part != "train"
            num_frames = self.num_frames or self._store.layout.num_frames
            parts = self.split.parts(self._store.layout.num_trajectories)
            indices = parts[part]
            self._datasets[part] = HybridDataset(
                self._store,
                num_predict_steps=num_frames - 1 if whole else self.num_predict_steps,
                num_frames=self.num_frames,
                sim_indices=indices.tolist(),
                dynamic_fields=self.dynamic_fields,
                static_fields=self.static_fields,
                use_sliding_window=self.use_sliding_window and not whole,
                observation=None if whole else self.observation,
                memory_budget=self.memory_budget * len(indices) // sum(map(len, parts.values())),
            )
        return self._datasets[part]

    def _loader(self, dataset: HybridDataset, batch_size: int, sampler: EpochSampler | None) -> DataLoader[Batch]:
        return DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            drop_last=sampler is not None and len(sampler) >= batch_size,
            collate_fn=keep_batch,
            num_workers=self.num_workers,
            pin_memory=self.pin_memory and torch.accelerator.is_available(),
        )

    def _eval_loader(self, part: str) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        if len(self.trajectories_of(part)) == 0:
            return []
        return self._loader(self._dataset(part), self.eval_batch_size, sampler=None)

    def _check_against_layout(self) -> None:
        """Find contradictions before anything is simulated or decoded."""
        if self._store is None and self.simulation is None:
            return
        layout = self.layout
        describe(layout, self.dynamic_fields, self.static_fields)
        train = self.split.parts(layout.num_trajectories)["train"]
        try:
            check_windows(
                layout, train, self.num_frames, self.num_predict_steps, self.use_sliding_window, self.observation
            )
        except ValueError as error:
            raise ValueError(f"data.{error}") from error
