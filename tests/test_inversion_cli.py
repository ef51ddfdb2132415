"""`burgerslab fit` and its sisters with an inversion: what is written, tested and refused."""

import json

import numpy as np
import pytest

from burgerslab.cli import main
from burgerslab.data import Store
from tests.small_inversion import CONFIG, VISCOSITY, make
from tests.test_cli_errors import refused

LEARNED = "learnable_parameters:\n    - class_path: Viscosity\n      init_args: {initial_guess: 0.2}"


class Run:
    """A config, its store, and the folder of a finished fit."""

    def __init__(self, folder):
        self.folder = folder
        self.store = folder / "store.zarr"
        make(self.store)
        self.config = folder / "config.yaml"
        self.config.write_text(CONFIG.format(store=self.store))
        self.run = folder / "runs" / "version_0"
        self.last = self.run / "checkpoints" / "last.ckpt"

    def main(self, command, root, *options, replace=("", "")):
        config = self.config
        if replace[0]:
            config = root / "config.yaml"
            config.write_text(self.config.read_text().replace(*replace))
            assert config.read_text() != self.config.read_text()
        return main([command, f"--config={config}", f"--trainer.default_root_dir={root / 'runs'}", *options])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    finished = Run(tmp_path_factory.mktemp("inversion"))
    assert finished.main("fit", finished.folder) == 0
    return finished


def written(folder, name="inversion"):
    return json.loads((folder / "runs" / "version_0" / f"{name}.json").read_text())


def test_a_fit_leaves_its_result_a_figure_one_checkpoint_and_a_test(run):
    found = written(run.folder)
    viscosity = found["parameters"]["viscosity"]
    assert abs(viscosity["estimate"] / VISCOSITY - 1) < 2e-3
    assert viscosity["relative_error"] == pytest.approx(viscosity["estimate"] / VISCOSITY - 1, rel=1e-6)
    assert viscosity["ci95"][0] < viscosity["estimate"] < viscosity["ci95"][1]
    spread = np.hypot(viscosity["std"], viscosity["discretisation_shift"])
    assert (viscosity["ci95"][1] - viscosity["ci95"][0]) / spread == pytest.approx(2 * 1.96, rel=1e-3)
    assert (viscosity["initial_guess"], viscosity["bounds"], viscosity["true"]) == (0.2, [1e-6, 100.0], VISCOSITY)
    assert (found["converged"], found["warnings"], found["store"]) == (True, [], str(run.store))
    assert found["iterations"] == len(found["history"]) < found["evaluations"] <= 15
    assert found["history"][-1]["viscosity"] == viscosity["estimate"]
    assert [path.name for path in run.last.parent.iterdir()] == ["last.ckpt"]
    assert {"inversion.png", "test.png", "metrics.json"} < {path.name for path in run.run.iterdir()}
    summary = written(run.folder, "metrics")["summary"]
    assert summary["inversion"]["nrmse"] < 1e-3 < 0.1 < summary["persistence"]["nrmse"]


def test_a_checkpoint_is_tested_validated_and_predicted_with(run, tmp_path, capsys):
    assert run.main("test", tmp_path, f"--ckpt_path={run.last}") == 0
    assert written(tmp_path, "metrics")["summary"] == written(run.folder, "metrics")["summary"]
    assert run.main("validate", tmp_path, f"--ckpt_path={run.last}") == 0
    assert "val/nrmse" in capsys.readouterr().out
    assert run.main("predict", tmp_path, f"--ckpt_path={run.last}") == 0
    predicted = Store(tmp_path / "runs" / "version_2" / "predictions.zarr").read("velocity", [0])
    np.testing.assert_allclose(predicted, Store(run.store).read("velocity", [4]), atol=1e-3)


def test_a_finished_solve_that_is_resumed_leaves_the_same_result_and_a_checkpoint(run, tmp_path):
    assert run.main("fit", tmp_path, f"--ckpt_path={run.last}", "--test_after_fit=false") == 0
    again, found = written(tmp_path), written(run.folder)
    assert again["parameters"] == found["parameters"]
    assert again["evaluations"] == found["evaluations"]
    assert run.main("test", tmp_path, f"--ckpt_path={tmp_path / 'runs/version_0/checkpoints/last.ckpt'}") == 0


def test_a_solve_that_gives_up_leaves_its_last_point_and_exit_code_1(run, tmp_path, capsys):
    code = run.main("fit", tmp_path, "--model.solver.max_iterations=2")
    refused(capsys, code, r"L-BFGS-B did not converge \(.*LIMIT\) after 2 iter.*Raise solver.max_iterations", 1)
    found = written(tmp_path)
    assert (found["converged"], found["iterations"]) == (False, 2)
    assert not (tmp_path / "runs" / "version_0" / "metrics.json").exists()


@pytest.mark.filterwarnings("default:L-BFGS-B did not converge")
def test_a_solve_that_gives_up_may_be_taken_as_it_is(run, tmp_path, capsys):
    options = ["--model.solver.max_iterations=2", "--model.solver.suppress_convergence_errors=true"]
    assert run.main("fit", tmp_path, *options) == 0
    screen = capsys.readouterr()
    assert [line[:34] for line in screen.err.splitlines() if "warn" in line.lower()] == [
        "warning: L-BFGS-B did not converge"
    ]
    assert "NOT converged" in screen.out
    assert written(tmp_path)["converged"] is False
    assert written(tmp_path, "metrics")["summary"]["inversion"]["nrmse"] > 1e-3


