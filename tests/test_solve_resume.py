import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from burgerslab.inversion import LBFGSB
from tests.small_solve import Valley, Watch, fit, loader, trainer

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`"),
    # pytest.warns emits it again, where the filter of the project no longer knows it
    pytest.mark.filterwarnings("ignore:.isinstance[(]treespec, LeafSpec[)]. is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks used to create"),
]


def every(tmp_path, hook):
    at = {
        "epoch": {"save_on_train_epoch_end": True},
        "step": {"every_n_train_steps": 1},
        "validation": {"save_on_train_epoch_end": False},
    }
    return ModelCheckpoint(tmp_path, filename="{step}", save_top_k=-1, **at[hook])


@pytest.mark.parametrize("limit", [{}, {"max_steps": 100, "max_epochs": -1}])
@pytest.mark.parametrize("hook", ["epoch", "step", "validation"])
@pytest.mark.parametrize("at", [1, 6, "last"])
def test_a_solve_resumes_bit_by_bit_from_any_checkpoint(tmp_path, hook, limit, at):
    whole, run = Valley(), trainer(every(tmp_path, hook), enable_checkpointing=True, **limit)
    run.fit(whole, loader(), loader())
    num = whole.solution.num_iterations
    at = num if at == "last" else at
    path = tmp_path / f"step={at}.ckpt"
    known = len(torch.load(path, weights_only=True)["solve"]["record"]["objective"])
    watch, found, again = Watch(), Valley(), trainer(**limit)
    again.callbacks.append(watch)
    again.fit(found, loader(), loader(), ckpt_path=path)
    assert np.array_equal(found.adopted, whole.adopted[at:])
    assert [hook[1] for hook in watch.hooks if hook[0] == "step"] == list(range(at + 1, num + 1))
    assert (again.global_step, again.current_epoch) == (run.global_step, run.current_epoch)
    assert found.num_misfits == 3 * (whole.solution.num_evaluations - known + 1)
    assert found.solution.num_evaluations == whole.solution.num_evaluations
    assert np.array_equal(found.solution.x, whole.solution.x)


@pytest.mark.filterwarnings("ignore:the solve has not converged:UserWarning")
def test_a_solve_goes_on_with_other_limits_and_tolerances(tmp_path):
    whole, _ = fit()
    path = tmp_path / "part.ckpt"
    part, run = fit(module=Valley(LBFGSB(abs_tol=0.5)))
    assert part.solution.converged
    assert 0.1 < part.solution.gradient_norm < 0.5
    run.save_checkpoint(path)
    found, run = fit(ckpt_path=path)
    assert np.array_equal(found.adopted, whole.adopted[part.solution.num_iterations :])
    assert run.global_step == whole.solution.num_iterations


@pytest.mark.filterwarnings("ignore:the solve has not converged:UserWarning")
def test_another_solve_is_not_resumed(tmp_path):
    _, run = fit(module=Valley(substeps=4), max_epochs=5)
    run.save_checkpoint(tmp_path / "part.ckpt")
    with pytest.raises(
        ValueError, match="ckpt_path: the solve of this checkpoint is another: substeps was 4 and is 8"
    ):
        fit(module=Valley(substeps=8), ckpt_path=tmp_path / "part.ckpt")
    checkpoint = torch.load(tmp_path / "part.ckpt", weights_only=True)
    del checkpoint["solve"]
    torch.save(checkpoint, tmp_path / "none.ckpt")
    with pytest.raises(ValueError, match="ckpt_path: the checkpoint holds no solve to continue"):
        fit(ckpt_path=tmp_path / "none.ckpt")


def process(folder, number=0, after=0, resume="", devices=1):
    root = Path(__file__).parents[1]
    folder.mkdir(exist_ok=True)
    arguments = [str(folder), str(int(number)), str(after), str(resume), str(devices)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.small_solve", *arguments],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    ends = [torch.load(path) for path in sorted(folder.glob("end*.pt"))]
    return done, ends


@pytest.mark.slow
def test_a_solve_killed_in_the_middle_of_an_evaluation_resumes_bit_by_bit(tmp_path):
    whole, _ = fit()
    done, ends = process(tmp_path, signal.SIGKILL, after=7)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert ends == []
    known = len(torch.load(tmp_path / "last.ckpt", weights_only=True)["solve"]["record"]["objective"])
    done, (end,) = process(tmp_path, resume=tmp_path / "last.ckpt")
    assert done.returncode == 0, done.stderr
    assert np.array_equal(end["adopted"].numpy(), whole.adopted[7:])
    assert end["num_evaluations"] == whole.solution.num_evaluations
    assert end["num_misfits"] == 3 * (whole.solution.num_evaluations - known + 1)
    assert end["converged"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "message"), [(signal.SIGINT, 1, "KeyboardInterrupt"), (signal.SIGTERM, 0, "SIGTERMException")]
)
def test_a_signal_ends_a_solve_with_its_last_point(tmp_path, number, code, message):
    whole, _ = fit()
    done, (end,) = process(tmp_path, number, after=7)
    assert done.returncode == code, done.stderr
    assert (end["converged"], end["message"]) == (False, f"stopped by {message}")
    num = 7 if number == signal.SIGINT else 8  # Lightning looks for SIGTERM at the end of a step
    assert end["steps"] == num
    assert np.array_equal(end["adopted"].numpy(), whole.adopted[:num])
    done, (end,) = process(tmp_path, resume=tmp_path / "last.ckpt")
    assert np.array_equal(end["adopted"][-1].numpy(), whole.solution.x)
    assert end["converged"]


@pytest.mark.slow
def test_two_processes_find_the_same(tmp_path):
    whole, _ = fit()
    done, ends = process(tmp_path, devices=2)
    assert done.returncode == 0, done.stderr
    assert len(ends) == 2
    assert torch.equal(ends[0]["adopted"], ends[1]["adopted"])
    assert [end["num_misfits"] for end in ends] == [
        2 * (ends[0]["num_evaluations"] + 1),
        ends[0]["num_evaluations"] + 1,
    ]
    assert np.abs(ends[0]["adopted"][-1].numpy() / whole.solution.x - 1).max() < 1e-10
