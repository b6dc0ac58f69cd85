"""Layer-wise learning rates: every optimizer moves a part that lies deeper in the network by less."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from mindcv.errors import UserError
from mindcv.models import MnasNet, create_model
from mindcv.models.mnasnet import Stage
from mindcv.optim import OPTIMIZERS, create_optimizer
from mindcv.structure import Parts

MODES = {"graph": ms.GRAPH_MODE, "pynative": ms.PYNATIVE_MODE}
STAGES = (
    Stage(expand=1, channels=8, blocks=1, stride=1, kernel=3, flat=True),
    Stage(expand=2, channels=8, blocks=2, stride=2, kernel=3),
)


@pytest.fixture(autouse=True)
def mode(request):
    ms.set_context(mode=getattr(request, "param", ms.PYNATIVE_MODE))
    yield
    ms.set_context(mode=ms.PYNATIVE_MODE)


both_modes = pytest.mark.parametrize("mode", MODES.values(), ids=MODES, indirect=True)


class Layer(nn.Cell):
    def __init__(self, weight, bias):
        super().__init__()
        self.weight = Parameter(Tensor(weight, ms.float32))
        self.bias = Parameter(Tensor(bias, ms.float32))


class Net(nn.Cell):
    """Three parts that start alike, registered in another order than that of their depth."""

    def __init__(self, weight=(0.0, 0.0), bias=(0.0,)):
        super().__init__()
        self.classifier = Layer(weight, bias)
        self.stem = Layer(weight, bias)
        self.middle = Layer(weight, bias)

    def parts(self):
        return Parts(stem=[self.stem], stages=[], head=[self.middle], classifier=[self.classifier])


def values(layer: Layer) -> np.ndarray:
    return np.concatenate([layer.weight.asnumpy(), layer.bias.asnumpy()])


def alike(optimizer, weight, bias):
    """Gradients that are the same in every part."""
    return tuple(
        Tensor(weight if p.name.endswith("weight") else bias, ms.float32) for p in optimizer.parameters
    )


def depths(network: nn.Cell) -> dict[str, int]:
    return {
        parameter.name: depth
        for depth, part in enumerate(network.parts().in_order())
        for cell in part
        for parameter in cell.get_parameters()
    }


def test_the_parts_of_mnasnet_are_stem_stages_head_and_classifier():
    network = create_model("mnasnet_075", num_classes=3)
    starts = {  # the first cell of each part among the features, as FACTS has them
        **dict.fromkeys(range(2), 0),
        **dict.fromkeys(range(3, 8), 1),
        **dict.fromkeys(range(8, 11), 2),
        **dict.fromkeys(range(11, 14), 3),
        **dict.fromkeys(range(14, 17), 4),
        **dict.fromkeys(range(17, 19), 5),
        **dict.fromkeys(range(19, 23), 6),
        23: 7,
        24: 8,
        25: 8,
    }
    expected = {
        name: starts[int(name.split(".")[1])] if name.startswith("features") else 9
        for name in network.parameters_dict()
    }
    assert depths(network) == expected


@pytest.mark.parametrize("name", ["semnasnet_100", "mnasnet_small"])
def test_every_parameter_of_every_table_is_in_one_part(name):
    network = create_model(name, num_classes=3)
    assert list(depths(network)) == list(network.parameters_dict())
    assert set(depths(network).values()) == set(range(10))


@both_modes
@pytest.mark.parametrize("opt", OPTIMIZERS)
def test_a_step_of_every_optimizer_shrinks_by_the_factor_at_each_depth(opt):
    net = Net()
    # A power of two scales every rounding with it, so that the moves from zero compare exactly.
    optimizer = create_optimizer(net, opt, lr=0.1, layer_decay=0.5)
    optimizer(alike(optimizer, [0.3, -0.2], [0.7]))
    full = values(net.classifier)
    assert (np.abs(full) > 1e-3).all()
    np.testing.assert_array_equal(values(net.middle), full / 2)
    np.testing.assert_array_equal(values(net.stem), full / 4)


@both_modes
@pytest.mark.parametrize("opt", ["rmsprop", "adamw"])
def test_a_table_of_rates_and_a_filter_of_weight_decay_keep_their_meaning(opt):
    """Three steps in parts of depth d are those of an optimizer whose whole table is scaled."""
    start, table = ((0.5, -0.4), (0.2,)), [0.1, 0.05, 0.02]
    options = {"weight_decay": 0.1, "weight_decay_filter": "norm_and_bias"}
    net = Net(*start)
    optimizer = create_optimizer(net, opt, lr=table, layer_decay=0.75, **options)
    for i in range(3):
        optimizer(alike(optimizer, [0.3, -0.2 * i], [0.7]))
    for layer, factor in ((net.stem, 0.75**2), (net.middle, 0.75), (net.classifier, 1.0)):
        lone = Layer(*start)
        reference = create_optimizer(lone, opt, lr=[rate * factor for rate in table], **options)
        for i in range(3):
            reference(alike(reference, [0.3, -0.2 * i], [0.7]))
        np.testing.assert_array_equal(values(layer), values(lone))


@both_modes
def test_gradient_descent_follows_its_closed_form_in_mnasnet():
    network = MnasNet(STAGES, 1.0, 8, num_classes=2)
    before = {p.name: p.asnumpy().copy() for p in network.trainable_params()}
    optimizer = create_optimizer(network, "sgd", lr=[0.1, 0.2], momentum=0.0, layer_decay=0.75)
    gradients = tuple(Tensor(np.ones(p.shape), ms.float32) for p in optimizer.parameters)
    for _ in range(2):
        optimizer(gradients)
    depth = depths(network)
    assert set(depth.values()) == {0, 1, 2, 3, 4}
    for parameter in network.trainable_params():
        expected = before[parameter.name] - 0.3 * 0.75 ** (4 - depth[parameter.name])
        np.testing.assert_allclose(parameter.asnumpy(), expected, atol=1e-6)


def test_the_parameters_keep_the_order_of_the_network():
    network = MnasNet(STAGES, 1.0, 8, num_classes=2)
    optimizer = create_optimizer(network, layer_decay=0.5, weight_decay_filter="norm_and_bias")
    assert [p.name for p in optimizer.parameters] == [p.name for p in network.trainable_params()]


def test_a_frozen_part_keeps_its_place_in_the_depths():
    net = Net()
    for parameter in net.middle.get_parameters():
        parameter.requires_grad = False
    optimizer = create_optimizer(net, "sgd", lr=0.1, momentum=0.0, layer_decay=0.5)
    optimizer(alike(optimizer, [1.0, 1.0], [1.0]))
    np.testing.assert_allclose(values(net.stem), -0.025)
    np.testing.assert_allclose(values(net.middle), 0.0)


@both_modes
def test_a_schedule_of_mindspore_is_scaled_too():
    net = Net()
    schedule = nn.ExponentialDecayLR(0.1, 0.5, 1)
    optimizer = create_optimizer(net, "sgd", lr=schedule, momentum=0.0, layer_decay=0.5)
    for _ in range(2):
        optimizer(alike(optimizer, [1.0, 1.0], [1.0]))
    np.testing.assert_allclose(values(net.classifier), -0.15, rtol=1e-6)
    np.testing.assert_allclose(values(net.stem), -0.15 / 4, rtol=1e-6)


class Partial(Net):
    def parts(self):
        return Parts(stem=[self.stem], stages=[], classifier=[self.classifier])


@pytest.mark.parametrize(
    ("given", "layer_decay", "message"),
    [
        (Net(), 0.0, "layer_decay=0.0 is out of range: give a factor above 0 and up to 1"),
        (Net(), 1.5, "layer_decay=1.5 is out of range: give a factor above 0 and up to 1"),
        (
            nn.Dense(2, 2),
            0.5,
            "layer_decay=0.5: Dense does not describe its parts: give it a method parts() that returns "
            "mindcv.structure.Parts, or leave layer_decay out",
        ),
        (
            Net().trainable_params(),
            0.5,
            "layer_decay=0.5 needs the layers, which a list of parameters lacks: "
            "pass the model, or give each group its lr",
        ),
        (
            Partial(),
            0.5,
            "layer_decay=0.5: parameter 'middle.weight' is in no part of the model: "
            "add its cell to one, or leave layer_decay out",
        ),
    ],
)
def test_a_mistake_is_named_with_its_remedy(given, layer_decay, message):
    with pytest.raises(UserError) as caught:
        create_optimizer(given, layer_decay=layer_decay)
    assert str(caught.value) == message
