"""AdamW: Adam with decoupled weight decay."""

from mindcv.optim.adam import Adam

__all__ = ["AdamW"]


class AdamW(Adam):
    r"""AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101), as `torch.optim.AdamW`.

    As `Adam`, but weight decay is decoupled: it stays out of the gradient, and each update starts with
    :math:`w = (1 - lr \lambda) w`. `mindspore.nn.AdamWeightDecay` leaves out the corrections of the moments.
    """

    decoupled = True
