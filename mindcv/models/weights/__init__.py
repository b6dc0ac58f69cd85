"""Weights: their files, the names that parameters have elsewhere, and the ways into a network and out."""

from mindcv.models.weights.loading import load_weights
from mindcv.models.weights.weight_files import read_weights

__all__ = ["load_weights", "read_weights"]
