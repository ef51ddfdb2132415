"""How sure an inversion is: several starts, profile likelihood, the grid's own error, priors."""

import numpy as np
import pytest
import torch

from burgerslab.data import HybridDataset, Observation, Simulation, Store, generate
from burgerslab.inversion import (
    LBFGSB,
    Advection,
    Forcing,
    Gaussian,
    InitialState,
    Inversion,
    Viscosity,
    ViscosityField,
    in_float64,
)
from burgerslab.inversion.facts import survey
from burgerslab.inversion.gauss_newton import ArrowMatrix
from burgerslab.inversion.objective import Objective
from burgerslab.inversion.sensitivity import sensitivities
from burgerslab.physics import ColeHopf, ConstantViscosity, Domain, FiniteDifference, RandomFourier, Rollout
from tests.test_inversion import fit

VISCOSITY = 0.02
DATA = {"num_predict_steps": 15}


@pytest.fixture(scope="module")
def coarse(tmp_path_factory):
    """Exact data on a grid that does not quite resolve them: cell Péclet 1.5."""
    path = tmp_path_factory.mktemp("coarse") / "exact.zarr"
    simulation = Simulation(
        domain=Domain((1.0,), (32,)),
        viscosity=ConstantViscosity(VISCOSITY),
        dt=0.02,
        num_frames=16,
        num_trajectories=4,
        initial=RandomFourier(amplitude=0.5, max_mode=3),
        scheme=ColeHopf(),
    )
    generate(simulation, path)
    return path


def test_the_error_of_the_grid_is_estimated_and_in_the_interval(coarse) -> None:
    estimate = fit(coarse, [Viscosity(0.06)], data=DATA).result.estimates["viscosity"]
    error = float(estimate.value) - VISCOSITY
    assert abs(error) > 3 * float(estimate.std)  # the standard deviation alone would be false confidence
    np.testing.assert_allclose(float(estimate.shift), -error, rtol=0.1)
    assert float(estimate.low) < VISCOSITY < float(estimate.high)


@pytest.mark.slow
def test_several_starts_find_the_same_and_are_reported(coarse) -> None:
    result = fit(coarse, [Viscosity(0.06)], data=DATA, num_starts=3, start_spread=5.0).result
    assert len(result.starts) == 3
    guesses = [start.guess["viscosity"] for start in result.starts]
    assert guesses[0] == pytest.approx(0.06)
    assert all(0.06 / 5 <= guess <= 0.06 * 5 for guess in guesses)
    assert len(set(guesses)) == 3
    report = result.to_dict()["starts"]
    assert report["num_at_best"] == report["num_converged"] == 3
    assert np.ptp(report["estimate_range"]["viscosity"]) < 1e-6 * VISCOSITY
    assert result.objective == pytest.approx(min(start.objective for start in result.starts), rel=1e-6)


@pytest.mark.slow
def test_profile_likelihood_agrees_with_laplace_where_the_problem_is_well_determined(coarse) -> None:
    seen = Observation(noise=0.02, initial_known=True)
    result = fit(coarse, [Viscosity(0.03), Advection(0.8)], seen, data=DATA, profile=True).result
    for name, profile in result.profiles.items():
        estimate = result.estimates[name]
        shifted_out = np.hypot(1, float(estimate.shift / estimate.std))
        half = (profile.high - profile.low) / 2
        np.testing.assert_allclose(half * shifted_out, float(estimate.high - estimate.low) / 2, rtol=0.03)
        np.testing.assert_allclose(profile.rise[0], 9.0, rtol=0.1)
    assert set(result.profiles) == {"viscosity", "advection"}


@pytest.mark.slow
def test_profile_likelihood_is_skewed_where_the_data_hardly_tell(coarse) -> None:
    seen = Observation(noise=2.0, seed=3, initial_known=True)
    data = {"num_predict_steps": 5, "train_sim_indices": [0]}
    result = fit(coarse, [Viscosity(0.03)], seen, data=data, profile=True).result
    estimate, profile = result.estimates["viscosity"], result.profiles["viscosity"]
    above = np.log(profile.high / float(estimate.value))
    below = np.log(float(estimate.value) / profile.low)
    assert below > 1.03 * above  # doubling ν shows more than halving it


