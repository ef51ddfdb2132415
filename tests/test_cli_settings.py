"""Unusual but sensible settings of a run, and classes of the user's own."""

import json
import sys

import numpy as np
import pytest
import torch
import yaml

from burgerslab.cli import main
from burgerslab.data import Store
from tests.small_run import split

EMA = '[{"class_path": "lightning.pytorch.callbacks.EMAWeightAveraging", "init_args": {"decay": 0.5}}]'

OWN_CLASSES = '''
from dataclasses import dataclass
import lightning.pytorch
import numpy as np
import torch
from burgerslab.physics import InitialCondition, Scheme

class Local(torch.nn.Module):
    """A network that names no channels."""
    def __init__(self, width: int = 3):
        super().__init__()
        self.linear = torch.nn.Conv1d(1, 1, width, padding="same", padding_mode="circular")
    def forward(self, x):
        return self.linear(x)

class Filled(torch.nn.Module):
    """A network that is told of the channels."""
    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.linear = torch.nn.Conv1d(in_channels, out_channels, 1)
    def forward(self, x):
        return self.linear(x)

class Broken(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.nothing = {}["missing"]

class Model(lightning.pytorch.LightningModule):
    """Learns the mean of the first frames."""
    def __init__(self):
        super().__init__()
        self.mean = torch.nn.Parameter(torch.zeros(()))
    def training_step(self, batch, batch_idx):
        return (batch["initial"] - self.mean).square().mean()
    def validation_step(self, batch, batch_idx):
        self.log("own/error", (batch["initial"] - self.mean).square().mean())
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

@dataclass(frozen=True)
class Halving(Scheme):
    order: int = 1
    def step(self, velocity, viscosity, dt):
        return velocity * 0.5

@dataclass(frozen=True)
class Constant(InitialCondition):
    value: float = 1.0
    def sample(self, domain, generator):
        return np.full((domain.dimension, *domain.resolution), self.value)
'''


@pytest.fixture
def own_classes(tmp_path, monkeypatch):
    """A module outside the package, in the working directory."""
    (tmp_path / "own_burgers_classes.py").write_text(OWN_CLASSES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])  # `main` adds the working directory
    return "own_burgers_classes"


def documents(root):
    return [json.loads(path.read_text()) for path in sorted(root.rglob("metrics.json"))]


def test_a_network_of_ones_own_without_channels(small_run, own_classes, tmp_path):
    network = (f"--model.network={own_classes}.Local", "--model.network.width=5")
    assert small_run.main("fit", tmp_path / "runs", *network) == 0
    checkpoint = tmp_path / "runs/version_0/checkpoints/best.ckpt"
    assert torch.load(checkpoint)["state_dict"]["network.linear.weight"].shape == (1, 1, 5)
    assert small_run.main("test", tmp_path / "runs", *network, f"--ckpt_path={checkpoint}") == 0
    assert documents(tmp_path)[0]["summary"] == documents(tmp_path)[1]["summary"]


def test_a_network_of_ones_own_is_told_the_channels(small_run, own_classes, tmp_path):
    options = (f"--model.network={own_classes}.Filled", "--data.static_fields=[viscosity]", "--test_after_fit=false")
    assert small_run.main("fit", tmp_path / "runs", *options) == 0
    state = torch.load(tmp_path / "runs/version_0/checkpoints/best.ckpt")["state_dict"]
    assert state["network.linear.weight"].shape == (1, 2, 1)


def test_a_model_of_ones_own(small_run, own_classes, tmp_path):
    data = (f"--data.store={small_run.store}", "--trainer.accelerator=cpu", "--trainer.max_epochs=1")
    root = f"--trainer.default_root_dir={tmp_path / 'runs'}"
    assert main(["fit", f"--model={own_classes}.Model", *data, "--data.num_predict_steps=2", root]) == 0
    assert [path.name for path in tmp_path.rglob("*.ckpt")] == ["last.ckpt"]
    assert documents(tmp_path) == []


def test_a_scheme_and_an_initial_condition_of_ones_own(small_run, own_classes, tmp_path):
    options = [
        f"--data.store={tmp_path / 'own.zarr'}",
        f"--data.simulation.scheme={own_classes}.Halving",
        f"--data.simulation.initial={own_classes}.Constant",
        "--data.simulation.initial.value=8.0",
        "--data.simulation.substeps=1",
    ]
    assert main(["generate", f"--config={small_run.config}", *options]) == 0
    store = Store(tmp_path / "own.zarr")
    halves = np.array([8.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.125])
    assert (store.read("velocity", [0, 5]) == halves[:, None, None]).all()
    assert store.settings["scheme"]["class_path"] == f"{own_classes}.Halving"


