"""The train step and the trainer under MindCV's names, against numbers recorded with MindCV 0.3.0."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn
from mindspore.train import Model

from mindcv.utils import TrainStep, create_trainer, get_metrics, require_customized_train_step
from mindcv.utils.amp import auto_mixed_precision, cast_list_types

IMAGES = np.array([[1, 2, 3], [4, -5, 6], [0.1, 0.2, -0.3], [9, 8, 7]], np.float32)
LABELS = Tensor([0, 1, 1, 0], ms.int32)

# Arguments; losses of four batches; the first row of the weights after them.
RECORDED = {
    "plain": ({}, [1.035211, 0.435934, 0.313978, 0.274050], [0.051026, 0.541350, 0.254783]),
    "scaled": (
        {"scale_sense": Tensor(4.0, ms.float32)},
        [1.035211, 0.435934, 0.313978, 0.274050],
        [0.051026, 0.541350, 0.254783],
    ),
    "scaled in the optimizer too": (
        {"scale_sense": Tensor(4.0, ms.float32), "optimizer_scale": 4.0},
        [1.035211, 0.873932, 0.702160, 0.544757],
        [0.062832, 0.369072, 0.240236],
    ),
    "clipped": (
        {"clip_grad": True, "clip_value": 0.1},
        [1.035211, 1.051639, 1.064162, 1.072599],
        [0.095924, 0.226530, 0.291572],
    ),
    "accumulated": (
        {"gradient_accumulation_steps": 2},
        [1.035211, 1.082644, 0.406338, 0.396808],
        [0.050190, 0.483044, 0.220536],
    ),
    "accumulated with a schedule": (
        {"gradient_accumulation_steps": 3, "lr": [0.1, 0.2, 0.3, 0.4, 0.5]},
        [1.035211, 1.082644, 1.131382, 0.378577],
        [0.075839, 0.411048, 0.240983],
    ),
}


class Linear(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        weight = Tensor([[0.1, 0.2, 0.3], [-0.1, 0.4, 0.2]], ms.float32)
        self.dense = nn.Dense(3, 2, weight_init=weight, bias_init=0.0)

    def construct(self, x):
        return self.dense(x)


class Small(nn.Cell):
    """A convolution, a normalization and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.dense = nn.Dense(4, 2)

    def construct(self, x):
        return self.dense(self.norm(self.conv(x)).mean((2, 3)))


@pytest.fixture(params=["graph", "pynative"])
def mode(request):
    ms.set_context(mode=ms.GRAPH_MODE if request.param == "graph" else ms.PYNATIVE_MODE)
    yield
    ms.set_context(mode=ms.GRAPH_MODE)


def step_with(network: nn.Cell, *, lr=0.1, optimizer_scale: float = 1.0, **kwargs) -> TrainStep:
    optimizer = nn.SGD(network.trainable_params(), lr, loss_scale=optimizer_scale)
    kwargs.setdefault("scale_sense", Tensor(1.0, ms.float32))
    step = TrainStep(nn.WithLossCell(network, nn.CrossEntropyLoss()), optimizer, **kwargs)
    step.set_train()
    return step


def losses(step: TrainStep, batches: int = 4) -> list[float]:
    return [float(step(Tensor(IMAGES * np.float32(1 + 0.1 * i)), LABELS)) for i in range(batches)]


@pytest.mark.parametrize("case", RECORDED)
def test_a_step_gives_the_numbers_of_mindcv(mode, case):
    kwargs, expected, weights = RECORDED[case]
    network = Linear()
    assert losses(step_with(network, **kwargs)) == pytest.approx(expected, abs=2e-6)
    assert network.dense.weight.asnumpy()[0] == pytest.approx(weights, abs=2e-6)


def test_arguments_have_the_order_of_mindcv():
    network = Linear()
    loss = nn.WithLossCell(network, nn.CrossEntropyLoss())
    step = TrainStep(loss, nn.SGD(network.trainable_params(), 0.1), 2.0, True, 0.5, True, 3.0, 4)
    assert step.network is loss
    assert float(step.scale_sense) == 2.0
    assert (step.ema.decay, step.clip.limit, step.accumulation) == (0.5, 3.0, 4)


