"""Models by name: registration, listing, creation."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from mindcv.errors import UserError
from mindcv.models import (
    MnasNet,
    create_model,
    find_model,
    list_models,
    mnasnet_small,
    register_model,
    registry,
)

B1 = ["mnasnet_050", "mnasnet_075", "mnasnet_100", "mnasnet_130", "mnasnet_140"]
V2 = ["mobilenet_v2_075", "mobilenet_v2_100", "mobilenet_v2_140"]
V3 = ["mobilenet_v3_large_100", "mobilenet_v3_small_100"]
MNASNET = [*B1, "mnasnet_small", "semnasnet_075", "semnasnet_100"]
ALL = sorted([*MNASNET, "mobilenet_v2_050", *V2, *V3])


@pytest.fixture(autouse=True)
def _registry_of_its_own(monkeypatch):
    monkeypatch.setattr(registry, "_models", dict(registry._models))
    monkeypatch.setattr(registry, "_aliases", dict(registry._aliases))


class Linear(nn.Cell):
    def __init__(self, *, num_classes: int, in_channels: int, drop_rate: float = 0.25):
        super().__init__()
        self.dense = nn.Dense(in_channels, num_classes)
        self.drop_rate = drop_rate


def test_all_models_are_listed_in_order_and_without_aliases():
    assert list_models() == ALL


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ("mnasnet_1*", ["mnasnet_100", "mnasnet_130", "mnasnet_140"]),
        ("*small", ["mnasnet_small"]),
        (["semnasnet*", "mnasnet_0?0"], ["mnasnet_050", "semnasnet_075", "semnasnet_100"]),
        ("mnasnet_100", ["mnasnet_100"]),
        ("resnet*", []),
        ([], ALL),
    ],
)
def test_filter_takes_one_or_several_wildcards(patterns, expected):
    assert list_models(patterns) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("mnasnet1_0", ["mnasnet1_0"]), ("mnasnet1_*", ["mnasnet1_0", "mnasnet1_3", "mnasnet1_4"])],
)
def test_aliases_are_listed_where_the_filter_names_them(pattern, expected):
    assert list_models(pattern) == expected


def test_exclude_filters_leave_names_out():
    assert list_models("*nasnet_*", exclude_filters="sem*") == [*B1, "mnasnet_small"]
    assert list_models(exclude_filters=["*_1*", "*small", "mobile*"]) == [
        "mnasnet_050",
        "mnasnet_075",
        "semnasnet_075",
    ]


def test_pretrained_lists_models_with_published_weights():
    assert list_models(pretrained=True) == [*B1, *V2, *V3]
    assert list_models("mnasnet1_4", pretrained=True) == ["mnasnet1_4"]
    assert list_models("sem*", pretrained=True) == []


def test_published_weights_are_those_of_mindcv():
    folder = "https://download.mindspore.cn/toolkits/mindcv/mnasnet/"
    files = ["050-7d8bf4db", "075-465d366d", "100-1bcf43f8", "130-a43a150a", "140-7e20bb30"]
    assert [find_model(name).url for name in B1] == [f"{folder}mnasnet_{file}.ckpt" for file in files]
    folder = "https://download.mindspore.cn/toolkits/mindcv/mobilenet/mobilenetv"
    files = ["2/mobilenet_v2_075-bd7bd4c4", "2/mobilenet_v2_100-d5532038", "2/mobilenet_v2_140-98776171"]
    files += ["3/mobilenet_v3_large_100-1279ad5f", "3/mobilenet_v3_small_100-509c6047"]
    assert [find_model(name).url for name in [*V2, *V3]] == [f"{folder}{file}.ckpt" for file in files]


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("mnasnet0_50", "mnasnet_050"),
        ("mnasnet0_75", "mnasnet_075"),
        ("mnasnet1_0", "mnasnet_100"),
        ("mnasnet1_3", "mnasnet_130"),
        ("mnasnet1_4", "mnasnet_140"),
        ("mobilenetv2_050", "mobilenet_v2_050"),
        ("mobilenetv2_100", "mobilenet_v2_100"),
        ("mobilenet_v2_100_224", "mobilenet_v2_100"),
        ("mobilenetv3_large_100", "mobilenet_v3_large_100"),
        ("mobilenetv3_small_100", "mobilenet_v3_small_100"),
    ],
)
def test_alias_is_the_same_model(alias, name):
    assert find_model(alias) is find_model(name)


def test_function_is_registered_under_its_name_and_aliases():
    @register_model(aliases=["lin"], options_of=Linear)
    def linear_10(**kwargs) -> Linear:
        return Linear(**kwargs)

    assert list_models("lin*") == ["linear_10"]
    assert find_model("lin").build is linear_10
    assert create_model("lin", num_classes=4, in_channels=6).dense.weight.shape == (4, 6)


def test_bare_decorator_takes_options_from_the_function():
    @register_model
    def linear_11(num_classes: int, in_channels: int, drop_rate: float = 0.5) -> Linear:
        return Linear(num_classes=num_classes, in_channels=in_channels, drop_rate=drop_rate)

    assert find_model("linear_11").options == ("num_classes", "in_channels", "drop_rate")
    assert create_model("linear_11").drop_rate == 0.5
    with pytest.raises(UserError, match="unknown option 'drop'"):
        create_model("linear_11", drop=0.1)


@pytest.mark.parametrize(
    ("name", "aliases", "taken"),
    [
        ("mnasnet_100", [], "mnasnet_100"),
        ("mnasnet1_0", [], "mnasnet1_0"),
        ("fresh", ["mnasnet_100"], "mnasnet_100"),
        ("fresh", ["mnasnet1_0"], "mnasnet1_0"),
        ("fresh", ["twice", "twice"], "twice"),
        ("fresh", ["fresh"], "fresh"),
    ],
)
def test_taken_names_are_refused_and_nothing_is_registered(name, aliases, taken):
    def build(**kwargs) -> Linear:
        return Linear(**kwargs)

    build.__name__ = name
    with pytest.raises(UserError, match=f"^a model '{taken}' is registered already: choose another name$"):
        register_model(aliases=aliases)(build)
    assert list_models() == ALL
    assert list_models("twice") == []


def test_unknown_model_names_the_nearest():
    with pytest.raises(UserError, match=r"^unknown model 'mnasnet_75'; did you mean 'mnasnet_075'\? \("):
        create_model("mnasnet_75")
    with pytest.raises(UserError, match=r"^unknown model 'qq'; python -m mindcv summary --list lists all"):
        create_model("qq")


def test_unknown_option_names_the_nearest():
    with pytest.raises(UserError) as error:
        create_model("mnasnet1_0", drop_rte=0.1)
    assert str(error.value) == "model 'mnasnet_100': unknown option 'drop_rte'; did you mean 'drop_rate'?"
    with pytest.raises(UserError) as error:
        create_model("mnasnet1_0", width=2.0)
    options = "in_channels, num_classes, drop_rate, drop_path_rate, bn_eps, bn_momentum, padding, sync_bn"
    assert str(error.value) == f"model 'mnasnet_100': unknown option 'width'; its options are {options}"


def test_unknown_option_is_refused_even_without_a_value():
    with pytest.raises(UserError, match="unknown option 'drop_rte'"):
        create_model("mnasnet_100", drop_rte=None)


def test_none_means_the_default_of_the_model():
    assert create_model("mnasnet_small", drop_rate=None, drop_path_rate=None).dropout.rate == 0.0
    assert create_model("mnasnet_050", drop_rate=None).dropout.rate == 0.2
    assert create_model("mnasnet_small", drop_rate=0.3).dropout.rate == 0.3


def test_options_reach_the_network():
    network = create_model("mnasnet_small", 7, in_channels=1, padding="same")
    assert isinstance(network, MnasNet)
    assert network.classifier.weight.shape == (7, 1280)
    assert network.features[0].weight.shape == (8, 1, 3, 3)
    assert network.features[0].pad_mode == "same"


def test_checkpoint_path_loads_its_weights(tmp_path):
    source = mnasnet_small(num_classes=3)
    ms.save_checkpoint(source, str(tmp_path / "weights.ckpt"))
    loaded = create_model("mnasnet_small", num_classes=3, checkpoint_path=str(tmp_path / "weights.ckpt"))
    for ours, theirs in zip(loaded.get_parameters(), source.get_parameters(), strict=True):
        np.testing.assert_array_equal(ours.asnumpy(), theirs.asnumpy())
