"""Which exceptions a user has caused, and what to tell them."""

import dis
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import burgerslab
from burgerslab.cli.option_errors import shorten

_PACKAGE = str(Path(burgerslab.__file__).parent)
_LIGHTNING_FILES = {"accelerator_connector.py": "trainer", "early_stopping.py": "trainer.callbacks"}


def user_message(error: BaseException) -> str | None:
    """What to tell the user, or None for a bug, which keeps its traceback.

    A ``ValueError`` or ``OSError`` that a statement of this package raised is written for the user, wherever it
    stands in the chain of causes. Of other packages' errors, those on options, files and checkpoints are the user's.
    """
    chain = list(_chain(error))
    for link in chain:
        if isinstance(link, ValueError | OSError) and _is_raised_by_package(link):
            return str(link)
    frames = _frames(error)
    if any(trace.tb_frame.f_code.co_filename.endswith("torch/serialization.py") for trace in frames):
        return (
            "ckpt_path: the file is no checkpoint, or damaged, or it holds objects that torch loads only with "
            "--weights_only=false (which runs code of the file: for files you trust)"
        )
    if isinstance(error, RuntimeError) and str(error).startswith("Error(s) in loading state_dict"):
        return _state_mismatch(str(error))
    if type(error).__name__ == "MisconfigurationException":
        return f"trainer: {_first_line(error)}"
    if isinstance(error, OSError) and error.strerror is not None:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, ModuleNotFoundError) and str(error).startswith(
        "Requirement"
    ):  # of an accelerator or a logger
        return f"trainer: {_first_line(error)}"
    if isinstance(error, ValueError | RuntimeError | TypeError):
        option = _LIGHTNING_FILES.get(Path(frames[-1].tb_frame.f_code.co_filename).name)
        if option is not None:
            return f"{option}: {_first_line(error)}"
    if isinstance(error, ValueError) and "jsonargparse" in frames[-1].tb_frame.f_code.co_filename:
        return _refused_options(chain[-1])
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, its cause, the cause of that, and so on."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _frames(error: BaseException) -> list[TracebackType]:
    """Traceback entries, the innermost last."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    return frames


def _is_raised_by_package(error: BaseException) -> bool:
    """Whether a ``raise`` of this package is the origin, rather than a call that failed there."""
    innermost = _frames(error)[-1]
    code = innermost.tb_frame.f_code
    is_raise = dis.opname[code.co_code[innermost.tb_lasti]] == "RAISE_VARARGS"
    return is_raise and code.co_filename.startswith(_PACKAGE)


def _refused_options(cause: BaseException) -> str | None:
    """Message for a class of the config whose constructor raised; None if that looks like a bug in the class."""
    if not isinstance(cause, ValueError | RuntimeError):
        return None
    for trace in reversed(_frames(cause)):
        if trace.tb_frame.f_code.co_name in ("__init__", "__post_init__"):
            made = type(trace.tb_frame.f_locals["self"])
            return f"{made.__module__}.{made.__qualname__} refuses its options: {cause}"
    return shorten(str(cause), set())


def _state_mismatch(message: str) -> str:
    """Say in one line what torch says of every parameter."""
    names = {
        kind: re.findall(r'"([^"]+)"', " ".join(re.findall(rf"{kind} key\(s\) in state_dict: (.*)", message)))
        for kind in ("Missing", "Unexpected")
    }
    size = r"torch\.Size\((\[[^]]*\])\)"
    shapes = re.findall(rf"size mismatch for ([\w.]+): .*?{size}.*?{size}", message)
    found = [f"{len(names[kind])} {kind.lower()} parameters, as {names[kind][0]}" for kind in names if names[kind]]
    if shapes:
        name, in_file, here = shapes[0]
        found.append(f"{len(shapes)} of other shapes, as {name}: {in_file} in the file, {here} here")
    return (
        f"ckpt_path: the checkpoint does not fit the model of this config ({'; '.join(found)}). Use the config.yaml "
        "in the folder of the run that wrote it"
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
