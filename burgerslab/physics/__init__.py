"""The Burgers equation on periodic boxes: domains, schemes, initial conditions, viscosities, rollouts."""

from burgerslab.physics.domain import Domain as Domain
from burgerslab.physics.exact import AccuracyError as AccuracyError
from burgerslab.physics.exact import ColeHopf as ColeHopf
from burgerslab.physics.initial import InitialCondition as InitialCondition
from burgerslab.physics.initial import PhiFlowNoise as PhiFlowNoise
from burgerslab.physics.initial import RandomFourier as RandomFourier
from burgerslab.physics.initial import Shock as Shock
from burgerslab.physics.initial import Sine as Sine
from burgerslab.physics.potential import FourierPotential as FourierPotential
from burgerslab.physics.potential import NoPotentialError as NoPotentialError
from burgerslab.physics.resolution import cell_peclet as cell_peclet
from burgerslab.physics.resolution import explain_under_resolution as explain_under_resolution
from burgerslab.physics.rollout import DivergedError as DivergedError
from burgerslab.physics.rollout import Rollout as Rollout
from burgerslab.physics.rollout import UnstableStepError as UnstableStepError
from burgerslab.physics.schemes import WENO as WENO
from burgerslab.physics.schemes import FiniteDifference as FiniteDifference
from burgerslab.physics.schemes import FourierSpectral as FourierSpectral
from burgerslab.physics.schemes import MacCormack as MacCormack
from burgerslab.physics.schemes import Scheme as Scheme
from burgerslab.physics.schemes import SchemeOrExact as SchemeOrExact
from burgerslab.physics.schemes import SemiLagrangian as SemiLagrangian
from burgerslab.physics.viscosity import ConstantViscosity as ConstantViscosity
from burgerslab.physics.viscosity import LogUniformViscosity as LogUniformViscosity
from burgerslab.physics.viscosity import Viscosity as Viscosity
