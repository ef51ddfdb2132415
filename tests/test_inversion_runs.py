"""Inversions that are broken off, resumed, shared between processes, stopped early and begun again."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint

from burgerslab.cli import main
from burgerslab.data import Observation
from burgerslab.inversion import LBFGSB, ConvergenceError, Inversion, Viscosity
from burgerslab.physics import DivergedError, RandomFourier
from tests.small_inversion import CONFIG, VISCOSITY, fit, learned, make


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("exact") / "store.zarr"
    make(path)
    return path


def process(*arguments):
    """A Python process in the root of the repository, where a Ctrl-C arrives."""
    root = Path(__file__).parents[1]
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    )


def command(store, folder, *options):
    config = folder / "config.yaml"
    folder.mkdir(exist_ok=True)
    config.write_text(CONFIG.format(store=store))
    return ["fit", f"--config={config}", f"--trainer.default_root_dir={folder}", "--test_after_fit=false", *options]


def written(folder):
    found = json.loads((folder / "version_0" / "inversion.json").read_text())
    assert found.pop("wall_time") > 0
    return found


@pytest.mark.slow
def test_a_run_that_is_broken_off_in_an_evaluation_resumes_to_the_same_result(store, tmp_path):
    assert main(command(store, tmp_path / "whole")) == 0
    expected = written(tmp_path / "whole")
    assert expected["parameters"]["viscosity"]["true"] == VISCOSITY
    for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
        folder, again = tmp_path / f"broken{number}", tmp_path / f"again{number}"
        stop = ["--trainer.callbacks+=tests.small_inversion.SendSignal", "--trainer.callbacks.after=3"]
        broken = process("burgerslab", *command(store, folder, *stop, f"--trainer.callbacks.number={int(number)}"))
        assert broken.returncode == code, broken.stderr
        assert not (folder / "version_0" / "inversion.json").exists()
        last = folder / "version_0" / "checkpoints" / "last.ckpt"
        assert torch.load(last, weights_only=True)["solve"]["num_iterations"] == 3
        assert main(command(store, again, f"--ckpt_path={last}")) == 0
        assert written(again) == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sliding", "initial_state"])
def test_two_processes_find_what_one_does(store, tmp_path, name):
    (tmp_path / "store.zarr").symlink_to(store)
    learnables, changes = learned(name)
    alone = fit(store, learnables, **changes)
    done = process("tests.small_inversion", tmp_path, name)
    assert done.returncode == 0, done.stderr
    ends = [torch.load(tmp_path / f"{name}{rank}.pt") for rank in range(2)]
    assert torch.equal(ends[0][0], ends[1][0])
    torch.testing.assert_close(ends[0][0], alone.free, rtol=1e-10, atol=1e-10)
    one, two = alone.result.to_dict(), ends[0][1]
    assert two["evaluations"] == one["evaluations"]
    for part in ("estimate", "std"):
        ours, theirs = (each["parameters"]["viscosity"][part] for each in (two, one))
        assert ours == pytest.approx(theirs, rel=1e-8)
    assert two["noise_std"] == pytest.approx(one["noise_std"], rel=1e-8)
    assert two["parameters"]["viscosity"]["true"] == VISCOSITY
    assert "UserWarning" not in done.stderr


class Clock(Callback):
    """Time that passes ten seconds at a time, with every iteration."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.now += 10.0


