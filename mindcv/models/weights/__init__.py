"""Weight files: reading, writing, converting, downloading and loading them."""

from mindcv.models.weights.network_loading import load_weights
from mindcv.models.weights.weight_files import read_weights

__all__ = ["load_weights", "read_weights"]
