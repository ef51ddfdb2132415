"""The command line: ``burgerslab COMMAND``. Nothing heavy is imported before the command is known."""

from burgerslab.cli.main import main as main
