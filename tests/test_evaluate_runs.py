"""Reading finished runs back from their folders."""

import json
import shutil

import pytest
import torch
import yaml

from burgerslab.evaluation.runs import load_run


def copy_of(run, tmp_path, name="version_0"):
    return shutil.copytree(run, tmp_path / name)


def test_each_kind_of_run_is_read_back_with_its_weights(finished_runs):
    surrogate, inversion, hybrid = (load_run(finished_runs[kind]) for kind in ("surrogate", "inversion", "hybrid"))
    for run in (surrogate, inversion, hybrid):  # as written, nothing of it made into an object
        assert run.settings == yaml.safe_load((run.folder / "config.yaml").read_text())
    assert [run.kind for run in (surrogate, inversion, hybrid)] == ["surrogate", "inversion", "hybrid"]
    assert [list(run.models) for run in (surrogate, inversion, hybrid)] == [
        ["surrogate"],
        ["inversion"],
        ["surrogate", "physics"],
    ]
    assert [run.test_trajectories for run in (inversion, hybrid)] == [(4,), (4, 5)]
    assert len(surrogate.test_trajectories) == 1
    assert (hybrid.name, hybrid.notes) == ("hybrid/version_0", ())
    assert abs(float(inversion.models["inversion"].coefficients()["viscosity"]) / 0.05 - 1) < 2e-3
    (*_, cycle) = json.loads((hybrid.folder / "hybrid.json").read_text())["cycles"]
    found = float(hybrid.models["physics"].coefficients()["viscosity"])
    assert found == cycle["parameters"]["viscosity"]["estimate"]
    saved = torch.load(hybrid.checkpoints["surrogate"], weights_only=True)
    assert saved["current_model_state"]["network.weight"].ne(saved["state_dict"]["network.weight"]).any()
    weights = hybrid.models["surrogate"].state_dict()  # the average, of a class of the user's own
    assert torch.equal(weights["network.weight"], saved["state_dict"]["network.weight"])
    assert type(hybrid.models["surrogate"].network).__module__ == "own_network"
    assert hybrid.checkpoints["physics"].name == "hybrid.ckpt"


def test_a_hybrid_run_whose_records_go_on_after_its_checkpoint_says_so(finished_runs, tmp_path):
    run = copy_of(finished_runs["hybrid"], tmp_path)
    record = json.loads((run / "hybrid.json").read_text())
    record["cycles"][-1]["parameters"]["viscosity"]["estimate"] = 0.0314
    (run / "hybrid.json").write_text(json.dumps(record))
    (note,) = load_run(run).notes
    assert "hybrid.ckpt and hybrid.json are of different fits: viscosity is 0.0" in note
    assert note.endswith("and 0.0314; taking the first")
    assert load_run(run / "checkpoints" / "best.ckpt").notes == ()
    (run / "hybrid.json").write_text('{"cycles": [')
    with pytest.raises(ValueError, match=r"hybrid\.json: this is no JSON .* move it away"):
        load_run(run)


def test_a_checkpoint_or_a_folder_of_runs_names_a_run_too(finished_runs, tmp_path):
    checkpoint = finished_runs["surrogate"] / "checkpoints" / "last.ckpt"
    run = load_run(checkpoint)
    assert run.checkpoints == {"surrogate": checkpoint}
    copy_of(finished_runs["inversion"], tmp_path, "version_2")
    copy_of(finished_runs["surrogate"], tmp_path, "version_10")
    (tmp_path / "version_11").mkdir()
    newest = load_run(tmp_path)
    assert newest.folder.name == "version_10"
    (note,) = newest.notes
    assert note.endswith("taking version_10, the newest of 3 runs with a checkpoint; version_11 has no checkpoint")


def test_what_is_no_run_is_one_message(finished_runs, tmp_path):
    for place, message in (
        (tmp_path / "nothing", "there is nothing at"),
        (tmp_path, "this is no run's folder"),
        (finished_runs["surrogate"] / "metrics.json", r"expected a folder or a checkpoint"),
    ):
        with pytest.raises(ValueError, match=message):
            load_run(place)
    run = copy_of(finished_runs["surrogate"], tmp_path)
    best, last = (run / "checkpoints" / name for name in ("best.ckpt", "last.ckpt"))
    best.write_bytes(best.read_bytes()[:-500])
    with pytest.raises(ValueError, match=r"best.ckpt: the file is no checkpoint, or damaged \(half-written"):
        load_run(run)
    best.unlink()
    assert load_run(run).checkpoints["surrogate"].name == "last.ckpt"
    settings = yaml.safe_load((run / "config.yaml").read_text())
    for change, message in (
        ({"network": {"class_path": "no_module.Net"}}, "cannot be made again: No module named 'no_module'"),
        (
            {"network": {"class_path": "burgerslab.surrogate.UNet", "init_args": {"filters": 8, "levels": 1}}},
            r"last.ckpt: the checkpoint does not fit the config.yaml of its run \(size mismatch",
        ),
    ):
        (run / "config.yaml").write_text(yaml.safe_dump({**settings, "model": _changed(settings["model"], change)}))
        with pytest.raises(ValueError, match=message):
            load_run(run)
    (run / "config.yaml").write_text("model:\n  class_path: burg")
    with pytest.raises(ValueError, match=r"this is no config of a run: it has no data\.init_args"):
        load_run(run)
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    shutil.copy(finished_runs["inversion"] / "checkpoints" / "last.ckpt", last)
    with pytest.raises(ValueError, match="was not written by a Surrogate"):
        load_run(run)
    last.unlink()
    with pytest.raises(ValueError, match="or this is the folder of a validate, test or predict"):
        load_run(run)
    for name in ("a", "b"):
        (run / "checkpoints" / f"{name}.ckpt").touch()
    with pytest.raises(ValueError, match=r"there are 2 checkpoints and none is called best\.ckpt"):
        load_run(run)
    (run / "config.yaml").unlink()
    with pytest.raises(ValueError, match=r"there are checkpoints but no config\.yaml"):
        load_run(run)


def test_a_checkpoint_of_another_version_is_one_message(finished_runs, tmp_path):
    run = copy_of(finished_runs["inversion"], tmp_path)
    (path,) = (run / "checkpoints").glob("*.ckpt")
    written = torch.load(path, weights_only=True)
    for part, name in ((written["inversion"], "start_number"), (written["inversion"]["problem"], "speed")):
        kept = part.pop(name)
        torch.save(written, path)
        part[name] = kept
        with pytest.raises(
            ValueError, match=rf"{path}: .* another version .* it does not tell \['{name}'\]; fit again"
        ):
            load_run(run)


def _changed(model, change):
    return {**model, "init_args": {**model["init_args"], **change}}
