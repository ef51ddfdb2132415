"""ForeignReader: what a class must do so that `burgerslab import` can read its files."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from burgerslab.data.foreign.coordinates import Axis, EvenlySpaced
from burgerslab.data.layout import FieldSpec


@dataclass(frozen=True)
class FileContents:
    """What a file says before its values are read.

    Args:
        num_trajectories: Number of trajectories.
        times: Times of the frames, units T.
        axes: Points along each axis of space, in the order of the arrays; the first is called x in the store.
        fields: The fields, ``velocity`` first, with one component per axis.
        viscosity: Of each trajectory, ``(trajectory,)``, units L²/T; None if the file does not say.
        viscosity_source: Where the viscosity comes from, or what to do without it; completes "viscosity: ...".
        notes: What else the user should know, one sentence each.
    """

    num_trajectories: int
    times: EvenlySpaced
    axes: tuple[Axis, ...]
    fields: tuple[FieldSpec, ...]
    viscosity: npt.NDArray[np.float64] | None
    viscosity_source: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ForeignFile:
    """An open file.

    Args:
        contents: What it says before its values are read.
        read: Values of every field for consecutive trajectories, ``(n, frame, component, *space)``, or without the
            frames for a static field, of any real type. It reads these trajectories only.
    """

    contents: FileContents
    read: Callable[[range], Mapping[str, np.ndarray]]


class ForeignReader(ABC):
    """Reads files of one layout.

    A reader of your own is a frozen dataclass with an ``open``; its fields are its options, and are recorded in the
    store. `burgerslab import my_module.MyReader FILE STORE` finds it.
    """

    @abstractmethod
    def open(self, path: Path) -> AbstractContextManager[ForeignFile]:
        """Open a file and find out what it holds, without reading its values.

        Args:
            path: The file, which exists.

        Raises:
            ForeignFileError: If the file has another layout, or lacks something; the path is put before the message.
        """
