"""CPU kernels: a network of this package as a few operators of its own, compiled on the user's machine."""

from mindcv.kernels.selection import AcceleratedFeatures, takes
from mindcv.kernels.updates import FusedAverage, FusedUpdate

__all__ = ["AcceleratedFeatures", "FusedAverage", "FusedUpdate", "takes"]
