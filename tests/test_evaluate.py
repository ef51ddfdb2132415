"""`burgerslab evaluate`: the numbers of `test`, baselines, sweeps, files, and what is refused."""

import csv
import json
import shutil
from collections import defaultdict

import numpy as np
import pytest
import torch

from burgerslab.cli import main
from burgerslab.data import Store
from burgerslab.evaluation import evaluation_files
from burgerslab.evaluation.runs import load_run
from burgerslab.physics import ConstantViscosity, Domain, RandomFourier
from tests.small_inversion import make

PLAIN = ("--baselines=[]", "--timing.repeats=0")


def table_of(folder):
    """Values of the long table by run, set and metric, in order."""
    values = defaultdict(list)
    with (folder / "evaluation.csv").open() as file:
        for row in csv.DictReader(file):
            values[row["run"], row["set"], row["metric"]].append(
                (row["trajectory"], row["frame"], float(row["value"]))
            )
    return values


def summary_of(folder):
    return json.loads((folder / "evaluation.json").read_text())


def refused(capsys, *options) -> str:
    assert main(["evaluate", *map(str, options)]) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "model", "tested"),
    [
        ("surrogate", "", "surrogate"),
        ("inversion", "", "inversion"),
        ("hybrid", " surrogate", "surrogate"),
    ],
)
def test_the_numbers_are_those_of_test(finished_runs, tmp_path, kind, model, tested):
    run = finished_runs[kind]
    assert main(["evaluate", str(run), "-o", str(tmp_path), *PLAIN]) == 0
    table, summary = table_of(tmp_path), summary_of(tmp_path)
    metrics = json.loads((run / "metrics.json").read_text())
    name = f"{run.parent.name}/{run.name}{model}"
    for forecast, in_test in ((name, tested), ("persistence", "persistence")):
        for metric, expected in metrics["values"][in_test].items():
            rows = table[forecast, "test", metric]
            assert [int(row[0]) for row in rows[:: len(expected[0])]] == metrics["trajectories"]
            assert [int(row[1]) for row in rows] == [*range(1, len(expected[0]) + 1)] * len(expected)
            # six digits in metrics.json, eight in the table
            assert np.allclose([row[2] for row in rows], np.ravel(expected), rtol=6e-6, atol=0)
        for metric, expected in metrics["summary"][in_test].items():
            found = summary["summary"]["test"][forecast][metric]
            assert found["mean"] == pytest.approx(expected, rel=1e-7)
    (of_run,) = summary["runs"]
    assert of_run["kind"] == kind
    checkpoint = of_run["models"][name]["checkpoint"]
    assert checkpoint == str(metrics["checkpoint"] or run / "checkpoints" / "last.ckpt")
    assert summary["sets"][0]["fingerprint"] == Store(metrics["store"]).fingerprint
    assert summary["table"]["rows"] == sum(map(len, table.values()))


@pytest.mark.slow
def test_runs_are_compared_with_solvers_and_on_new_trajectories(finished_runs, tmp_path, capsys):
    hybrid, inversion = finished_runs["hybrid"], finished_runs["inversion"]
    options = ("--sweep.viscosity=[0.03, 0.015]", "--sweep.resolution=[48]", "--sweep.num_trajectories=6")
    store = load_run(hybrid).store
    command = ["evaluate", str(hybrid), str(inversion), f"--data.store={store}", f"-o={tmp_path}"]
    assert main([*command, "--baselines=[FourierSpectral]", "--timing.repeats=1", *options]) == 0
    printed = capsys.readouterr().out
    summary = summary_of(tmp_path)
    assert [(it["set"], it["in_distribution"], it["truth"]) for it in summary["sets"]] == [
        ("test", False, "exact solution (Cole-Hopf)"),  # it is not what the inversion was fitted to
        ("viscosity 0.03", True, "exact solution (Cole-Hopf)"),
        ("viscosity 0.015", False, "exact solution (Cole-Hopf)"),
        ("resolution 48", False, "exact solution (Cole-Hopf)"),
    ]
    runs = ["hybrid/version_0 surrogate", "hybrid/version_0 physics", "inversion/version_0"]
    for by_run in summary["summary"].values():
        assert list(by_run) == [*runs, "persistence", "FourierSpectral"]
        for metrics in by_run.values():
            low, high = metrics["nrmse"]["ci95"]
            assert low <= metrics["nrmse"]["mean"] <= high
        # the scheme knows the viscosity, the inversion of other data has learned one of 0.05
        errors = {name: metrics["nrmse"]["mean"] for name, metrics in by_run.items()}
        assert errors["FourierSpectral"] < 2e-3
        assert 0.05 < errors["inversion/version_0"] < 1
    # a grid twice as fine, the same functions: the error is of the viscosity alone
    of_inversion = [summary["summary"][it]["inversion/version_0"]["nrmse"]["mean"] for it in summary["summary"]]
    assert of_inversion[3] == pytest.approx(of_inversion[1], rel=1e-3)
    assert of_inversion[2] > of_inversion[1]
    timed = summary["accuracy_and_time"]["timed"]
    assert [it["name"] for it in timed if not it["is_solver"]] == runs
    assert {tuple(it["cells"]) for it in timed if it["is_solver"]} == {(32,), (16,), (8,)}
    assert [it["run"] for it in summary["accuracy_and_time"]["verdicts"]] == runs
    assert printed.count("answer:") == 3
    assert "viscosity 0.03 *" in printed
    assert "2 trajectories are too few for an interval" in printed
    assert "inversion/version_0 was trained on" in printed
    assert len(table_of(tmp_path)["persistence", "viscosity 0.015", "correlation_time"]) == 6


