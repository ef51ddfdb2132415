"""A generated store holds the rollouts of what was drawn, and bad settings are refused before it is made."""

import dataclasses

import numpy as np
import pytest
import torch

from burgerslab.data import Store, generate
from burgerslab.data.store_errors import StoreIncompleteError, StoreMismatchError
from burgerslab.physics import (
    ColeHopf,
    DivergedError,
    Domain,
    InitialCondition,
    Rollout,
    Scheme,
    SemiLagrangian,
    UnstableStepError,
)
from tests.small_stores import line_simulation

SIMULATION = line_simulation()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return generate(SIMULATION, tmp_path_factory.mktemp("line") / "s.zarr", block_size=4, progress=False)


def velocity(store):
    return store.read("velocity", slice(None))


def test_frames_are_the_rollout_of_the_drawn_initial_velocity(store):
    frames = velocity(store)
    for index, seed in enumerate(SIMULATION.trajectory_seeds().tolist()):
        initial, viscosity = SIMULATION.draw_initial(seed), SIMULATION.draw_viscosity(seed)
        assert store.seeds[index] == seed
        assert store.viscosity[index] == viscosity
        np.testing.assert_array_equal(frames[index, 0], initial)
        rollout = Rollout(SIMULATION.scheme, SIMULATION.domain, SIMULATION.dt, SIMULATION.substeps, capture=False)
        later = rollout(initial.double()[None], torch.tensor(viscosity, dtype=torch.float64), 7)[0]
        np.testing.assert_allclose(frames[index, 1:], later, atol=2e-5)
    assert len(set(store.viscosity.tolist())) == 10


def test_momentum_is_kept_and_energy_is_lost(store):
    frames = velocity(store).astype(np.float64)
    np.testing.assert_allclose(frames.mean(axis=(2, 3)), 0, atol=1e-6)
    assert (np.diff((frames**2).sum(axis=(2, 3)), axis=1) < 0).all()


def test_the_same_settings_give_the_same_bits(store, tmp_path):
    again = generate(SIMULATION, tmp_path / "s.zarr", block_size=4, progress=False)
    np.testing.assert_array_equal(velocity(again), velocity(store))
    np.testing.assert_array_equal(again.viscosity, store.viscosity)
    assert again.fingerprint == store.fingerprint


@pytest.mark.parametrize(("num_trajectories", "block_size"), [(3, 4), (10, 10), (10, 3), (14, None)])
def test_a_trajectory_depends_neither_on_its_companions_nor_on_the_batch(
    store, tmp_path, num_trajectories, block_size
):
    other = generate(
        line_simulation(num_trajectories=num_trajectories), tmp_path / "s.zarr", block_size=block_size, progress=False
    )
    shared = min(10, num_trajectories)
    np.testing.assert_allclose(velocity(other)[:shared], velocity(store)[:shared], atol=1e-6)
    np.testing.assert_array_equal(other.viscosity[:shared], store.viscosity[:shared])


def test_a_complete_store_is_taken_as_it_is(tmp_path, monkeypatch):
    path = tmp_path / "s.zarr"
    generate(SIMULATION, path, progress=False)
    monkeypatch.setattr(Rollout, "__call__", lambda *_: pytest.fail("a finished trajectory was simulated again"))
    monkeypatch.setattr(Rollout, "check_stability", lambda *_: pytest.fail("nothing is left to simulate"))
    generate(SIMULATION, path, progress=False)
    monkeypatch.undo()
    with pytest.raises(StoreMismatchError, match=r"viscosity\.init_args\.high: stored 0\.2"):
        generate(line_simulation(viscosity=0.1), path, progress=False)


def test_float64_is_stored_as_float32_nearest_to_it(store, tmp_path):
    double = generate(line_simulation(dtype="float64"), tmp_path / "s.zarr", progress=False)
    assert velocity(double).dtype == np.float32
    np.testing.assert_allclose(velocity(double), velocity(store), atol=2e-5)


def test_two_dimensions(tmp_path):
    simulation = line_simulation(domain=Domain((2.0, 1.0), (16, 12)), num_trajectories=2, num_frames=3)
    store = generate(simulation, tmp_path / "s.zarr", progress=False)
    assert velocity(store).shape == (2, 3, 2, 16, 12)
    assert store.layout.field("velocity").components == ("x", "y")


def test_a_progress_bar_counts_trajectories(tmp_path, capsys):
    generate(SIMULATION, tmp_path / "s.zarr", block_size=4)
    assert "simulating trajectories" in capsys.readouterr().out
    generate(SIMULATION, tmp_path / "t.zarr", progress=False)
    assert capsys.readouterr().out == ""


