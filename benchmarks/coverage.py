"""Is a viscosity from noisy frames unbiased, and does its 95 % interval hold the truth 95 times in 100?

Run ``OMP_NUM_THREADS=1 python benchmarks/coverage.py``; it takes about ten minutes of one core. Exact (Cole-Hopf)
data of two trajectories at a cell Péclet number of 1, noise on every frame, the first ones too. One viscosity for
both is sought from twice the truth in three ways: from windows of 4 frames, as a forecaster is trained, and from
one window of all frames per trajectory, both with the noisy first frame taken for exact, which standard deviations
and intervals allow for; and from the latter with the first frame learned together with the viscosity.

Each row is over many draws of the noise. The mean of n estimates of standard deviation s strays from the truth by
some s/√n even if nothing is wrong ("chance"). "own std" is the mean of the standard deviations that the fits
themselves give, "covered" how often their 95 % interval holds the truth: 88 to 100 % of 50 fits if it is a true
one.
"""

import argparse
import logging
import tempfile
import time
import warnings
from pathlib import Path

import lightning.pytorch as pl
import numpy as np

from burgerslab.data import BurgersDataModule, Observation, Simulation, generate
from burgerslab.inversion import LBFGSB, InitialState, Inversion, InversionResult, Learnable, Viscosity
from burgerslab.physics import ColeHopf, Domain, FourierSpectral, RandomFourier

VISCOSITY = 1 / 64
NUM_STEPS = 30
LEVELS = (0.01, 0.05)
NUM_SEEDS = 50
SIMULATION = Simulation(
    domain=Domain((1.0,), (64,)),
    viscosity=VISCOSITY,
    dt=0.02,
    num_frames=NUM_STEPS + 1,
    num_trajectories=2,
    initial=RandomFourier(amplitude=0.5, max_mode=3),
    scheme=ColeHopf(),
)
WAYS: list[tuple[str, int, bool]] = [  # target frames of a window, and whether first frames are learned
    ("windows of 4, first frame as exact", 4, False),
    ("all frames, first one as exact", NUM_STEPS, False),
    ("all frames, first one learned", NUM_STEPS, True),
]
# In variables of unit curvature the standard deviation is some 1e-2; steps of 1e-5 are no news.
SOLVER = LBFGSB(abs_tol=1e-5)


def fit(store: Path, level: float, seed: int, num_steps: int, with_initial_state: bool) -> InversionResult:
    """The viscosity of both trajectories from one draw of the noise."""
    data = BurgersDataModule(
        str(store),
        num_predict_steps=num_steps,
        train_sim_indices=[0, 1],
        val_sim_indices=[],
        test_sim_indices=[],
        observation=Observation(noise=level, seed=seed),
        batch_size=64,
    )
    learnables: list[Learnable] = [Viscosity(initial_guess=2 * VISCOSITY)]
    if with_initial_state:
        learnables.append(InitialState())
    inversion = Inversion(learnables, scheme=FourierSpectral(), substeps=1, solver=SOLVER)
    options = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(accelerator="cpu", max_epochs=-1, enable_checkpointing=False, **options)
    trainer.fit(inversion, datamodule=data)
    assert inversion.result is not None
    assert inversion.result.solution.converged
    return inversion.result


def print_row(store: Path, level: float, num_seeds: int, way: tuple[str, int, bool]) -> None:
    """Errors over the seeds, in % of the viscosity."""
    begun = time.process_time()
    name, num_steps, with_initial_state = way
    results = [fit(store, level, seed, num_steps, with_initial_state) for seed in range(num_seeds)]
    seconds = (time.process_time() - begun) / num_seeds
    found = [result.estimates["viscosity"] for result in results]
    errors = np.array([100 * (float(estimate.value) / VISCOSITY - 1) for estimate in found])
    stds = np.array([100 * float(estimate.std) / VISCOSITY for estimate in found])
    covered = np.mean([float(estimate.low) <= VISCOSITY <= float(estimate.high) for estimate in found])
    spread = float(errors.std(ddof=1)) if num_seeds > 1 else float("nan")
    evaluations = np.mean([result.solution.num_evaluations for result in results])
    print(
        f"{100 * level:>7g}  {name:<36}"
        f"{errors.mean():>11.3f}{spread / num_seeds**0.5:>8.3f}{spread:>8.3f}{stds.mean():>9.3f}"
        f"{100 * covered:>10.0f}{evaluations:>7.1f}{seconds:>7.1f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=NUM_SEEDS, help="draws of the noise at each level")
    parser.add_argument("--levels", type=float, nargs="+", default=LEVELS, help="noise over the spread of u")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")  # of noisy first frames: the point here; and Lightning's of missing loaders
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "exact.zarr"
        speed = float(np.abs(generate(SIMULATION, store, progress=False).read("velocity", slice(None))).max())
        peclet = speed * SIMULATION.domain.spacing[0] / VISCOSITY
        print(f"cell Péclet number {peclet:.2f}; errors of the viscosity in %, {options.seeds} draws")
        print(
            f"{'noise %':>7}  {'':<36}{'mean error':>11}{'chance':>8}{'std':>8}{'own std':>9}{'covered %':>10}"
            f"{'evals':>7}{'CPU s':>7}"
        )
        for level in options.levels:
            for way in WAYS:
                print_row(store, level, options.seeds, way)


if __name__ == "__main__":
    main()
