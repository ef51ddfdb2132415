"""PhiFlow's own minimiser on the objective of an inversion."""

import numpy as np
import pytest
from phi import math
from phiml.backend.torch import TORCH

from burgerslab.data import HybridDataset, Simulation, Store, generate
from burgerslab.inversion import Inversion, Viscosity
from burgerslab.physics import ColeHopf, ConstantViscosity, Domain, RandomFourier
from tests.test_inversion import fit


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    path = tmp_path_factory.mktemp("exact") / "exact.zarr"
    simulation = Simulation(
        domain=Domain((1.0,), (32,)),
        viscosity=ConstantViscosity(0.03),
        dt=0.02,
        num_frames=11,
        num_trajectories=4,
        initial=RandomFourier(amplitude=0.5, max_mode=3),
        scheme=ColeHopf(),
    )
    generate(simulation, path)
    return path


@pytest.mark.parametrize("return_fields", [True, False])
def test_phiflow_finds_the_same_viscosity(exact, return_fields: bool) -> None:
    dataset = HybridDataset(Store(exact), 10, use_sliding_window=False, return_fields=return_fields)
    inversion = Inversion([Viscosity(0.06)])
    problem = inversion.to_phiflow(dataset.batch([0, 1, 2]), dataset.description)
    with math.precision(64), TORCH:
        x = math.minimize(problem.loss, math.Solve("L-BFGS-B", abs_tol=1e-8, x0=problem.x0))
    found = float(problem.coefficients(x)["viscosity"])
    data = {"num_predict_steps": 10, "train_sim_indices": [0, 1, 2], "val_sim_indices": [3]}
    ours = float(fit(exact, [Viscosity(0.06)], data=data).coefficients()["viscosity"])
    np.testing.assert_allclose(found, ours, rtol=1e-4)
    np.testing.assert_allclose(found, 0.03, rtol=2e-3)


def test_without_the_facts_of_the_data_it_says_what_it_needs(exact) -> None:
    dataset = HybridDataset(Store(exact), 10, use_sliding_window=False)
    with pytest.raises(ValueError, match="give that of the datamodule"):
        Inversion([Viscosity(0.06)]).to_phiflow(dataset.batch([0]))


def test_another_backend_is_told_to_be_changed(exact) -> None:
    dataset = HybridDataset(Store(exact), 10, use_sliding_window=False)
    problem = Inversion([Viscosity(0.06)]).to_phiflow(dataset.batch([0]), dataset.description)
    with pytest.raises(ValueError, match=r"call math\.use"):
        problem.loss(math.wrap(np.zeros(1), math.channel("number")))
