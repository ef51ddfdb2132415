"""`burgerslab import`: its words, its messages, and what can be done with the store."""

import json
import re

import numpy as np
import pytest
import yaml

from burgerslab.cli import main
from burgerslab.cli.imports import FORMATS
from burgerslab.data import Store
from tests.foreign_files import write_mat, write_npz, write_pdebench, write_well
from tests.test_cli_errors import refused

OWN_READER = '''
import dataclasses
from contextlib import contextmanager

import numpy as np

from burgerslab.data import FieldSpec
from burgerslab.data.foreign import Axis, EvenlySpaced, FileContents, ForeignFile, ForeignFileError, ForeignReader


@dataclasses.dataclass(frozen=True)
class TextReader(ForeignReader):
    """Columns of text, a frame each.

    Args:
        dt: Time between frames.
    """

    dt: float = 1.0

    @contextmanager
    def open(self, path):
        columns = np.loadtxt(path)
        if columns.ndim != 2:
            raise ForeignFileError("there must be two columns at least")
        cells, frames = columns.shape
        fields = (FieldSpec("velocity", ("x",)),)
        contents = FileContents(1, EvenlySpaced(0.0, self.dt, frames), (Axis(cells, None, 3.0),), fields, None, "")
        yield ForeignFile(contents, lambda rows: {"velocity": columns.T[None, :, None]})
'''


def test_import_says_what_it_made_of_a_file(tmp_path, capsys):
    file, path = tmp_path / "burgers_shock.mat", tmp_path / "store.zarr"
    write_mat(file)
    assert main(["import", "--viscosity", "0.00318", "mat", str(file), str(path)]) == 0
    out = capsys.readouterr().out
    for line in (
        r"file: burgers_shock.mat, sha256 [0-9a-f]{64}",
        "format: burgerslab.data.foreign.MatReader",
        "contents: 1 trajectories of 100 frames, dt = 0.01 T",
        "values: float64, rounded to float32",
        "viscosity from: --viscosity",
        "x: 255 node points in a period of 2 L; 0 is -1.00392157 in the file; the end point, .* is left out",
        f"store: {path}",
    ):
        assert re.search(f"^{line}$", out, re.MULTILINE), line
    assert main(["inspect", str(path)]) == 0
    shown = capsys.readouterr().out
    for line in (
        "source: +imported",
        r"file: +burgers_shock\.mat, sha256 ",
        "x: +255 node points",
        "viscosity: +0.00318",
    ):
        assert re.search(f"^{line}", shown, re.MULTILINE), line


def test_help(capsys):
    assert main(["import", "--help"]) == 0
    text = capsys.readouterr().out
    assert [word for word in (*FORMATS, "--viscosity", "--overwrite") if word not in text] == []
    assert "--reader" not in text
    assert main(["import", "well", "--help"]) == 0
    assert "--reader.fields" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        ([], "these options are missing: format, file, store"),
        (["npz", "a.npz"], "these options are missing: store"),
        (["nzp", "a", "b"], "there is no format 'nzp'; it is pdebench, npz, mat, well, or .* Did you mean 'npz'?"),
        (["nowhere.Reader", "a", "b"], "No module named 'nowhere'"),
        (["burgerslab.data.foreign.NpzReadr", "a", "b"], "NpzReadr' is no subclass of .*ForeignReader"),
        (["npz", "a", "b", "--viscosity=thick"], "viscosity: expected float, got thick"),
        (["npz", "a", "b", "--viscosty=1"], "this command has no option '--viscosty'. Did you mean 'viscosity'?"),
        (["mat", "a", "b", "--reader.solutio=u"], "no option '--reader.solutio'. Did you mean 'reader.solution'?"),
    ],
)
def test_options(capsys, arguments, pattern):
    refused(capsys, main(["import", *arguments]), pattern, 2)


