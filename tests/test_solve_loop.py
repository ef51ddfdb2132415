import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, Timer
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loops.fit_loop import _FitLoop
from lightning.pytorch.trainer.states import RunningStage
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from burgerslab.inversion import LBFGSB, ConvergenceError
from burgerslab.physics import DivergedError
from tests.small_solve import Valley, Watch, fit, loader, plain_scipy, trainer, windows

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`"),
    # pytest.warns emits it again, where the filter of the project no longer knows it
    pytest.mark.filterwarnings("ignore:.isinstance[(]treespec, LeafSpec[)]. is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks used to create"),
]


def test_points_are_those_of_scipy_bit_by_bit():
    result, points = plain_scipy()
    module, _ = fit()
    assert len(points) > 10
    assert np.array_equal(module.adopted, [*points, points[-1]])
    assert np.array_equal(module.solution.x, result.x)
    assert module.solution.objective == result.fun
    assert module.solution.converged
    assert (module.solution.num_iterations, module.solution.num_evaluations) == (result.nit, result.nfev)
    assert module.num_misfits == 3 * (result.nfev + 1)  # 10 windows in batches of 4; once more in on_solution
    assert module.given == (module.solution, result.fun)
    assert np.array_equal(module.start(), result.x)


def test_the_objective_does_not_depend_on_the_batches():
    results = [plain_scipy(batch_size=size)[0] for size in (1, 10)]
    assert results[0].x == pytest.approx(results[1].x, rel=1e-6)
    assert results[0].fun == pytest.approx(results[1].fun, rel=1e-12)


def test_an_iteration_is_a_step_and_an_epoch():
    watch = Watch()
    module, run = fit(watch)
    num = module.solution.num_iterations
    assert run.global_step == run.current_epoch == num
    assert (watch.hooks[0], watch.hooks[-1]) == ("start", "end")
    assert watch.hooks[1:-1:2] == [("epoch", i) for i in range(num)]
    assert watch.hooks[2:-1:2] == [("step", i + 1, module.adopted[i].tolist()) for i in range(num)]


def test_metrics_are_logged_at_each_iteration(tmp_path):
    module, run = fit(logger=CSVLogger(tmp_path, name=""))
    rows = np.genfromtxt(tmp_path / "version_0" / "metrics.csv", delimiter=",", names=True, deletechars="")
    assert rows["step"].tolist() == list(range(module.solution.num_iterations))
    assert rows["train/objective"][-1] == module.solution.objective
    assert rows["train/gradient_norm"][-1] == pytest.approx(module.solution.gradient_norm, rel=1e-12)
    assert rows["train/num_evaluations"][-1] == module.solution.num_evaluations
    assert (np.diff(rows["train/objective"]) <= 0).all()
    assert run.callback_metrics["train/objective"].item() == module.solution.objective


def test_validation_every_third_iteration():
    watch = Watch()
    module, run = Valley(), trainer(watch, check_val_every_n_epoch=3, num_sanity_val_steps=0)
    run.fit(module, loader(), loader())
    epochs = [hook[1] for hook in watch.hooks if hook[0] == "validation"]
    assert epochs == list(range(2, module.solution.num_iterations, 3))


def test_a_checkpoint_at_each_iteration_and_the_best(tmp_path):
    each = ModelCheckpoint(tmp_path, filename="{step}", save_top_k=-1, save_on_train_epoch_end=True)
    best = ModelCheckpoint(tmp_path, filename="best", monitor="val/distance", save_on_train_epoch_end=True)
    module, run = Valley(), trainer(each, best, enable_checkpointing=True)
    run.fit(module, loader(), loader())
    steps = sorted(int(path.stem[5:]) for path in tmp_path.glob("step=*.ckpt"))
    assert steps == list(range(1, module.solution.num_iterations + 1))
    for step in (1, steps[-1]):
        found = torch.load(tmp_path / f"step={step}.ckpt", weights_only=True)["state_dict"]["unknowns"]
        assert np.array_equal(found.numpy(), module.adopted[step - 1])
    distances = [np.abs(x - 1).max() for x in module.adopted]
    found = torch.load(tmp_path / "best.ckpt", weights_only=True)["state_dict"]["unknowns"]
    assert np.array_equal(found.numpy(), module.adopted[int(np.argmin(distances))])


class Stop(Callback):
    def on_train_epoch_end(self, trainer, module):
        trainer.should_stop = trainer.current_epoch == 4


class Elapsed(Timer):
    """What the Trainer makes of max_time, with a clock that counts steps."""

    def __init__(self, after):
        super().__init__({"seconds": after})
        self.steps = 0

    def on_train_batch_end(self, trainer, *args, **kwargs):
        self.steps = trainer.global_step
        super().on_train_batch_end(trainer, *args, **kwargs)

    def time_elapsed(self, stage=RunningStage.TRAINING):
        return float(self.steps)


@pytest.mark.parametrize(
    ("callbacks", "options", "reason", "num"),
    [
        ([EarlyStopping("train/objective", stopping_threshold=1.0)], {}, "EarlyStopping on train/objective", None),
        ([Stop()], {}, "a callback that set trainer.should_stop", 5),
        ([Elapsed(after=3)], {}, "trainer.max_time", 3),
        ([], {"max_epochs": 5}, "trainer.max_epochs=5", 5),
        ([], {"max_steps": 5, "max_epochs": -1}, "trainer.max_steps=5", 5),
        ([], {"fast_dev_run": True}, "trainer.fast_dev_run", 1),
        ([], {"fast_dev_run": 2}, "trainer.fast_dev_run", 1),
    ],
)
@pytest.mark.filterwarnings("ignore:the solve has not converged:UserWarning")
def test_who_stops_a_solve_is_named_and_it_is_no_error(callbacks, options, reason, num):
    module, run = fit(*callbacks, **options)
    found = module.solution
    assert (found.converged, found.stopped_early, found.message) == (False, True, f"stopped by {reason}")
    if num is None:
        objectives = [plain_scipy()[0].fun, found.objective]
        assert objectives[0] < objectives[1] <= 1
        num = found.num_iterations
        assert 1 < num < plain_scipy()[0].nit
    assert found.num_iterations == run.global_step == run.current_epoch == num
    assert np.array_equal(module.adopted[num - 1], found.x)
    assert module.given[0] is found


def test_a_limit_of_the_trainer_is_warned_of():
    with pytest.warns(
        UserWarning, match="not converged: stopped by trainer.max_epochs=5 after 5 iterations, projected"
    ):
        fit(max_epochs=5)


def test_fast_dev_run_looks_at_as_many_batches():
    module, _ = fit(fast_dev_run=2)
    assert module.num_misfits == 2 * (module.solution.num_evaluations + 1)


def test_a_solve_that_fails_is_an_error_after_the_last_checkpoint(tmp_path):
    keep = ModelCheckpoint(tmp_path, filename="last", save_on_train_epoch_end=True)
    watch, module = Watch(), Valley(LBFGSB(max_iterations=4))
    with pytest.raises(ConvergenceError, match=r"after 4 iterations .* Raise solver.max_iterations \(now 4\)"):
        fit(keep, watch, module=module, enable_checkpointing=True)
    assert watch.hooks[-1] == "end"
    assert not module.solution.converged
    found = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]["unknowns"]
    assert np.array_equal(found.numpy(), module.solution.x)


def test_a_solve_that_fails_is_a_warning_where_that_is_suppressed():
    module = Valley(LBFGSB(max_iterations=4, suppress_convergence_errors=True))
    with pytest.warns(UserWarning, match=r"did not converge .* Raise solver.max_iterations"):
        fit(module=module)
    assert (module.solution.converged, module.solution.num_iterations) == (False, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accumulate_grad_batches": 2}, "trainer.accumulate_grad_batches is 2, but an L-BFGS-B solve minimises one"),
        ({"gradient_clip_val": 1.0}, "trainer.gradient_clip_val is 1.0"),
        ({"overfit_batches": 1}, "trainer.overfit_batches is 1"),
        ({"limit_train_batches": 2}, "trainer.limit_train_batches is 2, .* over all training windows; leave it out"),
        ({"limit_train_batches": 0}, "trainer.limit_train_batches is 0"),
        ({"reload_dataloaders_every_n_epochs": 1}, "trainer.reload_dataloaders_every_n_epochs is 1"),
        ({"precision": "bf16-mixed"}, "trainer.precision is bf16-mixed, but L-BFGS-B needs exact gradients"),
    ],
)
def test_options_that_would_not_act_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        fit(**options)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (loader(shuffle=True), "train_dataloaders: .* set shuffle=False and no sampler, got a RandomSampler"),
        (loader(drop_last=True), "set drop_last=False, so that the last windows count too"),
        (DataLoader(windows(), batch_sampler=[[0, 1], [2]]), "set shuffle=False and no sampler, got a list"),
        (DataLoader(windows(), 2, sampler=RandomSampler(windows())), "no sampler, got a RandomSampler"),
        ([loader(), loader()], "give one torch DataLoader, got list"),
    ],
)
def test_loaders_that_change_the_objective_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        trainer().fit(Valley(), given)


@pytest.mark.filterwarnings("ignore:the solve has not converged:UserWarning")
def test_a_second_fit_on_the_same_trainer_starts_a_new_solve_where_the_parameters_stand():
    module, run = fit(max_epochs=5)
    assert type(run.fit_loop) is _FitLoop
    first = module.solution.x
    run.fit_loop.max_epochs = 100
    run.fit(module, loader())
    assert run.global_step == run.current_epoch == 5 + module.solution.num_iterations
    assert np.array_equal(module.solve_state.start, first)
    assert module.solution.converged
    assert module.solution.x == pytest.approx(plain_scipy()[0].x, abs=1e-6)


class Line(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        return self.layer(batch[0]).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.filterwarnings("ignore:the solve has not converged:UserWarning")
@pytest.mark.parametrize("fails", [False, True])
def test_another_model_is_trained_on_the_same_trainer_as_ever(fails):
    module, run = Valley(LBFGSB(max_iterations=3) if fails else LBFGSB()), trainer(max_epochs=5)
    if fails:
        with pytest.raises(ConvergenceError):
            run.fit(module, loader())
    else:
        run.fit(module, loader())
    steps = 3 if fails else 5
    assert type(run.fit_loop) is _FitLoop
    assert (run.global_step, run.current_epoch) == (steps, steps)
    line = Line()
    before = line.layer.weight.item()
    run.fit_loop.max_epochs = steps + 2
    run.fit(line, DataLoader(TensorDataset(torch.ones(6, 1)), 2))
    assert line.layer.weight.item() != before
    assert (run.global_step, run.current_epoch) == (steps + 6, steps + 2)


def test_a_step_that_diverges_is_shortened_and_counted():
    class Steep(Valley):
        def misfit(self, vector, batch):
            if (vector[1] - vector[0] ** 2).abs() > 0.5:
                self.num_steep += 1
                raise DivergedError("too steep")
            return super().misfit(vector, batch)

    module = Steep()
    module.num_steep = 0
    fit(module=module)
    assert module.solution.converged
    assert module.solution.num_diverged == module.num_steep > 0
    assert module.solution.x == pytest.approx(plain_scipy()[0].x, abs=1e-6)


def test_an_error_in_the_objective_is_the_users_to_see():
    class Broken(Valley):
        def misfit(self, vector, batch):
            if self.num_misfits == 7:
                raise ZeroDivisionError("in the third evaluation")
            return super().misfit(vector, batch)

    module, run = Broken(), trainer()
    with pytest.raises(ZeroDivisionError, match="in the third evaluation"):
        run.fit(module, loader())
    assert type(run.fit_loop) is _FitLoop


def test_a_batch_that_skips_itself_is_refused():
    class Skipped(Valley):
        def on_train_batch_start(self, batch, batch_idx):
            return -1

    with pytest.raises(ValueError, match="on_train_batch_start returned -1, but an iteration of the solver cannot"):
        fit(module=Skipped())
