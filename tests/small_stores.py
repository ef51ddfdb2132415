"""Small stores with known content."""

import numpy as np

from burgerslab.data import FieldSpec, Simulation, StoreLayout, StoreWriter
from burgerslab.physics import Domain, LogUniformViscosity

RICH = StoreLayout(
    domain=Domain(extent=(2.0, 1.0), resolution=(10, 8)),
    num_trajectories=5,
    num_frames=6,
    dt=0.25,
    fields=(
        FieldSpec("velocity", ("x", "y")),
        FieldSpec("forcing", ("x", "y"), static=True),
        FieldSpec("pressure", ("value",)),
    ),
)
RICH_VISCOSITY = np.array([0.01, 0.02, 0.03, 0.04, 0.05])


def rich_values(layout=RICH):
    """Random values of every field, in full."""
    generator = np.random.default_rng(5)
    return {spec.name: generator.standard_normal(layout.shape(spec), np.float32) for spec in layout.fields}


def write_store(path, layout=RICH, values=None, viscosity=RICH_VISCOSITY, block_size=2):
    """Write given values; blocks of two trajectories unless told otherwise."""
    values = rich_values(layout) if values is None else values
    seeds = np.arange(layout.num_trajectories)
    writer = StoreWriter.open(path, layout, {"source": "test"}, viscosity, seeds, block_size=block_size)
    for block, trajectories in writer.pending():
        rows = slice(trajectories.start, trajectories.stop)
        writer.write(block, {name: field[rows] for name, field in values.items()})
    return writer.finish()


def line_simulation(**changes):
    """Ten trajectories of 8 frames on 16 cells in one dimension."""
    settings = {
        "domain": Domain((2.0,), (16,)),
        "viscosity": LogUniformViscosity(0.05, 0.2),
        "dt": 0.05,
        "num_frames": 8,
        "num_trajectories": 10,
        "substeps": 2,
    }
    return Simulation(**{**settings, **changes})
