"""Inversion: coefficients of the equation from trajectories, by L-BFGS-B through a differentiable rollout."""

from burgerslab.inversion.chunks import Chunks as Chunks
from burgerslab.inversion.chunks import in_float64 as in_float64
from burgerslab.inversion.doubts import InversionWarning as InversionWarning
from burgerslab.inversion.fields import ForcingField as ForcingField
from burgerslab.inversion.fields import InitialState as InitialState
from burgerslab.inversion.fields import ViscosityField as ViscosityField
from burgerslab.inversion.lbfgsb import solve as solve
from burgerslab.inversion.learnable import Gaussian as Gaussian
from burgerslab.inversion.learnable import Learnable as Learnable
from burgerslab.inversion.module import Inversion as Inversion
from burgerslab.inversion.parameters import Advection as Advection
from burgerslab.inversion.parameters import Forcing as Forcing
from burgerslab.inversion.parameters import Viscosity as Viscosity
from burgerslab.inversion.problem import Problem as Problem
from burgerslab.inversion.record import Evaluation as Evaluation
from burgerslab.inversion.record import EvaluationRecord as EvaluationRecord
from burgerslab.inversion.result import InversionResult as InversionResult
from burgerslab.inversion.settings import LBFGSB as LBFGSB
from burgerslab.inversion.solution import ConvergenceError as ConvergenceError
from burgerslab.inversion.solution import Iteration as Iteration
from burgerslab.inversion.solution import Solution as Solution
from burgerslab.inversion.solvable import Solvable as Solvable
from burgerslab.inversion.solve_alone import solve_alone as solve_alone
from burgerslab.inversion.state import SolveState as SolveState
from burgerslab.inversion.summation import SummedObjective as SummedObjective
