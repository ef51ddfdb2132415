"""The figures of a report as files, for papers and talks."""

from collections.abc import Iterator
from pathlib import Path

from burgerslab.evaluation.report.blocks import Page, Picture

_DOTS_PER_INCH = 300  # of the maps in a PDF


def write_figures(page: Page, folder: Path) -> Iterator[Path]:
    """Write every figure of a report as PDF, and every rollout as mp4 (gif without ffmpeg).

    Files are numbered in the order of the page, and named after sections and titles; what has the same name is
    replaced.

    Args:
        page: The report.
        folder: Made if it is not there.

    Yields:
        The files, as they are written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for section in page.sections:
        for block in section.blocks:
            if not isinstance(block, Picture) or block.still is None:
                continue
            number += 1
            stem = folder / f"{number:02d}_{_word(section.title)}_{_word(block.title)}"
            path = stem.with_name(f"{stem.name}.pdf")
            block.still.savefig(path, dpi=_DOTS_PER_INCH)  # type: ignore[attr-defined]
            yield path
            if block.film is not None:
                yield block.film(stem)


def _word(title: str) -> str:
    letters = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in title.lower())
    return "_".join(letters.split())[:48]
