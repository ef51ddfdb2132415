"""The example of hybrid training in the README runs."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The number of training batches")
@pytest.mark.filterwarnings("ignore:.* does not have many workers")
@pytest.mark.filterwarnings("ignore:.max_epochs. was not set")
@pytest.mark.filterwarnings("ignore:Total length of .list. across ranks is zero")
def test_the_example_of_hybrid_training_finds_the_viscosity(tmp_path, monkeypatch) -> None:
    section = README.read_text().split("## Hybrid training")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["trainer"].current_epoch == 4 + 2 * 2
    assert abs(names["viscosity"]["estimate"] / 0.03 - 1) < 0.1
    low, high = names["viscosity"]["ci95"]
    assert low < names["viscosity"]["estimate"] < high
    assert (tmp_path / "runs" / "hybrid").exists()
