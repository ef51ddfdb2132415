"""Commands from end to end, and what they leave behind."""

import csv
import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from burgerslab.cli import main
from burgerslab.cli.training import _claim_version
from burgerslab.data import Store
from tests.small_run import split

CONFIGS = sorted(Path(__file__).parent.parent.joinpath("configs").glob("*.yaml"))


def nrmse(folder):
    return json.loads((folder / "metrics.json").read_text())["summary"]["surrogate"]["nrmse"]


def weights(checkpoint):
    return torch.load(checkpoint)["state_dict"]


def test_help_costs_no_second_and_imports_nothing_heavy():
    code = (
        "import sys; from burgerslab.cli import main; import burgerslab; code = main(['--help']);"
        "print(sorted({'torch', 'lightning', 'numpy', 'zarr', 'phi', 'jsonargparse'} & set(sys.modules)), code)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout.splitlines()[-1] == "[] 0"
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


def test_usage_lists_the_commands(capsys):
    assert main([]) == main(["--help"]) == 0
    usage = capsys.readouterr().out
    for command in ("fit", "validate", "test", "predict", "compare", "generate", "import", "inspect"):
        assert re.search(rf"^  {command} +\w", usage, re.MULTILINE)
    assert main(["--version"]) == 0
    assert re.fullmatch(r"burgerslab \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["fit", "--help"], ["--trainer.max_epochs", "--data.help", "--model.help", "--test_after_fit"]),
        (["fit", "--data.help"], ["--data.store", "--data.num_predict_steps", "--data.simulation"]),
        (["fit", "--model.help"], ["--model.network", "--model.optimizer", "--model.unrolling"]),
        (["generate", "--help"], ["--config", "--data.help"]),
        (["inspect", "--help"], ["store"]),
    ],
)
def test_help_of_a_command_lists_its_options(capsys, arguments, options):
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert [option for option in options if option not in text] == []


def test_fit_leaves_config_checkpoints_metrics_and_figure(small_run):
    files = {str(path.relative_to(small_run.run)) for path in small_run.run.rglob("*") if path.is_file()}
    assert files >= {"config.yaml", "metrics.csv", "metrics.json", "test.png"}
    assert files >= {"checkpoints/best.ckpt", "checkpoints/last.ckpt"}


def test_test_repeats_the_numbers_of_fit(small_run, tmp_path, capsys):
    assert small_run.main("test", tmp_path, f"--ckpt_path={small_run.best}") == 0
    assert nrmse(tmp_path / "version_0") == nrmse(small_run.run)
    assert "Test metric" not in capsys.readouterr().out


def test_the_screen_holds_no_warnings_of_other_packages(small_run, tmp_path, capsys):
    evaluated = [(command, f"--ckpt_path={small_run.best}") for command in ("validate", "test", "predict")]
    for command, *options in [("fit",), *evaluated]:
        assert small_run.main(command, tmp_path, *options) == 0
        screen = capsys.readouterr()
        assert re.findall(r".*(?:\.py:\d+|[Ww]arning|deprecated).*", screen.err + screen.out) == []
        assert f"run: {tmp_path}/version_" in screen.out


