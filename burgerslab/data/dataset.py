"""HybridDataset: sliding windows over observed trajectories of a store, and over generated ones."""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import numpy as np
import torch
from phi.field import Field
from torch.utils.data import Dataset

from burgerslab.data.description import DataDescription, describe
from burgerslab.data.observe import Observation
from burgerslab.data.split import check_indices
from burgerslab.data.store import Store, StoreLayout
from burgerslab.data.stored_trajectories import load_trajectories
from burgerslab.data.trajectories import Trajectories
from burgerslab.data.windows import Windows, windows_of
from burgerslab.physics import phi_bridge

Batch = dict[str, Any]


class Samples(Sequence[Batch]):
    """What a DataLoader gets from a dataset for a batch: a sequence of samples, cut from the whole on demand.

    With `keep_batch` as ``collate_fn`` nothing is cut and put together again.

    Args:
        batch: Tensors with a leading batch axis.
        present: Makes a batch or a sample of tensors what the user sees.
    """

    def __init__(self, batch: Batch, present: Callable[[Batch], Batch]) -> None:
        self._batch = batch
        self._present = present

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._batch["initial"])

    def __getitem__(self, index: int) -> Batch:
        """One sample, without a batch axis."""
        return self._present({name: values[index] for name, values in self._batch.items()})

    @property
    def batch(self) -> Batch:
        """All samples, with a batch axis."""
        return self._present(self._batch)


