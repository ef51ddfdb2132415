"""Stores of the exact solution: their numbers, their settings, what is refused."""

import numpy as np
import pytest
import torch

from burgerslab.data import generate
from burgerslab.data.fingerprint import fingerprint
from burgerslab.data.store_errors import StoreMismatchError
from burgerslab.physics import (
    AccuracyError,
    ColeHopf,
    Domain,
    FiniteDifference,
    NoPotentialError,
    Rollout,
    Shock,
)
from tests.reference import cole_hopf
from tests.small_stores import line_simulation


def exact_simulation(**changes):
    """Five exact trajectories of 5 frames on 64 cells, at cell Péclet numbers of 1 and less."""
    settings = {
        "domain": Domain((2.0,), (64,)),
        "scheme": ColeHopf(),
        "substeps": 1,
        "num_frames": 5,
        "num_trajectories": 5,
    }
    return line_simulation(**{**settings, **changes})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return generate(exact_simulation(), tmp_path_factory.mktemp("exact") / "s.zarr", block_size=2, progress=False)


def test_frames_are_the_exact_solution_in_float32(store):
    simulation = exact_simulation()
    frames = store.read("velocity", slice(None))
    assert frames.dtype == np.float32
    for index, seed in enumerate(simulation.trajectory_seeds().tolist()):
        assert store.viscosity[index] == simulation.draw_viscosity(seed)
        potential = simulation.draw_potential(seed)
        np.testing.assert_allclose(frames[index, 0], simulation.draw_initial(seed), rtol=0, atol=2e-7)
        for frame in range(1, 5):
            expected = cole_hopf(
                lambda y, potential=potential: potential.velocity([y])[0],
                lambda y, potential=potential: potential.evaluate([y]),
                simulation.domain.centres()[0],
                frame * simulation.dt,
                store.viscosity[index],
                simulation.domain.extent[0],
            )
            np.testing.assert_allclose(frames[index, frame, 0], expected, rtol=6e-8, atol=1e-9)


def test_the_sixth_order_scheme_follows_the_exact_frames(store):
    """At cell Péclet numbers of 1 and less the scheme is known to be good to some 1e-4."""
    simulation = exact_simulation()
    frames = torch.from_numpy(store.read("velocity", slice(None))).double()
    viscosity = torch.tensor(store.viscosity)
    assert float(frames.abs().max()) * simulation.domain.spacing[0] / float(viscosity.min()) < 1.5
    errors = {}
    for order in (2, 6):
        rollout = Rollout(FiniteDifference(order), simulation.domain, simulation.dt, substeps=8)
        difference = rollout(frames[:, 0], viscosity, 4) - frames[:, 1:]
        errors[order] = float(difference.norm() / frames[:, 1:].norm())
    assert errors[6] < 1e-4
    assert errors[6] < errors[2] / 20


def test_two_dimensions_and_other_fronts(tmp_path):
    simulation = exact_simulation(
        domain=Domain((2.0, 1.0), (48, 32)),
        initial=Shock(amplitude=(0.5, 1.0), width=0.2),
        num_trajectories=2,
        num_frames=3,
    )
    store = generate(simulation, tmp_path / "s.zarr", progress=False)
    frames = store.read("velocity", slice(None))
    seed = simulation.trajectory_seeds().tolist()[1]
    np.testing.assert_allclose(frames[1, 0], simulation.draw_initial(seed), rtol=0, atol=1e-6)
    # each component is the one-dimensional solution along its own axis
    np.testing.assert_allclose(frames[:, :, 0], frames[:, :, 0, :, :1].repeat(32, axis=3), rtol=0, atol=2e-7)
    np.testing.assert_allclose(frames[:, :, 1], frames[:, :, 1, :1].repeat(48, axis=2), rtol=0, atol=2e-7)


def test_the_settings_say_that_the_source_is_exact():
    settings = exact_simulation().settings()
    assert settings["source"] == "exact"
    assert settings["scheme"] == {"class_path": "burgerslab.physics.ColeHopf", "init_args": {"tolerance": 1e-10}}
    assert not {"substeps", "dtype"} & settings.keys()
    assert fingerprint(exact_simulation(dtype="float64").settings()) == fingerprint(settings)
    assert fingerprint(exact_simulation(scheme=ColeHopf(1e-8)).settings()) != fingerprint(settings)


def test_a_store_of_a_scheme_is_no_store_of_the_solution(store):
    with pytest.raises(StoreMismatchError, match=r"source: stored 'exact', wanted 'simulation'"):
        generate(exact_simulation(scheme=FiniteDifference(), substeps=4), store.path, progress=False)


def test_substeps_are_refused():
    message = r"simulation\.substeps has no meaning for the exact solution, simulation\.scheme ColeHopf; .* got 4"
    with pytest.raises(ValueError, match=message):
        exact_simulation(substeps=4)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"domain": Domain((1.0, 1.0), (16, 16))},
            NoPotentialError,
            r"simulation\.initial: RandomFourier draws velocities with curl, .* set curl_free: true",
        ),
        (
            {"initial": Shock(width=0.01)},
            NoPotentialError,
            r"simulation\.initial: Shock: the cells do not resolve this velocity",
        ),
        (
            {"viscosity": 1e-9},
            AccuracyError,
            r"simulation: trajectory 0: the Cole-Hopf solution at viscosity \S+ loses .* The smallest viscosity that "
            r"works with this initial velocity is",
        ),
    ],
    ids=["curl", "unresolved", "viscosity"],
)
def test_what_has_no_exact_solution_leaves_no_trace(tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        generate(exact_simulation(**changes), tmp_path / "s.zarr", progress=False)
    assert list(tmp_path.iterdir()) == []
