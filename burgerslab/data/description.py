"""What a model must know of its data: box, time between frames, channels; and their statistics."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from burgerslab.data.store import StoreLayout
from burgerslab.data.trajectories import VISCOSITY_FIELD, Trajectories
from burgerslab.physics import Domain


@dataclass(frozen=True)
class DataDescription:
    """Facts of a data set, as the store has them.

    Args:
        domain: Box and grid.
        dt: Time between frames, units T.
        dynamic_fields: Fields that change in time, in the order of their channels.
        static_fields: Fields without a time, in the order of their channels.
        components: Labels of each field's components.
    """

    domain: Domain
    dt: float
    dynamic_fields: tuple[str, ...]
    static_fields: tuple[str, ...]
    components: Mapping[str, tuple[str, ...]]

    @property
    def num_dynamic_channels(self) -> int:
        """Channels that a surrogate predicts."""
        return sum(len(self.components[name]) for name in self.dynamic_fields)

    @property
    def num_static_channels(self) -> int:
        """Channels that a surrogate reads only."""
        return sum(len(self.components[name]) for name in self.static_fields)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "DataDescription":
        """The inverse of `to_dict`."""
        domain = Domain(**values["domain"])
        components = {name: tuple(labels) for name, labels in values["components"].items()}
        fields = {name: tuple(values[name]) for name in ("dynamic_fields", "static_fields")}
        return cls(domain, values["dt"], components=components, **fields)

    def differences(self, other: "DataDescription") -> list[str]:
        """What differs in what a network learned on; a different grid alone is no difference."""
        facts = {
            "dt": (self.dt, other.dt),
            "dynamic_fields": (self.dynamic_fields, other.dynamic_fields),
            "static_fields": (self.static_fields, other.static_fields),
            "components": (dict(self.components), dict(other.components)),
            "dimension": (self.domain.dimension, other.domain.dimension),
        }
        return [f"{name}: {mine} and {theirs}" for name, (mine, theirs) in facts.items() if mine != theirs]


def describe(
    layout: StoreLayout, dynamic_fields: Sequence[str] | None, static_fields: Sequence[str]
) -> DataDescription:
    """Facts of a store, for the fields that are used.

    Raises:
        ValueError: If a field is unknown, of the other kind, or named twice.
    """
    dynamic = {field.name: field.components for field in layout.fields if not field.static}
    static = {field.name: field.components for field in layout.fields if field.static}
    static[VISCOSITY_FIELD] = (VISCOSITY_FIELD,)
    chosen = list(dynamic) if dynamic_fields is None else list(dynamic_fields)
    for option, names, known in (("dynamic_fields", chosen, dynamic), ("static_fields", static_fields, static)):
        unknown = [name for name in names if name not in known]
        if unknown or len(set(names)) < len(names):
            raise ValueError(f"{option} {list(names)} must be different names among {list(known)}")
    if not chosen:
        raise ValueError(f"dynamic_fields is empty; name at least one of {list(dynamic)}")
    components = {name: tuple({**dynamic, **static}[name]) for name in [*chosen, *static_fields]}
    return DataDescription(layout.domain, layout.dt, tuple(chosen), tuple(static_fields), components)


@dataclass(frozen=True)
class Statistics:
    """Means and standard deviations per channel over the training trajectories, float64.

    Args:
        mean: Of the dynamic channels, ``(C,)``.
        std: Of the dynamic channels, ``(C,)``.
        increment_std: Root mean square of the change from frame to frame, ``(C,)``.
        static_mean: Of the static channels, ``(S,)``.
        static_std: Of the static channels, ``(S,)``; 1 where a channel never changes.
    """

    mean: Tensor
    std: Tensor
    increment_std: Tensor
    static_mean: Tensor
    static_std: Tensor


def measure_statistics(sources: Iterable[Trajectories]) -> Statistics:
    """Statistics of what is observed, noise included, in one pass over trajectories, each decoded once.

    The change from frame to frame is measured where a cell is observed in consecutive frames. If that is nowhere the
    case, it is the difference between consecutive observations of a cell, divided by the number of frames between.

    Raises:
        ValueError: If a dynamic channel never changes over the whole split, so that it cannot be normalised, or no
            cell is observed twice.
    """
    sums = _Sums()
    increments = _Sums()
    slopes = _Sums()
    static = _Sums()
    for source in sources:
        for trajectory in range(len(source)):
            frames = source.frames(trajectory).astype(np.float64)
            static.add(source.static(trajectory).astype(np.float64))
            if source.mask is None:
                sums.add(frames.swapaxes(0, 1))
                increments.add(np.diff(frames, axis=0).swapaxes(0, 1))
                continue
            observed = source.mask.of(trajectory)
            sums.add(frames.swapaxes(0, 1)[:, observed])
            both = observed[1:] & observed[:-1]
            increments.add(np.diff(frames, axis=0).swapaxes(0, 1)[:, both])
            if increments.count == 0:
                slopes.add(_slopes(frames, observed))
    mean, std = sums.mean_and_std()
    static_mean, static_std = static.mean_and_std()
    changes = increments if increments.count else slopes
    if changes.count == 0:
        raise ValueError(
            "no cell of the training trajectories is observed in two frames, so that their change per frame, which "
            "scales what a network predicts, is unknown; observe more frames or points, or set "
            "observation.initial_known: true"
        )
    increment_std = changes.root_mean_square()
    if not (std > 0).all() or not (increment_std > 0).all():
        raise ValueError(
            f"the training trajectories do not change in some channel (std {std.tolist()}, change per frame "
            f"{increment_std.tolist()}); leave that field out of dynamic_fields"
        )
    # the running mean of equal values differs from them by rounding
    static_std = np.where(static_std > 1e-6 * np.abs(static_mean), static_std, 1.0)
    return Statistics(*(torch.from_numpy(values) for values in (mean, std, increment_std, static_mean, static_std)))


def _slopes(frames: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Change per frame between consecutive observations of each cell, ``(C, n)``.

    Args:
        frames: ``(T, C, *N)``.
        observed: True where a cell is observed, ``(T, *N)``.
    """
    last = np.full(observed.shape[1:], -1)
    latest = np.zeros_like(frames[0])
    slopes = []
    for number, (frame, seen) in enumerate(zip(frames, observed, strict=True)):
        again = seen & (last >= 0)
        slopes.append((frame - latest)[:, again] / (number - last[again]))
        latest[:, seen] = frame[:, seen]
        last[seen] = number
    return np.concatenate(slopes, axis=1)


class _Sums:
    """Running mean and sum of squared deviations per channel (Chan, Golub and LeVeque, 1983, eq. 2.1)."""

    def __init__(self) -> None:
        self.count = 0
        self._mean: Any = 0.0
        self._deviation: Any = 0.0

    def add(self, values: np.ndarray) -> None:
        """Take in values ``(C, ...)``; none is allowed."""
        flat = values.reshape(len(values), int(np.prod(values.shape[1:])))
        if flat.shape[1] == 0:
            return
        mean = flat.mean(axis=1)
        deviation = ((flat - mean[:, None]) ** 2).sum(axis=1)
        total = self.count + flat.shape[1]
        shift = mean - self._mean
        self._deviation = self._deviation + deviation + shift**2 * self.count * flat.shape[1] / total
        self._mean = self._mean + shift * flat.shape[1] / total
        self.count = total

    def mean_and_std(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation per channel."""
        return np.asarray(self._mean), np.sqrt(np.asarray(self._deviation) / self.count)

    def root_mean_square(self) -> np.ndarray:
        """Root mean square per channel."""
        return np.sqrt(np.asarray(self._deviation) / self.count + np.asarray(self._mean) ** 2)
