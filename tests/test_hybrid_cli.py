"""`burgerslab fit` with a Hybrid among the callbacks."""

import csv
import json

import pytest
import torch
import yaml
from matplotlib.figure import Figure

from burgerslab.cli import main
from burgerslab.evaluation.hybrid_plots import hybrid_figure
from tests.hybrid_config import write_config


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_config(tmp_path_factory.mktemp("hybrid_cli"))


def fit(config, root, *options) -> int:
    return main(["fit", f"--config={config}", f"--trainer.default_root_dir={root}", *options])


@pytest.mark.slow
def test_fit_trains_both_agents_in_one_folder_and_goes_on_from_its_checkpoint(config, tmp_path, capfd) -> None:
    assert fit(config, tmp_path) == 0
    printed = capfd.readouterr()
    folder = tmp_path / "version_0"
    assert [path.name for path in tmp_path.iterdir()] == ["version_0"]
    files = {path.name for path in folder.iterdir() if not path.name.startswith("events")} - {"hparams.yaml"}
    of_hybrid, of_test = {"hybrid.json", "hybrid.png"}, {"metrics.json", "test.png"}
    assert files == {"checkpoints", "config.yaml", "metrics.csv"} | of_hybrid | of_test
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt", "hybrid.ckpt"}
    cycles = json.loads((folder / "hybrid.json").read_text())["cycles"]
    assert [(it["cycle"], it["epoch"], it["num_observed"], it["num_generated"]) for it in cycles] == [
        (1, 2, 27, 27),
        (2, 3, 27, 27),
    ]
    assert abs(cycles[1]["parameters"]["viscosity"]["estimate"] / 0.03 - 1) < 0.1
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    shown = [float(row["train/interaction_loss"]) for row in rows if row["train/interaction_loss"]]
    assert len(shown) == 2
    assert [float(row["hybrid/viscosity"]) for row in rows if row["hybrid/viscosity"]] == [
        it["parameters"]["viscosity"]["estimate"] for it in cycles
    ]
    text = printed.out + printed.err
    assert text.count("Trainable params") <= 1
    assert text.count("Restor") == 0
    assert text.count("max_epochs=") <= 1
    assert "viscosity" in printed.out
    checkpoint = folder / "checkpoints" / "hybrid.ckpt"
    more = yaml.safe_load(config.read_text())
    more["trainer"]["callbacks"][0]["init_args"]["num_cycles"] = 3
    longer = tmp_path / "longer.yaml"
    longer.write_text(yaml.safe_dump(more))
    assert fit(longer, tmp_path, f"--ckpt_path={checkpoint}") == 0
    assert fit(longer, tmp_path / "at_once") == 0
    ends = [
        torch.load(path / "checkpoints" / "hybrid.ckpt", weights_only=True)
        for path in (tmp_path / "version_1", tmp_path / "at_once" / "version_0")
    ]
    assert ends[0]["epoch"] == 3
    for name, values in ends[0]["state_dict"].items():
        assert torch.equal(values, ends[1]["state_dict"][name])


def test_a_number_of_epochs_is_refused_with_what_sets_it(config, tmp_path, capsys) -> None:
    assert fit(config, tmp_path, "--trainer.max_epochs=3") == 1
    message = capsys.readouterr().err
    assert "trainer.max_epochs is 3, but a hybrid run has Hybrid.warmup_epochs + Hybrid.num_cycles" in message
    assert "= 3; leave it out" in message
    assert not tmp_path.joinpath("version_0", "checkpoints").exists()


def test_a_hybrid_without_an_inversion_is_one_message(config, tmp_path, capsys) -> None:
    settings = yaml.safe_load(config.read_text())
    del settings["trainer"]["callbacks"][0]["init_args"]["physical"]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(settings))
    assert fit(path, tmp_path) == 1
    assert "Hybrid has no inversion to alternate with: add to it" in capsys.readouterr().err


def row(cycle: int, estimate: float, **more) -> dict:
    parameters = {"viscosity": {"estimate": estimate, "std": 0.001, "ci95": [estimate - 0.002, estimate + 0.002]}}
    losses = {"surrogate_data_loss": 0.1, "physical_data_loss": 0.01, "interaction_loss": 0.05}
    errors = {"surrogate_val_nrmse": 0.3, "physical_val_nrmse": 0.02}
    return {"cycle": cycle, **losses, **errors, "parameters": parameters, **more}


def test_the_figure_shows_losses_errors_and_the_viscosity_with_its_interval() -> None:
    figure = hybrid_figure([row(1, 0.04), row(2, 0.031)], {"viscosity": 0.03, "advection": 1.0})
    assert isinstance(figure, Figure)
    losses, errors, viscosity = figure.axes
    assert [len(ax.lines) for ax in (losses, errors, viscosity)] == [3, 2, 2]
    assert viscosity.lines[0].get_ydata().tolist() == [0.04, 0.031]
    assert [segment[:, 1].tolist() for segment in viscosity.collections[0].get_segments()] == [
        pytest.approx([0.038, 0.042]),
        pytest.approx([0.029, 0.033]),
    ]
    assert set(viscosity.lines[1].get_ydata()) == {0.03}
    without = row(1, 0.04, surrogate_val_nrmse=None, physical_val_nrmse=None)
    assert len(hybrid_figure([without], {}).axes) == 2
    with pytest.raises(ValueError, match="cycles expected at least one entry"):
        hybrid_figure([], {})
