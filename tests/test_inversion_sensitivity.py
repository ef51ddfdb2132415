"""Sensitivities of the residual against central differences, for every kind of free number at once."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from burgerslab.inversion import Advection, InitialState, Problem, Viscosity, ViscosityField
from burgerslab.inversion import sensitivity as module
from burgerslab.inversion.learnable import Learnable
from burgerslab.inversion.objective import Objective
from burgerslab.inversion.sensitivity import sensitivities
from burgerslab.physics import Domain, FiniteDifference, Rollout, Scheme


@dataclass(frozen=True)
class _Branching(FiniteDifference):
    capturable = False


LEARNABLES: dict[str, list[Learnable]] = {
    "numbers and states": [Viscosity(0.02), Advection(0.8), InitialState(num_modes=2)],
    "viscosity of each": [Viscosity(0.02, each_trajectory=True), Advection(0.8)],
    "viscosity field": [ViscosityField(0.02, num_modes=1), InitialState(num_modes=1)],
}


def _problem(num_steps: int) -> Problem:
    return Problem(
        domain=Domain((2.0,), (16,)),
        dt=0.05,
        windows=((3, 0), (7, 0)),
        num_steps=num_steps,
        num_observed=96,
        num_generated=0,
        overlap=1.0,
        scale=0.7,
        speed=(1.0,),
        viscosity=np.array([0.02, 0.02]),
    )


@pytest.mark.parametrize(
    ("scheme", "learnables", "most_values"),
    [
        (FiniteDifference(), LEARNABLES["numbers and states"], 2_000_000),
        (FiniteDifference(), LEARNABLES["viscosity of each"], 2_000_000),
        pytest.param(FiniteDifference(), LEARNABLES["viscosity field"], 2_000_000, marks=pytest.mark.slow),
        (FiniteDifference(), LEARNABLES["numbers and states"], 100),
        (_Branching(), LEARNABLES["numbers and states"], 2_000_000),
    ],
    ids=["numbers and states", "viscosity of each", "viscosity field", "groups of three", "not captured"],
)
def test_sensitivities_are_those_of_central_differences(
    monkeypatch, scheme: Scheme, learnables: list[Learnable], most_values: int
) -> None:
    monkeypatch.setattr(module, "_MOST_VALUES", most_values)
    problem = _problem(num_steps=2)
    objective = Objective(problem, learnables, Rollout(scheme, problem.domain, problem.dt, substeps=2))
    generator = torch.Generator().manual_seed(0)
    x = problem.domain.centres()[0]
    waves = torch.from_numpy(np.stack([np.sin(np.pi * x), np.cos(np.pi * x)]))[:, None]
    batch = {
        "trajectory": torch.tensor([3, 7]),
        "initial": waves,
        "target": torch.randn(2, 2, 1, 16, generator=generator, dtype=torch.float64),
        "mask": torch.rand(2, 3, 1, 16, generator=generator) < 0.7,
        "viscosity": torch.full((2,), 0.02, dtype=torch.float64),
        "observed": torch.ones(2, dtype=torch.bool),
    }
    flat = objective.start()
    flat = flat + 0.1 * torch.randn(flat.shape, generator=generator, dtype=torch.float64)
    own = objective.select(objective.unflatten(flat), batch)
    found = sensitivities(objective, own, batch)
    step = 1e-5
    for name, values in own.items():
        assert len(found[name]) == values.shape[-1]
        for q, derivative in enumerate(found[name]):
            along = torch.zeros_like(values)
            along[..., q] = step
            ends = [objective.residual({**own, name: values + sign * along}, batch) for sign in (1, -1)]
            torch.testing.assert_close(derivative, (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-8)