class HybridDataset(Dataset[Batch]):
    """Windows of trajectories, as tensors or as PhiFlow fields.

    A loader of one's own is ``DataLoader(dataset, batch_size=32, collate_fn=keep_batch)``; PyTorch's own
    ``collate_fn`` gives the same batches of tensors at one more copy.

    Item and batch are dictionaries, with a leading B in a batch only:

    - ``initial``: first frame, ``(B, C, *N)``; the dynamic fields, concatenated along the components
    - ``target``: the next ``num_predict_steps`` frames, ``(B, T, C, *N)``
    - ``static``: static fields, ``(B, S, *N)``; S is 0 without any
    - ``viscosity``: ``(B,)``, float64, units L²/T
    - ``trajectory``, ``start``: number of the trajectory in its store and of the first frame, ``(B,)``
    - ``observed``: True for data, False for what a model has generated, ``(B,)``
    - ``mask``: True where a value is observed, ``(B, T + 1, 1, *N)``, the initial frame first; only with an
      ``observation`` that hides something. Hidden values of ``initial`` and ``target`` are 0

    With ``return_fields`` the first three are dictionaries of PhiFlow ``CenteredGrid`` by field name, with batch
    dimensions ``trajectory`` (in a batch) and ``frame`` (in targets); the others stay tensors.

    Of partly observed trajectories, windows start at observed frames only, frames of which a single point is
    observed included, and have an observed point among their targets.

    Args:
        store: Complete store of observed trajectories.
        num_predict_steps: Target frames of a window.
        num_frames: Use only so many frames from the start of each trajectory; None is all.
        sim_indices: Use only these trajectories of the store; None is all.
        dynamic_fields: Fields that change in time; None is all in the store.
        static_fields: Fields without a time; ``viscosity`` stands for log ν, constant in space.
        use_sliding_window: A window at every frame; otherwise one per trajectory, at its first (observed) frame.
        return_fields: PhiFlow fields instead of tensors.
        memory_budget: Bytes of decoded trajectories to hold; beyond it windows are read from the store, a block of
            trajectories at a time, and at least one block is held.
        generated: More trajectories with the same channels, at least as long as a window.
        observation: What is seen of the trajectories of the store; None is everything, without noise.

    Raises:
        ValueError: If an index, a field, a length or a pattern does not fit; says which and what there is.
    """

    def __init__(
        self,
        store: Store,
        num_predict_steps: int,
        num_frames: int | None = None,
        sim_indices: Sequence[int] | None = None,
        dynamic_fields: Sequence[str] | None = None,
        static_fields: Sequence[str] = (),
        use_sliding_window: bool = True,
        return_fields: bool = False,
        memory_budget: int = 4 * 2**30,
        generated: Sequence[Trajectories] = (),
        observation: Observation | None = None,
    ) -> None:
        self.description = describe(store.layout, dynamic_fields, static_fields)
        check_num_frames(num_frames, store.layout)
        indices = check_indices("sim_indices", sim_indices, store.layout.num_trajectories)
        Windows(len(indices), num_frames or store.layout.num_frames, num_predict_steps)
        for source in generated:
            _check_generated(source, self.description, num_predict_steps)
        observed = load_trajectories(
            store, indices, self.description.dynamic_fields, static_fields, num_frames, memory_budget, observation
        )
        self.num_predict_steps = num_predict_steps
        self._use_sliding_window = use_sliding_window
        self._return_fields = return_fields
        self._mix(observed, generated)

    def with_generated(self, generated: Sequence[Trajectories]) -> "HybridDataset":
        """The same observed trajectories, decoded once for both, with other generated ones.

        Raises:
            ValueError: If the channels or the length of generated trajectories do not fit.
        """
        for source in generated:
            _check_generated(source, self.description, self.num_predict_steps)
        other = copy(self)
        other._mix(self.sources[0], generated)
        return other

    def _mix(self, observed: Trajectories, generated: Sequence[Trajectories]) -> None:
        self.sources: tuple[Trajectories, ...] = (observed, *generated)
        self._windows = [
            windows_of(len(source), source.num_frames, self.num_predict_steps, self._use_sliding_window, source.mask)
            for source in self.sources
        ]
        self._first_window = np.concatenate([[0], np.cumsum([len(windows) for windows in self._windows])])
        self._masked = any(source.mask is not None for source in self.sources)

    def __len__(self) -> int:
        """Number of windows."""
        return int(self._first_window[-1])

    @property
    def num_observed(self) -> int:
        """Number of observed windows; they have the first numbers."""
        return int(self._first_window[1])

    def __getitem__(self, window: int) -> Batch:
        """One window, without a batch axis."""
        return self.__getitems__([int(window) + (len(self) if window < 0 else 0)])[0]

    def __getitems__(self, windows: Sequence[int] | np.ndarray) -> Samples:
        """Many windows, read together."""
        return Samples(self._read(windows), self._present)

    def batch(self, windows: Sequence[int] | np.ndarray) -> Batch:
        """Many windows, with a batch axis."""
        return self.__getitems__(windows).batch

    def blocks(self) -> list[np.ndarray]:
        """Window numbers of each set of trajectories that are decoded together, over all sources."""
        blocks = []
        for first, windows, source in zip(self._first_window[:-1], self._windows, self.sources, strict=True):
            blocks += [first + windows.of(members) for members in source.blocks()]
        return blocks

    @property
    def num_held(self) -> int | None:
        """How many blocks stay decoded; None when all of them do."""
        held = [source.num_held for source in self.sources if source.num_held is not None]
        return min(held) if held else None

    def _present(self, sample: Batch) -> Batch:
        return _fields(sample, self.description) if self._return_fields else sample

    def _read(self, windows: Sequence[int] | np.ndarray) -> Batch:
        numbers = np.asarray(windows, dtype=np.int64)
        batch = self._read_from(0, numbers) if len(self.sources) == 1 else self._read_from_all(numbers)
        tensors = {name: torch.from_numpy(values) for name, values in batch.items()}
        frames = tensors.pop("frames")
        return {"initial": frames[:, 0], "target": frames[:, 1:], **tensors}

    def _read_from_all(self, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Arrays of windows of any sources, in the order asked for."""
        if len(numbers) and not (0 <= numbers.min() and numbers.max() < len(self)):
            raise IndexError(f"windows {numbers.min()} to {numbers.max()} are not all in 0..{len(self) - 1}")
        source_of = np.searchsorted(self._first_window, numbers, side="right") - 1
        order = np.argsort(source_of, kind="stable")
        parts = [
            self._read_from(source, numbers[source_of == source] - self._first_window[source])
            for source in range(len(self.sources))
        ]
        back = np.argsort(order)
        return {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}

    def _read_from(self, number: int, windows: np.ndarray) -> dict[str, np.ndarray]:
        """Arrays of windows of one source, counted from its first."""
        source = self.sources[number]
        positions, starts = self._windows[number].locate(windows)
        length = self.num_predict_steps + 1
        frames, static = source.read(positions, starts, length)
        arrays = {
            "frames": frames,
            "static": static,
            "viscosity": source.viscosity[positions],
            "trajectory": source.indices[positions],
            "start": starts,
            "observed": np.full(len(windows), source.observed),
        }
        if source.mask is not None:
            arrays["mask"] = source.mask.read(positions, starts, length)[:, :, None]
        elif self._masked:
            arrays["mask"] = np.ones((*frames.shape[:2], 1, *frames.shape[3:]), dtype=bool)
        return arrays


def keep_batch(samples: Samples) -> Batch:
    """A DataLoader's ``collate_fn`` that takes the batch as the dataset has read it."""
    return samples.batch


def check_windows(
    layout: StoreLayout,
    trajectories: np.ndarray,
    num_frames: int | None,
    num_predict_steps: int,
    use_sliding_window: bool,
    observation: Observation | None,
) -> None:
    """Find out before anything is simulated or decoded whether training windows can be made.

    Args:
        layout: Of the store.
        trajectories: Numbers of the training trajectories.
        num_frames: Frames of each in use; None is all.
        num_predict_steps: Target frames of a window.
        use_sliding_window: Whether windows start at every frame.
        observation: What of them is observed; None is all.

    Raises:
        ValueError: Says what does not fit.
    """
    check_num_frames(num_frames, layout)
    length = num_frames or layout.num_frames
    Windows(1, length, num_predict_steps)
    if observation is not None and len(trajectories):
        mask = observation.mask(trajectories, length, layout.domain.resolution)
        windows_of(len(trajectories), length, num_predict_steps, use_sliding_window, mask)


def check_num_frames(num_frames: int | None, layout: StoreLayout) -> None:
    """Refuse fewer frames than two or more than there are; None is all.

    Raises:
        ValueError: If the number is out of range.
    """
    if num_frames is not None and not 2 <= num_frames <= layout.num_frames:
        raise ValueError(
            f"num_frames must be between 2 and the {layout.num_frames} frames of a trajectory, got {num_frames}"
        )


def _check_generated(source: Trajectories, description: DataDescription, num_predict_steps: int) -> None:
    cells = description.domain.resolution
    expected = ((description.num_dynamic_channels, *cells), (description.num_static_channels, *cells))
    found = (source.frames(0).shape[1:], source.static(0).shape)
    if found != expected:
        raise ValueError(
            f"generated trajectories must have frames of shape (C, *N) = {expected[0]} and static fields of shape "
            f"(S, *N) = {expected[1]}, for dynamic_fields {list(description.dynamic_fields)} and static_fields "
            f"{list(description.static_fields)}; got {found[0]} and {found[1]}"
        )
    if source.num_frames <= num_predict_steps:
        raise ValueError(
            f"generated trajectories need at least num_predict_steps + 1 = {num_predict_steps + 1} frames, got "
            f"{source.num_frames}"
        )


def _fields(sample: Batch, description: DataDescription) -> Batch:
    """The tensors of a batch, or of a single window, as PhiFlow fields by name."""
    domain, components = description.domain, description.components
    leading = ("trajectory",) if sample["viscosity"].ndim else ()

    def split(values: torch.Tensor, names: Sequence[str], *more: str) -> dict[str, Field]:
        sizes = [len(components[name]) for name in names]
        parts = torch.split(values, sizes, dim=-1 - domain.dimension) if names else ()
        return {
            name: phi_bridge.to_field(part, domain, components[name], (*leading, *more))
            for name, part in zip(names, parts, strict=True)
        }

    return {
        **sample,
        "initial": split(sample["initial"], description.dynamic_fields),
        "target": split(sample["target"], description.dynamic_fields, "frame"),
        "static": split(sample["static"], description.static_fields),
    }
