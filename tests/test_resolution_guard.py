"""Where a user is told that cells are too large: once in generate, once in fit, and never where they are not."""

import logging

import numpy as np
import pytest

from burgerslab.data import Store, generate
from burgerslab.data.store_resolution import peclet_numbers
from burgerslab.physics import Domain, Sine
from tests.small_stores import line_simulation

WARNING = "warning: simulation: the cell Péclet number |u| dx / viscosity is above 2"


def sine(**changes):
    """Three sine waves of peak 1 on cells of 1/16."""
    settings = {"domain": Domain((1.0,), (16,)), "initial": Sine(random_phase=False), "num_trajectories": 3}
    return line_simulation(**{**settings, "dt": 0.01, "num_frames": 3, **changes})


def messages(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_generate_warns_once_and_not_of_a_store_that_is_there(tmp_path, caplog) -> None:
    simulation = sine(viscosity=0.02)
    peak = np.sin(2 * np.pi * (4 + 0.5) / 16) / 16 / 0.02
    for _ in range(2):
        store = generate(simulation, tmp_path / "s.zarr", block_size=1, progress=False)
    said = messages(caplog)
    assert len(said) == 1
    assert said[0].startswith(WARNING)
    assert f"in 3 of 3 trajectories and reaches {peak:.3g}" in said[0]
    assert peclet_numbers(store, 2) == pytest.approx([peak, peak], rel=0.01)  # peaks move against the cells


@pytest.mark.parametrize("changes", [{"viscosity": 0.04}, {"viscosity": 0.02, "refine": 2, "substeps": 4}])
def test_generate_is_silent_where_the_fronts_are_resolved(changes, tmp_path, caplog) -> None:
    generate(sine(**changes), tmp_path / "s.zarr", progress=False)
    assert messages(caplog) == []


def test_numbers_follow_the_trajectories_in_any_blocks(tmp_path) -> None:
    path = tmp_path / "s.zarr"
    generate(line_simulation(num_trajectories=7), path, block_size=3, progress=False)
    store = Store(path)
    speed = np.abs(store.read("velocity", slice(None))).max(axis=(1, 2, 3))
    expected = speed * (2.0 / 16) / store.viscosity
    np.testing.assert_allclose(peclet_numbers(store), expected, rtol=1e-6)
    np.testing.assert_allclose(peclet_numbers(store, 3), expected[[0, 3, 6]], rtol=1e-6)


def test_fit_says_so_once_for_a_store_that_is_there(small_run, tmp_path, caplog) -> None:
    caplog.clear()
    assert small_run.main("fit", tmp_path, "--trainer.fast_dev_run=true") == 0
    said = [text for text in messages(caplog) if "Péclet" in text]
    assert len(said) == 1
    assert said[0].startswith("warning: data.store, as far as looked at: the cell Péclet number")
