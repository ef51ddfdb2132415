"""The Trainer's loop with scipy in the driver's seat: one accepted iteration is one step and one epoch.

Lightning has no public loops, but a Trainer runs whatever stands in ``trainer.fit_loop``. This is the one file that
knows their inner life; tests/test_lightning_contract.py says what it relies on.
"""

from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch.callbacks import EarlyStopping, Timer
from lightning.pytorch.loops.fit_loop import _FitLoop
from lightning.pytorch.loops.optimization.automatic import _AutomaticOptimization
from lightning.pytorch.trainer.connectors.data_connector import _DataLoaderSource
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn
from torch import Tensor

from burgerslab.data import BurgersDataModule
from burgerslab.inversion.chunks import Batch, Chunks, check_loader, in_float64
from burgerslab.inversion.lbfgsb import solve
from burgerslab.inversion.record import Evaluation
from burgerslab.inversion.solution import ConvergenceError, Iteration, Solution
from burgerslab.inversion.solvable import Solvable
from burgerslab.inversion.state import SolveState
from burgerslab.inversion.summation import SummedObjective
from burgerslab.inversion.trainer_options import check_options


def install(module: Solvable) -> None:
    """Let scipy fit a module on the Trainer that is about to; the Trainer has its own loop back afterwards.

    Raises:
        ValueError: If the Trainer has options that would not act, or that would change the objective.
    """
    trainer = module.trainer
    check_options(trainer)
    if isinstance(trainer.fit_loop, SolveLoop):  # of a fit that failed where Lightning tears no loop down
        trainer.fit_loop.give_back()
    trainer.fit_loop = SolveLoop(trainer.fit_loop, module)


