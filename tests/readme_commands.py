"""Whether commands that a Markdown text names would be understood, without running them."""

import contextlib
import importlib.util
import io
import re
import runpy
import shlex
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from unittest import mock

from burgerslab.cli.main import COMMANDS, main
from tests.readme_names import FOLDERS, ROOT, check_name

_WITH_CONFIG = ("fit", "validate", "test", "predict", "compare", "generate")
_PLAIN = ("source", "cd", "git", "export", "tensorboard", "sbatch", "srun", "dask")


def is_command(code: str) -> bool:
    """Whether it is a command rather than a name."""
    return re.match(r"(burgerslab|python|pytest|make|pip|sbatch|srun) \S", code) is not None


def check_command(line: str) -> None:
    """Raise an AssertionError if a command, option, file or target of it does not exist.

    Args:
        line: One line of a shell; ``...`` stands for a config, and words in capitals for what a reader fills in.
    """
    words = shlex.split(line, comments=True)
    while words and (re.fullmatch(r"[A-Z_]+=\S*", words[0]) or words[0] in ("nice", "srun")):
        words = words[1:]
    for word in words:
        assert not word.startswith(FOLDERS) or (ROOT / word.split("::")[0]).exists(), f"{line}: there is no {word}"
    if not words or words[0] in _PLAIN:
        return
    program, *rest = words
    if program == "burgerslab":
        _check_burgerslab(line, rest)
    elif program == "python" and rest[:1] == ["-m"]:
        assert importlib.util.find_spec(rest[1]) is not None, f"{line}: there is no module {rest[1]}"
        if rest[1] == "pytest":
            _check_pytest(line, rest[2:])
    elif program == "python":
        _check_script(line, *rest)
    elif program == "pytest":
        _check_pytest(line, rest)
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert rest[0] in targets, f"{line}: the Makefile makes {targets}"
    elif program == "pip":
        for word in rest:
            check_name(word.replace(".[", "burgerslab["))
    else:
        raise AssertionError(f"nothing here can say whether {line!r} is right")


def _check_burgerslab(line: str, words: list[str]) -> None:
    command, *options = words
    if command in ("--help", "--version"):
        return
    assert command in COMMANDS, f"{line}: there is no command {command}"
    options = ["configs/quickstart.yaml" if word == "..." else word for word in options]
    if command in _WITH_CONFIG:
        with contextlib.chdir(ROOT):
            code, text = _run(main, [command, *options, *([] if "--print_config" in options else ["--print_config"])])
        assert code == 0, f"{line}: {text}"
        return
    _check_options(line, options, _help(command))


def _check_options(line: str, words: Sequence[str], text: str) -> None:
    """Look up options in what ``--help`` says."""
    for option in (word.split("=")[0] for word in words if word.startswith("-")):
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text), f"{line}: there is no {option}"


@cache
def _help(command: str) -> str:
    code, text = _run(main, [command, "--help"])
    assert code == 0, text
    return text


@cache
def _help_of_script(path: str) -> str:
    def run() -> int:
        with (
            mock.patch.object(sys, "argv", [path, "--help"]),
            mock.patch.object(sys, "path", [str(Path(path).parent), *sys.path]),
        ):
            try:
                runpy.run_path(path, run_name="__main__")
            except SystemExit as stop:
                return int(stop.code or 0)
        raise AssertionError(f"{path} knows no --help")

    code, text = _run(run)
    assert code == 0, text
    return text


def _check_script(line: str, script: str, *options: str) -> None:
    assert (ROOT / script).is_file(), f"{line}: there is no {script}"
    _check_options(line, options, _help_of_script(str(ROOT / script)))


def _check_pytest(line: str, words: list[str]) -> None:
    for word in words:
        if word.startswith("tests"):
            path, _, name = word.partition("::")
            assert not name or f"def {name.split('[')[0]}(" in (ROOT / path).read_text(), f"{line}: no test {name}"


def _run(function, *arguments) -> tuple[int, str]:
    """Exit code, and what was printed."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        code = function(*arguments)
    return code, text.getvalue()
