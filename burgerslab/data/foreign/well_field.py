"""One field of a file in The Well's layout, read as a store holds it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from burgerslab.data.foreign.foreign_errors import ForeignFileError
from burgerslab.data.foreign.hdf5 import read_rows
from burgerslab.data.layout import FieldSpec
from burgerslab.physics.domain import AXIS_NAMES


@dataclass(frozen=True)
class WellField:
    """A scalar or vector field.

    Args:
        dataset: The `h5py.Dataset`, ``([n_traj], [T], *space, [D])``; attributes say which of the first two it has.
        name: Name in the store.
        num_components: Length of the last axis of a vector field; None is a scalar field.
        shape: Trajectories, frames and points of the file, ``(n_traj, T, *space)``.

    Attributes:
        spec: The field of the store.

    Raises:
        ForeignFileError: If the shape is not that, or the name cannot be used.
    """

    dataset: Any
    name: str
    num_components: int | None
    shape: tuple[int, ...]
    spec: FieldSpec = field(init=False)

    def __post_init__(self) -> None:
        components = ("value",) if self.num_components is None else AXIS_NAMES[: self.num_components]
        try:
            spec = FieldSpec(self.name, components, static=not self._varies("time"))
        except ValueError as error:
            raise ForeignFileError(f"{error}; --reader.fields=[...] names the fields to import") from None
        object.__setattr__(self, "spec", spec)
        expected = (
            *self.shape[: 1 if self._varies("sample") else 0],
            *(() if spec.static else (self.shape[1],)),
            *self.shape[2:],
            *(() if self.num_components is None else (self.num_components,)),
        )
        if self.dataset.shape != expected:
            raise ForeignFileError(f"{self.dataset.name} must have the shape {expected}, got {self.dataset.shape}")

    def read(self, trajectories: range) -> np.ndarray:
        """Values ``(n, frame, component, *space)``, without the frames for a static field."""
        if self._varies("sample"):
            values = read_rows(self.dataset, trajectories)
        else:
            one = read_rows(self.dataset)
            values = np.broadcast_to(one, (len(trajectories), *one.shape))
        place = 1 if self.spec.static else 2
        if self.num_components is None:
            return np.expand_dims(values, place)
        return np.moveaxis(values, -1, place)

    def _varies(self, along: str) -> bool:
        return bool(np.all(self.dataset.attrs.get(f"{along}_varying", True)))
