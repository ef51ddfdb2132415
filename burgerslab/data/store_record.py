"""The attributes of a store's group: everything about a store except its arrays."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import google_crc32c
import zarr

from burgerslab.data.fingerprint import SCHEMA_VERSION, canonical, fingerprint
from burgerslab.data.layout import StoreLayout
from burgerslab.data.store_errors import StoreCorruptError, StoreError, StoreMismatchError, StoreMissingError

FORMAT = "burgerslab store"
GENERATING = "generating"
COMPLETE = "complete"

_SEAL = "attributes_crc32c"


def _seal(attributes: dict[str, Any]) -> int:
    # status changes during the life of a store; keys of other programs are none of our business
    facts = {key: attributes[key] for key in sorted(_SEALED_KEYS)}
    return google_crc32c.value(canonical(facts).encode("ascii"))


@dataclass(frozen=True)
class StoreRecord:
    """What the attributes of a store say.

    Args:
        identity: Random name of this very store; a store put in its place has another one.
        status: ``generating`` or ``complete``.
        layout: Shape and physical facts.
        block_size: Trajectories written at once, which is also the length of a chunk.
        settings: Settings that made the store.
        fingerprint: Hash of the settings.
        provenance: Whatever else is worth knowing about its making; not part of the fingerprint.
        metadata_checksums: crc32c of the ``zarr.json`` of each array.
        value_checksums: crc32c of the values of each coordinate, the viscosities and the seeds.
    """

    identity: str
    status: str
    layout: StoreLayout
    block_size: int
    settings: dict[str, Any]
    fingerprint: str
    provenance: dict[str, Any]
    metadata_checksums: dict[str, int]
    value_checksums: dict[str, int]

    @property
    def num_blocks(self) -> int:
        """Number of blocks of trajectories; the last one may be shorter."""
        return -(-self.layout.num_trajectories // self.block_size)

    def trajectories(self, block: int) -> range:
        """Trajectories of a block."""
        start = block * self.block_size
        return range(start, min(start + self.block_size, self.layout.num_trajectories))

    def as_attributes(self) -> dict[str, Any]:
        """Spell the record as the sealed attributes of a zarr group."""
        attributes = {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "identity": self.identity,
            "status": self.status,
            **self.layout.as_attributes(),
            "block_size": self.block_size,
            "settings": json.loads(canonical(self.settings)),
            "fingerprint": self.fingerprint,
            "provenance": json.loads(canonical(self.provenance)),
            "metadata_checksums": self.metadata_checksums,
            "value_checksums": self.value_checksums,
        }
        return {**attributes, _SEAL: _seal(attributes)}


_SEALED_KEYS = {
    *("format", "schema_version", "identity", "domain", "num_trajectories", "num_frames", "dt"),
    *("fields", "block_size", "settings", "fingerprint", "provenance", "metadata_checksums", "value_checksums"),
}


def _damaged(path: Path, reason: str) -> StoreCorruptError:
    return StoreCorruptError(
        f"{path}: zarr.json {reason}. Restore that file from a copy, or delete the store and run "
        "`burgerslab generate` to make it again"
    )


def _read_attributes(path: Path) -> dict[str, Any]:
    try:
        text = (path / "zarr.json").read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "it exists but has no zarr.json" if path.exists() else "nothing is there"
        raise StoreMissingError(
            f"{path}: no burgerslab store ({what}). Run `burgerslab generate` to make one, or correct the path"
        ) from error
    except UnicodeDecodeError as error:
        raise _damaged(path, f"is not readable text ({error.reason})") from error
    except OSError as error:
        raise StoreError(f"{path}: zarr.json cannot be read: {error.strerror}") from error
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise _damaged(path, f"is not readable JSON ({error})") from error
    attributes = document.get("attributes") if isinstance(document, dict) else None
    if not isinstance(attributes, dict) or attributes.get("format") != FORMAT:
        raise StoreMissingError(
            f"{path}: a directory that burgerslab did not make (the attributes in its zarr.json do not say "
            f"format: {FORMAT!r}). Choose another path"
        )
    if document.get("zarr_format") != 3 or document.get("node_type") != "group":
        raise _damaged(path, "does not describe a zarr v3 group")
    return attributes


def is_store(path: Path) -> bool:
    """Whether a path holds a store of this package, whatever its state or version."""
    try:
        _read_attributes(path)
    except StoreError:
        return False
    return True


def read_record(path: Path) -> StoreRecord:
    """Read and check the attributes of a store.

    Args:
        path: Directory of the store.

    Returns:
        The record; neither the arrays nor the completeness of the store have been looked at.

    Raises:
        StoreMissingError: If there is no store of this package.
        StoreError: If ``zarr.json`` may not be read.
        StoreMismatchError: If the store has another schema version.
        StoreCorruptError: If ``zarr.json`` cannot be read or was changed after it was written.
    """
    attributes = _read_attributes(path)
    if attributes.get("schema_version") != SCHEMA_VERSION:
        raise StoreMismatchError(
            f"{path}: schema_version is {attributes.get('schema_version')!r}, this version of burgerslab reads "
            f"{SCHEMA_VERSION}. Generate to another path, or set overwrite to replace the store"
        )
    if absent := sorted((_SEALED_KEYS | {"status", _SEAL}) - attributes.keys()):
        raise _damaged(path, f"lacks the attributes {absent}")
    try:
        seal = _seal(attributes)
    except ValueError as error:
        raise _damaged(path, f"was changed after it was written ({error})") from error
    if seal != attributes[_SEAL]:
        raise _damaged(path, "was changed after it was written: its attributes do not match their crc32c")
    if fingerprint(attributes["settings"]) != attributes["fingerprint"]:
        raise _damaged(path, "holds settings that do not match their fingerprint")
    if attributes["status"] not in (GENERATING, COMPLETE):
        raise _damaged(path, f"has the unknown status {attributes['status']!r}")
    return StoreRecord(
        identity=attributes["identity"],
        status=attributes["status"],
        layout=StoreLayout.from_attributes(attributes),
        block_size=attributes["block_size"],
        settings=attributes["settings"],
        fingerprint=attributes["fingerprint"],
        provenance=attributes["provenance"],
        metadata_checksums=attributes["metadata_checksums"],
        value_checksums=attributes["value_checksums"],
    )


def write_status(path: Path, record: StoreRecord, status: str) -> StoreRecord:
    """Change the status of a store; the caller holds the lock on the whole store."""
    zarr.open_group(path, mode="r+", use_consolidated=False).attrs["status"] = status
    return replace(record, status=status)


def is_finished(path: Path, block: int) -> bool:
    """Whether the completion mark of a block is there.

    The mark is the block's chunk of checksums: its file appears whole, by renaming, after the data.
    An empty file is no mark (a crash of the machine can leave one).
    """
    mark = path / mark_file(block)
    return mark.is_file() and mark.stat().st_size > 0


def mark_file(block: int) -> str:
    """File of the completion mark of a block, relative to the store."""
    return f"checksum/c/{block}/0"
