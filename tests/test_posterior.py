"""Laplace's covariances against dense linear algebra, where data tell too little, and where priors help."""

import numpy as np
import torch

from burgerslab.inversion import Gaussian, InitialState, Problem, Viscosity
from burgerslab.inversion.gauss_newton import ArrowMatrix, curvature_of_regularisation
from burgerslab.inversion.objective import Objective
from burgerslab.inversion.posterior import laplace
from burgerslab.physics import Domain, FiniteDifference, Rollout

SQUARES, NUM_VALUES, NUM_FREE = 3.0, 40, 1 + 2 * 3


def _objective(num_observed: int, **options) -> Objective:
    problem = Problem(
        domain=Domain((1.0,), (16,)),
        dt=0.1,
        windows=((0, 0), (1, 0)),
        num_steps=1,
        num_observed=num_observed,
        num_generated=0,
        overlap=1.0,
        scale=1.0,
        speed=(1.0,),
        viscosity=np.full(2, 0.1),
    )
    prior = options.pop("prior", None)
    learnables = [Viscosity(0.1, prior=prior), InitialState(num_modes=1)]
    return Objective(problem, learnables, Rollout(FiniteDifference(), problem.domain, 0.1), **options)


def _information(last_is_told: bool) -> ArrowMatrix:
    """Of two trajectories; the data of the second may tell no difference of two of its numbers."""
    rows = torch.randn(2, NUM_VALUES // 2, 4, dtype=torch.float64)
    if not last_is_told:
        rows[1, :, 3] = 2 * rows[1, :, 2]
    blocks = rows.mT @ rows
    return ArrowMatrix(blocks[:, :1, :1].sum(0), blocks[:, :1, 1:], blocks[:, 1:, 1:])


def test_numbers_that_the_data_do_not_tell_are_infinitely_unsure_and_others_are_not() -> None:
    objective, information = _objective(NUM_VALUES), _information(last_is_told=False)
    nothing = curvature_of_regularisation(objective, objective.start())
    found = laplace(objective, information, nothing, SQUARES)
    expected = SQUARES / (NUM_VALUES - NUM_FREE) * torch.linalg.pinv(information.dense(), hermitian=True)
    torch.testing.assert_close(found.shared, expected[:1, :1])
    torch.testing.assert_close(found.own[0], expected[1:4, 1:4])
    torch.testing.assert_close(found.own[1, 0, 0], expected[4, 4])
    assert torch.isinf(found.own[1, 1:]).all()
    none_left = laplace(_objective(NUM_FREE), information, nothing, SQUARES)
    assert torch.isinf(none_left.shared).all()
    assert torch.isinf(none_left.own).all()


def test_what_a_prior_says_of_a_number_the_noise_need_not_be_spent_on() -> None:
    noise, information = 0.3, _information(last_is_told=True)
    objective = _objective(NUM_VALUES, prior=Gaussian(0.1, 0.1 * noise / 5), noise_std=noise)
    regular = curvature_of_regularisation(objective, objective.start())
    found = laplace(objective, information, regular, SQUARES)
    full = information.dense()
    penalised = full.clone()
    penalised[0, 0] += 25.0  # (noise / std of log ν)²
    used = torch.linalg.solve(penalised, full).trace()
    assert NUM_FREE - 0.8 < used < NUM_FREE - 0.2
    variance = SQUARES / (NUM_VALUES - float(used))
    np.testing.assert_allclose(found.noise_std**2, variance, rtol=1e-9)
    torch.testing.assert_close(found.shared, variance * torch.linalg.inv(penalised)[:1, :1])