def test_max_time_ends_a_solve_at_its_last_point(store, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("lightning.pytorch.callbacks.timer.time", SimpleNamespace(monotonic=clock.monotonic))
    found = fit(store, trainer={"callbacks": [clock], "max_time": {"seconds": 25}})
    assert found.result.solution.message == "stopped by trainer.max_time"
    assert found.result.solution.num_iterations == len(found.history) == 3
    assert not found.result.solution.converged
    assert float(found.coefficients()["viscosity"]) == found.history[-1]["viscosity"]


def test_early_stopping_ends_a_solve_at_its_last_point(store):
    stop = EarlyStopping("train/objective", stopping_threshold=1e-3)
    found = fit(store, trainer={"callbacks": [stop]})
    objectives = [row["objective"] for row in found.history]
    assert found.result.solution.message == "stopped by EarlyStopping on train/objective"
    assert objectives[-1] < 1e-3 <= min(objectives[:-1])
    assert not found.result.solution.converged


def test_fast_dev_run_is_one_iteration(store):
    found = fit(store, trainer={"fast_dev_run": True})
    assert found.result.solution.num_iterations == len(found.history) == 1


def test_a_second_fit_begins_where_the_first_has_ended(store):
    first = fit(store)
    found = first.free.clone()
    assert first.result.solution.num_evaluations > 3
    again = fit(store, module=first)
    assert again.result.solution.num_evaluations <= 3
    torch.testing.assert_close(again.free, found, rtol=0, atol=1e-7)
    assert float(again.coefficients()["viscosity"]) == pytest.approx(VISCOSITY, rel=2e-3)


@pytest.mark.filterwarnings("ignore:.* starts failed:burgerslab.inversion.InversionWarning")
def test_starts_that_fail_do_not_fail_the_fit_if_one_converges(store):
    options = {"num_starts": 3, "start_spread": 20.0, "solver": LBFGSB(max_iterations=6)}
    found = fit(store, [Viscosity(1.0)], options=options)
    assert [start.converged for start in found.result.starts] == [False, True, True]
    assert "1 of 3 starts failed (from viscosity 1: STOP: TOTAL NO. OF ITERATIONS" in found.result.warnings[-1]
    assert found.solution.converged
    assert float(found.coefficients()["viscosity"]) == pytest.approx(VISCOSITY, rel=2e-3)
    none = Inversion([Viscosity(1.0)], num_starts=2, start_spread=20.0, solver=LBFGSB(max_iterations=4))
    with pytest.raises(ConvergenceError, match=r"max_iterations \(now 4\)"):
        fit(store, module=none)
    assert "2 of 2 starts failed" in none.result.warnings[-1]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::burgerslab.inversion.InversionWarning")
@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks used to create")
def test_the_solve_begins_at_the_first_start_that_does_not_diverge(tmp_path):
    steep = tmp_path / "steep.zarr"
    make(steep, initial=RandomFourier(amplitude=2.0, max_mode=2))
    keep = ModelCheckpoint(tmp_path / "kept", filename="{step}", save_top_k=-1, save_on_train_epoch_end=True)
    options = {"num_starts": 4, "start_spread": 3e3, "refine": 2}
    found = fit(
        steep, [Viscosity(1e-5)], trainer={"enable_checkpointing": True, "callbacks": [keep]}, options=options
    )
    assert [start.objective for start in found.result.starts[:3]] == [math.inf] * 3
    assert "3 of 4 starts failed (from viscosity 1e-05: the rollout from the start" in found.result.warnings[-1]
    assert float(found.coefficients()["viscosity"]) == pytest.approx(VISCOSITY, rel=2e-3)
    again = fit(steep, [Viscosity(1e-5)], options=options, ckpt_path=tmp_path / "kept" / "step=2.ckpt")
    assert again.result.to_dict() == found.result.to_dict()
    with pytest.raises(DivergedError, match=r"at the initial guess \(viscosity 1e-05\) the rollout is not finite"):
        fit(steep, [Viscosity(1e-5)], options={"refine": 2})


@pytest.mark.filterwarnings("ignore::burgerslab.inversion.InversionWarning")
def test_a_start_from_which_nothing_can_be_seen_is_said_so(store):
    result = fit(store, [Viscosity(30.0)]).result  # all is dissipated at once
    assert "the data hardly tell the viscosity" in result.warnings[0]
    assert "start from another initial_guess" in result.warnings[0]


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks used to create")
def test_a_solve_of_other_data_is_not_gone_on_with(store, tmp_path):
    keep = ModelCheckpoint(tmp_path, filename="{step}", save_top_k=-1, save_on_train_epoch_end=True)
    fit(store, trainer={"enable_checkpointing": True, "callbacks": [keep]})
    with pytest.raises(ValueError, match=r"data\.num_predict_steps was 8 and is 4; number of observed values was "):
        fit(store, ckpt_path=tmp_path / "step=2.ckpt", num_predict_steps=4)
    with pytest.raises(ValueError, match=r"is another: .*root mean square of the data was 0[.0-9]+ and is 0[.0-9]+"):
        fit(store, ckpt_path=tmp_path / "step=2.ckpt", observation=Observation(noise=0.1))


def test_data_that_are_zero_tell_nothing(tmp_path):
    at_rest = tmp_path / "at_rest.zarr"
    make(at_rest, initial=RandomFourier(amplitude=1e-50, max_mode=2))  # 0 in float32
    with pytest.raises(ValueError, match="every observed value of the training windows is 0, which tells nothing"):
        fit(at_rest)
