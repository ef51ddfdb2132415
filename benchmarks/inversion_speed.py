"""Viscosity from exact data: Inversion beside phi.math.minimize in PhiFlow's eager mode, to the same viscosity.

python benchmarks/inversion_speed.py
"""

import logging
import tempfile
import time
import warnings
from pathlib import Path

import lightning.pytorch as pl
import torch
from phi.torch.flow import math

from burgerslab.data import BurgersDataModule, HybridDataset, Simulation, Store, generate
from burgerslab.inversion import Inversion, Viscosity
from burgerslab.physics import ColeHopf, ConstantViscosity, Domain, FiniteDifference, RandomFourier, Rollout

VISCOSITY, GUESS = 0.01, 0.05
NUM_STEPS, NUM_TRAJECTORIES = 100, 8


def with_lightning(path: Path) -> tuple[float, int]:
    """Viscosity, and evaluations; the sensitivities for scaling and interval come on top."""
    data = BurgersDataModule(
        str(path),
        num_predict_steps=NUM_STEPS,
        use_sliding_window=False,
        train_sim_indices=list(range(NUM_TRAJECTORIES)),
        val_sim_indices=[],
        test_sim_indices=[],
    )
    inversion = Inversion([Viscosity(GUESS)])
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=-1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(inversion, datamodule=data)
    assert inversion.result is not None
    return float(inversion.coefficients()["viscosity"]), inversion.result.solution.num_evaluations


def with_phiflow(path: Path, substeps: int) -> tuple[float, int]:
    """Viscosity, and evaluations: the same scheme and steps, log ν as unknown, the mean square error as loss."""
    dataset = HybridDataset(Store(path), NUM_STEPS, use_sliding_window=False)
    batch = dataset.batch(range(NUM_TRAJECTORIES))
    domain, dt = dataset.description.domain, dataset.description.dt
    rollout = Rollout(FiniteDifference(), domain, dt, substeps, capture=False)
    initial, target = batch["initial"].double(), batch["target"].double()
    num_evaluations = 0

    def loss(log_viscosity: math.Tensor) -> math.Tensor:
        nonlocal num_evaluations
        num_evaluations += 1
        viscosity = log_viscosity.native([]).exp()
        return math.wrap((rollout(initial, viscosity, NUM_STEPS) - target).square().mean() / target.square().mean())

    start = math.wrap(torch.tensor(GUESS, dtype=torch.float64).log())
    with math.precision(64):
        found = math.minimize(loss, math.Solve("L-BFGS-B", abs_tol=1e-8, x0=start))
    return float(math.exp(found)), num_evaluations


def main() -> None:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "exact.zarr"
        simulation = Simulation(
            domain=Domain((1.0,), (128,)),
            viscosity=ConstantViscosity(VISCOSITY),
            dt=0.01,
            num_frames=NUM_STEPS + 1,
            num_trajectories=NUM_TRAJECTORIES,
            initial=RandomFourier(amplitude=0.5, max_mode=3),
            scheme=ColeHopf(),
        )
        generate(simulation, path)
        probe = Inversion([Viscosity(GUESS)])
        dataset = HybridDataset(Store(path), NUM_STEPS, use_sliding_window=False)
        substeps = probe.to_phiflow(dataset.batch(range(NUM_TRAJECTORIES)), dataset.description).substeps
        print(f"{'':<28}{'viscosity':>12}{'error %':>10}{'evaluations':>13}{'CPU s':>8}")
        times = []
        for name, run in (
            ("Inversion", lambda: with_lightning(path)),
            ("phi.math.minimize, eager", lambda: with_phiflow(path, substeps)),
        ):
            begin = time.process_time()
            viscosity, num_evaluations = run()
            times.append(time.process_time() - begin)
            error = 100 * (viscosity / VISCOSITY - 1)
            print(f"{name:<28}{viscosity:>12.8f}{error:>10.4f}{num_evaluations:>13}{times[-1]:>8.2f}", flush=True)
        print(f"ratio of CPU times: {times[1] / times[0]:.1f}")


if __name__ == "__main__":
    main()