OWN_PATTERN = """
from dataclasses import dataclass
from burgerslab.data import FramePattern

@dataclass(frozen=True)
class Late(FramePattern):
    first: int = 1
    def frames(self, num_frames):
        return [0, *range(self.first, num_frames)]
"""

OBSERVATION = """
data:
  observation:
    noise: 0.01
    frames: {class_path: own_pattern.Late, init_args: {first: 3}}
    cells: {class_path: burgerslab.data.CellRange, init_args: {low: [0.0], high: [0.5]}}
    points: {number: 40, seed: 1}
    initial_known: true
  use_sliding_window: false
  num_predict_steps: 6
"""


def test_an_observation_with_a_pattern_of_ones_own(small_run, own_classes, tmp_path):
    (tmp_path / "own_pattern.py").write_text(OWN_PATTERN)
    (tmp_path / "observation.yaml").write_text(OBSERVATION)
    options = (f"--config={tmp_path / 'observation.yaml'}", "--data.observation.noise=0.02")
    assert small_run.main("fit", tmp_path / "runs", *options) == 0
    written = yaml.safe_load((tmp_path / "runs/version_0/config.yaml").read_text())["data"]
    written = written.get("init_args", written)["observation"]
    assert (written["noise"], written["points"]["number"]) == (0.02, 40)
    assert written["frames"] == {"class_path": "own_pattern.Late", "init_args": {"first": 3}}


def test_a_bug_in_a_class_of_ones_own_keeps_its_traceback(small_run, own_classes, tmp_path):
    with pytest.raises(Exception) as caught:
        small_run.main("fit", tmp_path / "runs", f"--model.network={own_classes}.Broken")
    error, chain = caught.value, []
    while error is not None:
        chain.append(type(error))
        error = error.__cause__ or error.__context__
    assert KeyError in chain


def test_linked_values_may_be_repeated_if_they_are_right(small_run, tmp_path):
    assert small_run.main("fit", tmp_path, "--model.network.in_channels=1", "--trainer.fast_dev_run=true") == 0


def test_weight_averaging_is_tested_with_the_averaged_weights(small_run, tmp_path):
    assert small_run.main("fit", tmp_path / "runs", f"--trainer.callbacks={EMA}") == 0
    checkpoint = tmp_path / "runs/version_0/checkpoints/best.ckpt"
    assert small_run.main("test", tmp_path / "runs", f"--ckpt_path={checkpoint}") == 0
    after_fit, alone = documents(tmp_path)
    assert after_fit["summary"] == alone["summary"]
    plain = json.loads((small_run.run / "metrics.json").read_text())
    assert after_fit["summary"]["surrogate"] != plain["summary"]["surrogate"]


def test_a_model_checkpoint_of_ones_own_replaces_the_default(small_run, tmp_path):
    options = ("--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.filename=mine", "--test_after_fit=false")
    assert small_run.main("fit", tmp_path, *options) == 0
    assert [path.name for path in tmp_path.rglob("*.ckpt")] == ["mine.ckpt"]


@pytest.mark.parametrize(
    ("options", "checkpoints", "num_reports"),
    [
        (["--trainer.logger=false"], ["best.ckpt", "last.ckpt"], 1),
        (["--trainer.fast_dev_run=true"], [], 0),
        (["--trainer.enable_checkpointing=false"], [], 1),
        (["--trainer.max_epochs=0"], [], 1),
        (["--trainer.limit_val_batches=0"], ["last.ckpt"], 1),
        (["--trainer.enable_progress_bar=false", "--test_after_fit=false"], ["best.ckpt", "last.ckpt"], 0),
        (split([0], [], [1]), ["last.ckpt"], 1),
        (split([0], [1], []), ["best.ckpt", "last.ckpt"], 0),
    ],
)
def test_settings_that_leave_something_out(small_run, tmp_path, monkeypatch, options, checkpoints, num_reports):
    monkeypatch.chdir(tmp_path)
    assert small_run.main("fit", tmp_path / "runs", *options) == 0
    assert sorted(path.name for path in tmp_path.rglob("*.ckpt")) == checkpoints
    assert len(documents(tmp_path)) == num_reports
    assert {path.name for path in tmp_path.iterdir()} <= {"runs"}


def test_fast_dev_run_of_test_and_predict_leaves_no_files(small_run, tmp_path, capsys):
    for command in ("test", "predict"):
        options = (f"--ckpt_path={small_run.best}", "--trainer.fast_dev_run=true")
        assert small_run.main(command, tmp_path / "runs", *options) == 0
    assert list(tmp_path.iterdir()) == []
    assert "persistence" in capsys.readouterr().out
