"""Variables in which the objective is round: from a start that tells little of a number, too."""

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from burgerslab.data import BurgersDataModule, Simulation, generate
from burgerslab.inversion import Advection, Inversion, Problem, Viscosity
from burgerslab.inversion.conditioning import Conditioning
from burgerslab.inversion.gauss_newton import ArrowMatrix
from burgerslab.inversion.objective import Objective, suitable_rollout
from burgerslab.physics import ColeHopf, Domain, FiniteDifference, Sine

VISCOSITY = 0.02


def _objective() -> Objective:
    problem = Problem(
        domain=Domain((1.0,), (16,)),
        dt=0.1,
        windows=((0, 0),),
        num_steps=1,
        num_observed=16,
        num_generated=0,
        overlap=1.0,
        scale=1.0,
        speed=(1.0,),
        viscosity=np.array([VISCOSITY]),
    )
    learnables = [Viscosity(VISCOSITY), Advection()]
    return Objective(problem, learnables, suitable_rollout(problem, learnables, FiniteDifference(), None, 1))


def test_scales_are_of_unit_curvature_but_never_above_one() -> None:
    objective = _objective()
    curvature = ArrowMatrix(torch.tensor([[1e-6, 0.0], [0.0, 25.0]]).double(), *_no_own())
    conditioning = Conditioning.of(curvature, objective, objective.start())
    assert conditioning.turn.diagonal().tolist() == pytest.approx([1.0, 0.2])
    flat = torch.tensor([0.3, -2.0], dtype=torch.float64)
    rounded = conditioning.to_rounded(flat, objective)
    assert rounded.tolist() == pytest.approx([0.3, -15.0])  # from the start, log 1 and 1
    assert conditioning.to_flat(rounded, objective).tolist() == pytest.approx(flat.tolist())
    assert conditioning.bounds(objective)[1] == pytest.approx((-55.0, 45.0))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::burgerslab.inversion.InversionWarning")  # the grid moves it by 0.1 %
def test_a_viscosity_without_effect_at_the_start_is_not_thrown_to_its_bound(tmp_path) -> None:
    """Where nothing is advected a sine wave hardly decays, and the gradient asks for all the viscosity there is."""
    simulation = Simulation(
        domain=Domain((2.0,), (64,)),
        viscosity=VISCOSITY,
        dt=0.05,
        num_frames=17,
        num_trajectories=2,
        initial=Sine(random_phase=False),
        scheme=ColeHopf(),
    )
    generate(simulation, tmp_path / "sine.zarr", progress=False)
    data = BurgersDataModule(
        str(tmp_path / "sine.zarr"),
        num_predict_steps=16,
        use_sliding_window=False,
        train_sim_indices=[0],
        val_sim_indices=[1],
        test_sim_indices=[],
    )
    inversion = Inversion([Viscosity(VISCOSITY / 4), Advection(0.0)])
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    pl.Trainer(accelerator="cpu", max_epochs=-1, logger=False, **quiet).fit(inversion, datamodule=data)
    assert inversion.result is not None
    assert inversion.result.solution.num_evaluations <= 16  # 24 if the first step may be of any length
    found = {name: float(value) for name, value in inversion.coefficients().items()}
    assert found == pytest.approx({"viscosity": VISCOSITY, "advection": 1.0}, rel=2e-3)


def _no_own() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(1, 2, 0, dtype=torch.float64), torch.zeros(1, 0, 0, dtype=torch.float64)
