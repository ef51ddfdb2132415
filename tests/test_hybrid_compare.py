"""`burgerslab compare`: what the methods are given, what is measured of them, and what happens when it is killed."""

import csv
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from burgerslab.cli import main
from burgerslab.cli.compare import Comparison, ComparisonCLI
from burgerslab.cli.comparison import start_factors, summarise
from burgerslab.cli.training import run
from tests.hybrid_config import write_config


def parsed(config, *options) -> ComparisonCLI:
    """The command as far as its config is read."""
    found = []

    class Parsed(ComparisonCLI):
        def _run_subcommand(self, subcommand: str) -> None:
            found.append(self)

    run("compare", [f"--config={config}", *options], Parsed)
    return found[0]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_config(tmp_path_factory.mktemp("hybrid_compare"))


@pytest.mark.slow
def test_compare_gives_all_methods_the_same_and_does_not_repeat_what_is_finished(config, tmp_path, capsys) -> None:
    options = ["compare", f"--config={config}", f"--trainer.default_root_dir={tmp_path}", "--num_starts=2"]
    assert main([*options, "--num_seeds=1"]) == 0
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {"hybrid_seed0", "surrogate_only_seed0"}
    assert [path.name for path in (folder / "hybrid_seed0").iterdir()] == ["version_0"]
    rows = {row["method"]: row for row in json.loads((folder / "compare.json").read_text())["runs"]}
    # 27 windows in the warm-up, 54 in each of two cycles, in batches of 8
    assert rows["hybrid"]["gradient_steps"] == rows["surrogate only"]["gradient_steps"] == 3 + 6 + 6
    # the solver looks at its limit between iterations only
    assert 2 < rows["physics only"]["evaluations"] <= rows["hybrid"]["evaluations"] + 2
    assert rows["physics only"]["parameter_error"] < 0.05
    assert rows["surrogate only"]["parameter_error"] is None
    capsys.readouterr()
    assert main([*options, "--num_seeds=1"]) == 0
    assert capsys.readouterr().out.count("finished before") == 3
    with (folder / "compare.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["method"] for row in table] == ["hybrid", "surrogate only", "physics only"]
    assert [float(row["test_nrmse"]) for row in table] == [rows[row["method"]]["test_nrmse"] for row in table]


@pytest.mark.slow
def test_a_comparison_that_is_killed_in_each_training_ends_in_the_same_table(config, tmp_path) -> None:
    root = Path(__file__).parents[1]
    settings = yaml.safe_load(config.read_text())
    settings["trainer"]["callbacks"].append({"class_path": "tests.hybrid_config.KilledOnce"})
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(settings))

    def compare(folder: Path, spared: bool) -> int:
        options = [f"--config={path}", f"--trainer.default_root_dir={folder}", "--num_seeds=1", "--num_starts=1"]
        done = subprocess.run(
            [sys.executable, "-m", "burgerslab", "compare", *options],
            cwd=root,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root), "SPARED": "yes" if spared else ""},
            capture_output=True,
            timeout=900,
            check=False,
        )
        return done.returncode

    def rows(folder: Path) -> list[dict]:
        (found,) = folder.glob("compare_*/compare.json")
        return json.loads(found.read_text())["runs"]

    assert [compare(tmp_path / "killed", spared=False) for _ in range(3)] == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert compare(tmp_path / "whole", spared=True) == 0
    (folder,) = (tmp_path / "killed").iterdir()
    for method in ("hybrid", "surrogate_only"):
        assert {path.name for path in (folder / f"{method}_seed0").iterdir()} >= {"version_0", "version_1"}
    for killed, whole in zip(rows(tmp_path / "killed"), rows(tmp_path / "whole"), strict=True):
        assert killed.pop("wall_time") > 0
        whole.pop("wall_time")
        assert killed == whole


def test_a_comparison_is_summed_up_by_means_and_standard_deviations() -> None:
    measured = {"correlation_time": 1.0, "wall_time": 2.0, "gradient_steps": 3, "evaluations": 4}
    rows = [
        {"method": "hybrid", "seed": 0, "test_nrmse": 0.1, "parameter_error": None, **measured},
        {"method": "hybrid", "seed": 1, "test_nrmse": 0.3, "parameter_error": None, **measured},
        {"method": "physics only", "seed": 0, "test_nrmse": 0.5, "parameter_error": 0.25, **measured},
    ]
    summary = summarise(rows)
    assert summary["hybrid"]["test_nrmse"] == pytest.approx([0.2, math.sqrt(0.02)])
    assert summary["hybrid"]["parameter_error"] is None
    assert summary["physics only"]["parameter_error"] == [0.25, 0.0]
    assert start_factors(5) == [1.0, 0.25, 4.0, 0.0625, 16.0]


def test_what_cannot_be_compared_is_refused(config, tmp_path, capsys) -> None:
    def compare(settings, *options) -> str:
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(settings))
        assert main(["compare", f"--config={path}", f"--trainer.default_root_dir={tmp_path}", *options]) == 1
        return capsys.readouterr().err

    settings = yaml.safe_load(config.read_text())
    scheduler = {"class_path": "torch.optim.lr_scheduler.CosineAnnealingLR", "init_args": {"T_max": 3}}
    message = compare({**settings, "model": {**settings["model"], "lr_scheduler": scheduler}})
    assert "set model.lr_scheduler_interval: step, and count T_max in steps" in message
    assert "vary_data lets data.split draw other trajectories for each seed, but" in compare(
        settings, "--vary_data=true"
    )
    assert "leave out ckpt_path" in compare(settings, f"--ckpt_path={config}")
    settings["trainer"]["callbacks"] = []
    assert "trainer.callbacks names no burgerslab.hybrid.Hybrid" in compare(settings)


def test_each_seed_draws_trajectories_of_its_own_where_the_split_draws_them(config, tmp_path) -> None:
    def drawn(settings, *options) -> list[set[int]]:
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(settings))
        cli = parsed(path, f"--trainer.default_root_dir={tmp_path}", *options)
        comparison = Comparison(cli)
        found = []
        for seed in range(3):
            cli.make(comparison.seeded(seed, "hybrid"))
            found.append(set(cli.datamodule.trajectories_of("train").tolist()))
        return found

    settings = yaml.safe_load(config.read_text())
    assert drawn(settings) == [{0, 1, 2}] * 3
    for name in ("train", "val", "test"):
        del settings["data"][f"{name}_sim_indices"]
    settings["data"]["split"] = [0.4, 0.2, 0.4]
    varied, same = drawn(settings), drawn(settings, "--vary_data=false")
    assert varied[0] == same[0] == same[1] == same[2]
    assert len({frozenset(it) for it in varied}) == 3


def test_help_speaks_of_the_command_that_was_called(capsys) -> None:
    assert main(["compare", "--help"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("usage: burgerslab compare [-c CONFIG]")
    assert "Run a hybrid beside its surrogate and its inversion alone" in printed
    assert "--test_after_fit" not in printed
    assert main(["compare", "--num_sedes=1"]) == 2
    assert "burgerslab compare: error: this command has no option '--num_sedes'" in capsys.readouterr().err
