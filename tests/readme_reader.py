"""A reader of a Markdown text who does everything that stands in it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from burgerslab.cli import main
from tests.readme_blocks import Block, Section
from tests.readme_commands import check_command
from tests.readme_names import ROOT

# What a fragment of a config is put on top of.
_DATA = {
    "simulation": {
        "domain": {"extent": [1.0], "resolution": [64]},
        "viscosity": 0.02,
        "dt": 0.01,
        "num_frames": 21,
        "substeps": 4,
        "num_trajectories": 10,
    },
    "num_predict_steps": 2,
    "batch_size": 8,
}
_MODEL = {"network": {"class_path": "burgerslab.surrogate.UNet", "init_args": {"filters": 4, "levels": 1}}}
_OUTPUT = ("", "text", "bibtex")
_SECONDS = 600


class Reader:
    """Runs the blocks of a section in a folder that looks like a fresh clone.

    Python blocks share one session, as they would in a notebook. A block whose first line names a file is written to
    it. A block of YAML is a config, or a part of one, and is trained with for one batch. What is marked
    ``<!-- why -->`` is not run: its commands are checked, its Python is compiled, and its YAML parsed.

    Args:
        folder: Empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict = {"__name__": "__main__"}
        self._num_stores = 0
        for name in ("configs", "benchmarks", "notebooks", "tests", "Makefile"):
            if (ROOT / name).exists():
                (folder / name).symlink_to(ROOT / name)

    def read(self, section: Section) -> None:
        """Do what stands in it; the folder must be the current one.

        Raises:
            AssertionError: If a command fails or is not understood.
        """
        ways: dict[str, Callable[[Block], None]] = {"python": self._python, "bash": self._bash, "yaml": self._yaml}
        for block in section.blocks:
            assert block.language in (*ways, *_OUTPUT), f"a block of {block.language!r} is neither run nor output"
            if block.language in ways:
                ways[block.language](block)

    def _python(self, block: Block) -> None:
        code = compile(block.text, block.file_name or "README.md", "exec")
        if block.file_name:
            (self.folder / block.file_name).write_text(block.text)
        if not block.mark:
            exec(code, {"__name__": block.file_name} if block.file_name else self.names)

    def _bash(self, block: Block) -> None:
        if block.mark:
            for line in block.text.replace("\\\n", " ").splitlines():
                check_command(line)
            return
        paths = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        command = ["bash", "-euo", "pipefail", "-c", block.text]
        done = subprocess.run(
            command, cwd=self.folder, env={**os.environ, **paths}, capture_output=True, text=True, timeout=_SECONDS
        )
        assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"

    def _yaml(self, block: Block) -> None:
        path = self.folder / (block.file_name or "part.yaml")
        path.write_text(block.text)
        base: dict = {"data": {}, "trainer": {"accelerator": "cpu", "enable_model_summary": False}}
        if "store:" not in block.text:
            self._num_stores += 1
            base["data"] = {**_DATA, "store": f"data/part_{self._num_stores}.zarr"}
        if "Inversion" not in block.text and "network:" not in block.text:
            base["model"] = _MODEL
        (self.folder / "base.yaml").write_text(yaml.safe_dump(base))
        how = "--print_config" if block.mark else "--trainer.fast_dev_run=true"
        assert main(["fit", "--config=base.yaml", f"--config={path}", how]) == 0, block.text
