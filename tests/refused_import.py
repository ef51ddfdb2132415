"""What a refused import must leave behind: nothing, and what was there."""

import shutil

import numpy as np
import pytest

from burgerslab.data import Store
from burgerslab.data.foreign import ForeignFileError, NpzReader, import_file
from tests.foreign_files import write_npz


def refused(reader, file, message, **options):
    """Refuse a file once without a store and once with another store in its place."""
    store, other = file.parent / "store.zarr", file.parent / "other"
    options = {"block_size": 1, "progress": False, **options}
    with pytest.raises(ForeignFileError, match=message) as raised:
        import_file(reader, file, store, **options)
    assert str(raised.value).startswith(f"{file}: ")
    assert not [path for path in file.parent.iterdir() if "store.zarr" in path.name]
    other.mkdir(exist_ok=True)
    velocity = write_npz(other / "good.npz")
    import_file(NpzReader(), other / "good.npz", store, progress=False)
    with pytest.raises(ForeignFileError, match=message):
        import_file(reader, file, store, overwrite=True, **options)
    np.testing.assert_array_equal(Store(store).read("velocity", slice(None)), velocity)
    shutil.rmtree(store)
    shutil.rmtree(store.with_name(".store.zarr.locks"))
