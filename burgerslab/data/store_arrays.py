"""The arrays of a store: how they are named, chunked, compressed and created."""

import os
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

import google_crc32c
import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec

from burgerslab.data.layout import StoreLayout
from burgerslab.data.store_record import StoreRecord


@dataclass(frozen=True)
class SmallArray:
    """An array of one chunk that is written with the skeleton of a store.

    Args:
        values: Its values.
        dimensions: Names of its axes.
        units: Units of its values, empty for labels and seeds.
    """

    values: np.ndarray
    dimensions: tuple[str, ...]
    units: str = ""


def small_arrays(
    layout: StoreLayout, viscosity: npt.NDArray[np.float64], seeds: npt.NDArray[np.integer]
) -> dict[str, SmallArray]:
    """List the coordinates of a store, its viscosities and its seeds.

    Args:
        layout: Layout of the store.
        viscosity: Viscosity of each trajectory, units L^2/T.
        seeds: Seed of each trajectory.

    Returns:
        Arrays by name: time, the cell centres along each axis, the component labels of each field,
        the names of the fields, viscosity and seed.
    """
    arrays = {"time": SmallArray(layout.times(), ("frame",), "T")}
    for name, centres in zip(layout.domain.axis_names, layout.domain.centres(), strict=True):
        arrays[name] = SmallArray(centres, (name,), "L")
    for spec in layout.fields:
        axis = f"component_{spec.name}"
        arrays[axis] = SmallArray(np.array(spec.components), (axis,))
    arrays["field"] = SmallArray(np.array([spec.name for spec in layout.fields]), ("field",))
    arrays["viscosity"] = SmallArray(viscosity, ("trajectory",), "L^2 T^-1")
    arrays["seed"] = SmallArray(seeds, ("trajectory",))
    return arrays


def value_checksum(values: np.ndarray) -> int:
    """Compute crc32c of the values of an array: little-endian numbers in C order, or lines of text."""
    if values.dtype.kind in "OTU":
        return google_crc32c.value("\n".join(map(str, values.tolist())).encode("utf-8"))
    numbers = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return google_crc32c.value(numbers.reshape(-1).view(np.uint8))


def _fill_value(dtype: np.dtype) -> float | int | str:
    # zarr leaves out chunks that hold nothing but the fill value, so it must be no possible value
    if dtype.kind == "f":
        return float("nan")
    if dtype.kind == "U":
        return ""
    return np.iinfo(dtype).min if dtype.kind == "i" else np.iinfo(dtype).max


def _create_small_array(group: zarr.Group, name: str, array: SmallArray) -> None:
    is_text = array.values.dtype.kind == "U"
    created = group.create_array(
        name,
        shape=array.values.shape,
        chunks=array.values.shape,
        dtype="string" if is_text else array.values.dtype,
        fill_value=_fill_value(array.values.dtype),
        compressors=[Crc32cCodec()],
        dimension_names=array.dimensions,
        attributes={"units": array.units} if array.units else {},
        config={"write_empty_chunks": True},
    )
    created[...] = array.values


def create_skeleton(path: Path, record: StoreRecord, arrays: dict[str, SmallArray]) -> tuple[Path, StoreRecord]:
    """Make a store without any trajectories, under a temporary name beside its path.

    Fields are compressed by blosc (lz4 after a byte shuffle), every array ends in a crc32c, and
    what has not been written reads as NaN. There is one chunk of checksums per block, because it
    is the block's mark of completion and blocks may be written by different processes.

    Args:
        path: Where the store will be.
        record: The record to write; its checksums are filled in here.
        arrays: What `small_arrays` returned.

    Returns:
        The temporary directory, to be renamed to ``path``, and the record as written.
    """
    temporary = path.with_name(f".{path.name}.new-{uuid.uuid4().hex}")
    layout, block_size = record.layout, record.block_size
    group = zarr.create_group(temporary)
    for name, array in arrays.items():
        _create_small_array(group, name, array)
    for spec in layout.fields:
        coordinates = "viscosity seed" if spec.static else "time viscosity seed"
        group.create_array(
            spec.name,
            shape=layout.shape(spec),
            chunks=layout.chunks(spec, block_size),
            dtype="float32",
            fill_value=float("nan"),
            compressors=[BloscCodec(cname="lz4", clevel=5, shuffle="shuffle", typesize=4), Crc32cCodec()],
            dimension_names=layout.dimension_names(spec),
            attributes={"coordinates": coordinates, **({"units": spec.units} if spec.units else {})},
        )
    group.create_array(
        "checksum",
        shape=(layout.num_trajectories, len(layout.fields)),
        chunks=(block_size, len(layout.fields)),
        dtype="int64",
        fill_value=-1,
        compressors=[Crc32cCodec()],
        dimension_names=("trajectory", "field"),
    )
    record = replace(
        record,
        metadata_checksums={
            name: google_crc32c.value((temporary / name / "zarr.json").read_bytes())
            for name in (*arrays, *(spec.name for spec in layout.fields), "checksum")
        },
        value_checksums={name: value_checksum(array.values) for name, array in arrays.items()},
    )
    group.attrs.update(record.as_attributes())
    return temporary, record


def restore_small_array(path: Path, name: str, array: SmallArray) -> None:
    """Write a damaged small array again; the caller holds the lock on the whole store."""
    for file in (path / name / "c").glob("*"):
        os.unlink(file)
    zarr.open_group(path, mode="r+", use_consolidated=False)[name].with_config({"write_empty_chunks": True})[...] = (
        array.values
    )
