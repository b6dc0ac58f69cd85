"""timm and torchvision, for tests to compare with.

PyPI's torchvision has its operators (for detection: MnasNet uses none) compiled for CUDA builds of PyTorch.
Beside a CPU build they are missing, and the import fails where it registers their shapes. Declared, they do.
"""

import torch

__all__ = ["timm", "torch", "torchvision"]

try:
    import torchvision
except RuntimeError as missing:  # "operator torchvision::nms does not exist"
    if "torchvision::" not in str(missing):
        raise
    _operators = torch.library.Library("torchvision", "FRAGMENT")  # they last as long as this does
    for _name in ("nms", "qnms"):
        _operators.define(f"{_name}() -> ()")
    import torchvision

import timm
import timm.loss
import timm.optim
