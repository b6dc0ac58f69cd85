"""Which parameters are decayed, and what `create_optimizer` refuses."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from mindcv.errors import UserError
from mindcv.optim import create_optimizer


def make_parameters():
    values = {"weight": np.ones((2, 3)), "norm.gamma": np.ones(2), "bias": np.zeros(3)}
    return [Parameter(Tensor(value, ms.float32), name=name) for name, value in values.items()]


class Block(nn.Cell):
    """A layer whose names mislead: a norm without a norm's names, and weights with them."""

    def __init__(self):
        super().__init__()
        self.gamma_proj = nn.Dense(3, 3)
        self.beta_bias_embed = Parameter(Tensor(np.ones((3, 3)), ms.float32))
        self.scale_step = nn.LayerNorm([3])
        self.conv = nn.Conv2d(3, 3, 1, has_bias=True)
        self.bn = nn.BatchNorm2d(3)


class Net(nn.Cell):
    def __init__(self):
        super().__init__()
        self.first = Block()
        self.volume = nn.BatchNorm3d(3)
        self.frozen = nn.Dense(3, 3)
        for parameter in self.frozen.get_parameters():
            parameter.requires_grad = False


def decays_of(optimizer):
    return {
        parameter.name: float(decay.asnumpy())
        for parameter, decay in zip(optimizer.parameters, optimizer.weight_decay, strict=True)
    }


@pytest.mark.parametrize(
    ("name", "excluded"),
    [
        ("disable", set()),
        (
            "auto",
            {
                "first.gamma_proj.weight",
                "first.gamma_proj.bias",
                "first.beta_bias_embed",
                "first.scale_step.gamma",
                "first.scale_step.beta",
                "first.bn.gamma",
                "first.bn.beta",
                "volume.bn2d.gamma",
                "volume.bn2d.beta",
            },
        ),
        (
            "norm_and_bias",
            {
                "first.gamma_proj.bias",
                "first.scale_step.gamma",
                "first.scale_step.beta",
                "first.conv.bias",
                "first.bn.gamma",
                "first.bn.beta",
                "volume.bn2d.gamma",
                "volume.bn2d.beta",
            },
        ),
    ],
)
def test_a_filter_excludes_exactly_its_parameters_in_the_networks_order(name, excluded):
    net = Net()
    optimizer = create_optimizer(net, "momentum", lr=0.1, weight_decay=0.5, weight_decay_filter=name)
    names = [parameter.name for parameter in net.trainable_params()]
    assert decays_of(optimizer) == {key: 0.0 if key in excluded else 0.5 for key in names}
    assert [parameter.name for parameter in optimizer.parameters] == names
    assert excluded <= set(names)


def test_renamed_parameters_are_still_found_by_their_owner():
    net = Block()
    for i, parameter in enumerate(net.get_parameters()):
        parameter.name = f"p{i}"
    net.conv.weight.name = "bias.gamma.beta"
    optimizer = create_optimizer(net, lr=0.1, weight_decay=0.5, weight_decay_filter="norm_and_bias")
    decays = decays_of(optimizer)
    assert decays["bias.gamma.beta"] == 0.5
    assert decays[net.scale_step.gamma.name] == decays[net.bn.beta.name] == decays[net.conv.bias.name] == 0.0


def test_norm_and_bias_on_a_list_goes_by_shape_and_name_unless_the_groups_decide():
    parameters = make_parameters()
    parameters += [Parameter(Tensor(np.ones((1, 3)), ms.float32), name="table.bias")]
    parameters += [Parameter(Tensor(np.ones(3), ms.float32), name="bias.scale")]
    options = {"weight_decay": 0.5, "weight_decay_filter": "norm_and_bias"}
    expected = {"weight": 0.5, "norm.gamma": 0.0, "bias": 0.0, "table.bias": 0.5, "bias.scale": 0.5}
    assert decays_of(create_optimizer(parameters, **options)) == expected
    weight, gamma, bias = make_parameters()
    groups = [{"params": [weight], "weight_decay": 0.25}, {"params": [gamma, bias], "weight_decay": 0.0}]
    optimizer = create_optimizer(groups, weight_decay=0.5, weight_decay_filter="norm_and_bias")
    assert decays_of(optimizer) == {"weight": 0.25, "norm.gamma": 0.0, "bias": 0.0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"opt": "rmsprob"}, "opt 'rmsprob' is unknown; did you mean 'rmsprop'?"),
        ({"opt": "zzz"}, "opt 'zzz' is unknown: choose one of sgd, momentum, nesterov, rmsprop, "),
        (
            {"opt": "sgd", "nesterov": True, "momentum": 0.0},
            "Nesterov's method needs a momentum, and momentum=0.0",
        ),
        ({"opt": "nesterov", "momentum": 0.0}, "Nesterov's method needs a momentum, and momentum=0.0"),
        ({"opt": "sgd", "nesterov": True, "dampening": 0.1}, "Nesterov's method allows no dampening"),
        ({"opt": "adam", "beta3": 0.1}, "opt 'adam' has no option 'beta3'; did you mean 'beta"),
        ({"opt": "momentum", "momentum_decay": 0.1}, "opt 'momentum' has no option 'momentum_decay': leave"),
        ({"opt": "adam", "beta1": 1.0}, "beta1=1.0 is out of range"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0 is out of range: give 0 or more"),
        ({"momentum": 1.0}, "momentum=1.0 is out of range"),
        ({"loss_scale": 0.0}, "loss_scale=0.0 is out of range"),
        ({"eps": float("nan")}, "eps=nan is out of range"),
        ({"weight_decay_filter": "norm"}, "weight_decay_filter 'norm' is unknown"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(options, message):
    with pytest.raises(UserError) as caught:
        create_optimizer(make_parameters(), **options)
    assert str(caught.value).startswith(message) or message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_optimizer_without_nesterovs_momentum_says_so_and_is_made(caplog):
    assert type(create_optimizer(make_parameters(), "lion", nesterov=True)).__name__ == "Lion"
    assert caplog.messages == [
        "nesterov=True has no effect: 'lion' has no Nesterov momentum; choose sgd, momentum, adam or nadam"
    ]


def test_parameters_that_cannot_be_trained_are_refused():
    net = Net()
    with pytest.raises(UserError, match=r"'frozen\.weight' is frozen and cannot be trained"):
        create_optimizer(net.frozen.get_parameters())
    with pytest.raises(UserError, match="no parameter to train"):
        create_optimizer(net.frozen)
    weight, *_ = make_parameters()
    with pytest.raises(UserError, match="'weight' is duplicated"):
        create_optimizer([{"params": [weight]}, {"params": [weight]}])
    with pytest.raises(
        UserError, match="unknown key 'weight_decai' in a parameter group; did you mean 'weight_decay'"
    ):
        create_optimizer([{"params": [weight], "weight_decai": 0.1}])


@pytest.mark.parametrize(
    ("lr", "shown"),
    [(-0.1, "lr=-0.1"), (float("nan"), "lr=nan"), ([], "the list of"), ([0.1, -1.0], "the list of")],
)
def test_an_impossible_rate_is_refused(lr, shown):
    with pytest.raises(
        UserError, match=f"^{shown}.* is out of range|^{shown} learning rates is out of range"
    ):
        create_optimizer(make_parameters(), lr=lr)