def test_ema_starts_at_the_weights_and_moves_by_the_fraction_of_its_warm_up(mode):
    network = Linear()
    step = step_with(network, ema=True, ema_decay=0.9)
    before = network.dense.weight.asnumpy().copy()
    losses(step, 1)
    after = network.dense.weight.asnumpy()
    fraction = 1 - 2 / 11  # decay (1 + n) / (10 + n) after the first update
    assert step.ema_weight[0].name == "ema.dense.weight"
    assert np.allclose(step.ema_weight[0].asnumpy(), before + fraction * (after - before), atol=1e-6)


def test_a_dynamic_scale_is_halved_at_an_overflow_and_the_update_is_skipped(mode):
    network = Linear()
    step = step_with(network, scale_sense=nn.DynamicLossScaleUpdateCell(2.0**10, 2, 3))
    before = network.dense.weight.asnumpy().copy()
    step(Tensor(IMAGES * np.float32(np.inf)), LABELS)
    assert np.array_equal(network.dense.weight.asnumpy(), before)
    assert float(step.scale_sense) == 2.0**9
    losses(step, 3)
    assert float(step.scale_sense) == 2.0**10


@pytest.mark.parametrize(
    ("kwargs", "error", "words"),
    [
        ({"scale_sense": "a"}, TypeError, "scale_sense has the type str"),
        ({"scale_sense": nn.DynamicLossScaleUpdateCell(8, 3, 2)}, ValueError, "scale_factor=3"),
        ({"scale_sense": Tensor([1.0, 2.0])}, ValueError, "give a scalar"),
        ({"gradient_accumulation_steps": 0}, ValueError, "must be a positive integer"),
        ({"gradient_accumulation_steps": 1.5}, ValueError, "must be a positive integer"),
        ({"ema": True, "ema_decay": 2.0}, ValueError, "ema_decay=2.0"),
        ({"clip_grad": True, "clip_value": -1.0}, ValueError, "clip_value=-1.0"),
    ],
)
def test_a_step_refuses_wrong_arguments(kwargs, error, words):
    with pytest.raises(error, match=words):
        step_with(Linear(), **kwargs)


def trainer(network: nn.Cell | None = None, **changes) -> Model:
    network = Small() if network is None else network
    kwargs = {
        "network": network,
        "loss": nn.CrossEntropyLoss(),
        "optimizer": nn.SGD(network.trainable_params(), 0.1),
        "metrics": get_metrics(2),
        "amp_level": "O0",
        "amp_cast_list": None,
        "loss_scale_type": "fixed",
    }
    return create_trainer(**{**kwargs, **changes})


# What MindCV 0.3.0 refuses with a ValueError as well.
@pytest.mark.parametrize(
    "changes",
    [
        {"amp_level": "O5"},
        {"loss_scale_type": "none"},
        {"loss_scale": 0.5},
        {"loss_scale_type": "dynamic", "loss_scale": 16.0},
        {"gradient_accumulation_steps": 0},
        {"ema": True, "loss_scale_type": "auto"},
        {"optimizer": None},
    ],
)
def test_a_trainer_refuses_what_mindcv_refuses(changes):
    with pytest.raises(ValueError, match=r"."):
        trainer(**changes)


@pytest.mark.parametrize(
    ("changes", "scale"),
    [
        ({}, 1.0),
        ({"loss_scale_type": "Fixed", "loss_scale": 128.0}, 128.0),
        ({"loss_scale": 128.0, "drop_overflow_update": True}, 128.0),
        ({"loss_scale_type": "dynamic", "loss_scale": 16.0, "drop_overflow_update": True}, 16.0),
        ({"loss_scale_type": "auto"}, 1.0),
        ({"loss_scale_type": "auto", "amp_level": "O2"}, 2.0**24),
        ({"ema": True, "loss_scale": 8.0}, 8.0),
    ],
)
def test_a_trainer_has_the_loss_scale_that_is_asked_for(changes, scale):
    model = trainer(**changes)
    assert isinstance(model, Model)
    assert float(model.train_network.scale_sense) == scale


