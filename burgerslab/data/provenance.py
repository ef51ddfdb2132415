"""What made the numbers of a store, beside its settings."""

import platform
from importlib.metadata import version


def provenance() -> dict[str, str]:
    """Versions of what makes the numbers; recorded beside the fingerprint, not in it."""
    packages = ("burgerslab", "torch", "phiflow", "phiml", "numpy", "zarr")
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}
