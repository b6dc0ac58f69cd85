"""Mixed precision: what each cell computes in, and that training still learns the same."""

from functools import cache

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.errors import UserError
from mindcv.models import MnasNet
from mindcv.models.mnasnet import Stage
from mindcv.step import LossScale, NetworkWithLoss, TrainStep, mixed_precision

slow = pytest.mark.slow

STAGES = (
    Stage(expand=1, channels=8, blocks=1, stride=1, kernel=3, flat=True),
    Stage(expand=2, channels=8, blocks=2, stride=2, kernel=3, se=0.25),
)


def small_mnasnet() -> MnasNet:
    ms.set_seed(3)
    return MnasNet(STAGES, 1.0, 8, num_classes=5, drop_rate=0.0, bn_momentum=0.9)


def types_of_outputs(level: str) -> dict[str, set[str]]:
    """Return the output types of each kind of cell in a forward pass."""
    network = small_mnasnet()
    mixed_precision(network, level)
    seen: dict[str, set[str]] = {}

    def note(cell, _, output) -> None:
        seen.setdefault(type(cell).__name__, set()).add(str(output.dtype))

    for _, cell in network.cells_and_names():
        if isinstance(cell, (nn.Conv2d, nn.BatchNorm2d, nn.Dense, nn.ReLU)):
            cell.register_forward_hook(note)
    images = np.random.default_rng(0).standard_normal((2, 3, 16, 16), np.float32)
    network.set_train()
    network(Tensor(images))
    assert {str(p.dtype) for p in network.get_parameters()} == {"Float32"}
    return seen


@pytest.mark.parametrize(
    ("level", "conv", "norm"),
    [
        ("O0", "Float32", "Float32"),
        ("O1", "Float16", "Float32"),
        ("auto", "Float16", "Float32"),
        ("O2", "Float16", "Float32"),
        ("O3", "Float16", "Float16"),
    ],
)
def test_each_level_has_its_own_types(level, conv, norm):
    seen = types_of_outputs(level)
    assert (seen["Conv2d"], seen["BatchNorm2d"], seen["Dense"]) == ({conv}, {norm}, {conv})


@cache
def losses(level: str, mode: int) -> list[float]:
    ms.set_context(mode=mode)
    network = small_mnasnet()
    mixed_precision(network, level)
    rng = np.random.default_rng(0)
    images, labels = rng.standard_normal((8, 3, 16, 16), np.float32), rng.integers(0, 5, 8)
    optimizer = nn.Momentum(network.trainable_params(), 0.003, 0.9)
    forward = NetworkWithLoss(network, nn.CrossEntropyLoss())
    step = TrainStep(forward, optimizer, loss_scale=LossScale(128.0, dynamic=True)).set_train()
    batch = Tensor(images), Tensor(labels.astype(np.int32))
    found = [float(step(*batch)) for _ in range(8)]
    assert int(step.loss_scale.overflows.asnumpy()) == 0
    return found


@pytest.mark.parametrize("level", [pytest.param("O1", marks=slow), "O2", pytest.param("O3", marks=slow)])
def test_half_precision_learns_as_single_precision_does(level):
    single = losses("O0", ms.PYNATIVE_MODE)
    assert single[-1] < 0.1 * single[0]
    for mode in (ms.GRAPH_MODE, ms.PYNATIVE_MODE):
        half = losses(level, mode)
        assert half != single
        assert half[:4] == pytest.approx(single[:4], rel=0.05)
        assert half[-1] == pytest.approx(single[-1], abs=0.01)


def test_a_cpu_refuses_bf16_and_an_unknown_name_is_refused_everywhere():
    with pytest.raises(UserError) as caught:
        mixed_precision(small_mnasnet(), "O2", "bf16", device="CPU")
    assert str(caught.value) == (
        "amp_dtype=bf16 does not fit a CPU, where MindSpore has no bf16 convolutions: give fp16"
    )
    mixed_precision(small_mnasnet(), "O0", "bf16", device="CPU")
    with pytest.raises(UserError, match=r"^amp_level='o2' is unknown: give one of O0, O1, O2, O3, auto$"):
        mixed_precision(small_mnasnet(), "o2")
