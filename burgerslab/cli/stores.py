"""generate and inspect: the commands on stores, which need no Trainer."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from jsonargparse import SUPPRESS, ActionConfigFile

from burgerslab.cli.imports import import_facts
from burgerslab.cli.parser import DEFAULT_CLASSES, HELP_ON_CLASSES, Parser, with_default_classes
from burgerslab.cli.physics_lines import physics_facts, resolution_facts
from burgerslab.cli.quiet import quiet

# The other keys of a fit config, so that one file serves both commands.
_KEYS_OF_FIT = (
    *("seed_everything", "trainer", "model", "ckpt_path", "test_after_fit"),
    *("weights_only", "verbose", "return_predictions"),
)

_HELP_ON_CLUSTER = (
    "Simulate in the processes of a Dask cluster: local:N for N on this machine, or a scheduler's address such as "
    "tcp://host:8786. The store is the same to the bit on CPUs alike. Needs the extra burgerslab[cluster]."
)


def run_generate(options: Sequence[str]) -> int:
    """Simulate the store of a config and verify it; damaged blocks of a store that is there are made again.

    Args:
        options: As for fit; model and trainer are ignored.
    """
    import lightning.pytorch as pl

    from burgerslab.data import BurgersDataModule, generate
    from burgerslab.data.cluster import ClusterError, check_cluster, connected
    from burgerslab.data.store_repair import repair

    purpose = "Simulate the store of a config and verify it."
    parser = Parser(prog="burgerslab generate", description=purpose, epilog=HELP_ON_CLASSES)
    parser.add_argument("-c", "--config", action=ActionConfigFile, help="A YAML file, the same as for fit.")
    parser.add_subclass_arguments(pl.LightningDataModule, "data", required=True)
    parser.set_defaults({"data": DEFAULT_CLASSES["data"]})
    parser.add_argument("--cluster", type=str | None, help=_HELP_ON_CLUSTER)
    for key in _KEYS_OF_FIT:
        parser.add_argument(f"--{key}", type=Any, help=SUPPRESS)
    with quiet():
        settings = parser.parse_args(with_default_classes(options))
        cluster = settings.pop("cluster")
        if cluster is not None:
            try:
                check_cluster(cluster)
            except ClusterError as error:
                parser.error(str(error))
        for key in _KEYS_OF_FIT:  # else the model would be made, too
            settings.pop(key, None)
        datamodule = parser.instantiate_classes(settings).data
        if not isinstance(datamodule, BurgersDataModule) or datamodule.simulation is None:
            raise ValueError("generate needs data.simulation, which says what to simulate; add it to the config")
        with nullcontext() if cluster is None else connected(cluster) as client:
            path = datamodule.store_path
            store = generate(datamodule.simulation, path, overwrite=datamodule.overwrite, client=client)
            if damage := store.verify():
                print(f"{store.path}: {len(damage)} damaged files are made again")
                repair(store.path)
                generate(datamodule.simulation, path, client=client)
    print(f"store: {store.path}")
    return 0


def run_inspect(options: Sequence[str]) -> int:
    """Print what is in a store, verify every chunk, and say how well the grid resolves the flow.

    With ``--physics``, also fit the viscosity and the advection coefficient to the frames. Disagreement is a warning:
    the exit code is 1 only when something is damaged.

    Args:
        options: Path of the store, and ``--physics``.
    """
    parser = Parser(prog="burgerslab inspect", description="Print what is in a store and verify every chunk.")
    parser.add_argument("store", type=str, help="Path of the zarr store.")
    parser.add_argument(
        "--physics",
        action="store_true",
        help="Fit viscosity and advection coefficient to the frames and compare them with what is recorded.",
    )
    settings = parser.parse_args(list(options))
    from rich.console import Console

    from burgerslab.data import Store

    store = Store(settings.store)
    console = Console()

    def show(name: str, value: str) -> None:
        console.print(f"{name + ':':<16}{value}", soft_wrap=True, highlight=False, markup=False)

    for name, value in store_facts(store):
        show(name, value)
    damage = store.verify(progress=True)
    for item in damage:
        show("damaged", f"{item.file}: {item.reason}")
    if damage:
        is_imported = store.settings.get("source") == "imported"
        remedy = "`burgerslab import` of the same file" if is_imported else "`burgerslab generate` with the config"
        console.print(f"{len(damage)} files are damaged; {remedy} makes them again")
        return 1
    show("checksums", "all chunks verified")
    for name, value in resolution_facts(store):
        show(name, value)
    if settings.physics:
        with quiet():
            facts = physics_facts(store)
        for name, value in facts:
            show(name, value)
    return 0


def store_facts(store: Any) -> list[tuple[str, str]]:
    """Names and values of what is worth knowing of a store."""
    layout = store.layout
    domain = layout.domain
    low, high = float(store.viscosity.min()), float(store.viscosity.max())
    viscosity = f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"
    facts = [
        ("store", str(store.path)),
        ("trajectories", f"{layout.num_trajectories} of {layout.num_frames} frames, dt = {layout.dt:g} T"),
        (
            "domain",
            f"{' x '.join(f'{length:g}' for length in domain.extent)} L, "
            f"{' x '.join(map(str, domain.resolution))} cells, periodic",
        ),
        ("viscosity", f"{viscosity} L²/T"),
    ]
    for field in layout.fields:
        kind = "static" if field.static else "dynamic"
        facts.append((field.name, f"{kind}, components {', '.join(field.components)}, units {field.units or '-'}"))
    facts += [("fingerprint", store.fingerprint), ("source", str(store.settings.get("source", "unknown")))]
    facts += [(name, str(store.settings[name])) for name in ("checkpoint",) if name in store.settings]
    if store.settings.get("source") == "imported":
        facts += [(name, value) for name, value in import_facts(store) if name != "contents"]
    facts.append(("made with", ", ".join(f"{name} {value}" for name, value in store.provenance.items())))
    return facts


COMMANDS = {"generate": run_generate, "inspect": run_inspect}
