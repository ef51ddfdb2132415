"""The settings of a simulation: what is drawn from them, and what is recorded of them."""

import dataclasses

import numpy as np
import pytest
import torch

from burgerslab.data.fingerprint import fingerprint
from burgerslab.physics import (
    ConstantViscosity,
    Domain,
    FiniteDifference,
    InitialCondition,
    LogUniformViscosity,
    RandomFourier,
    SemiLagrangian,
    Sine,
)
from tests.small_stores import line_simulation


def test_seeds_depend_on_the_seed_and_the_number_of_the_trajectory_only():
    seeds = line_simulation(num_trajectories=6).trajectory_seeds()
    assert seeds.dtype == np.uint64
    np.testing.assert_array_equal(line_simulation(num_trajectories=3).trajectory_seeds(), seeds[:3])
    assert len(set(seeds.tolist()) | set(line_simulation(seed=1).trajectory_seeds().tolist())) == 16


def test_viscosities_are_log_uniform_and_do_not_depend_on_the_initial_condition():
    simulation = line_simulation(num_trajectories=400, viscosity=LogUniformViscosity(0.01, 1.0))
    drawn = np.array([simulation.draw_viscosity(seed) for seed in simulation.trajectory_seeds().tolist()])
    assert 0.01 <= drawn.min() < 0.012
    assert 0.85 < drawn.max() <= 1.0
    # log10 is uniform on (-2, 0): mean -1, standard error 2 / sqrt(12 * 400) = 0.029
    assert abs(np.log10(drawn).mean() + 1) < 0.09
    other = dataclasses.replace(simulation, initial=Sine())
    assert other.draw_viscosity(7) == simulation.draw_viscosity(7)


def test_one_number_is_the_same_viscosity_for_all():
    simulation = line_simulation(viscosity=0.07)
    assert simulation.viscosity == ConstantViscosity(0.07)
    assert {simulation.draw_viscosity(seed) for seed in range(5)} == {0.07}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_initial_velocities_are_drawn_from_the_seed(dtype):
    simulation = line_simulation(dtype=dtype)
    initial = simulation.draw_initial(7)
    assert initial.dtype == getattr(torch, dtype)
    stream = np.random.SeedSequence(7).spawn(2)[1]
    expected = RandomFourier().sample(simulation.domain, np.random.default_rng(stream))
    torch.testing.assert_close(initial.double(), torch.from_numpy(expected), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"domain": Domain((2.0,), (32,))},
        {"domain": Domain((1.0,), (16,))},
        {"viscosity": 0.1},
        {"viscosity": LogUniformViscosity(0.05, 0.21)},
        {"dt": 0.06},
        {"num_frames": 9},
        {"num_trajectories": 11},
        {"initial": RandomFourier(amplitude=0.9)},
        {"initial": RandomFourier(amplitude=(0.5, 1.0))},
        {"initial": Sine()},
        {"scheme": FiniteDifference(order=4)},
        {"scheme": SemiLagrangian()},
        {"substeps": 3},
        {"seed": 1},
        {"dtype": "float64"},
    ],
    ids=str,
)
def test_every_option_is_part_of_the_fingerprint(changes):
    assert fingerprint(line_simulation(**changes).settings()) != fingerprint(line_simulation().settings())


def test_the_same_settings_spelled_otherwise_have_one_fingerprint():
    whole = line_simulation(
        domain=Domain((2,), (16,)), dt=1, viscosity=LogUniformViscosity(1, 2), initial=RandomFourier(amplitude=(1, 2))
    )
    real = line_simulation(
        domain=Domain((2.0,), (16,)),
        dt=1.0,
        viscosity=LogUniformViscosity(1.0, 2.0),
        initial=RandomFourier(amplitude=(1.0, 2.0)),
    )
    assert fingerprint(whole.settings()) == fingerprint(real.settings())
    assert fingerprint(line_simulation(viscosity=1).settings()) == fingerprint(
        line_simulation(viscosity=ConstantViscosity(1)).settings()
    )


def test_settings_are_written_as_yaml_writes_them():
    settings = line_simulation(viscosity=0.1, initial=RandomFourier(amplitude=2)).settings()
    assert settings["source"] == "simulation"
    assert settings["viscosity"] == {
        "class_path": "burgerslab.physics.ConstantViscosity",
        "init_args": {"value": 0.1},
    }
    assert settings["initial"]["init_args"] == {"amplitude": 2.0, "max_mode": 4, "decay": 1.0, "curl_free": False}
    assert isinstance(settings["initial"]["init_args"]["max_mode"], int)
    assert settings["substeps"] == 2


class Undeclared(InitialCondition):
    def __init__(self, power):
        self.power = power

    def sample(self, domain, generator):
        return np.zeros((1, *domain.resolution))


@dataclasses.dataclass(frozen=True)
class Declared(InitialCondition):
    power: int
    weights: dict[str, float] = dataclasses.field(default_factory=lambda: {"sine": 1})

    def sample(self, domain, generator):
        return np.full((2, *domain.resolution), np.nan)


def test_a_class_of_ones_own_is_recorded_if_it_is_a_dataclass():
    settings = line_simulation(initial=Declared(3)).settings()
    assert settings["initial"] == {
        "class_path": f"{__name__}.Declared",
        "init_args": {"power": 3, "weights": {"sine": 1.0}},
    }
    with pytest.raises(
        ValueError, match=r"simulation\.initial: Undeclared cannot be recorded .* make it a dataclass"
    ):
        line_simulation(initial=Undeclared(3)).settings()


def test_an_initial_velocity_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"Declared\.sample must return finite values of shape .*\(1, 16\), got"):
        line_simulation(initial=Declared(3)).draw_initial(0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_trajectories": 0}, r"simulation\.num_trajectories must be at least 1, got 0"),
        ({"num_frames": 1}, r"simulation\.num_frames must be at least 2, got 1"),
        ({"substeps": 0}, r"simulation\.substeps must be at least 1, got 0"),
        ({"seed": -1}, r"simulation\.seed must be at least 0, got -1"),
        ({"dt": 0.0}, r"simulation\.dt must be positive and finite, got 0"),
        ({"dt": float("nan")}, r"simulation\.dt must be positive and finite, got nan"),
        ({"viscosity": -0.1}, "viscosity must be positive and finite, got -0.1"),
    ],
)
def test_numbers_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        line_simulation(**changes)
