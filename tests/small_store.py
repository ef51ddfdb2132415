"""A store of a few kilobytes with two dynamic fields and a static one, for the tests of the store."""

import numpy as np

from burgerslab.data.store import FieldSpec, StoreLayout
from burgerslab.data.store_writer import StoreWriter
from burgerslab.physics.domain import Domain

DOMAIN = Domain(extent=(2.0, 1.0), resolution=(10, 8))
LAYOUT = StoreLayout(
    domain=DOMAIN,
    num_trajectories=5,
    num_frames=4,
    dt=0.25,
    fields=(
        FieldSpec("velocity", ("x", "y")),
        FieldSpec("forcing", ("x", "y"), static=True, units="L T^-2"),
        FieldSpec("tracer", ("value",), units="1"),
    ),
)
SETTINGS = {"scheme": {"order": 6, "dealias": False}, "seed": 7, "viscosity": [0.01, 0.05]}
VISCOSITY = np.linspace(0.01, 0.05, 5)
SEEDS = np.array([0, 0, 2**63 + 1, 3, 4], np.uint64)


def content(layout, trajectory):
    rng = np.random.default_rng(trajectory)
    return {spec.name: rng.standard_normal(layout.shape(spec, 1)[1:], np.float32) for spec in layout.fields}


def block_content(layout, trajectories):
    each = [content(layout, trajectory) for trajectory in trajectories]
    return {spec.name: np.stack([one[spec.name] for one in each]) for spec in layout.fields}


def open_writer(path, layout=LAYOUT, settings=SETTINGS, viscosity=VISCOSITY, seeds=SEEDS, block_size=2, **options):
    return StoreWriter.open(path, layout, settings, viscosity, seeds, block_size=block_size, **options)


def fill(writer, layout=LAYOUT, num_blocks=None):
    done = []
    for block, trajectories in writer.pending():
        writer.write(block, block_content(layout, trajectories))
        done.append(block)
        if len(done) == num_blocks:
            break
    return done


def make(path, **options):
    writer = open_writer(path, **options)
    fill(writer, options.get("layout", LAYOUT))
    return writer.finish()
