"""jsonargparse parsers whose errors are one line: which option, what was expected, what was meant."""

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

from burgerslab.cli.option_errors import option_names, shorten

# Classes that YAML and the command line need not name.
DEFAULT_CLASSES = {
    "data": {"class_path": "burgerslab.data.BurgersDataModule"},
    "model": {"class_path": "burgerslab.surrogate.Surrogate"},
}

HELP_ON_CLASSES = (
    "--data.help and --model.help list the options of the data and the model, --model.network.help "
    "burgerslab.surrogate.UNet those of a network. Without a class_path, BurgersDataModule and Surrogate are meant."
)


def with_default_classes(options: Sequence[str]) -> list[str]:
    """The options, with ``--data.help`` and ``--model.help`` about the default classes rather than their bases."""
    default = {
        f"--{name}.help": f"--{name}.help={setting['class_path']}" for name, setting in DEFAULT_CLASSES.items()
    }
    following = [*options[1:], "--"]
    return [
        default.get(option, option) if after.startswith("-") else option
        for option, after in zip(options, following, strict=False)
    ]


class ShortErrors:
    """Mixin for a jsonargparse parser: short messages instead of a usage text and a dump of every union."""

    allow_abbrev: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.allow_abbrev = False  # --trainer.max_epoch would do what it must not do in YAML

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Exit with code 2 and one line, or let the parser around this one do so."""
        parser: Any = super()
        if os.environ.get("BURGERSLAB_DEBUG") or not self.exit_on_error:  # type: ignore[attr-defined]
            parser.error(message, ex)
        owner: Any = getattr(ex, "subcommand_parser", None) or self
        name = owner.prog.replace(" [options]", "")
        sys.stderr.write(f"{name}: error: {shorten(message, option_names(owner))}\n")
        sys.exit(2)


class Parser(ShortErrors, ArgumentParser):
    """Parser of the commands that need no Trainer."""
