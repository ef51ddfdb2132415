"""A store whose viscosity varies in space, made by another scheme on a finer grid than any that inverts it."""

import numpy as np
import torch

from burgerslab.data.layout import FieldSpec, StoreLayout
from burgerslab.data.store_writer import StoreWriter
from burgerslab.physics import Domain, FourierSpectral, RandomFourier, Rollout


def field_store(path, resolution: int = 64, num_trajectories: int = 8, num_frames: int = 16, dt: float = 0.03):
    """ν(x) = 0.02 (1 + 0.5 sin 2πx) at the cell centres; the store is written to the path."""
    domain = Domain((1.0,), (resolution,))
    viscosity = 0.02 * (1 + 0.5 * torch.sin(2 * torch.pi * torch.from_numpy(domain.centres()[0])))
    draws = [
        RandomFourier(amplitude=0.3, max_mode=3).sample(domain, np.random.default_rng(seed))
        for seed in range(num_trajectories)
    ]
    initial = torch.tensor(np.stack(draws), dtype=torch.float64)
    frames = Rollout(FourierSpectral(), domain, dt, substeps=24, refine=4)(initial, viscosity[None], num_frames - 1)
    values = torch.cat([initial[:, None], frames], dim=1).float().numpy()
    layout = StoreLayout(domain, num_trajectories, num_frames, dt, (FieldSpec("velocity", ("x",)),))
    mean = np.full(num_trajectories, 0.02)
    writer = StoreWriter.open(path, layout, {"made": "elsewhere"}, mean, np.arange(num_trajectories))
    for block, trajectories in writer.pending():
        writer.write(block, {"velocity": values[trajectories]})
    writer.finish()
    return viscosity
