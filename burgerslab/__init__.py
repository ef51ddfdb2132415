"""PyTorch Lightning modules and a command line for the Burgers equation."""

__version__ = "0.1.0"
