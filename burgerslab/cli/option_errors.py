"""jsonargparse's messages, which list every member of every union, as one line with a suggestion."""

import difflib
import importlib
import re
import sys
from collections.abc import Collection, Iterable

from jsonargparse import ArgumentParser

_NOISE = (
    "Does not validate against any of the Union subtypes",
    "Subtypes:",
    "Errors:",
    "Given value",
    "Expected a <class 'NoneType'>",
    "Not a valid subclass",
    "Subclass types expect",
    "a class path (str)",
    "a dict with",
    "a dict without",
    "Expected a path but",
)
_KEY = re.compile(r'^Parser key "([^"]+)":\s*')
_CLASS = re.compile(r"^Problem with given class_path '([^']+)':\s*")
_EXPECTED = re.compile(r"^Expected an? (.+?)(?:\. Got value: (.*))?$")
_NO_CLASS = re.compile(r"Expected a dot import path string: (\S+)")
_GIVEN = re.compile(r"^\s*Given value: (?!\w+\(|\{)(.{1,60})$", re.MULTILINE)
_UNKNOWN = re.compile(r"(?:(?:Group '([^']+)' )?does not accept option|Option|Key) '([^']+)'(?: is not accepted)?")
_STRAY = re.compile(r"unrecognized arguments: --?([\w.]+)")


def shorten(message: str, known_options: Collection[str]) -> str:
    """The innermost complaints of a message, after the option's name, with what may have been meant.

    Args:
        message: jsonargparse's own text, often many lines.
        known_options: Names of the options of the command.
    """
    keys: list[str] = []
    owner = ""
    complaints: list[str] = []
    expected: list[str] = []
    given = ""
    for line in message.splitlines():
        text = line.strip().lstrip("- ").replace('in "<unicode string>", ', "")
        if match := _KEY.match(text):
            keys += [match[1]] if match[1] not in keys else []
            text = text[match.end() :]
        if match := _CLASS.match(text):
            owner = match[1]
            text = text[match.end() :]
        if not text or text.startswith(_NOISE):
            continue
        if match := _EXPECTED.match(text):
            expected.append(_type_name(match[1]))
            given = given or match[2] or ""
        elif text not in complaints:
            complaints.append(text)
    if named := _NO_CLASS.search(message) if set(expected) == {"a class_path"} else None:
        complaints.append(f"there is no class {named[1]!r}{_meant(named[1], _class_names())}")
    elif expected:
        given = given or next(iter(_GIVEN.findall(message)), "")
        complaints.append(f"expected {' or '.join(dict.fromkeys(expected))}" + (f", got {given}" if given else ""))
    short = "; ".join(_explained(complaint, owner, known_options) for complaint in complaints)
    return (".".join(keys) + ": " if keys else "") + short


def _explained(complaint: str, owner: str, known_options: Collection[str]) -> str:
    """One complaint, with a remedy."""
    if unknown := _UNKNOWN.search(complaint):
        name = ".".join(part for part in unknown.groups() if part)
        options = _options_of(owner) if owner else known_options
        return f"{owner or 'this command'} has no option {name!r}{_meant(name, options)}"
    if stray := _STRAY.search(complaint):
        return f"this command has no option {'--' + stray[1]!r}{_meant(stray[1], known_options)}"
    if absent := re.search(r"module '([\w.]+)' has no attribute '(\w+)'", complaint):
        found = vars(importlib.import_module(absent[1]))
        return f"{complaint}{_meant(absent[2], [name for name, value in found.items() if isinstance(value, type)])}"
    if complaint.startswith("No module named"):
        return (
            f"{complaint}. A module of your own must be in the working directory, installed, or in a folder that "
            "PYTHONPATH names"
        )
    if complaint.startswith("the following arguments are required"):
        names = re.sub(r"\b(fit|validate|test|predict)\.", "", complaint.split(": ", 1)[1])
        return f"these options are missing: {names}"
    return complaint


def _meant(name: str, candidates: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(candidates), 1, 0.6)
    if not near:  # a typo in the first of several words
        first_words = sorted({candidate.split(".")[0] for candidate in candidates})
        near = difflib.get_close_matches(name.split(".")[0], first_words, 1, 0.6)
    return f". Did you mean {near[0]!r}?" if near else ""


def _class_names() -> set[str]:
    """Public classes of this package's layers, as far as they are imported."""
    layers = [module for name, module in sys.modules.items() if re.fullmatch(r"burgerslab\.\w+", name)]
    return {name for layer in layers for name, value in vars(layer).items() if isinstance(value, type)}


def _options_of(class_path: str) -> set[str]:
    """Names of the options of a class that has been imported already."""
    module, _, name = class_path.rpartition(".")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(getattr(importlib.import_module(module), name))
    return option_names(parser)


def option_names(parser: ArgumentParser) -> set[str]:
    """Names of a parser's options, as in a config."""
    names = {action.dest for action in parser._actions}
    names |= {option.lstrip("-") for action in parser._actions for option in action.option_strings}
    return {name for name in names if name and not name.endswith((".help", "+"))}


def _type_name(text: str) -> str:
    text = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", text).replace("tuple", "list")
    if literal := re.fullmatch(r"typing\.Literal\[(.*)\]", text):
        return " or ".join(literal[1].split(", "))
    return "a class_path" if text.startswith("dot import path string") else text
