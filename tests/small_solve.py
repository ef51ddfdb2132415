"""A solve of three unknowns in milliseconds, and its runs in processes of their own."""

import os
import signal
import sys
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from scipy.optimize import minimize
from torch.utils.data import DataLoader

from burgerslab.inversion import LBFGSB, Chunks, Solvable, SummedObjective

START = (-1.2, 1.0, 0.5)
BOUNDS = [(-2.0, 2.0), (None, None), (None, 0.8)]
QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


class Valley(Solvable):
    """Weighted mean over windows of a Rosenbrock function whose valley differs from window to window."""

    def __init__(self, solver=LBFGSB(), start=START, **problem):  # noqa: B008
        super().__init__()
        self.unknowns = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
        self.settings = solver
        self.options = problem
        self.num_misfits = 0
        self.adopted = []
        self.given = None
        self.signal = None

    @property
    def solver(self):
        return self.settings

    def start(self):
        return self.unknowns.detach().cpu().numpy().copy()

    def bounds(self):
        return BOUNDS

    def problem(self):
        return self.options

    def adopt(self, x):
        self.adopted.append(x)
        with torch.no_grad():
            self.unknowns.copy_(torch.from_numpy(x))

    def misfit(self, vector, batch):
        self.num_misfits += 1
        if self.signal is not None:
            os.kill(os.getpid(), self.signal)
        bend = vector[1:] - batch["bend"][:, None] * vector[:-1] ** 2
        values = 10 * (bend**2).sum(1) + ((1 - vector) ** 2).sum()
        return (batch["weight"] * values).sum(), batch["weight"].sum()

    def penalty(self, vector):
        return 0.01 * (vector**2).sum()

    def on_solution(self, solution, objective):
        self.given = (solution, objective(solution.x)[0])

    def validation_step(self, batch, batch_idx):
        self.log("val/distance", (self.unknowns - 1).abs().max(), batch_size=1, sync_dist=True)


def windows(num=10):
    generator = np.random.default_rng(0)
    columns = {"bend": 1 + 0.1 * generator.standard_normal(num), "weight": generator.uniform(1, 2, num)}
    return [{name: values[i] for name, values in columns.items()} for i in range(num)]


def loader(batch_size=4, num=10, **options):
    return DataLoader(windows(num), batch_size=batch_size, **options)


def trainer(*callbacks, **options):
    return pl.Trainer(**{"max_epochs": 100, **QUIET, **options}, callbacks=list(callbacks))


def fit(*callbacks, module=None, ckpt_path=None, **options):
    module, run = module or Valley(), trainer(*callbacks, **options)
    run.fit(module, loader(), ckpt_path=ckpt_path)
    return module, run


class Watch(Callback):
    """Counts hooks, and notes steps and epochs."""

    def __init__(self):
        self.hooks = []

    def on_train_start(self, trainer, module):
        self.hooks.append("start")

    def on_train_epoch_start(self, trainer, module):
        self.hooks.append(("epoch", trainer.current_epoch))

    def on_train_batch_end(self, trainer, module, *args):
        self.hooks.append(("step", trainer.global_step, module.unknowns.tolist()))

    def on_validation_start(self, trainer, module):
        self.hooks.append(("validation", trainer.current_epoch))

    def on_train_end(self, trainer, module):
        self.hooks.append("end")


def plain_scipy(settings=LBFGSB(), batch_size=4):  # noqa: B008
    """The solve without Lightning: scipy's result and the points it accepted."""
    module, points = Valley(), []
    objective = SummedObjective(module.misfit, module.penalty, Chunks(loader(batch_size)))
    options = {"gtol": settings.abs_tol, "ftol": settings.rel_tol, "maxcor": settings.history_size}
    result = minimize(
        objective,
        np.array(START),
        jac=True,
        method="L-BFGS-B",
        bounds=BOUNDS,
        options=options,
        callback=lambda x: points.append(x.copy()),
    )
    return result, points


class Signal(Callback):
    """Sends this process a signal in the middle of the evaluation after so many steps."""

    def __init__(self, number, after):
        self.number = number
        self.after = after

    def on_train_batch_end(self, trainer, module, *args):
        module.signal = self.number if trainer.global_step == self.after else None


def main(folder, signal_number=0, after=0, resume="", devices=1):
    """Fit once; write down where it ended and how often the misfit was computed."""
    keep = ModelCheckpoint(folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
    strategy = {"devices": 2, "strategy": "ddp"} if devices == 2 else {}
    run = trainer(
        *([Signal(signal_number, after)] if signal_number else []), keep, enable_checkpointing=True, **strategy
    )
    module = Valley()
    try:
        run.fit(module, loader(), loader(), ckpt_path=resume or None)
    finally:
        found = {
            "adopted": torch.from_numpy(np.array(module.adopted)),
            "num_misfits": module.num_misfits,
            "num_evaluations": module.solution.num_evaluations,
            "converged": module.solution.converged,
            "message": module.solution.message,
            "steps": run.global_step,
        }
        torch.save(found, folder / f"end{run.global_rank}.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