@pytest.mark.parametrize("amp_level", ["O0", "O2"])
def test_a_trainer_trains_evaluates_and_predicts(amp_level):
    images = np.random.default_rng(0).normal(size=(8, 3, 8, 8)).astype(np.float32)
    images[::2] += 1
    labels = np.arange(8, dtype=np.int32) % 2
    data = ms.dataset.NumpySlicesDataset((images, labels), shuffle=False).batch(4)
    model = trainer(amp_level=amp_level)
    model.train(25, data, dataset_sink_mode=False)
    assert model.eval(data, dataset_sink_mode=False) == {"Top_1_Accuracy": 1.0}
    assert model.predict(Tensor(images)).asnumpy().argmax(1).tolist() == labels.tolist()


def test_metrics_are_top_1_and_top_5_from_five_classes_on():
    assert list(get_metrics(4)) == ["Top_1_Accuracy"]
    assert list(get_metrics(5)) == ["Top_1_Accuracy", "Top_5_Accuracy"]


def test_ema_clipping_accumulation_and_a_cast_list_need_a_step_of_their_own():
    assert not require_customized_train_step()
    assert not require_customized_train_step(False, False, 1, [])
    assert require_customized_train_step(True)
    assert require_customized_train_step(False, True)
    assert require_customized_train_step(False, False, 2)
    assert require_customized_train_step(False, False, 1, "[nn.Conv2d]")


HALF = {  # which of conv, norm and dense compute in float16, as in MindCV
    ("O0", None): (False, False, False),
    ("O0", "[nn.Conv2d]"): (False, False, False),
    ("O1", None): (True, False, True),
    ("O1", "[nn.Conv2d]"): (True, False, False),
    ("O1", "[nn.Dense]"): (False, False, True),
    ("O2", None): (True, False, True),
    ("O2", "[nn.Conv2d]"): (False, True, True),
    ("O2", "[nn.Conv2d, nn.Dense]"): (False, True, False),
    ("O3", None): (True, True, True),
}


@pytest.mark.parametrize(("level", "cast_list"), HALF)
def test_levels_choose_the_cells_that_mindcv_chooses(level, cast_list):
    network = Small()
    assert auto_mixed_precision(network, level, cast_list) is None
    cells = (network.conv, network.norm, network.dense)
    assert tuple(bool(getattr(cell, "fp16", False)) for cell in cells) == HALF[level, cast_list]
    output = network(Tensor(np.ones((2, 3, 8, 8), np.float32)))
    assert np.isfinite(output.astype(ms.float32).asnumpy()).all()


@pytest.mark.parametrize("level", ["O4", "auto", "o2"])
def test_an_unknown_level_is_a_value_error(level):
    with pytest.raises(ValueError, match="amp_level"):
        auto_mixed_precision(Small(), level)


def test_a_cast_list_is_read_and_never_evaluated():
    assert cast_list_types("[nn.Conv2d, nn.Dense]") == (nn.Conv2d, nn.Dense)
    assert cast_list_types([nn.Conv2d]) == (nn.Conv2d,)
    with pytest.raises(ValueError, match=r"amp_cast_list: unknown cell '__import__'"):
        cast_list_types("[__import__('os').getcwd()]")


@pytest.mark.parametrize(("of_optimizer", "of_trainer"), [(1.0, 1.0), (128.0, 128.0), (1.0, 128.0)])
def test_a_fixed_loss_scale_is_removed_once(of_optimizer, of_trainer):
    columns = (IMAGES, LABELS.asnumpy())
    data = [ms.dataset.NumpySlicesDataset(columns, shuffle=False).batch(2) for _ in range(2)]
    plain, scaled = Linear(), Linear()
    loss = nn.CrossEntropyLoss()
    Model(plain, loss, nn.SGD(plain.trainable_params(), 0.1)).train(2, data[0], dataset_sink_mode=False)
    optimizer = nn.SGD(scaled.trainable_params(), 0.1, loss_scale=of_optimizer)
    model = trainer(scaled, optimizer=optimizer, loss_scale=of_trainer)
    model.train(2, data[1], dataset_sink_mode=False)
    np.testing.assert_allclose(scaled.dense.weight.asnumpy(), plain.dense.weight.asnumpy(), rtol=1e-5)