def test_predict_writes_a_store_that_inspect_reads(small_run, tmp_path, capsys):
    assert small_run.main("predict", tmp_path, *split([0, 1], [2], [3]), f"--ckpt_path={small_run.best}") == 0
    path = tmp_path / "version_0" / "predictions.zarr"
    predicted, true = Store(path), Store(small_run.store)
    assert predicted.settings["trajectories"] == [3]
    assert predicted.settings["store_fingerprint"] == true.fingerprint
    np.testing.assert_array_equal(predicted.read("velocity", [0])[:, 0], true.read("velocity", [3])[:, 0])
    assert predicted.read("velocity", [0]).shape == true.read("velocity", [3]).shape
    capsys.readouterr()
    assert main(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    assert re.search(r"source: +prediction", text)
    assert re.search(rf"checkpoint: +{small_run.best}", text)
    assert re.search(r"checksums: +all chunks verified", text)


def test_predict_writes_as_many_trajectories_as_it_is_limited_to(small_run, tmp_path):
    limit = ("--data.eval_batch_size=2", "--trainer.limit_predict_batches=0.5")
    assert (
        small_run.main("predict", tmp_path, *split([0], [1], [2, 3, 4]), *limit, f"--ckpt_path={small_run.best}") == 0
    )
    assert Store(tmp_path / "version_0" / "predictions.zarr").settings["trajectories"] == [2, 3]


def test_a_resumed_run_ends_with_the_weights_of_an_undisturbed_one(small_run, tmp_path):
    assert small_run.main("fit", tmp_path / "whole", "--trainer.max_epochs=2", "--test_after_fit=false") == 0
    more = ("--trainer.max_epochs=2", "--test_after_fit=false", f"--ckpt_path={small_run.last}")
    assert small_run.main("fit", tmp_path / "resumed", *more) == 0
    whole, resumed = (weights(tmp_path / name / "version_0/checkpoints/last.ckpt") for name in ("whole", "resumed"))
    assert whole.keys() == resumed.keys()
    assert [name for name in whole if not torch.equal(whole[name], resumed[name])] == []
    assert not torch.equal(whole["network.head.weight"], weights(small_run.last)["network.head.weight"])


def test_print_config_can_be_fed_back(small_run, tmp_path, capsys):
    assert small_run.main("fit", tmp_path, "--data.batch_size=3", "--print_config") == 0
    printed = capsys.readouterr().out
    assert yaml.safe_load(printed)["data"]["init_args"]["batch_size"] == 3
    again = tmp_path / "again.yaml"
    again.write_text(printed)
    assert main(["fit", "--config", str(again), "--print_config"]) == 0
    assert capsys.readouterr().out == printed
    assert main(["fit", "--config", str(again), "--trainer.fast_dev_run=true"]) == 0


def test_class_path_may_be_left_out_of_data_and_model(small_run, tmp_path, capsys):
    short = yaml.safe_load(small_run.config.read_text())
    full = {
        "data": {"class_path": "burgerslab.data.BurgersDataModule", "init_args": short["data"]},
        "model": {"class_path": "burgerslab.surrogate.Surrogate", "init_args": short["model"]},
        "trainer": short["trainer"],
    }
    path = tmp_path / "full.yaml"
    path.write_text(yaml.safe_dump(full))
    printed = []
    for config in (small_run.config, path):
        assert main(["fit", "--config", str(config), "--print_config"]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


def test_generate_takes_a_config_of_fit_and_overrides(tmp_path, capsys):
    quickstart = [path for path in CONFIGS if path.name == "quickstart.yaml"]
    store = tmp_path / "few.zarr"
    overrides = ["num_trajectories=4", "num_frames=3", "domain.resolution=[8,8]", "initial.max_mode=1"]
    options = [f"--data.simulation.{override}" for override in overrides]
    assert main(["generate", "--config", str(*quickstart), *options, f"--data.store={store}"]) == 0
    assert f"store: {store}" in capsys.readouterr().out
    layout = Store(store).layout
    assert (layout.num_trajectories, layout.num_frames, layout.domain.resolution) == (4, 3, (8, 8))


def test_the_last_checkpoint_is_of_the_last_epoch_whichever_is_best(small_run, tmp_path):
    # a learning rate that grows spoils the weights, so that the first epochs are best
    options = ["--trainer.max_epochs=6", "--model.optimizer=torch.optim.SGD", "--model.optimizer.lr=0.5"]
    assert small_run.main("fit", tmp_path, *options) == 0
    folder = tmp_path / "version_0" / "checkpoints"
    saved = {name: torch.load(folder / f"{name}.ckpt", weights_only=True) for name in ("best", "last")}
    with (tmp_path / "version_0" / "metrics.csv").open() as file:
        errors = {int(row["epoch"]): float(row["val/nrmse"]) for row in csv.DictReader(file) if row["val/nrmse"]}
    assert len(errors) == 6
    assert saved["last"]["epoch"] == 5
    assert saved["best"]["epoch"] == min(errors, key=errors.get)


def test_the_config_of_a_run_serves_every_command(small_run, tmp_path):
    config = small_run.run / "config.yaml"
    for command in ("validate", "test", "predict"):
        arguments = [command, f"--config={config}", f"--ckpt_path={small_run.best}"]
        assert main([*arguments, f"--trainer.default_root_dir={tmp_path / command}"]) == 0
    assert main(["generate", f"--config={config}"]) == 0


def test_runs_beside_each_other_get_folders_of_their_own(tmp_path):
    first, second = (_claim_version(tmp_path) for _ in range(2))
    assert (first, second) == (0, 1)
    (tmp_path / "version_7").mkdir()
    assert _claim_version(tmp_path) == 8


@pytest.mark.filterwarnings("ignore::burgerslab.inversion.InversionWarning")  # cut short, an inversion is biased
@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_config_runs(config, tmp_path):
    settings = yaml.safe_load(config.read_text())
    simulation = settings["data"]["simulation"]
    dimension = len(simulation["domain"]["resolution"])
    small = [
        f"--data.store={tmp_path / 'store.zarr'}",
        "--data.simulation.num_trajectories=3",
        "--data.simulation.num_frames=3",
        f"--data.simulation.domain.resolution={[16] * dimension}",
        "--data.num_predict_steps=1",
        "--data.batch_size=1",
        "--data.pin_memory=false",
        "--trainer.fast_dev_run=true",
        "--trainer.accelerator=cpu",
        f"--trainer.default_root_dir={tmp_path / 'runs'}",
    ]
    if "network" in settings["model"]:
        small += ["--model.network.filters=4", "--model.network.levels=1"]
    assert main(["fit", "--config", str(config), *small]) == 0
    assert Store(tmp_path / "store.zarr").layout.num_trajectories == 3
    assert not (tmp_path / "runs").exists()
