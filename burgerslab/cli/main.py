"""Dispatch of the commands; every error a user can cause ends here as one message and an exit code."""

import difflib
import os
import sys
from collections.abc import Sequence

import burgerslab

COMMANDS = {
    "fit": "train a surrogate or solve an inversion on a store, which is simulated if it is missing; then test it",
    "validate": "roll out a checkpoint over the validation trajectories",
    "test": "roll out a checkpoint over the test trajectories; write metrics.json and a figure",
    "predict": "write a checkpoint's rollouts of the test trajectories to a store",
    "evaluate": "compare finished runs with each other, with numerical schemes and under changed conditions",
    "compare": "run a hybrid beside its surrogate and its inversion alone, at the same cost, over seeds",
    "report": "write one HTML file on runs: settings, data, rollouts with a slider, errors, estimates",
    "generate": "simulate the store of a config and verify it; make damaged parts again",
    "import": "copy a file of PDEBench, numpy, MATLAB or The Well into a store",
    "inspect": "print what is in a store and verify every chunk; with --physics, check the viscosity",
}
_TRAINING_COMMANDS = ("fit", "validate", "test", "predict")
_DEBUG_VARIABLE = "BURGERSLAB_DEBUG"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Command and its options; those of the process if not given.

    Returns:
        Exit code: 0, 1 for an error in a run, 2 for one in the options, 130 after Ctrl-C, 143 after SIGTERM.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0
    if arguments[0] == "--version":
        print(f"burgerslab {burgerslab.__version__}")
        return 0
    command = arguments[0]
    if command not in COMMANDS:
        near = difflib.get_close_matches(command, COMMANDS, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return _fail(f"unknown command {command!r}; {hint}`burgerslab --help` lists the commands", 2)
    if os.getcwd() not in sys.path:  # a script's path holds the folder of the script instead
        sys.path.append(os.getcwd())
    try:
        return _run(command, arguments[1:])
    except SystemExit as stop:
        if type(stop).__name__ == "SIGTERMException":  # Lightning's; it carries no code
            return _fail("terminated", 143)
        if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning turns Ctrl-C into exit code 1
            return _fail("interrupted", 130)
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:
        return 141
    except Exception as error:  # the one place where errors become messages; bugs are raised again
        from burgerslab.cli.user_errors import user_message

        message = user_message(error)
        if message is None or os.environ.get(_DEBUG_VARIABLE):
            raise
        return _fail(message, 1)


def _run(command: str, options: list[str]) -> int:
    if command in _TRAINING_COMMANDS:
        from burgerslab.cli.training import run

        return run(command, options)
    if command == "compare":
        from burgerslab.cli.compare import run_compare

        return run_compare(options)
    if command == "evaluate":
        from burgerslab.cli.evaluate import run_evaluate

        return run_evaluate(options)
    if command == "report":
        from burgerslab.cli.report import run_report

        return run_report(options)
    if command == "import":
        from burgerslab.cli.imports import run_import

        return run_import(options)
    from burgerslab.cli import stores

    return stores.COMMANDS[command](options)


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {purpose}" for name, purpose in COMMANDS.items()]
    return "\n".join(
        [
            "usage: burgerslab COMMAND [--config FILE] [--print_config] [--help] [options]",
            "",
            "Surrogates and inversions of the Burgers equation: simulate, train, solve, test.",
            "",
            *lines,
            "",
            "`burgerslab COMMAND --help` lists a command's options. Any option of a config can be given on the",
            "command line too, as in --trainer.max_epochs=200 or --data.batch_size=8. Classes of your own are named",
            "by class_path, and found in the working directory or where Python finds modules.",
            f"{_DEBUG_VARIABLE}=1 shows the traceback of an error.",
        ]
    )


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"burgerslab: error: {message}\n")
    return code
