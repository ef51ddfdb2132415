"""Space-time discretisations of u_t + (u·∇)u = ν Δu on a periodic grid, written with PhiFlow operators."""

from burgerslab.physics.schemes.finite_difference import FiniteDifference as FiniteDifference
from burgerslab.physics.schemes.fourier_spectral import FourierSpectral as FourierSpectral
from burgerslab.physics.schemes.mac_cormack import MacCormack as MacCormack
from burgerslab.physics.schemes.scheme import GeneralScheme as GeneralScheme
from burgerslab.physics.schemes.scheme import Scheme as Scheme
from burgerslab.physics.schemes.scheme import SchemeOrExact as SchemeOrExact
from burgerslab.physics.schemes.semi_lagrangian import SemiLagrangian as SemiLagrangian
from burgerslab.physics.schemes.weno import WENO as WENO
