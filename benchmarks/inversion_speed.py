"""Viscosity from exact data: Inversion beside phi.math.minimize in PhiFlow's eager mode, to the same viscosity.

Run ``OMP_NUM_THREADS=1 python benchmarks/inversion_speed.py``; it takes some three minutes of one core. Both sides
have the same scheme, the same steps, the same data and the same start, five times the truth, in log ν; the objective
is the mean square error over the mean square of the data. The time of `Inversion` is that of the whole fit: it
includes recording the step, the scaling, the standard deviation, the interval, and the check on a grid twice as fine,
none of which `math.minimize` has. Only what a process does once is left out on both sides, such as imports: a small
problem is solved before. Times are the least of several runs in turn.
"""

import argparse
import logging
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
import torch
from phi.torch.flow import math

from burgerslab.data import BurgersDataModule, HybridDataset, Simulation, Store, generate
from burgerslab.inversion import Inversion, Viscosity
from burgerslab.physics import ColeHopf, ConstantViscosity, Domain, FiniteDifference, RandomFourier, Rollout
from burgerslab.physics.solver_step import forget_shared_steps

FACTOR = 5.0  # of the start


@dataclass(frozen=True)
class Case:
    """Exact trajectories, and what made them."""

    resolution: tuple[int, ...]
    num_trajectories: int
    num_steps: int
    viscosity: float
    dt: float

    def __str__(self) -> str:
        cells = " x ".join(map(str, self.resolution))
        return f"{cells} cells, {self.num_trajectories} trajectories, {self.num_steps} frames"

    def generate(self, path: Path) -> None:
        """Fill a store."""
        dimension = len(self.resolution)
        simulation = Simulation(
            domain=Domain((1.0,) * dimension, self.resolution),
            viscosity=ConstantViscosity(self.viscosity),
            dt=self.dt,
            num_frames=self.num_steps + 1,
            num_trajectories=self.num_trajectories,
            initial=RandomFourier(amplitude=0.5, max_mode=3 if dimension == 1 else 2, curl_free=dimension > 1),
            scheme=ColeHopf(),
        )
        generate(simulation, path, progress=False)


WARM_UP = Case((16,), 2, 64, 0.05, 0.01)
CASES = [
    Case((128,), 8, 100, 0.01, 0.01),
    Case((256,), 16, 100, 0.01, 0.01),
    Case((64, 64), 8, 30, 0.02, 0.01),
]


def with_lightning(case: Case, path: Path, substeps: int) -> tuple[float, int]:
    """Viscosity, and evaluations."""
    data = BurgersDataModule(
        str(path),
        num_predict_steps=case.num_steps,
        use_sliding_window=False,
        train_sim_indices=list(range(case.num_trajectories)),
        val_sim_indices=[],
        test_sim_indices=[],
    )
    inversion = Inversion([Viscosity(FACTOR * case.viscosity)], substeps=substeps)
    options = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(accelerator="cpu", max_epochs=-1, enable_checkpointing=False, **options)
    trainer.fit(inversion, datamodule=data)
    assert inversion.result is not None
    return float(inversion.coefficients()["viscosity"]), inversion.result.solution.num_evaluations


def with_phiflow(case: Case, path: Path, substeps: int) -> tuple[float, int]:
    """Viscosity, and evaluations: the same scheme and steps, log ν as unknown, the mean square error as loss."""
    dataset = HybridDataset(Store(path), case.num_steps, use_sliding_window=False)
    batch = dataset.batch(range(case.num_trajectories))
    domain, dt, guess = dataset.description.domain, dataset.description.dt, FACTOR * case.viscosity
    rollout = Rollout(FiniteDifference(), domain, dt, substeps, capture=False)
    initial, target = batch["initial"].double(), batch["target"].double()
    num_evaluations = 0

    def loss(log_viscosity: math.Tensor) -> math.Tensor:
        nonlocal num_evaluations
        num_evaluations += 1
        frames = rollout(initial, log_viscosity.native([]).exp(), case.num_steps)
        return math.wrap((frames - target).square().mean() / target.square().mean())

    start = math.wrap(torch.tensor(guess, dtype=torch.float64).log())
    with math.precision(64):
        found = math.minimize(loss, math.Solve("L-BFGS-B", abs_tol=1e-8, x0=start))
    return float(math.exp(found)), num_evaluations


def substeps_of(case: Case, path: Path) -> int:
    """Those that `Inversion` takes by itself."""
    dataset = HybridDataset(Store(path), case.num_steps, use_sliding_window=False)
    inversion = Inversion([Viscosity(FACTOR * case.viscosity)])
    return inversion.to_phiflow(dataset.batch(range(case.num_trajectories)), dataset.description).substeps


def print_rows(case: Case, path: Path, num_runs: int) -> None:
    """One row for each side, and the ratio of their times."""
    sides = {"Inversion": with_lightning, "phi.math.minimize, eager": with_phiflow}
    times: dict[str, float] = {}
    found: dict[str, tuple[float, int]] = {}
    substeps = substeps_of(case, path)
    for _ in range(num_runs):
        for name, run in sides.items():
            forget_shared_steps()  # recording is a part of the time
            begun = time.process_time()
            found[name] = run(case, path, substeps)
            times[name] = min(times.get(name, float("inf")), time.process_time() - begun)
    ours, theirs = times.values()
    print(f"{case}: {theirs / ours:.1f} times faster")
    for name, (viscosity, num_evaluations) in found.items():
        error = 100 * (viscosity / case.viscosity - 1)
        print(f"  {name:<28}{viscosity:>12.8f}{error:>10.4f}{num_evaluations:>13}{times[name]:>8.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="runs of each side, of which the fastest counts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "warm_up.zarr"
        WARM_UP.generate(path)
        with_lightning(WARM_UP, path, 1)
        with_phiflow(WARM_UP, path, 1)
        print(f"{'':<30}{'viscosity':>12}{'error %':>10}{'evaluations':>13}{'CPU s':>8}")
        for number, case in enumerate(CASES):
            path = Path(folder) / f"{number}.zarr"
            case.generate(path)
            print_rows(case, path, options.runs)


if __name__ == "__main__":
    main()
