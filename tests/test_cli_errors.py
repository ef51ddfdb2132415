"""What a user can do wrong ends in one message that says what, where and what to do."""

import re
import signal
import subprocess
import sys
import time

import pytest

from burgerslab.cli import main
from tests.small_run import split


def refused(capsys, code, pattern, expected_code, num_lines=1):
    """One message on the error stream, and an exit code."""
    error = capsys.readouterr().err
    start = error.index("burgerslab")
    message = error[start:].rstrip("\n")
    logged = [
        line for line in error[:start].splitlines() if not re.match(r"INFO|\[rank|Seed|GPU|TPU|Restoring|$", line)
    ]
    assert logged == []
    assert re.match(r"burgerslab( \w+)?: error: ", message)
    assert re.search(pattern, message), message
    assert "Traceback" not in error
    assert message.count("\n") < num_lines
    assert code == expected_code


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (["fitt"], "unknown command 'fitt'; did you mean 'fit'?"),
        (["inspect"], "these options are missing: store"),
        (["fit"], "these options are missing: network"),
        (["fit", "--config=nowhere.yaml"], "config: File does not exist: .*nowhere.yaml"),
    ],
)
def test_commands_and_files(capsys, arguments, pattern):
    refused(capsys, main(arguments), pattern, 2)


def test_invalid_yaml(capsys, tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("data:\n  store: [1, 2\n  seed: 3\n")
    refused(capsys, main(["fit", f"--config={path}"]), "parsing config: .*did not find expected.* line 3, column", 2)


@pytest.mark.parametrize(
    ("right", "wrong", "pattern"),
    [
        ("trainer:", "trainr:", "has no option 'trainr.max_epochs'. Did you mean 'trainer.max_epochs'?"),
        ("max_epochs", "max_epoch", "has no option 'trainer.max_epoch'. Did you mean 'trainer.max_epochs'?"),
        (
            "batch_size",
            "batchsize",
            "data: .*DataModule has no option 'batchsize'. Did you mean 'batch_size'?",
        ),
        ("  network:", "  sed: 1\n  network:", "model: .*Surrogate has no option 'sed'. Did you mean 'seed'?"),
        ("filters", "filter", "model.network: .*UNet has no option 'filter'. Did you mean 'filters'?"),
        ("num_frames", "frames", "data.simulation: .*Simulation has no option 'frames'. Did you mean 'num_frames'?"),
        ("extent", "extend", "data.simulation: .* has no option 'domain.extend'. Did you mean 'domain.extent'?"),
        ("surrogate.UNet", "surrogate.Unet", "model.network: .*no attribute 'Unet'. Did you mean 'UNet'?"),
    ],
)
def test_misspelled_keys_in_a_config(small_run, tmp_path, capsys, right, wrong, pattern):
    path = tmp_path / "wrong.yaml"
    path.write_text(small_run.config.read_text().replace(right, wrong, 1))
    refused(capsys, main(["fit", f"--config={path}"]), pattern, 2)


@pytest.mark.parametrize(
    ("option", "pattern"),
    [
        ("--dataa.x=1", "has no option '--dataa.x'. Did you mean 'data'?"),
        ("--trainer.max_epoch=3", "has no option '--trainer.max_epoch'. Did you mean 'trainer.max_epochs'?"),
        ("--data.batch_size=many", "data.batch_size: expected int, got many"),
        ("--data.simulation.dt=soon", "data.simulation.dt: expected float, got soon"),
        ("--data.simulation.domain.resolution=32", "data.simulation.domain.resolution: expected list, got 32"),
        ("--data.simulation.viscosity=low", "data.simulation.viscosity: expected float or a class_path, got low"),
        ("--data.split=[0.5,0.5]", r"data.split: expected list with 3 elements, got \[0.5, 0.5\]"),
        ("--model.network.filters=wide", "model.network.filters: expected int, got wide"),
        ("--model.lr_scheduler_interval=batch", "lr_scheduler_interval: expected 'epoch' or 'step', got batch"),
        ("--trainer.max_epochs=many", "trainer.max_epochs: expected int, got many"),
        ("--trainer.max_epochs", "trainer.max_epochs: expected one argument"),
        ("--model=burgerslab.surrogate.Surrogat", "has no attribute 'Surrogat'. Did you mean 'Surrogate'?"),
        ("--model.network=nowhere.Net", "No module named 'nowhere'. A module of your own must be in the working dir"),
        ("--data.simulation.scheme=burgerslab.surrogate.UNet", "UNet does not correspond to a subclass of Scheme"),
    ],
)
def test_options(small_run, tmp_path, capsys, option, pattern):
    refused(capsys, small_run.main("fit", tmp_path, option), pattern, 2)


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        (["--data.simulation.dt=-1"], "simulation.dt must be positive and finite, got -1"),
        (["--data.batch_size=0"], "data.batch_size must be at least 1, got 0"),
        (
            split([0, 77], [2], [3]),
            r"train_sim_indices names trajectories \[77\].* use 0 to 5",
        ),
        (["--data.num_predict_steps=7"], "data.num_predict_steps 7 needs .* set num_predict_steps to 6 or less"),
        (["--data.simulation=null", "--data.store=nowhere.zarr"], "data.store: there is no store at .*nowhere.zarr"),
        (["--data.observation.noise=-1"], "observation.noise must be a number from 0 on, got -1"),
        (
            ["--data.observation.cells=burgerslab.data.EveryKthCell", "--data.observation.cells.k=2"],
            "data.observation hides .* cells of the initial frames .* Set data.observation.initial_known: true",
        ),
        (
            ["--data.observation.frames=burgerslab.data.EveryKthFrame", "--data.observation.frames.k=3"],
            "data.observation leaves no window of num_predict_steps 2: .* Raise num_predict_steps",
        ),
        (["--model.network.filters=0"], "UNet filters must be at least 1, got 0"),
        (["--model.network.levels=6"], "model.network must map .* lower its levels"),
        (["--model.network.in_channels=3"], "network.init_args.in_channels is 3, but the data need 1; leave it out"),
        (["--model.network.dimension=2"], "network.init_args.dimension is 2, but the data need 1; leave it out"),
        (["--model.network=torch.nn.Identity", "--data.static_fields=[viscosity]"], r"Identity gave \(1, 2, 32\)"),
        (["--trainer.accelerator=tpuu"], "trainer: .*invalid accelerator name.*tpuu.*Available names are"),
        (["--trainer.accelerator=tpu"], "trainer: Requirement .*torch_xla.* not met"),
        (["--trainer.default_root_dir=/dev/null/runs"], "/dev/null/runs.*: Not a directory"),
        (["--data=lightning.pytorch.demos.boring_classes.BoringDataModule"], "learns from .*BurgersDataModule only"),
        (["--ckpt_path=nowhere.ckpt"], "ckpt_path: there is no checkpoint at .*nowhere.ckpt; fit writes them to"),
    ],
)
def test_values(small_run, tmp_path, capsys, options, pattern):
    refused(capsys, small_run.main("fit", tmp_path, *options), pattern, 1)


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        (
            ["--model.optimizer=torch.optim.SGD", "--model.optimizer.lr=1e30"],
            r"training loss became \w+ in epoch 0, step \d+. Lower the learning rate",
        ),
        (
            ["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=val_loss"],
            "trainer.callbacks: Early stopping conditioned on metric `val_loss` .* any of the following: .*val/nrmse",
        ),
        (
            ["--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.monitor=val_loss"],
            "trainer: `ModelCheckpoint.monitor='val_loss'.` could not find the monitored key",
        ),
    ],
)
def test_errors_while_training(small_run, tmp_path, capsys, options, pattern):
    refused(capsys, small_run.main("fit", tmp_path, *options), pattern, 1)