def test_viscosities_of_the_fitted_trajectories_forecast_no_others(run, tmp_path, capsys):
    each = ("initial_guess: 0.2", "initial_guess: 0.2, each_trajectory: true")
    assert run.main("fit", tmp_path, replace=each) == 0
    assert "no test: what was learned holds for the fitted trajectories only" in capsys.readouterr().out
    found = written(tmp_path)["parameters"]["viscosity"]
    assert np.shape(found["estimate"]) == np.shape(found["true"]) == np.shape(found["relative_error"]) == (3,)
    assert np.abs(found["relative_error"]).max() < 1e-2
    last = tmp_path / "runs/version_0/checkpoints/last.ckpt"
    for command in ("validate", "test", "predict"):
        code = run.main(command, tmp_path, f"--ckpt_path={last}", replace=each)
        refused(capsys, code, "the coefficients were learned for each trajectory, so there are none for another", 1)


def test_no_time_for_an_iteration(run, tmp_path, capsys):
    assert run.main("fit", tmp_path, "--trainer.max_time=00:00:00:00") == 0
    assert "no test: the fit ended before its first iteration" in capsys.readouterr().out


@pytest.mark.parametrize("learned", ["learnable_parameters: []", "solver: {}"])
def test_nothing_to_learn_is_refused_with_the_lines_to_add(run, tmp_path, capsys, learned):
    code = run.main("fit", tmp_path, replace=(LEARNED, learned))
    lines = "\n  learnable_parameters:\n  - class_path: burgerslab.inversion.Viscosity\n    init_args: {init"
    refused(capsys, code, f"No 'learnable_parameters' defined: .*{lines}", 1, num_lines=4)


@pytest.mark.parametrize(
    ("right", "wrong", "pattern"),
    [
        (
            "path: Viscosity",
            "path: Viscosty",
            "learnable_parameters: there is no class 'Viscosty'. Did you mean 'Visc",
        ),
        ("path: Inversion", "path: Inversoin", "model: there is no class 'Inversoin'. Did you mean 'Inversion'?"),
        ("initial_guess", "initial_gues", "Viscosity has no option 'initial_gues'. Did you mean 'initial_guess'?"),
        ("{initial_guess: 0.2}", "{}", "model.learnable_parameters: these options are missing: initial_guess"),
        ("0.2}", "0.2, bounds: 3}", "model.learnable_parameters.bounds: expected list, got 3"),
        ("learnable_parameters", "learnables", "Inversion has no option 'learnables'. Did you mean 'learnable_param"),
        ("0.2}", "0.2}\n    solver: {max_iter: 3}", "has no option 'solver.max_iter'. Did you mean 'solver.max_iter"),
    ],
)
def test_misspelled_options(run, tmp_path, capsys, right, wrong, pattern):
    refused(capsys, run.main("fit", tmp_path, replace=(right, wrong)), pattern, 2)


@pytest.mark.parametrize(
    ("options", "replace", "pattern"),
    [
        ([], ("0.2}", "0.2, bounds: [1, 2]}"), r"Viscosity: initial_guess 0.2 is not within bounds \[1.0, 2.0\]"),
        ([], ("0.2}", "0.2, bounds: [2, 1]}"), r"Viscosity: bounds must be \[lower, upper\], got \[2.0, 1.0\]"),
        (["--model.refine=32", "--model.substeps=1"], ("", ""), r"model.substeps 1 makes .* set it to \d+ or more"),
        (["--model.refine=0"], ("", ""), "model.refine must be at least 1, got 0"),
        (["--trainer.gradient_clip_val=1.0"], ("", ""), "trainer.gradient_clip_val is 1.0, but an L-BFGS-B solve"),
        (
            ["--data.observation.cells=burgerslab.data.EveryKthCell", "--data.observation.cells.k=2"],
            ("", ""),
            "partly hidden.* learn the initial_state too, or set data.observation.initial_known: true",
        ),
        (
            ["--data=lightning.pytorch.demos.boring_classes.BoringDataModule"],
            ("", ""),
            "Inversion learns from .*only",
        ),
    ],
)
def test_values(run, tmp_path, capsys, options, replace, pattern):
    refused(capsys, run.main("fit", tmp_path, *options, replace=replace), pattern, 1)


def test_checkpoints_of_something_else(run, small_run, tmp_path, capsys):
    other = ("initial_guess: 0.2", "initial_guess: 0.3")  # the free number counts from it
    for command in ("fit", "test"):
        code = run.main(command, tmp_path, f"--ckpt_path={run.last}", replace=other)
        refused(capsys, code, r"checkpoint is of .*initial_guess=0.2.* but here they are .*initial_guess=0.3", 1)
    code = run.main("test", tmp_path, f"--ckpt_path={small_run.best}")
    refused(capsys, code, "the checkpoint was not written by an Inversion; choose one from an inversion's run", 1)
    code = small_run.main("test", tmp_path, f"--ckpt_path={run.last}")
    refused(capsys, code, "the checkpoint was not written by a Surrogate; choose one from a surrogate's run", 1)
    refused(capsys, run.main("test", tmp_path), "test needs a trained inversion: give --ckpt_path=RUN/check", 1)
