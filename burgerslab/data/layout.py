"""The shape of a store and its physical facts."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from burgerslab.physics.domain import AXIS_NAMES, Domain

CHUNK_BYTES = 13_500_000
"""Uncompressed size that a chunk stays below: 64 trajectories of 201 frames of 256 cells, or one
trajectory of 101 frames of two components on 128 x 128 cells."""

_RESERVED_NAMES = {"trajectory", "frame", "field", "time", "viscosity", "seed", "checksum", *AXIS_NAMES}


@dataclass(frozen=True)
class FieldSpec:
    """One field of a store.

    Args:
        name: Name of the field and of its array, such as ``velocity``.
        components: Label of each component; ``("x", "y")`` for a velocity in two dimensions.
        static: Whether the field has no frames, such as a forcing constant in time.
        units: Units of the values, such as ``"L T^-2"``; a field called ``velocity`` is in L/T.

    Raises:
        ValueError: If the name is no identifier or is taken by a coordinate, or if the components
            are none, empty or repeated.
    """

    name: str
    components: tuple[str, ...]
    static: bool = False
    units: str = ""

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name.startswith("_"):
            raise ValueError(f"field name {self.name!r} must be an identifier that does not start with '_'")
        if self.name in _RESERVED_NAMES or self.name.startswith("component_"):
            raise ValueError(f"field name {self.name!r} is taken by a coordinate of the store; choose another")
        object.__setattr__(self, "components", tuple(self.components))
        if not self.components or not all(isinstance(label, str) and label for label in self.components):
            raise ValueError(f"field {self.name!r} needs one non-empty label per component, got {self.components}")
        if len(set(self.components)) < len(self.components):
            raise ValueError(f"field {self.name!r} has repeated component labels: {self.components}")
        if self.name == "velocity" and not self.units:
            object.__setattr__(self, "units", "L T^-1")


@dataclass(frozen=True)
class StoreLayout:
    """What a store holds: trajectories of fields on one grid at equal intervals of time.

    Dynamic fields are arrays ``(trajectory, frame, component, *space)``, static ones
    ``(trajectory, component, *space)``, both float32.

    Args:
        domain: The periodic box and its cells.
        num_trajectories: Number of trajectories, at least 1.
        num_frames: Number of stored frames of each, initial frame included, at least 2.
        dt: Time between stored frames, units T.
        fields: The fields; the first is the dynamic ``velocity`` with one component per axis.

    Raises:
        ValueError: If a number is out of range, field names repeat, or the velocity is not first.
    """

    domain: Domain
    num_trajectories: int
    num_frames: int
    dt: float
    fields: tuple[FieldSpec, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "num_trajectories", int(self.num_trajectories))
        object.__setattr__(self, "num_frames", int(self.num_frames))
        object.__setattr__(self, "dt", float(self.dt))
        object.__setattr__(self, "fields", tuple(self.fields))
        if self.num_trajectories < 1:
            raise ValueError(f"num_trajectories must be at least 1, got {self.num_trajectories}")
        if self.num_frames < 2:
            raise ValueError(f"num_frames must be at least 2 (the initial frame counts), got {self.num_frames}")
        if not (math.isfinite(self.dt) and self.dt > 0):
            raise ValueError(f"dt must be positive and finite, got {self.dt}")
        names = [spec.name for spec in self.fields]
        if len(set(names)) < len(names):
            raise ValueError(f"field names must differ, got {names}")
        axes = self.domain.axis_names
        if not names or names[0] != "velocity" or self.fields[0].static or self.fields[0].components != axes:
            raise ValueError(
                f"the first field must be the dynamic field 'velocity' with components {axes}, got "
                f"{self.fields[0] if names else 'no fields'}"
            )

    def field(self, name: str) -> FieldSpec:
        """Return the field of this name; raises ``ValueError`` listing the names there are."""
        for spec in self.fields:
            if spec.name == name:
                return spec
        raise ValueError(f"no field {name!r} in the store; it has {[spec.name for spec in self.fields]}")

    def times(self) -> npt.NDArray[np.float64]:
        """Times of the stored frames, units T; the initial frame is at 0."""
        return np.arange(self.num_frames) * self.dt

    def shape(self, spec: FieldSpec, num_trajectories: int | None = None) -> tuple[int, ...]:
        """Shape of a field's array, for all trajectories unless their number is given."""
        frames = () if spec.static else (self.num_frames,)
        count = self.num_trajectories if num_trajectories is None else num_trajectories
        return (count, *frames, len(spec.components), *self.domain.resolution)

    def dimension_names(self, spec: FieldSpec) -> tuple[str, ...]:
        """Names of the axes of a field's array; each field has its own axis of components."""
        frames = () if spec.static else ("frame",)
        return ("trajectory", *frames, f"component_{spec.name}", *self.domain.axis_names)

    def default_block_size(self) -> int:
        """Trajectories written at once, so that the largest field fills one chunk but at least one."""
        largest = max(4 * math.prod(self.shape(spec, 1)) for spec in self.fields)
        return max(1, min(self.num_trajectories, CHUNK_BYTES // largest))

    def chunks(self, spec: FieldSpec, block_size: int) -> tuple[int, ...]:
        """Shape of a chunk of a field: one block of trajectories, split along frames if too large."""
        shape = self.shape(spec, block_size)
        if spec.static:
            return shape
        most_frames = max(1, CHUNK_BYTES // (4 * math.prod(shape) // self.num_frames))
        num_parts = -(-self.num_frames // most_frames)
        return (block_size, -(-self.num_frames // num_parts), *shape[2:])

    def as_attributes(self) -> dict[str, Any]:
        """Write the layout in numbers, text, lists and mappings."""
        return {
            "domain": {"extent": list(self.domain.extent), "resolution": list(self.domain.resolution)},
            "num_trajectories": self.num_trajectories,
            "num_frames": self.num_frames,
            "dt": self.dt,
            "fields": [{**asdict(spec), "components": list(spec.components)} for spec in self.fields],
        }

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> "StoreLayout":
        """Read what `as_attributes` wrote; other keys are left alone."""
        domain = attributes["domain"]
        return cls(
            domain=Domain(extent=tuple(domain["extent"]), resolution=tuple(domain["resolution"])),
            num_trajectories=attributes["num_trajectories"],
            num_frames=attributes["num_frames"],
            dt=attributes["dt"],
            fields=tuple(
                FieldSpec(item["name"], tuple(item["components"]), item["static"], item["units"])
                for item in attributes["fields"]
            ),
        )
