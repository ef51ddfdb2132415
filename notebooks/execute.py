"""Run notebooks from top to bottom, each in a folder of its own that is removed, and write their outputs into them.

Run ``python notebooks/execute.py``, or name some of them; it needs ``pip install 'burgerslab[notebooks]'``. Progress
bars are not kept, since a file cannot show them move, and pictures are kept in 256 colours, so that files stay small.
"""

import argparse
import base64
import io
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

FOLDER = Path(__file__).parent
LARGEST_FILE = 100_000  # bytes
TIMEOUT = 1200  # seconds of one cell, for busy machines
_WIDGET = "application/vnd.jupyter.widget-view+json"
_PICTURE = "image/png"


def executed(notebook: Path, folder: Path) -> NotebookNode:
    """The notebook with the outputs of its cells.

    Args:
        notebook: Its file, which stays as it is.
        folder: Where it runs, and leaves what it writes.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell fails.
    """
    contents = nbformat.read(notebook, as_version=4)
    options = {"timeout": TIMEOUT, "startup_timeout": TIMEOUT, "coalesce_streams": True, "record_timing": False}
    return NotebookClient(contents, resources={"metadata": {"path": str(folder)}}, **options).execute()


def made_small(notebook: NotebookNode) -> NotebookNode:
    """Take out what a file cannot show, and shrink the pictures, in place."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_bar(output)]
            for output in cell.outputs:
                if _PICTURE in output.get("data", {}):
                    output.data[_PICTURE] = _in_few_colours(output.data[_PICTURE])
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def _is_bar(output: NotebookNode) -> bool:
    """A widget, or the empty line that rich leaves behind one."""
    data = output.get("data", {})
    return _WIDGET in data or (output.output_type == "display_data" and data.get("text/plain") == "")


def _in_few_colours(picture: str) -> str:
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    stream = io.BytesIO()
    image.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(stream, "png", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


def main() -> None:
    """Execute the notebooks that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(FOLDER.glob("*.ipynb")))
    for notebook in parser.parse_args().notebooks:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            contents = nbformat.writes(made_small(executed(notebook, Path(folder))))
        notebook.write_text(contents.replace(f"{folder}/", "") + "\n")
        seconds, size = time.perf_counter() - began, notebook.stat().st_size / 1000
        print(f"{notebook.name}: {seconds:.0f} s, {size:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
