"""What an inversion knows of its data before it solves."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from burgerslab.physics import Domain


@dataclass(frozen=True)
class Problem:
    """The facts of a fixed set of windows.

    Args:
        domain: Box and grid of the data.
        dt: Time between frames, units T.
        windows: Trajectory and first frame of every window, sorted.
        num_steps: Target frames of a window.
        num_observed: Observed values that are compared, over all windows.
        num_generated: Generated values that are compared.
        overlap: In how many windows an observed value occurs, on average.
        scale: Root mean square of the observed values, units L/T; misfits are measured in it.
        speed: Largest |u_i| along each axis over the initial frames, units L/T.
        viscosity: The viscosity that the data carry for each of `trajectories`, units L²/T.
        initial_is_known: Whether first frames are known to be free of noise.
    """

    domain: Domain
    dt: float
    windows: tuple[tuple[int, int], ...]
    num_steps: int
    num_observed: int
    num_generated: int
    overlap: float
    scale: float
    speed: tuple[float, ...]
    viscosity: npt.NDArray[np.float64]
    initial_is_known: bool = False

    @cached_property
    def trajectories(self) -> tuple[int, ...]:
        """The numbers of the trajectories, sorted, each once."""
        return tuple(dict.fromkeys(trajectory for trajectory, _ in self.windows))

    def rows(self, trajectories: Sequence[int]) -> list[int]:
        """Position of each trajectory among `trajectories`."""
        return [self._position[int(trajectory)] for trajectory in trajectories]

    @cached_property
    def _position(self) -> dict[int, int]:
        return {trajectory: row for row, trajectory in enumerate(self.trajectories)}

    def facts(self) -> dict[str, int | str]:
        """What tells these data from others, by option where there is one; the same for any number of processes."""
        return {
            "data.num_predict_steps": self.num_steps,
            "number of windows": len(self.windows),
            "number of observed values": self.num_observed,
            "root mean square of the data": f"{self.scale:.9g}",
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        plain = asdict(self)
        return {**plain, "viscosity": self.viscosity.tolist(), "windows": [list(window) for window in self.windows]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Problem":
        """The inverse of `to_dict`."""
        return cls(
            **{
                **values,
                "domain": Domain(**values["domain"]),
                "windows": tuple((trajectory, start) for trajectory, start in values["windows"]),
                "speed": tuple(values["speed"]),
                "viscosity": np.array(values["viscosity"]),
            }
        )
