"""Whether what a Markdown text names in back-ticks is there: classes, options, files, extras."""

import ast
import importlib
import inspect
import re
import tomllib
import typing
from functools import cache
from pathlib import Path

import lightning.pytorch as pl

from burgerslab.data import BurgersDataModule, Observation
from burgerslab.hybrid import Exchange, Hybrid
from burgerslab.inversion import LBFGSB, Inversion
from burgerslab.surrogate import Surrogate

ROOT = Path(__file__).parents[1]
FOLDERS = ("configs/", "benchmarks/", "tests/", "notebooks/", ".ci/")
_PUBLIC = ("physics", "data", "data.foreign", "surrogate", "inversion", "hybrid", "evaluation")
_ELSEWHERE = (
    "lightning.pytorch",
    "lightning.pytorch.callbacks",
    "phi.field",
    "torch.optim",
    "torch.optim.lr_scheduler",
    "torch.utils.data",
)
_OWNERS = {
    "data": [BurgersDataModule],
    "model": [Surrogate, Inversion],
    "trainer": [pl.Trainer],
    "Hybrid": [Hybrid],
    "exchange": [Exchange],
    "observation": [Observation],
    "solver": [LBFGSB],
}


def check_name(code: str) -> None:
    """Raise an AssertionError if the name of something that should be here leads nowhere.

    Args:
        code: What stands in back-ticks; what looks like no name of ours passes.
    """
    word = re.split(r"[:=]\s?", code.removeprefix("--"), maxsplit=1)[0].removesuffix(".class_path")
    for dotted in re.findall(r"class_path: ([\w.]+)", code):
        find(dotted)
    if code.startswith(FOLDERS):
        assert (ROOT / code.split("::")[0]).exists(), f"there is no {code}"
    elif match := re.search(r"burgerslab\[([\w,]+)\]", code):
        missing = set(match[1].split(",")) - set(_extras())
        assert not missing, f"pyproject.toml has no extra {missing}"
    elif re.fullmatch(r"burgerslab(\.\w+)+", code):
        find(code)
    elif re.fullmatch(rf"({'|'.join(_OWNERS)})(\.[a-z]\w*)+", word):
        _check_option(word)
    elif match := re.fullmatch(r"([A-Z][A-Za-z]{2,})(\.(\w+))?(\(.*\)|\[.*\])?", code):
        if not match[1].isupper() or match[1] in _names():
            _check_class(match[1], match[3], code)
    elif re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", word):
        assert word in _words(), f"nothing in the package is called {word}"


def find(dotted: str) -> object:
    """What a dotted path names.

    Raises:
        AssertionError: If it names nothing.
    """
    module, _, attribute = dotted.rpartition(".")
    try:
        return importlib.import_module(dotted)
    except ModuleNotFoundError:
        found = getattr(importlib.import_module(module), attribute, None) if "." in dotted else None
        assert found is not None, f"there is no {dotted}"
        return found


def _check_class(name: str, attribute: str | None, code: str) -> None:
    found = _names().get(name)
    assert found is not None, f"{name} is in none of burgerslab's namespaces"
    if attribute is not None:
        assert hasattr(found, attribute) or attribute in inspect.getsource(found), f"{name} has no {attribute}"
    elif code.endswith(")"):
        call = ast.parse(code.replace("...,", "").replace("...", ""), mode="eval").body
        assert isinstance(call, ast.Call)
        missing = {keyword.arg for keyword in call.keywords} - set(inspect.signature(found).parameters)
        assert not missing, f"{name} takes no {missing}"


def _check_option(option: str) -> None:
    first, *rest = option.split(".")
    owners = _OWNERS[first]
    if any(hasattr(owner, rest[0]) for owner in owners):
        return  # a method or a property
    for position, name in enumerate(rest):
        if name in ("class_path", "init_args"):
            continue
        found = [inspect.signature(owner).parameters.get(name) for owner in owners]
        assert any(found), f"{'.'.join([first, *rest[:position]])} has no option {name} (in {option})"
        owners = [it for parameter in found if parameter is not None for it in _classes_in(parameter.annotation)]


def _classes_in(annotation: object) -> list[type]:
    """Every class that an annotation allows, subclasses included."""
    if annotation is type(None):
        return []
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return [annotation, *(it for child in annotation.__subclasses__() for it in _classes_in(child))]
    return [it for argument in typing.get_args(annotation) for it in _classes_in(argument)]


@cache
def _names() -> dict[str, typing.Any]:
    """Every class that a user imports from here, or knows from where we come."""
    modules = [*_ELSEWHERE, *(f"burgerslab.{name}" for name in _PUBLIC)]
    found = {}
    for module in map(importlib.import_module, modules):
        found |= {name: getattr(module, name) for name in dir(module) if name[0].isupper()}
    return found | {"BurgersDataModule": BurgersDataModule}


@cache
def _words() -> set[str]:
    texts = [path.read_text() for folder in ("burgerslab", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    return {word for text in texts for word in re.findall(r"\w+", text)}


@cache
def _extras() -> list[str]:
    return list(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
