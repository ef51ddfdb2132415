"""What made the numbers of a store, beside its settings."""

import platform
from importlib.metadata import version


def provenance() -> dict[str, str]:
    """Versions of what makes the numbers; recorded beside the fingerprint, not in it."""
    packages = ("burgerslab", "torch", "phiflow", "phiml", "numpy", "zarr")
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}


def cpu_capability() -> str:
    """Instruction set that torch uses on this machine, such as AVX2; another one rounds sums in another order."""
    import torch

    return torch.backends.cpu.get_cpu_capability()
