"""`create_optimizer`, and optimizers that MindSpore lacks or computes incorrectly."""

from mindcv.optim.adagrad import Adagrad
from mindcv.optim.adam import Adam
from mindcv.optim.adamw import AdamW
from mindcv.optim.adan import Adan
from mindcv.optim.lamb import Lamb
from mindcv.optim.lion import Lion
from mindcv.optim.nadam import NAdam
from mindcv.optim.optim_factory import OPTIMIZERS, create_optimizer
from mindcv.optim.rmsprop import RMSProp
from mindcv.optim.stored_state import load_optimizer_state

__all__ = [
    "OPTIMIZERS",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adan",
    "Lamb",
    "Lion",
    "NAdam",
    "RMSProp",
    "create_optimizer",
    "load_optimizer_state",
]