class Undeclared(InitialCondition):
    def sample(self, domain, generator):
        return np.zeros((1, *domain.resolution))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"dt": 1.0}, UnstableStepError, r"simulation: FiniteDifference is unstable .* Set substeps to \d+ or more"),
        (
            {"scheme": SemiLagrangian(), "viscosity": 10.0},
            UnstableStepError,
            "simulation: SemiLagrangian is unstable",
        ),
        ({"initial": Undeclared()}, ValueError, r"simulation\.initial: Undeclared cannot be recorded"),
    ],
)
def test_bad_settings_leave_no_trace(tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        generate(line_simulation(**changes), tmp_path / "s.zarr", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_simulation_leaves_the_store_to_be_replaced_alone(store):
    with pytest.raises(UnstableStepError, match="simulation"):
        generate(line_simulation(dt=1.0), store.path, overwrite=True, progress=False)
    assert Store(store.path).fingerprint == store.fingerprint


def test_adopting_the_suggested_substeps_suffices(tmp_path):
    with pytest.raises(UnstableStepError) as raised:
        generate(line_simulation(dt=0.5), tmp_path / "s.zarr", progress=False)
    substeps = int(str(raised.value).split("Set substeps to ")[1].split()[0])
    assert generate(line_simulation(dt=0.5, substeps=substeps), tmp_path / "s.zarr", progress=False).path.exists()


@dataclasses.dataclass(frozen=True)
class StrongSometimes(InitialCondition):
    """One draw in five is twenty times stronger than the others."""

    def sample(self, domain, generator):
        amplitude = 1.0 if generator.uniform() < 0.2 else 0.05
        return amplitude * np.sin(2 * np.pi * domain.centres()[0] / domain.extent[0])[None]


@dataclasses.dataclass(frozen=True)
class CubicGrowth(Scheme):
    """u_t = 20 u³ by forward Euler: u0 = 1 grows beyond float32 in 7 steps of 0.025, u0 = 0.05 by 2 % in 14."""

    order = 1

    def step(self, velocity, viscosity, dt):
        return velocity + dt * 20 * velocity * velocity * velocity


def test_a_simulation_that_diverges_is_named_and_keeps_what_is_finished(tmp_path):
    simulation = line_simulation(initial=StrongSometimes(), scheme=CubicGrowth())
    seeds = simulation.trajectory_seeds().tolist()
    first = next(index for index, seed in enumerate(seeds) if simulation.draw_initial(seed).max() > 0.5)
    assert first >= 2, "choose a seed whose first block is finished"
    block = first // 2 * 2
    message = (
        rf"simulation: in trajectories {block} to {block + 1}, counted from {block}: the rollout is not finite in "
        rf"1 of 2 trajectories, first in trajectory {first - block} at frame 4 .*Finished blocks are kept"
    )
    with pytest.raises(DivergedError, match=message):
        generate(simulation, tmp_path / "s.zarr", block_size=2, progress=False)
    with pytest.raises(StoreIncompleteError, match=f"{block} of 10 trajectories are finished"):
        Store(tmp_path / "s.zarr")


def test_speeds_that_grow_are_refused_and_refinement_cures_them(tmp_path):
    # 16 cells at cell Péclet numbers above 10: central differences ring, which the equation forbids
    coarse = line_simulation(viscosity=0.01, num_trajectories=4, num_frames=21, substeps=4, dtype="float64")
    with pytest.raises(DivergedError, match=r"largest speed grows in \d of 4 .*Set simulation\.refine to \d"):
        generate(coarse, tmp_path / "coarse.zarr", progress=False)
    with pytest.raises(StoreIncompleteError):
        Store(tmp_path / "coarse.zarr")
    fine = dataclasses.replace(coarse, refine=27, substeps=108)
    exact = dataclasses.replace(coarse, scheme=ColeHopf(), substeps=1)
    frames, truth = (
        velocity(generate(settings, tmp_path / f"{name}.zarr", progress=False))
        for name, settings in (("fine", fine), ("exact", exact))
    )
    np.testing.assert_allclose(frames, truth, atol=1e-2)


def test_refinement_is_part_of_the_settings():
    assert line_simulation(refine=2).settings()["refine"] == 2
    with pytest.raises(ValueError, match=r"simulation\.refine must be at least 1, got 0"):
        line_simulation(refine=0)