class SolveLoop(_FitLoop):
    """Lightning's outer loop, advanced by scipy's callback.

    Evaluations are no steps: the line search makes them between two accepted points. What the Trainer's stock loop
    has counted and been given, it shares with that loop: epochs, steps, data, validation.

    Args:
        stock: The loop to stand in for.
        module: What is fitted.
    """

    def __init__(self, stock: _FitLoop, module: Solvable) -> None:
        super().__init__(stock.trainer, min_epochs=stock.min_epochs, max_epochs=stock.max_epochs)
        self.epoch_progress = stock.epoch_progress
        self.epoch_loop = stock.epoch_loop
        self._data_source = stock._data_source
        # In a tuple, where Lightning does not take it for a loop inside this one.
        self._replaced = (stock, stock.epoch_loop.automatic_optimization)
        self._module = module
        self._chunks = Chunks(())
        self._num_replayed = self._num_told = 0
        self._pending: Iteration | None = None
        self._taken: Iteration | None = None
        self.epoch_loop.automatic_optimization = _TakeIteration(self)

    def run(self) -> None:
        """Solve, and tell Lightning of each accepted point.

        Raises:
            ConvergenceError: If the solver gave up; after ``on_train_end``, so that checkpoints are written.
            ValueError: If a checkpoint is of another solve.
        """
        module = self._module
        if self.trainer.lightning_module is not module:
            raise ValueError("a fit on this Trainer broke off before it began; fit other models with a new Trainer")
        self.setup_data()
        if self.skip:
            return
        module.on_solve_begin(self._chunks, self._total, self._gather)
        state = self._begin()
        self.reset()
        self.on_run_start()
        device = self.trainer.strategy.root_device
        objective = SummedObjective(module.misfit, module.penalty, self._chunks, device, self._total)
        try:
            solution = solve(objective, state.start, module.bounds(), module.solver, state.record, self._tell)
        except (KeyboardInterrupt, SIGTERMException) as error:
            module.solution = self._broken_off(f"stopped by {type(error).__name__}")
            raise
        if self._num_told == 0:  # a checkpoint written before the end of the last epoch
            for count in (self.epoch_progress.current, self.epoch_progress.total):
                count.processed = count.completed = count.started
        module.adopt(solution.x)
        module.solution = solution
        module.on_solution(solution, objective)
        self._restarting = False
        self.on_run_end()
        self._judge(module.solution)

    def setup_data(self) -> None:
        """Find the batches of the objective; Lightning's own batch is a placeholder, one per iteration."""
        if self._combined_loader is not None:
            return
        trainer, rank, num_ranks = self.trainer, self.trainer.global_rank, self.trainer.world_size
        if isinstance(trainer.datamodule, BurgersDataModule):
            loader = trainer.datamodule.solve_dataloader()  # this process's share already
            rank, num_ranks = 0, 1
        else:
            loader = self._data_source.dataloader()
            check_loader(loader)
        limit = int(trainer.limit_train_batches) * num_ranks if trainer.fast_dev_run else None
        self._chunks = Chunks(loader, self._to_device, rank, num_ranks, limit)
        source, self._data_source = self._data_source, _DataLoaderSource(_OneStep(), "train_dataloader")
        interval, trainer.log_every_n_steps = trainer.log_every_n_steps, 1  # else it warns of short epochs
        try:
            super().setup_data()
        finally:
            self._data_source = source
            trainer.log_every_n_steps = interval

    def teardown(self) -> None:
        """Lightning calls this at the end of a fit and after an error."""
        super().teardown()
        self.give_back()

    def give_back(self) -> None:
        """Put the stock loop back, with the counts and limits of this one."""
        stock, optimization = self._replaced
        self.epoch_loop.automatic_optimization = optimization
        for loop in (self.epoch_loop, self.epoch_loop.val_loop):
            loop.on_iteration_done()  # if a resumed solve had nothing left to do, they still wait to be restarted
        stock.min_epochs, stock.max_epochs, stock.max_batches = self.min_epochs, self.max_epochs, self.max_batches
        if self.trainer.fit_loop is self:
            self.trainer.fit_loop = stock

    def take(self) -> dict[str, Any]:
        """The step: the parameters become the point that was accepted."""
        iteration, self._pending = self._pending, None
        assert iteration is not None
        assert self._module.solve_state is not None
        self._module.adopt(iteration.evaluation.x.copy())
        self._module.solve_state.num_iterations = iteration.number
        self._taken = iteration
        return {
            "loss": torch.tensor(iteration.evaluation.objective, dtype=torch.float64),
            "objective": iteration.evaluation.objective,
            "gradient_norm": iteration.gradient_norm,
            "num_evaluations": iteration.num_evaluations,
        }

    def _begin(self) -> SolveState:
        """A new solve, or that of the checkpoint."""
        module = self._module
        if not self.is_resuming:
            start = self.trainer.strategy.broadcast(module.start())
            module.solve_state = SolveState.begin(start, module.bounds(), module.solver, module.problem())
        if module.solve_state is None:
            raise ValueError(
                "ckpt_path: the checkpoint holds no solve to continue; give one that a fit of this model wrote"
            )
        module.solve_state.check_continues(module.bounds(), module.solver, module.problem())
        self._num_replayed = module.solve_state.num_iterations
        return module.solve_state

    def _tell(self, iteration: Iteration) -> str | None:
        """Advance Lightning by one epoch of one step; who wants to stop, if anyone."""
        if iteration.number <= self._num_replayed:  # the interrupted fit has told
            self._taken = iteration
            return None
        self._pending = iteration
        self._num_told += 1
        done = False
        # Resumed with max_steps, Lightning first ends the epoch that the checkpoint was written in.
        for _ in range(2):
            try:
                self.on_advance_start()
                self.advance()
                self.on_advance_end()
            finally:
                self.on_iteration_done()
            done = self.done
            if done or self._pending is None:
                break
        else:
            raise ValueError("on_train_batch_start returned -1, but an iteration of the solver cannot be skipped")
        return self._stopped_by() if done else None

    def _stopped_by(self) -> str:
        trainer = self.trainer
        if trainer.fast_dev_run:
            return "trainer.fast_dev_run"
        if trainer.should_stop:
            for callback in trainer.callbacks:
                if (
                    isinstance(callback, Timer)
                    and (remaining := callback.time_remaining()) is not None
                    and remaining <= 0
                ):
                    return "trainer.max_time"
                if isinstance(callback, EarlyStopping) and callback.stopped_epoch > 0:
                    return f"EarlyStopping on {callback.monitor}"
            return "a callback that set trainer.should_stop"
        if 0 <= self.max_steps <= trainer.global_step:
            return f"trainer.max_steps={self.max_steps}"
        return f"trainer.max_epochs={self.max_epochs}"

    def _judge(self, solution: Solution) -> None:
        """Say it when the result is no minimum, as an error where the solver itself gave up."""
        if solution.converged or self.trainer.fast_dev_run:
            return
        if solution.stopped_early:
            say = rank_zero_info if self.trainer.should_stop else rank_zero_warn
            say(
                f"the solve has not converged: {solution.message} after {solution.num_iterations} iterations, "
                f"projected gradient {solution.gradient_norm:.3g}, solver.abs_tol {self._module.solver.abs_tol:g}"
            )
            return
        error = ConvergenceError(solution, self._module.solver)
        if not self._module.solver.suppress_convergence_errors:
            raise error
        rank_zero_warn(str(error))

    def _broken_off(self, message: str) -> Solution | None:
        """Where an interrupted solve was; None before its first accepted point."""
        state, taken = self._module.solve_state, self._taken
        if state is None or taken is None:
            return None
        evaluations: list[Evaluation] = [state.record[number] for number in range(len(state.record))]
        return Solution(
            x=taken.evaluation.x.copy(),
            objective=taken.evaluation.objective,
            gradient=taken.evaluation.gradient.copy(),
            gradient_norm=taken.gradient_norm,
            converged=False,
            message=message,
            num_iterations=taken.number,
            num_evaluations=len(evaluations),
            num_diverged=sum(evaluation.diverged for evaluation in evaluations),
            stopped_early=True,
        )

    def _total(self, tensor: Tensor) -> Tensor:
        """Added up over the processes."""
        return self.trainer.strategy.reduce(tensor, reduce_op="sum")

    def _gather(self, item: Any) -> list[Any]:
        """Of every process."""
        items = [item] * self.trainer.world_size
        if self.trainer.world_size > 1:
            torch.distributed.all_gather_object(items, item)
        return items

    def _to_device(self, batch: Batch) -> Batch:
        """What Lightning does to a batch before a step."""
        batch = self.trainer.precision_plugin.convert_input(batch)
        batch = self._module._on_before_batch_transfer(batch, dataloader_idx=0)
        batch = self.trainer.strategy.batch_to_device(batch, dataloader_idx=0)
        return in_float64(batch) if isinstance(batch, dict) else batch


class _TakeIteration(_AutomaticOptimization):
    """In the place of the optimizer's step."""

    def __init__(self, loop: SolveLoop) -> None:
        super().__init__(loop.trainer)
        self.optim_progress = loop.epoch_loop.automatic_optimization.optim_progress
        self._take = loop.take

    def run(self, optimizer: torch.optim.Optimizer, batch_idx: int, kwargs: Any) -> dict[str, Any]:
        """Count one step, and take it."""
        step = self.optim_progress.optimizer.step
        step.increment_ready()
        outputs = self._take()
        step.increment_completed()
        return outputs


class _OneStep:
    """Lightning's view of the data: one batch per epoch, which nothing reads."""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Tensor]:
        return iter([torch.zeros(1)])
