"""A viscosity that varies in space, from data of another scheme on a finer grid."""

import numpy as np
import pytest

from burgerslab.data import Observation
from burgerslab.evaluation import figure_of_viscosity_field
from burgerslab.inversion import InitialState, ViscosityField
from burgerslab.inversion.l_curve import bending
from tests.foreign_field import field_store
from tests.test_inversion import fit

pytestmark = pytest.mark.slow
DATA = {"num_predict_steps": 15, "train_sim_indices": list(range(7)), "val_sim_indices": [7]}


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    path = tmp_path_factory.mktemp("field") / "field.zarr"
    return path, field_store(path)


def test_the_viscosity_field_of_clean_data_is_found_from_twice_off(field) -> None:
    path, truth = field
    inversion = fit(path, [ViscosityField(0.04)], data=DATA)
    found = inversion.result.estimates["viscosity"].value[0]
    assert (found - truth).norm() / truth.norm() < 1e-3
    assert inversion.result.solution.num_evaluations <= 25
    (line,) = figure_of_viscosity_field(inversion).axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), found.numpy())


def test_the_map_of_standard_deviations_is_that_of_the_errors(field) -> None:
    path, truth = field
    squares, errors = [], []
    for seed in range(3):
        learnables = [ViscosityField(0.03, num_modes=4), InitialState(num_modes=6)]
        estimate = fit(path, learnables, Observation(noise=0.03, seed=seed), data=DATA).result.estimates["viscosity"]
        squares.append(((estimate.value[0] - truth) / estimate.std[0]).square().mean().item())
        errors.append(((estimate.value[0] - truth).norm() / truth.norm()).item())
    assert 0.3 < np.mean(squares) < 2.5
    assert max(errors) < 0.05


def test_the_l_curve_smooths_noisy_data(field) -> None:
    path, truth = field
    few = DATA | {"train_sim_indices": [0, 1], "num_predict_steps": 8}
    error, chosen = {}, None
    for smoothness in (0.0, "l_curve"):
        learnables = [ViscosityField(0.03, num_modes=8, smoothness=smoothness)]
        result = fit(path, learnables, Observation(noise=0.05, seed=1, initial_known=True), data=few).result
        found = result.estimates["viscosity"].value[0]
        error[smoothness] = ((found - truth).norm() / truth.norm()).item()
        chosen = result.l_curve
    assert error["l_curve"] < error[0.0]
    assert np.all(np.diff(chosen.misfit) > -1e-9)
    assert np.all(np.diff(chosen.roughness) < 1e-6)
    assert chosen.weights[0] < chosen.chosen < chosen.weights[-1]


def test_the_corner_is_where_the_curve_turns() -> None:
    parameter = np.linspace(-6, 6, 13)
    x, y = np.log(1 + np.exp(2 * parameter)), np.log(1 + np.exp(-2 * parameter))  # an L with its corner at 0
    assert np.argmax(bending(x, y)) == 6
    assert np.all(bending(x, x) <= 1e-9)
