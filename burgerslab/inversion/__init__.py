"""Inversion: unknowns of the physics from data, by L-BFGS-B through the rollout."""

from burgerslab.inversion.chunks import Chunks as Chunks
from burgerslab.inversion.lbfgsb import solve as solve
from burgerslab.inversion.record import Evaluation as Evaluation
from burgerslab.inversion.record import EvaluationRecord as EvaluationRecord
from burgerslab.inversion.settings import LBFGSB as LBFGSB
from burgerslab.inversion.solution import ConvergenceError as ConvergenceError
from burgerslab.inversion.solution import Iteration as Iteration
from burgerslab.inversion.solution import Solution as Solution
from burgerslab.inversion.solvable import Solvable as Solvable
from burgerslab.inversion.state import SolveState as SolveState
from burgerslab.inversion.summation import SummedObjective as SummedObjective
