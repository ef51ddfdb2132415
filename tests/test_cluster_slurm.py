"""The SLURM scripts, with a SLURM of a few lines: its `srun` starts the tasks of a job on this machine."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.small_run import CONFIG, split

REPOSITORY = Path(__file__).parent.parent
SCRIPTS = REPOSITORY / "configs" / "slurm"
SRUN = """#!{python}
import os, subprocess, sys
number = int(os.environ["SLURM_NTASKS"])
tasks = [
    subprocess.Popen(sys.argv[1:], env={{**os.environ, "SLURM_PROCID": rank, "SLURM_LOCALID": rank}})
    for rank in map(str, range(number))
]
sys.exit(max(task.wait() for task in tasks))
"""
# It notes what it is asked for, and waits to be ended.
WAITING_SRUN = """#!/bin/sh
printf '%s\\n' "$@" > arguments.part
echo $$ > pid
mv arguments.part arguments
exec sleep 60
"""
SCONTROL = """#!/bin/sh
echo "$@" > requeued
kill "$(cat pid)"
"""


class Job:
    """A job of two tasks on one machine."""

    def __init__(self, folder, srun):
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir()
        for name, text in (("srun", srun), ("scontrol", SCONTROL)):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self.number = 40_000 + random.SystemRandom().randrange(10_000)  # ports follow from it
        self.root = folder / "runs" / f"slurm-{self.number}"
        variables = {
            "SLURM_JOB_ID": self.number,
            "SLURM_JOB_NAME": "job",
            "SLURM_NNODES": 1,
            "SLURM_NODEID": 0,
            "SLURM_NODELIST": "127.0.0.1",
            "SLURM_NTASKS": 2,
            "SLURM_NTASKS_PER_NODE": 2,
            "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{REPOSITORY}:{os.environ.get('PYTHONPATH', '')}",
            "OMP_NUM_THREADS": 1,
        }
        self.environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}

    def start(self, script, *options):
        """Run a script as the batch script of the job."""
        return subprocess.Popen(
            ["bash", SCRIPTS / script, *options],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, script, *options):
        """What a script prints, once it has ended well."""
        process = self.start(script, *options)
        output = process.communicate(timeout=300)[0]
        assert process.returncode == 0, output
        return output


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(folder=tmp_path))
    return path


def test_a_job_whose_time_is_up_is_requeued_and_goes_on_from_the_newest_checkpoint(tmp_path):
    job = Job(tmp_path, WAITING_SRUN)
    checkpoints = [job.root / f"version_{version}" / "checkpoints" / "last.ckpt" for version in range(3)]
    for age, checkpoint in enumerate(checkpoints[:2]):  # the third run was ended before its first epoch was
        checkpoint.parent.mkdir(parents=True)
        checkpoint.touch()
        os.utime(checkpoint, (1000 + age, 1000 + age))
    (checkpoints[1].parent / "best.ckpt").touch()
    process = job.start("fit.sh", "a b.yaml", "--trainer.max_epochs=3")
    end = time.monotonic() + 30
    while not (tmp_path / "arguments").exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    assert (tmp_path / "arguments").read_text().splitlines() == [
        *(
            "burgerslab",
            "fit",
            "--config",
            "a b.yaml",
            f"--trainer.default_root_dir={job.root.relative_to(tmp_path)}",
        ),
        *("--trainer.strategy=ddp", "--trainer.num_nodes=1", "--trainer.devices=2", "--trainer.max_epochs=3"),
        f"--ckpt_path={checkpoints[1].relative_to(tmp_path)}",
    ]
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert (tmp_path / "requeued").read_text() == f"requeue {job.number}\n"


@pytest.mark.slow
def test_a_job_trains_in_two_processes_and_a_second_one_goes_on(tmp_path, config):
    job = Job(tmp_path, SRUN.format(python=sys.executable))
    options = [str(config), *split([0, 1, 2, 3], [4], [5]), "--data.batch_size=2"]
    assert "resumed from" not in job.run("fit.sh", *options)
    first = job.root / "version_0" / "checkpoints" / "last.ckpt"
    # 4 trajectories of 5 windows, shared by two processes: 5 batches of 2 each
    assert torch.load(first, weights_only=False)["global_step"] == 5
    output = job.run("fit.sh", *options, "--trainer.max_epochs=2")
    assert f"resumed from {first.relative_to(tmp_path)}" in output
    second = torch.load(job.root / "version_1" / "checkpoints" / "last.ckpt", weights_only=False)
    assert (second["epoch"], second["global_step"]) == (1, 10)
    assert not list(job.root.glob("hpc_ckpt_*"))
