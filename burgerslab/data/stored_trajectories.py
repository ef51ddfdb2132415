"""Trajectories of a store: decoded once into memory, or streamed."""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from burgerslab.data.observe import Observation, spread
from burgerslab.data.store import Store, StoreLayout
from burgerslab.data.trajectories import VISCOSITY_FIELD, Array, Indices, Trajectories, TrajectoriesInMemory


class TrajectoriesInStore(Trajectories):
    """Trajectories decoded from a store when asked for, a block of the store at a time.

    The most recent blocks stay decoded. Meant for stores larger than memory, read in groups of blocks
    (`EpochSampler`); in fully random order nearly every window decodes a block anew.

    Args:
        store: Complete store.
        indices: Which trajectories.
        dynamic_fields: Fields of each frame, concatenated along the components.
        static_fields: Fields without a time; ``viscosity`` stands for log ν, constant in space.
        num_frames: How many frames from the start of each trajectory; None is all.
        num_held: How many decoded blocks to keep, at least 1.
        observation: Noise on the dynamic fields, and what of them is hidden; None is neither.

    Attributes:
        num_decoded: How many trajectories have been decoded so far, repetitions included.

    Raises:
        ValueError: If log ν is asked for and a viscosity is 0, or the observation does not fit.
    """

    def __init__(
        self,
        store: Store,
        indices: Indices,
        dynamic_fields: Sequence[str],
        static_fields: Sequence[str],
        num_frames: int | None,
        num_held: int,
        observation: Observation | None = None,
    ) -> None:
        self._store = store
        self._dynamic_fields = tuple(dynamic_fields)
        self._static_fields = tuple(static_fields)
        self.indices = indices
        self.viscosity = store.viscosity[indices]
        self.num_frames = num_frames or store.layout.num_frames
        self.num_held = num_held
        self.num_decoded = 0
        self._observation = observation
        if observation is not None:
            self.mask = observation.mask(indices, self.num_frames, store.layout.domain.resolution)
        inviscid = indices[self.viscosity == 0]
        if VISCOSITY_FIELD in self._static_fields and len(inviscid):
            raise ValueError(
                f"static_fields names viscosity, which is served as its logarithm, but trajectories "
                f"{inviscid.tolist()} have viscosity 0; leave it out of static_fields"
            )
        self._block_of = np.unique(indices // store.block_size, return_inverse=True)[1]
        self._blocks = [np.flatnonzero(self._block_of == block) for block in np.unique(self._block_of)]
        self._place_of = np.empty_like(indices)
        for members in self._blocks:
            self._place_of[members] = np.arange(len(members))
        self._decoded: OrderedDict[int, tuple[Array, Array]] = OrderedDict()

    def __getstate__(self) -> dict[str, object]:
        """Loader processes decode for themselves."""
        return {**self.__dict__, "_decoded": OrderedDict()}

    def frames(self, trajectory: int) -> Array:
        """Dynamic fields of one trajectory, ``(T, C, *N)``, a view."""
        return self._look_up(int(self._block_of[trajectory]))[0][self._place_of[trajectory]]

    def static(self, trajectory: int) -> Array:
        """Static fields of one trajectory, ``(S, *N)``, a view."""
        return self._look_up(int(self._block_of[trajectory]))[1][self._place_of[trajectory]]

    def read(self, trajectories: Indices, starts: Indices, length: int) -> tuple[Array, Array]:
        """Frames ``(B, length, C, *N)`` and static fields ``(B, S, *N)``, each block looked up once."""
        block_of = self._block_of[trajectories]
        blocks, first_met = np.unique(block_of, return_index=True)
        layout = self._store.layout
        cells = layout.domain.resolution
        channels = num_channels(layout, self._dynamic_fields)
        windows = np.empty((len(trajectories), length, channels, *cells), dtype=np.float32)
        statics = np.empty((len(trajectories), num_channels(layout, self._static_fields), *cells), dtype=np.float32)
        # in the order of the batch: what its later windows need must not push out what its earlier ones need
        for block in blocks[np.argsort(first_met)].tolist():
            members = np.flatnonzero(block_of == block)
            frames, static = self._look_up(block)
            places = self._place_of[trajectories[members]]
            windows[members] = frames[places[:, None], starts[members, None] + np.arange(length)]
            statics[members] = static[places]
        return windows, statics

    def blocks(self) -> list[Indices]:
        """Trajectories that share a block of the store, in ascending order of blocks."""
        return self._blocks

    def decode(self, block: int) -> tuple[Array, Array]:
        """Dynamic fields ``(trajectory, T, C, *N)`` and static fields ``(trajectory, S, *N)`` of one block."""
        members = self._blocks[block]
        numbers = self.indices[members]
        layout = self._store.layout
        shape = (len(members), self.num_frames, num_channels(layout, self._dynamic_fields))
        frames = np.empty((*shape, *layout.domain.resolution), dtype=np.float32)
        first = 0
        deviation = np.zeros((len(members), shape[2]))
        for name in self._dynamic_fields:
            values = self._store.read(name, numbers)
            channels = slice(first, first + values.shape[2])
            frames[:, :, channels] = values[:, : self.num_frames]
            if self._observation is not None and self._observation.noise > 0:
                deviation[:, channels] = spread(values)
            first = channels.stop
        if self._observation is not None:
            observed = None if self.mask is None else [self.mask.of(member) for member in members.tolist()]
            self._observation.apply(frames, deviation, numbers, observed)
        shape = (len(members), num_channels(layout, self._static_fields))
        static = np.empty((*shape, *layout.domain.resolution), dtype=np.float32)
        first = 0
        for name in self._static_fields:
            if name == VISCOSITY_FIELD:
                log_viscosity = np.log(self.viscosity[members])
                static[:, first] = log_viscosity.reshape(-1, *(1,) * layout.domain.dimension)
                first += 1
            else:
                values = self._store.read(name, numbers)
                static[:, first : first + values.shape[1]] = values
                first += values.shape[1]
        self.num_decoded += len(members)
        return frames, static

    def _look_up(self, block: int) -> tuple[Array, Array]:
        if block not in self._decoded:
            while len(self._decoded) >= self.num_held:
                self._decoded.popitem(last=False)
            self._decoded[block] = self.decode(block)
        self._decoded.move_to_end(block)
        return self._decoded[block]


def num_channels(layout: StoreLayout, names: Sequence[str]) -> int:
    """Channels of fields of a store together; log ν is one."""
    return sum(1 if name == VISCOSITY_FIELD else len(layout.field(name).components) for name in names)


def load_trajectories(
    store: Store,
    indices: Indices,
    dynamic_fields: Sequence[str],
    static_fields: Sequence[str],
    num_frames: int | None,
    memory_budget: int,
    observation: Observation | None = None,
) -> Trajectories:
    """Decode trajectories into memory if they fit a budget, else stream them from the store.

    Args:
        store: Complete store.
        indices: Which trajectories.
        dynamic_fields: Fields of each frame, concatenated along the components.
        static_fields: Fields without a time; ``viscosity`` stands for log ν, constant in space.
        num_frames: How many frames from the start of each trajectory; None is all.
        memory_budget: Bytes that decoded trajectories may take; one block of the store is held in any case.
        observation: Noise on the dynamic fields, and what of them is hidden; None is neither.
    """
    layout = store.layout
    num_frames = num_frames or layout.num_frames
    channels, static_channels = num_channels(layout, dynamic_fields), num_channels(layout, static_fields)
    per_trajectory = 4 * layout.domain.num_cells * (num_frames * channels + static_channels)
    num_held = max(1, memory_budget // (per_trajectory * store.block_size))
    streamed = TrajectoriesInStore(store, indices, dynamic_fields, static_fields, num_frames, num_held, observation)
    if per_trajectory * len(indices) > memory_budget:
        return streamed
    frames = np.empty((len(indices), num_frames, channels, *layout.domain.resolution), dtype=np.float32)
    static = np.empty((len(indices), static_channels, *layout.domain.resolution), dtype=np.float32)
    for block, members in enumerate(streamed.blocks()):
        frames[members], static[members] = streamed.decode(block)
    return TrajectoriesInMemory(frames, streamed.viscosity, static, indices, mask=streamed.mask)
