"""What an inversion makes of partial data, of two and three dimensions, and of steep fronts."""

import numpy as np
import pytest
import torch

from burgerslab.data import (
    EveryKthCell,
    EveryKthFrame,
    FieldSpec,
    FrameFractions,
    Observation,
    RandomPoints,
    Store,
    StoreLayout,
    StoreWriter,
)
from burgerslab.inversion import InitialState, Viscosity
from burgerslab.physics import ConstantViscosity, Domain, FourierSpectral, RandomFourier
from tests.small_inversion import VISCOSITY, fit, make


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("exact") / "store.zarr"
    make(path)
    return path


def error(inversion, truth=VISCOSITY):
    assert inversion.result.solution.converged
    return abs(float(inversion.coefficients()["viscosity"]) / truth - 1)


@pytest.mark.parametrize(
    "observation",
    [
        Observation(frames=EveryKthFrame(3)),
        Observation(cells=EveryKthCell(2), initial_known=True),
        Observation(points=RandomPoints(60, seed=1), initial_known=True),
    ],
    ids=["every third frame", "half the cells", "random points"],
)
def test_partial_exact_data_give_the_viscosity(store, observation):
    found = fit(store, observation=observation)
    assert error(found) < 2e-3
    seen = {"frames": 3 * 2 * 32, "cells": 3 * 8 * 16, "points": 3 * 60}
    name = next(name for name in seen if getattr(observation, name) is not None)
    assert found.objective.problem.num_observed == seen[name]  # initial frames are not compared


def spoiled(store, path, hidden):
    """The store with other values in some frames."""
    source = Store(store)
    values = source.read("velocity", range(5)).copy()
    values[:, hidden] = 7.0 + np.random.default_rng(0).standard_normal(values[:, hidden].shape)
    layout = StoreLayout(source.layout.domain, 5, 9, source.layout.dt, (FieldSpec("velocity", ("x",)),))
    writer = StoreWriter.open(path, layout, {"source": "test"}, source.viscosity, np.arange(5), block_size=5)
    for block, _ in writer.pending():
        writer.write(block, {"velocity": values})
    writer.finish()
    return path


@pytest.mark.parametrize(
    ("frames", "hidden", "learnables", "windows"),
    [
        (EveryKthFrame(3), [1, 2, 4, 5, 7, 8], [Viscosity(0.2)], {}),
        (
            FrameFractions((0.25, 0.5, 1.0)),
            [0, 1, 3, 5, 6, 7],
            [Viscosity(0.2), InitialState(num_modes=3)],
            {"use_sliding_window": True, "num_predict_steps": 6},  # from frame 2 on, the first that is seen
        ),
    ],
    ids=["later frames", "the initial frame too"],
)
def test_hidden_frames_change_nothing(store, tmp_path, frames, hidden, learnables, windows):
    given = {"observation": Observation(frames=frames), **windows}
    # validation rolls out whole trajectories; what it finds is no part of the result
    quiet = {"limit_val_batches": 0}
    one = fit(store, learnables, trainer=quiet, **given)
    other = fit(spoiled(store, tmp_path / "spoiled.zarr", hidden), learnables, trainer=quiet, **given)
    assert torch.equal(one.free, other.free)
    assert one.result.to_dict() == other.result.to_dict()
    assert error(one) < 5e-3  # three waves are few for a frame in the middle


def box(dimension, num_cells, viscosity, amplitude, **changes):
    """Settings of exact trajectories on a box with equal sides."""
    return {
        "domain": Domain((1.0,) * dimension, (num_cells,) * dimension),
        "viscosity": ConstantViscosity(viscosity),
        "initial": RandomFourier(amplitude=amplitude, max_mode=2, curl_free=True),
        **changes,
    }


def peclet(path):
    """Largest cell Péclet number of the initial frames."""
    source = Store(path)
    speed = float(np.abs(source.read("velocity", range(3))[:, 0]).max())
    return speed * source.layout.domain.spacing[0] / float(source.viscosity[0])


@pytest.mark.slow
@pytest.mark.parametrize("factor", [5.0, 0.2])
def test_two_dimensions(tmp_path, factor):
    path = tmp_path / "plane.zarr"
    make(path, **box(2, 64, 0.01, 0.25))
    assert 0.8 < peclet(path) < 2
    found = fit(path, [Viscosity(factor * 0.01)], trainer={"limit_val_batches": 0})
    assert error(found, 0.01) < 2e-3
    assert found.result.solution.num_evaluations <= 15


@pytest.mark.slow
def test_steep_fronts_on_a_finer_grid(tmp_path):
    path = tmp_path / "steep.zarr"
    make(path, **box(1, 64, 0.003, 0.4), num_frames=21)
    assert 4 < peclet(path) < 7
    whole = {"num_predict_steps": 20, "trainer": {"limit_val_batches": 0}}
    assert error(fit(path, [Viscosity(0.01)], options={"refine": 4}, **whole), 0.003) < 1e-2


def test_three_dimensions(tmp_path):
    path = tmp_path / "box.zarr"
    make(path, **box(3, 12, 0.05, 0.2), num_trajectories=2, num_frames=4)
    indices = {"train_sim_indices": [0], "val_sim_indices": [1]}
    options = {"scheme": FourierSpectral()}
    found = fit(path, [Viscosity(0.1)], num_predict_steps=3, options=options, **indices)
    assert error(found) < 2e-3
