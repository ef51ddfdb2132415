"""Files of other programs as stores: PDEBench, npz, MATLAB, The Well, and readers of your own."""

from burgerslab.data.foreign.coordinates import Axis as Axis
from burgerslab.data.foreign.coordinates import EvenlySpaced as EvenlySpaced
from burgerslab.data.foreign.coordinates import evenly_spaced as evenly_spaced
from burgerslab.data.foreign.foreign_errors import ForeignFileError as ForeignFileError
from burgerslab.data.foreign.import_file import import_file as import_file
from burgerslab.data.foreign.mat import MatReader as MatReader
from burgerslab.data.foreign.npz import NpzReader as NpzReader
from burgerslab.data.foreign.pdebench import PDEBenchReader as PDEBenchReader
from burgerslab.data.foreign.reader import FileContents as FileContents
from burgerslab.data.foreign.reader import ForeignFile as ForeignFile
from burgerslab.data.foreign.reader import ForeignReader as ForeignReader
from burgerslab.data.foreign.well import WellReader as WellReader