def test_another_store(small_run, tmp_path, capsys):
    code = small_run.main("fit", tmp_path, "--data.simulation.viscosity=0.03")
    refused(capsys, code, r"store.zarr: .*other settings:\n.*viscosity.*0.02.*0.03\n.*overwrite", 1, num_lines=4)


def test_an_unstable_step(small_run, tmp_path, capsys):
    options = ["--data.simulation.dt=0.5", f"--data.store={tmp_path / 'unstable.zarr'}"]
    code = main(["generate", f"--config={small_run.config}", *options])
    refused(capsys, code, r"simulation: .*unstable.* substeps to \d+ or more \(now 4\)", 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_evaluation_needs_a_checkpoint_and_trajectories(small_run, tmp_path, capsys, command):
    refused(capsys, small_run.main(command, tmp_path), f"{command} needs a trained surrogate: give --ckpt_path=", 1)
    code = small_run.main(command, tmp_path, f"--ckpt_path={small_run.best}", *split([0], [], []))
    refused(capsys, code, rf"data.split or data.\w+_sim_indices leaves no trajectories to {command}", 1)


def test_checkpoints_that_do_not_fit(small_run, tmp_path, capsys):
    code = small_run.main("test", tmp_path, f"--ckpt_path={small_run.best}", "--model.network.filters=8")
    refused(capsys, code, r"ckpt_path: .* does not fit .*stem.weight: \[4, 1, 3\] in the file, \[8, 1, 3\] here", 1)
    code = small_run.main("test", tmp_path, f"--ckpt_path={small_run.config}")
    refused(capsys, code, "ckpt_path: the file is no checkpoint", 1)


def test_a_flipped_byte_in_the_store(small_run, tmp_path, capsys):
    options = [f"--data.store={tmp_path / 'store.zarr'}"]
    assert main(["generate", f"--config={small_run.config}", *options]) == 0
    chunk = next(path for path in (tmp_path / "store.zarr" / "velocity" / "c").rglob("*") if path.is_file())
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    name = str(chunk.relative_to(tmp_path / "store.zarr"))
    capsys.readouterr()
    code = small_run.main("fit", tmp_path / "runs", *options)
    refused(
        capsys, code, rf"damaged; nothing was trained on it:\n +{name}: .*\n.*burgerslab generate", 1, num_lines=3
    )
    assert list(tmp_path.rglob("*.ckpt")) == []
    assert main(["inspect", str(tmp_path / "store.zarr")]) == 1
    assert re.search(rf"damaged: +{name}: .*\n1 files are damaged", capsys.readouterr().out)
    assert main(["generate", f"--config={small_run.config}", *options]) == 0
    assert "1 damaged files are made again" in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "store.zarr")]) == 0


