"""Notebooks run from top to bottom in a real kernel, keep their claims, and show progress without a mess."""

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
WIDGET = "application/vnd.jupyter.widget-view+json"
NAMES = [path.stem for path in NOTEBOOKS]

# The last cell is a Jupyter without ipywidgets.
WITH_BARS = """
import sys
from burgerslab.data import Simulation, generate
from burgerslab.physics import Domain, RandomFourier

simulation = Simulation(Domain((1.0,), (32,)), 0.05, 0.02, 9, 10, RandomFourier(0.5, 2))
# %%
generate(simulation, "one.zarr", block_size=2).verify(progress=True);
# %%
sys.modules["ipywidgets"] = None
generate(simulation, "other.zarr", block_size=2);
"""


@pytest.fixture(scope="module")
def execute():
    """The script that runs notebooks, which is no module of the package."""
    spec = importlib.util.spec_from_file_location("execute", FOLDER / "execute.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outputs(notebook, kind):
    found = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return [output for output in found if output.output_type == kind]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_a_notebook_runs_and_its_claim_holds(path, execute, tmp_path) -> None:
    notebook = execute.executed(path, tmp_path)
    complaints = [stream.text for stream in outputs(notebook, "stream") if stream.name == "stderr"]
    assert [text for text in complaints if "building the font cache" not in text] == []  # Matplotlib's first run


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_a_notebook_states_what_its_last_cell_asserts_and_shows_its_outputs(path, execute) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    head, last = notebook.cells[0].source, notebook.cells[-1]
    number = path.stem.split("_")[0]
    assert head.startswith(f"# {number}. ")
    claim = re.search(r"^\*\*Claim\.\*\* .*\d", head, re.MULTILINE)
    assert claim, "the first cell states a claim in numbers"
    assert last.cell_type == "code"
    assert last.source.count("assert ") >= 4
    assert path.stat().st_size < execute.LARGEST_FILE
    assert not outputs(notebook, "error")
    assert any("image/png" in output.data for output in outputs(notebook, "execute_result"))
    assert "/tmp" not in path.read_text()


def test_notebooks_are_numbered_without_gaps() -> None:
    assert [int(name.split("_")[0]) for name in NAMES] == [1, 2, 3, 4, 5]


@pytest.mark.slow
def test_a_progress_bar_is_one_widget_or_one_line(execute, tmp_path) -> None:
    path = tmp_path / "bars.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in WITH_BARS.split("# %%\n")]), path)
    notebook = execute.executed(path, tmp_path)
    imports, with_widgets, without = (cell.outputs for cell in notebook.cells)
    assert imports == []
    assert [WIDGET in output.data for output in with_widgets] == [True, True]
    (line,) = without
    assert re.fullmatch(r"simulating trajectories: 100%.* 10/10 .*\n?", line.text)
    assert execute.made_small(notebook).cells[1].outputs == []
