"""Updates of all parameters by one operator: the same as by MindSpore's operators, at all sizes."""

from collections.abc import Callable

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from mindcv.kernels.library import library
from mindcv.optim import create_optimizer
from mindcv.optim.sgd import Momentum
from mindcv.step.ema import Ema

pytestmark = pytest.mark.skipif(library() is None, reason="there is no C++ compiler")

SIZES = (1, 7, 8, 9, 64, 100_003)
CASES = {
    "sgd": {"opt": "sgd", "momentum": 0.9, "weight_decay": 1e-2},
    "nesterov": {"opt": "momentum", "nesterov": True, "momentum": 0.9, "weight_decay": 1e-2},
    "without momentum": {"opt": "sgd", "momentum": 0.0},
    "momentum": {"opt": "momentum", "momentum": 0.9, "weight_decay": 1e-2, "loss_scale": 64.0},
    "rmsprop": {"opt": "rmsprop", "momentum": 0.9, "eps": 1e-3, "weight_decay": 1e-2, "loss_scale": 64.0},
    "adam": {"opt": "adam", "weight_decay": 1e-2, "loss_scale": 64.0},
    "nesterov adam": {"opt": "adam", "nesterov": True},
    "adamw": {"opt": "adamw", "weight_decay": 1e-1},
}


def parameters() -> list[Parameter]:
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(size, np.float32) for size in SIZES]
    return [Parameter(Tensor(value), name=f"p{i}.weight") for i, value in enumerate(values)]


def updated(options: dict, *, fused: bool) -> list[np.ndarray]:
    """Parameters and states after three updates: rates by a schedule, and no decay for half of them."""
    given = parameters()
    groups = [
        {"params": given[::2], "lr": 0.02, "weight_decay": 0.0},
        {"params": given[1::2], "weight_decay": options.get("weight_decay", 0.0)},
        {"order_params": given},
    ]
    optimizer = create_optimizer(groups, lr=[0.1, 0.05, 0.01], **options)
    assert (optimizer.fused is not None) == fused
    scale = options.get("loss_scale", 1.0)
    for update in range(3):
        rng = np.random.default_rng(update + 1)
        gradients = [scale * rng.standard_normal(size, np.float32) for size in SIZES]
        optimizer(tuple(Tensor(gradient.astype(np.float32)) for gradient in gradients))
    return [p.asnumpy() for p in optimizer.get_parameters()] + [p.asnumpy() for p in given]


@pytest.mark.parametrize("case", CASES)
def test_one_operator_updates_like_many(case, monkeypatch):
    found = updated(CASES[case], fused=True)
    monkeypatch.setenv("MINDCV_KERNELS", "0")
    expected = updated(CASES[case], fused=False)
    assert len(found) == len(expected) > len(SIZES)
    for one, many in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, many, rtol=2e-5, atol=2e-6)


class Weights(nn.Cell):
    def __init__(self, offset: float):
        super().__init__()
        self.all = ms.ParameterTuple(
            [Parameter(Tensor(np.full(n, n % 97 + offset, np.float32)), name=f"w{n}.{offset}") for n in SIZES]
        )


def test_the_average_moves_by_its_fraction(monkeypatch):
    def averages() -> Callable[[], list[np.ndarray]]:
        ema_model = Weights(0.0)
        ema = Ema(Weights(1.0), ema_model, 0.9)
        assert (ema.fused is None) == (switch == "0")

        def move() -> list[np.ndarray]:
            ema(Tensor(0.0))
            return [p.asnumpy() for p in ema_model.all]

        return move

    results = []
    for switch in "10":
        monkeypatch.setenv("MINDCV_KERNELS", switch)
        move = averages()
        results.append([move() for _ in range(3)][-1])
    for size, fused, plain in zip(SIZES, *results, strict=True):
        # The first three decays are 2/11, 3/12 and 4/13; the value is 1 above the average's start.
        expected = size % 97 + 1 - 2 / 11 * 3 / 12 * 4 / 13
        np.testing.assert_allclose(fused, expected, rtol=1e-6)
        np.testing.assert_allclose(plain, expected, rtol=1e-6)


def test_decay_of_a_schedule_and_half_precision_are_left_to_the_operators():
    decay = nn.ExponentialDecayLR(0.1, 0.9, 2)
    assert Momentum(parameters(), 0.1, 0.9, weight_decay=decay).fused is None
    halves = [Parameter(Tensor(np.ones(4, np.float16)), name="half")]
    assert create_optimizer(halves, opt="momentum", lr=0.1, momentum=0.9).fused is None
