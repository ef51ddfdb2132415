"""How well the cells of a store resolve the fronts of its trajectories."""

import numpy as np
import numpy.typing as npt
import torch

from burgerslab.data.store import Store
from burgerslab.physics import cell_peclet


def peclet_numbers(store: Store, most: int | None = None) -> npt.NDArray[np.float64]:
    """Largest cell Péclet number of each trajectory, ``(trajectory,)``; reads the store block by block.

    Args:
        store: A complete store.
        most: Look at so many trajectories only, spread over the store; None is all.

    Raises:
        StoreCorruptError: If a value is not what was written.
    """
    count = store.layout.num_trajectories
    wanted = np.unique(np.linspace(0, count - 1, count if most is None else min(most, count)).round().astype(int))
    at_once = store.block_size if len(wanted) == count else 1
    numbers = []
    for rows in np.split(wanted, range(at_once, len(wanted), at_once)):
        velocity = torch.from_numpy(store.read("velocity", rows)).double()  # squares overflow in float32
        numbers.append(cell_peclet(velocity, store.layout.domain, torch.tensor(store.viscosity[rows])).numpy())
    return np.concatenate(numbers)
