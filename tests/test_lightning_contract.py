"""What burgerslab/inversion/loop.py relies on in Lightning's own loops, which may change with any of its releases.

Where a test fails here, the message says which change of Lightning to look at before the version range in
pyproject.toml is widened.
"""

import inspect

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.loops.fit_loop import _FitLoop
from lightning.pytorch.loops.loop import _Loop
from lightning.pytorch.loops.optimization.automatic import _AutomaticOptimization
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.trainer.connectors.data_connector import _DataLoaderSource

from burgerslab.inversion.loop import SolveLoop
from tests.small_solve import Valley, loader, trainer

VERSION = f"lightning {pl.__version__}"


def code(function):
    return inspect.getsource(function)


def statements_in_order(function, statements):
    """Those that the source no longer has, or no longer in this order."""
    source, position, missing = code(function), 0, []
    for statement in statements:
        found = source.find(statement, position)
        if found < 0:
            missing.append(statement)
        else:
            position = found
    return missing


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        *((_FitLoop, name) for name in ("run", "setup_data", "skip", "done", "reset", "on_run_start", "on_run_end")),
        *((_FitLoop, name) for name in ("on_advance_start", "advance", "on_advance_end", "teardown", "max_steps")),
        *((_Loop, name) for name in ("on_iteration_done", "is_resuming", "state_dict", "load_state_dict")),
        (pl.LightningModule, "_on_before_batch_transfer"),
        (_DataLoaderSource, "dataloader"),
    ],
)
def test_members(owner, name):
    assert name in vars(owner), f"{VERSION}: {owner.__name__}.{name} is gone; SolveLoop calls or overrides it"


def test_a_trainer_has_these_loops():
    stock = trainer().fit_loop
    kinds = {"fit_loop": (stock, _FitLoop), "fit_loop.epoch_loop": (stock.epoch_loop, _TrainingEpochLoop)}
    kinds["fit_loop.epoch_loop.automatic_optimization"] = (
        stock.epoch_loop.automatic_optimization,
        _AutomaticOptimization,
    )
    for name, (found, wanted) in kinds.items():
        assert type(found) is wanted, (
            f"{VERSION}: trainer.{name} is a {type(found).__name__}, not a {wanted.__name__}"
        )
    for name in ("min_epochs", "max_epochs", "max_batches", "epoch_progress", "_data_source", "_combined_loader"):
        assert name in vars(stock), f"{VERSION}: fit_loop.{name} is gone; SolveLoop shares it with the stock loop"
    assert "_restarting" in vars(stock), f"{VERSION}: loops have no _restarting; SolveLoop.run clears it"
    assert "val_loop" in vars(stock.epoch_loop), f"{VERSION}: epoch_loop.val_loop is gone; validation runs in it"


def test_the_run_that_is_replaced():
    wanted = [
        *("self.setup_data()", "if self.skip", "self.reset()", "self.on_run_start()", "while not self.done"),
        *("self.on_advance_start()", "self.advance()", "self.on_advance_end()", "self.on_iteration_done()"),
        *("self._restarting = False", "self.on_run_end()"),
    ]
    gone = statements_in_order(_FitLoop.run, wanted)
    assert not gone, f"{VERSION}: _FitLoop.run has changed at {gone}; SolveLoop.run and ._tell restate it"
    lines = [line.strip() for line in code(_FitLoop.run).splitlines()]
    known = {*wanted, "def run(self) -> None:", "if self.skip:", "return", "while not self.done:", "try:", "break"}
    new = set(lines) - known - {"except StopIteration:", "finally:", ""}
    assert not new, f"{VERSION}: _FitLoop.run does something new, {sorted(new)}; SolveLoop.run may have to"


def test_the_step_that_is_replaced():
    parameters = list(inspect.signature(_AutomaticOptimization.run).parameters)
    assert parameters == ["self", "optimizer", "batch_idx", "kwargs"], (
        f"{VERSION}: _AutomaticOptimization.run takes {parameters}; _TakeIteration.run stands in for it"
    )
    call = "self.automatic_optimization.run(trainer.optimizers[0], batch_idx, kwargs)"
    assert call in code(_TrainingEpochLoop.advance), f"{VERSION}: the epoch loop does not call {call}"
    optimization = _AutomaticOptimization(trainer())
    optimization.optim_progress.optimizer.step.increment_ready()
    optimization.optim_progress.optimizer.step.increment_completed()
    assert optimization.optim_progress.optimizer_steps == 1, f"{VERSION}: global_step is counted elsewhere"


def test_the_data_that_are_replaced():
    wanted = ["source = self._data_source", "_request_dataloader(source)", "self._combined_loader = combined_loader"]
    gone = statements_in_order(_FitLoop.setup_data, wanted)
    assert not gone, f"{VERSION}: _FitLoop.setup_data has changed at {gone}; SolveLoop.setup_data swaps the source"
    attach = code(type(trainer()._data_connector).attach_dataloaders)
    assert "fit_loop._data_source.instance = " in attach, (
        f"{VERSION}: data are attached to the loop otherwise; SolveLoop shares _data_source with the stock loop"
    )


def test_when_the_loop_is_put_in_and_taken_out():
    gone = statements_in_order(
        pl.Trainer._run,
        ["self.fit_loop.max_epochs = ", "_call_setup_hook(self)", "restore_training_state()", "_run_stage()"],
    )
    assert not gone, f"{VERSION}: Trainer._run has changed at {gone}; the loop is put in by the module's setup"
    assert "loop.teardown()" in code(pl.Trainer._teardown), (
        f"{VERSION}: the loop is not torn down; it gives itself back then"
    )


@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")
def test_an_iteration_is_a_step_and_an_epoch_and_the_loop_is_given_back():
    module, run, kinds = Valley(), trainer(), []
    module.on_train_start = lambda: kinds.append(type(run.fit_loop))
    stock = run.fit_loop
    run.fit(module, loader())
    assert kinds == [SolveLoop], f"{VERSION}: the Trainer did not run the loop that setup put in"
    counts = (run.global_step, run.current_epoch, module.solution.num_iterations)
    assert len(set(counts)) == 1, f"{VERSION}: steps, epochs and iterations are {counts}"
    assert run.fit_loop is stock, f"{VERSION}: the Trainer has not got its loop back"
    assert torch.equal(module.unknowns, torch.from_numpy(module.solution.x))
