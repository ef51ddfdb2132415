"""Neural surrogates: networks, training strategies, and the LightningModule that uses them."""

from burgerslab.surrogate.module import Surrogate as Surrogate
from burgerslab.surrogate.unet import UNet as UNet
from burgerslab.surrogate.unrolling import BackpropagationThroughTime as BackpropagationThroughTime
from burgerslab.surrogate.unrolling import Curriculum as Curriculum
from burgerslab.surrogate.unrolling import Pushforward as Pushforward
from burgerslab.surrogate.unrolling import Unrolling as Unrolling
