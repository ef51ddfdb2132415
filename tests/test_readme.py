"""Every command and snippet in the README runs as written, and every name in it leads somewhere."""

import json
import re
import sys

import pytest
from phi.field import CenteredGrid, Scene
from phi.geom import Box
from phi.math import vec
from phi.math.extrapolation import PERIODIC

from burgerslab.cli import main
from burgerslab.data import Store
from burgerslab.physics import Domain
from tests.readme_blocks import Section, codes, links, sections
from tests.readme_commands import check_command, is_command
from tests.readme_names import ROOT, check_name
from tests.readme_reader import Reader

README = sections((ROOT / "README.md").read_text())
RUN = [section for section in README if any(block.language for block in section.blocks)]

pytestmark = [  # what Lightning says to somebody who tries something small
    pytest.mark.filterwarnings("ignore:The number of training batches"),
    pytest.mark.filterwarnings("ignore:.* does not have many workers"),
    pytest.mark.filterwarnings("ignore:.max_epochs. was not set"),
    pytest.mark.filterwarnings("ignore:Total length of .list. across ranks is zero"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
    pytest.mark.filterwarnings("ignore:The dirpath has changed"),
    pytest.mark.filterwarnings("ignore:You defined a .validation_step. but have no .val_dataloader."),
    # torch's to PhiML's linear solvers
    pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled"),
    pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state"),
]


def read(section: Section, folder, monkeypatch) -> Reader:
    """Do everything that stands in a section; modules that it makes are forgotten."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    reader = Reader(folder)
    try:
        reader.read(section)
    finally:
        for name in set(sys.modules) - before:
            if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]
    return reader


@pytest.mark.slow
@pytest.mark.parametrize("section", RUN, ids=lambda section: section.title or "first screen")
def test_every_block_of_a_section_runs(section, tmp_path, monkeypatch) -> None:
    names = read(section, tmp_path, monkeypatch).names
    if section.title in CLAIMS:
        CLAIMS[section.title](names)


def finds_the_viscosity(names: dict) -> None:
    assert names["trainer"].current_epoch == 4 + 2 * 2
    assert abs(names["viscosity"]["estimate"] / 0.03 - 1) < 0.1
    low, high = names["viscosity"]["ci95"]
    assert low < names["viscosity"]["estimate"] < high
    trainer = names["trainer"]  # whose optimizer has lived through all fits
    (adam_steps,) = {int(state["step"]) for state in trainer.optimizers[0].state.values()}
    assert adam_steps == trainer.global_step > 0


def keeps_what_was(names: dict) -> None:
    goes_on_as_before(names)
    takes_old_data_along(names)


def goes_on_as_before(names: dict) -> None:
    trainer, data = names["trainer"], names["data"]
    real, all_windows = 3 * 9, 3 * 9 + 3 * 5  # windows of 4 steps in 13 frames, and in 9
    (adam_steps,) = {int(state["step"]) for state in trainer.optimizers[0].state.values()}
    assert adam_steps == trainer.global_step == 2 * (real // 8) + all_windows // 8
    assert data.training_windows().num_observed == real
    for found in (
        names["inversion"].result.estimates["viscosity"].value,
        names["problem"].coefficients(names["solution"])["viscosity"],
    ):
        assert abs(float(found) / 0.02 - 1) < 1e-3


def takes_old_data_along(names: dict) -> None:
    box = {"bounds": Box(x=1, y=2), "x": 8, "y": 16}
    for _ in range(2):
        scene = Scene.create("old")
        for frame in range(3):
            scene.write({"velocity": CenteredGrid(vec(x=frame, y=2 * frame), PERIODIC, **box)}, frame=frame)
    names["scenes_to_npz"]("old", "old.npz", dt=0.01, viscosity=0.02)
    assert main(["import", "npz", "old.npz", "data/old.zarr"]) == 0
    store = Store("data/old.zarr")
    assert store.layout.domain == Domain((1.0, 2.0), (8, 16))
    assert store.read("velocity", [1])[0, :, :, 3, 5].tolist() == [[0, 0], [1, 2], [2, 4]]


CLAIMS = {"Hybrid training": finds_the_viscosity, "Coming from HYCO-PhiFlow": keeps_what_was}


def named(text: str) -> list[str]:
    """What is in back-ticks outside of blocks; of tables with an old name in the first column, the others."""
    text = re.sub(r"^\| *`(?:[^|\\]|\\.)*\|", "|", text, flags=re.MULTILINE) if "| now |" in text else text
    return codes(text)


@pytest.mark.parametrize("section", README, ids=lambda section: section.title or "first screen")
def test_every_command_and_name_in_the_text_exists(section) -> None:
    for code in named(section.prose):
        check_command(code) if is_command(code) else check_name(code)
    for link in links(section.prose):
        assert "://" in link or (ROOT / link).exists(), f"there is no {link}"


def test_claims_of_notebooks_are_those_that_they_make() -> None:
    rows = re.findall(
        r"^\| \[\d\]\((notebooks/.*\.ipynb)\).*\| (.*) \|$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert sorted(ROOT / path for path, _ in rows) == sorted((ROOT / "notebooks").glob("*.ipynb"))
    for path, claim in rows:
        made = "".join(json.loads((ROOT / path).read_text())["cells"][0]["source"])
        assert "**Claim.**" in made
        assert not [number for number in re.findall(r"\d[\d.e-]*", claim) if number.rstrip(".") not in made], path


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("```bash\nfalse | cat\n```", "false"),
        ("```bash\ntrue\npython -c 'raise SystemExit(\"lost\")'\ntrue\n```", "lost"),
        ("```text\nas it is\n```\n```pyhton\npass\n```", "pyhton"),
        ("```yaml\nmodel:\n  network: {class_path: burgerslab.surrogate.UNit}\n```", "UNit"),
        ("```yaml\ndata: {num_predict_step: 2}\n```", "num_predict_step"),
        ("<!-- minutes -->\n```bash\nburgerslab fit --config configs/no.yaml\n```", "no.yaml"),
        (
            "<!-- minutes -->\n```bash\nburgerslab fit --config configs/quickstart.yaml --trainer.epochs=2\n```",
            "epochs",
        ),
        ("<!-- minutes -->\n```bash\npython benchmarks/windows.py --turn 2\n```", "--turn"),
        ("<!-- a cluster -->\n```bash\nsbatch --nodes=2 configs/slurm/lunch.sh\n```", "lunch"),
        ("<!-- minutes -->\n```bash\nmake lunch\n```", "lunch"),
        ("<!-- minutes -->\n```bash\nlatex paper\n```", "latex"),
    ],
)
def test_a_broken_block_is_noticed(block, message, tmp_path, monkeypatch) -> None:
    with pytest.raises(AssertionError, match=re.escape(message)):
        read(sections(f"## A\n{block}\n")[1], tmp_path, monkeypatch)


def test_a_broken_snippet_of_python_is_noticed(tmp_path, monkeypatch) -> None:
    blocks = ("a = 1", "# mine.py\nb = 2", "import mine\n\nassert a == mine.b")
    text = "## A\n" + "\n".join(f"```python\n{block}\n```" for block in blocks)
    with pytest.raises(AssertionError):
        read(sections(text)[1], tmp_path, monkeypatch)
    assert "mine" not in sys.modules


@pytest.mark.parametrize(
    "code",
    [
        "burgerslab fits --config configs/quickstart.yaml",
        "burgerslab inspect STORE --chemistry",
        "burgerslab[clusters]",
        "burgerslab.data.Stores",
        "configs/nothing.yaml",
        "data.simulation.initial.amplitudes: 2",
        "model.curriculums",
        "trainer.max_epoch",
        "--data.stores",
        "FiniteDifferences",
        "Rollout.rolls",
        "Rollout(..., refined=4)",
        "initial_guesses: 1",
        "pytest tests/test_physics_check.py::test_nothing",
    ],
)
def test_a_name_that_leads_nowhere_is_noticed(code) -> None:
    with pytest.raises(AssertionError):
        check_command(code) if is_command(code) else check_name(code)