def test_inspect_of_nothing(capsys, tmp_path):
    refused(capsys, main(["inspect", str(tmp_path / "no.zarr")]), "no.zarr: no burgerslab store", 1)


def test_generate_needs_a_simulation(small_run, capsys):
    code = main(["generate", f"--config={small_run.config}", "--data.simulation=null"])
    refused(capsys, code, "generate needs data.simulation", 1)


def test_debugging_shows_the_traceback(small_run, tmp_path, monkeypatch):
    monkeypatch.setenv("BURGERSLAB_DEBUG", "1")
    with pytest.raises(ValueError, match="there is no checkpoint at"):
        small_run.main("fit", tmp_path, "--ckpt_path=nowhere.ckpt")


def test_a_call_that_fails_in_this_package_is_a_bug(small_run, tmp_path, monkeypatch):
    monkeypatch.setattr("burgerslab.cli.default_callbacks.PredictionWriter", lambda: int("a bug"))
    with pytest.raises(ValueError, match="invalid literal"):
        small_run.main("fit", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "message"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
def test_signals_end_a_run_with_one_line(small_run, tmp_path, number, code, message):
    options = ["--trainer.max_epochs=100000", f"--trainer.default_root_dir={tmp_path}"]
    command = [sys.executable, "-m", "burgerslab", "fit", f"--config={small_run.config}", *options]
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    ) as process:
        try:
            deadline = time.monotonic() + 120
            while not list(tmp_path.rglob("last.ckpt")) and time.monotonic() < deadline:
                time.sleep(0.1)
            process.send_signal(number)
            error = process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert process.returncode == code
    assert error.endswith(f"burgerslab: error: {message}\n")
    assert "Traceback" not in error


def test_a_network_that_does_not_fit_the_cells_is_refused_before_anything_is_simulated(small_run, tmp_path, capsys):
    options = [f"--data.store={tmp_path / 'odd.zarr'}", "--data.simulation.domain.resolution=[33]"]
    code = small_run.main("fit", tmp_path / "runs", *options)
    refused(capsys, code, r"must map \(1, 1, 33\) to \(1, 1, 33\); UNet failed on it: .* multiple of 2 cells", 1)
    assert not (tmp_path / "odd.zarr").exists()
