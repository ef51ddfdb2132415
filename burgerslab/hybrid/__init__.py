"""Hybrid training: a surrogate and an inversion as co-trained agents."""

from burgerslab.hybrid.bookkeeping import CycleRecord as CycleRecord
from burgerslab.hybrid.callback import Hybrid as Hybrid
from burgerslab.hybrid.exchange import Exchange as Exchange
from burgerslab.hybrid.kept_state import KeptState as KeptState