def test_a_file_and_a_store_in_the_way(tmp_path, capsys):
    store = tmp_path / "store.zarr"
    refused(capsys, main(["import", "npz", "nowhere.npz", str(store)]), "nowhere.npz: there is no such file", 1)
    write_npz(tmp_path / "one.npz")
    write_npz(tmp_path / "two.npz", {"viscosity": 0.5})
    assert main(["import", "npz", str(tmp_path / "one.npz"), str(store)]) == 0
    capsys.readouterr()
    other = ["import", "npz", str(tmp_path / "two.npz"), str(store)]
    refused(
        capsys, main(other), "made with other settings:\n  file: stored 'one.npz', wanted 'two.npz'", 1, num_lines=4
    )
    assert Store(store).viscosity[0] == 0.02
    assert main([*other[:1], "--overwrite", *other[1:]]) == 0
    assert Store(store).viscosity[0] == 0.5
    (tmp_path / "mine").mkdir()
    capsys.readouterr()
    refused(
        capsys, main([*other[:3], str(tmp_path / "mine"), "--overwrite"]), "that burgerslab did not make is there", 1
    )


def test_importing_again_mends_a_damaged_store(tmp_path, capsys):
    file, path = tmp_path / "data.npz", tmp_path / "store.zarr"
    velocity = write_npz(file)
    assert main(["import", "npz", str(file), str(path)]) == 0
    chunk = next(item for item in (path / "velocity" / "c").rglob("*") if item.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-9] + b"123456789")
    assert main(["import", "npz", str(file), str(path)]) == 0
    assert "1 damaged files are made again" in capsys.readouterr().out
    np.testing.assert_array_equal(Store(path).read("velocity", slice(None)), velocity)


def test_a_reader_of_ones_own(tmp_path, capsys, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "text_reader.py").write_text(OWN_READER)
    columns = np.random.default_rng(0).standard_normal((9, 4)).astype(np.float32)
    np.savetxt(tmp_path / "data.txt", columns, fmt="%.9g")
    command = ["import", "text_reader.TextReader", str(tmp_path / "data.txt"), str(tmp_path / "store.zarr")]
    assert main([*command, "--reader.dt=0.5", "--viscosity=0.1"]) == 0
    store = Store(tmp_path / "store.zarr")
    np.testing.assert_array_equal(store.read("velocity", [0])[0, :, 0], columns.T)
    assert (store.layout.dt, store.layout.domain.extent) == (0.5, (3.0,))
    assert store.settings["format"] == "text_reader.TextReader"
    assert store.settings["options"] == {"dt": 0.5}
    capsys.readouterr()
    np.savetxt(tmp_path / "data.txt", columns[0])
    refused(capsys, main(command), "data.txt: there must be two columns at least", 1)


def test_options_of_a_reader(tmp_path):
    write_well(tmp_path / "data.hdf5")
    command = ["import", "well", str(tmp_path / "data.hdf5"), str(tmp_path / "store.zarr")]
    assert main([*command, "--reader.fields=[map]"]) == 0
    assert [spec.name for spec in Store(tmp_path / "store.zarr").layout.fields] == ["velocity", "map"]


CONFIG = {
    "data": {"num_predict_steps": 2, "batch_size": 4, "static_fields": ["viscosity"]},
    "model": {
        "network": {"class_path": "burgerslab.surrogate.UNet", "init_args": {"filters": 4, "levels": 1}},
    },
    "trainer": {"max_epochs": 1, "accelerator": "cpu"},
}


def test_a_surrogate_is_trained_on_an_imported_store(tmp_path):
    write_pdebench(tmp_path / "1D_Burgers_Sols_Nu0.01.hdf5")
    path = tmp_path / "store.zarr"
    assert main(["import", "pdebench", str(tmp_path / "1D_Burgers_Sols_Nu0.01.hdf5"), str(path)]) == 0
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    runs = tmp_path / "runs"
    assert main(["fit", f"--config={config}", f"--data.store={path}", f"--trainer.default_root_dir={runs}"]) == 0
    metrics = json.loads((runs / "version_0" / "metrics.json").read_text())
    # random frames: no forecast can beat a nRMSE of 1 by much, and repeating the first one has about √2
    assert metrics["summary"]["persistence"]["nrmse"] == pytest.approx(2**0.5, rel=0.2)
