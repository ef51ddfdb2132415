"""Files that are not what their name says, and damaged ones."""

import h5py
import pytest
import scipy.io

from burgerslab.data.foreign import MatReader, NpzReader, PDEBenchReader, WellReader
from tests.foreign_files import write_mat, write_npz, write_pdebench, write_well
from tests.refused_import import refused


@pytest.mark.parametrize(
    ("reader", "message"),
    [
        (PDEBenchReader(), "this is no HDF5 file"),
        (WellReader(), "this is no HDF5 file"),
        (NpzReader(), "this is no npz file, or damaged"),
        (MatReader(), "this is no MATLAB file, or damaged"),
    ],
)
@pytest.mark.parametrize("content", [b"", b"not what it seems\n" * 100, bytes(range(256)) * 20])
def test_no_such_format(tmp_path, reader, message, content):
    file = tmp_path / "data.bin"
    file.write_bytes(content)
    refused(reader, file, message)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize(
    ("reader", "write"),
    [
        (PDEBenchReader(), write_pdebench),
        (WellReader(), write_well),
        (NpzReader(), write_npz),
        (MatReader(), write_mat),
    ],
)
def test_files_that_end_early(tmp_path, reader, write, part):
    file = tmp_path / "data_Nu0.1.npz"
    write(file)
    content = file.read_bytes()
    file.write_bytes(content[: int(part * len(content))])
    refused(reader, file, "damaged|complete|no HDF5 file|cannot be read|no such|no variable", viscosity=0.1)


def test_bytes_of_an_npz_that_were_changed(tmp_path):
    file = tmp_path / "data.npz"
    write_npz(file)
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)
    refused(NpzReader(), file, "velocity cannot be read .*CRC.*; the file is damaged")


def test_a_file_that_is_not_there(tmp_path):
    refused(NpzReader(), tmp_path / "nowhere.npz", "there is no such file")


def test_matlab_73_is_named(tmp_path):
    file = tmp_path / "data.mat"
    write_mat(file)
    with h5py.File(tmp_path / "new.mat", "w", userblock_size=512) as new:
        new["x"] = scipy.io.loadmat(file)["x"]
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    content = (tmp_path / "new.mat").read_bytes()
    file.write_bytes(header + content[128:])
    (tmp_path / "new.mat").unlink()
    refused(MatReader(), file, r"MATLAB's format 7.3 is not read here; save the file with save\(..., '-v7'\)")