@pytest.mark.slow
@pytest.mark.parametrize("std", [3e-4, 1e-4])
def test_a_prior_moves_the_estimate_as_bayes_says(coarse, std: float) -> None:
    seen = Observation(noise=0.3, initial_known=True, seed=2)
    free = fit(coarse, [Viscosity(0.03)], seen, data=DATA).result
    alone, noise = free.estimates["viscosity"], free.noise_std
    prior = Gaussian(float(alone.value) + std, std)
    both = fit(coarse, [Viscosity(0.03, prior=prior)], seen, data=DATA, noise_std=noise).result
    weights = np.array([float(alone.std) ** -2, std**-2])
    expected = weights @ [float(alone.value), prior.mean] / weights.sum()
    moved = float(both.estimates["viscosity"].value - alone.value)
    np.testing.assert_allclose(moved, expected - float(alone.value), rtol=0.05)
    np.testing.assert_allclose(float(both.estimates["viscosity"].std), weights.sum() ** -0.5, rtol=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"num_starts": 0}, "num_starts must be at least 1"), ({"start_spread": 1.0}, "start_spread above 1")],
)
def test_impossible_starts_are_refused(options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Inversion([Viscosity(0.03)], **options)


def test_there_is_one_method() -> None:
    assert LBFGSB(method="L-BFGS-B").method == "L-BFGS-B"
    with pytest.raises(Exception, match="L-BFGS-B"):
        LBFGSB(method="CG")


def test_the_matrix_solves_with_shared_and_own_numbers() -> None:
    root = torch.randn(3, 8, 4, dtype=torch.float64)  # three trajectories, 2 shared and 2 own numbers
    blocks = root.mT @ root
    matrix = ArrowMatrix(blocks[:, :2, :2].sum(0), blocks[:, :2, 2:], blocks[:, 2:, 2:])
    full = torch.zeros(8, 8, dtype=torch.float64)
    full[:2, :2] = matrix.shared
    for row in range(3):
        own = slice(2 + 2 * row, 4 + 2 * row)
        full[:2, own], full[own, :2], full[own, own] = matrix.coupling[row], matrix.coupling[row].T, matrix.own[row]
    right = torch.randn(8, dtype=torch.float64)
    found = matrix.solve(right[:2], right[2:].reshape(3, 2))
    torch.testing.assert_close(full @ found, right)
    assert torch.equal(matrix.dense(), full)
    none = ArrowMatrix(full[:0, :0], matrix.coupling[:, :0], matrix.own)
    assert torch.equal(none.dense(), full[2:, 2:])


@pytest.mark.parametrize("each", [False, True])
def test_sensitivities_are_those_of_forward_differentiation(coarse, each: bool) -> None:
    dataset = HybridDataset(Store(coarse), 3, use_sliding_window=False)
    learnables = [ViscosityField(0.03, num_modes=2), InitialState(num_modes=3)]
    if each:
        learnables = [Viscosity(0.03, each_trajectory=True), Advection(0.9), Forcing()]
    batch = in_float64(dataset.batch([0, 1]))
    problem = survey([batch], dataset.description, not each, lambda counts: [counts], False)
    rollout = Rollout(FiniteDifference(), problem.domain, problem.dt, 2, capture=False)
    objective = Objective(problem, learnables, rollout)
    own = objective.select(objective.unflatten(objective.start() + 0.1), batch)
    found = sensitivities(objective, own, batch)
    for name, values in own.items():
        along = torch.zeros_like(values)
        along[..., -1] = 1.0
        _, expected = torch.func.jvp(
            lambda numbers, name=name: objective.residual({**own, name: numbers}, batch), (values,), (along,)
        )
        torch.testing.assert_close(found[name][-1], expected, rtol=1e-6, atol=1e-8 * float(expected.abs().max()))