def test_a_model_that_diverges_is_written_down_and_counted(finished_runs, tmp_path, capsys):
    run = shutil.copytree(finished_runs["hybrid"], tmp_path / "run" / "version_0")
    checkpoint = run / "checkpoints" / "best.ckpt"
    content = torch.load(checkpoint, weights_only=True)
    content["state_dict"]["network.bias"] += torch.inf
    torch.save(content, checkpoint)
    assert main(["evaluate", str(run), *PLAIN]) == 0
    summary = summary_of(run / "evaluation")
    found = summary["summary"]["test"]
    broken = found["run/version_0 surrogate"]["nrmse"]
    assert broken == {"mean": "inf", "ci95": ["inf", "inf"], "num_not_finite": 2}
    assert found["run/version_0 physics"]["nrmse"]["num_not_finite"] == 0
    values = [row[2] for row in table_of(run / "evaluation")["run/version_0 surrogate", "test", "nrmse"]]
    assert values == [float("inf")] * 20
    assert "2 diverged" in capsys.readouterr().out


def test_runs_that_do_not_go_with_the_data_are_one_message(finished_runs, tmp_path, capsys):
    surrogate, inversion = finished_runs["surrogate"], finished_runs["inversion"]
    assert "the runs were trained on different stores" in refused(capsys, surrogate, inversion)
    assert f"the run {surrogate} best is given twice" in refused(capsys, surrogate, surrogate)
    message = refused(capsys, surrogate, f"--data.store={tmp_path / 'none.zarr'}")
    assert "no burgerslab store (nothing is there)" in message
    make(tmp_path / "slow.zarr", dt=0.01)
    message = refused(capsys, surrogate, f"--data.store={tmp_path / 'slow.zarr'}")
    assert "runs/version_0 was trained on other data than" in message
    assert "(dt: 0.02 and 0.01)" in message
    initial = RandomFourier(amplitude=0.5, max_mode=2, curl_free=True)
    flat = {"domain": Domain((1.0, 1.0), (8, 8)), "initial": initial, "num_frames": 2, "num_trajectories": 1}
    make(tmp_path / "flat.zarr", viscosity=ConstantViscosity(0.2), **flat)
    assert "dimension: 1 and 2" in refused(capsys, surrogate, f"--data.store={tmp_path / 'flat.zarr'}")
    moved = shutil.copytree(surrogate, tmp_path / "version_0")
    config = (moved / "config.yaml").read_text()
    (moved / "config.yaml").write_text(config.replace("/store.zarr", "/moved.zarr"))
    assert "say with --data.store where it is now" in refused(capsys, moved)
    message = refused(capsys, surrogate, "--data.test_sim_indices=[7]")
    assert "data.test_sim_indices names trajectories [7], but the store has 6" in message
    assert main(["evaluate", str(surrogate), "--baselines=[Runge]"]) != 0
    assert "Runge" in capsys.readouterr().err
    assert "sweep.viscosity must be positive" in refused(capsys, surrogate, "--sweep.viscosity=[-1]")
    assert "sweep.seed 0 is the store's own" in refused(
        capsys, surrogate, *PLAIN, "--sweep.viscosity=[0.1]", "--sweep.seed=0", f"-o={tmp_path}"
    )


def test_a_run_without_test_trajectories_asks_for_some(finished_runs, tmp_path, capsys):
    run = shutil.copytree(finished_runs["inversion"], tmp_path / "version_0")
    config = (run / "config.yaml").read_text()
    assert "test_sim_indices:\n    - 4" in config
    (run / "config.yaml").write_text(config.replace("test_sim_indices:\n    - 4", "test_sim_indices: []"))
    assert "this run names none; give --data.test_sim_indices" in refused(capsys, run)
    options = ("--data.test_sim_indices=[0, 4]", "--data.num_frames=3", "--data.eval_batch_size=1")
    assert main(["evaluate", str(run), *PLAIN, *options]) == 0
    assert "may have learned from trajectories [0, 4]" in capsys.readouterr().out
    rows = table_of(run / "evaluation")["persistence", "test", "rmse"]
    assert [row[:2] for row in rows] == [("0", "1"), ("0", "2"), ("4", "1"), ("4", "2")]


def test_an_evaluation_that_ends_early_leaves_the_last_one_whole(finished_runs, tmp_path, monkeypatch):
    command = ["evaluate", str(finished_runs["surrogate"]), f"-o={tmp_path}", *PLAIN]
    assert main(command) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"evaluation.csv", "evaluation.json"}

    def interrupted(document):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation_files, "finite", interrupted)
    assert main([*command, "--data.num_frames=3"]) == 130
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
