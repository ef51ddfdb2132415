"""import: files of other programs as stores."""

import argparse
import difflib
import importlib
from collections.abc import Sequence
from typing import Any

from burgerslab.cli.parser import Parser
from burgerslab.cli.quiet import quiet

FORMATS = {
    "pdebench": "burgerslab.data.foreign.PDEBenchReader",
    "npz": "burgerslab.data.foreign.NpzReader",
    "mat": "burgerslab.data.foreign.MatReader",
    "well": "burgerslab.data.foreign.WellReader",
}

_PURPOSE = "Copy a file of another program into a store, after checking all of it."
_EPILOG = (
    "pdebench: HDF5 with tensor (N, T, X), x-coordinate, t-coordinate; the viscosity is Nu/π. npz: velocity "
    "(trajectory, frame, component, *space), dt, length, viscosity. mat: x, t, usol (X, T), as in Raissi's "
    "burgers_shock.mat. well: The Well's HDF5 layout. `burgerslab import FORMAT --help` lists a format's options."
)


def run_import(options: Sequence[str]) -> int:
    """Copy a file into a store; of a store that is there already, make damaged blocks again.

    Args:
        options: Format, file, store and the options.
    """
    parser = Parser(prog="burgerslab import", description=_PURPOSE, epilog=_EPILOG)
    parser.add_argument("format", type=str, help=f"{', '.join(FORMATS)}, or the class path of a reader of your own.")
    parser.add_argument("file", type=str, help="The file.")
    parser.add_argument("store", type=str, help="Path of the zarr store to make.")
    parser.add_argument(
        "--viscosity", type=float | None, help="Of every trajectory, L²/T, in place of what the file says."
    )
    parser.add_argument("--overwrite", action="store_true", help="Replace a store of something else.")
    name = _format(options)
    if name is not None:
        reader_class = _reader_class(name, parser)
        parser.add_class_arguments(reader_class, "reader")
    with quiet():
        settings = parser.parse_args(list(options))
        reader = parser.instantiate_classes(settings).get("reader") or reader_class()
    from burgerslab.data.foreign import import_file
    from burgerslab.data.store_repair import repair

    given = {"viscosity": settings.viscosity, "overwrite": settings.overwrite}
    store = import_file(reader, settings.file, settings.store, **given)
    if damage := store.verify():
        print(f"{store.path}: {len(damage)} damaged files are made again")
        repair(store.path)
        store = import_file(reader, settings.file, settings.store, **given)
    for fact, value in import_facts(store):
        print(f"{fact}: {value}")
    print(f"store: {store.path}")
    return 0


def import_facts(store: Any) -> list[tuple[str, str]]:
    """Names and values of how an imported file was understood."""
    layout, settings = store.layout, store.settings
    source = "--viscosity" if isinstance(settings["viscosity"], float) else settings["viscosity"]
    facts = [
        ("file", f"{settings['file']}, sha256 {settings['sha256']}"),
        ("format", settings["format"]),
        ("contents", f"{layout.num_trajectories} trajectories of {layout.num_frames} frames, dt = {layout.dt:.9g} T"),
        ("values", settings["values"]),
        ("viscosity from", source),
    ]
    for (name, axis), extent, cells in zip(
        settings["grid"].items(), layout.domain.extent, layout.domain.resolution, strict=True
    ):
        points = {"cell": "cell centres", "node": "node points", "unknown": "points"}[axis["centring"]]
        origin = 0.0 if abs(axis["origin"]) < 1e-9 * extent else axis["origin"]  # of rounding
        end = "; the end point, which repeats the first, is left out" if axis["end_point_repeated"] else ""
        facts.append((name, f"{cells} {points} in a period of {extent:.9g} L; 0 is {origin:.9g} in the file{end}"))
    return facts + [("note", note) for note in settings["notes"]]


def _format(options: Sequence[str]) -> str | None:
    """The word that names the format, wherever the options stand."""
    finder = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    finder.add_argument("format", nargs="?")
    finder.add_argument("--viscosity", nargs="?")
    finder.add_argument("--overwrite", action="store_true")
    return finder.parse_known_args(list(options))[0].format


def _reader_class(name: str, parser: Parser) -> type:
    """The reader of a format; ends the command if there is none."""
    module, _, attribute = FORMATS.get(name, name).rpartition(".")
    if not module:
        near = difflib.get_close_matches(name, FORMATS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        parser.error(
            f"there is no format {name!r}; it is {', '.join(FORMATS)}, or the class path of a reader of your own."
            f"{hint}"
        )
    from burgerslab.data.foreign import ForeignReader

    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        parser.error(str(error))
    if not (isinstance(found, type) and issubclass(found, ForeignReader)):
        parser.error(f"format {name!r} is no subclass of burgerslab.data.foreign.ForeignReader")
    return found
