"""MnasNet against numbers and rules from elsewhere: counts, names, padding, initialisation, regularisers."""

import math
from functools import lru_cache

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.errors import UserError
from mindcv.models import MnasNet, create_model, mnasnet_small
from mindcv.models.layers import Block, SqueezeExcite, make_divisible
from mindcv.models.mnasnet import A1, B1, SMALL, Stage

TINY = (
    Stage(expand=1, channels=8, blocks=1, stride=1, kernel=3, flat=True),
    Stage(expand=2, channels=8, blocks=2, stride=2, kernel=5, se=0.25),
)

# Name, trainable parameters, with batch normalisation's statistics, million MACs at 224 px.
COUNTS = [
    ("mnasnet_050", 2_218_512, 2_239_136, "104.46"),
    ("mnasnet_075", 3_170_208, 3_200_016, "215.49"),
    ("mnasnet_100", 4_383_312, 4_421_232, "314.42"),
    ("mnasnet_130", 6_282_256, 6_331_072, "526.36"),
    ("mnasnet_140", 7_115_728, 7_168_176, "588.80"),
    ("semnasnet_100", 3_887_038, None, "311.6"),
    ("mnasnet_small", 2_030_264, None, "68.3"),
]


@lru_cache
def built(name: str) -> nn.Cell:
    """A network that no test runs or changes."""
    return create_model(name)


def tiny(**kwargs) -> MnasNet:
    return MnasNet(TINY, 1.0, 8, **{"num_classes": 5, **kwargs})


def images(*shape: int) -> Tensor:
    return Tensor(np.random.default_rng(0).standard_normal(shape, np.float32))


def multiplications(network: nn.Cell, size: int) -> int:
    """Those of convolutions and dense layers for one square image, from the shapes of their weights."""
    total = 0
    for name, cell in network.cells_and_names():
        if isinstance(cell, nn.Conv2d):
            gate = name.endswith((".reduce", ".expand"))
            size = size if gate else math.ceil(size / cell.stride[0])
            total += cell.weight.size * (1 if gate else size * size)
        elif isinstance(cell, nn.Dense):
            total += cell.weight.size
    return total


@pytest.mark.parametrize(("name", "trainable", "with_statistics", "millions"), COUNTS)
def test_parameters_and_macs_are_as_published(name, trainable, with_statistics, millions):
    network = built(name)
    assert sum(p.size for p in network.trainable_params()) == trainable
    if with_statistics is not None:
        assert sum(p.size for p in network.get_parameters()) == with_statistics
    decimals = len(millions.split(".")[1])
    assert f"{multiplications(network, 224) / 1e6:.{decimals}f}" == millions


def norm(prefix: str) -> list[str]:
    return [f"{prefix}.{part}" for part in ("moving_mean", "moving_variance", "gamma", "beta")]


@pytest.mark.parametrize("name", ["mnasnet_050", "mnasnet_075", "mnasnet_100", "mnasnet_130", "mnasnet_140"])
def test_parameters_of_b1_are_named_and_ordered_as_in_mindcv(name):
    expected = []
    for conv in (0, 3, 6):
        expected += [f"features.{conv}.weight", *norm(f"features.{conv + 1}")]
    for block in range(3 + 3 + 3 + 2 + 4 + 1):
        for conv in (0, 3, 6):
            layers = f"features.{8 + block}.layers"
            expected += [f"{layers}.{conv}.weight", *norm(f"{layers}.{conv + 1}")]
    expected += ["features.24.weight", *norm("features.25"), "classifier.weight", "classifier.bias"]
    assert [p.name for p in built(name).get_parameters()] == expected


def test_squeeze_excite_leaves_the_numbers_of_the_other_layers_alone():
    names = [p.name for p in built("semnasnet_100").get_parameters() if ".10.layers." in p.name]
    gate = [
        f"features.10.layers.5.1.{p}"
        for p in ("reduce.weight", "reduce.bias", "expand.weight", "expand.bias")
    ]
    convs = [f"features.10.layers.{i}.weight" for i in (0, 3, 6)]
    assert [name for name in names if "5.1" in name] == gate
    assert [name for name in names if name.endswith("weight") and name not in gate] == convs


@pytest.mark.parametrize(("in_channels", "num_classes", "size"), [(1, 7, 32), (3, 10, 33), (4, 1, 45)])
def test_output_follows_channels_classes_and_image_size(in_channels, num_classes, size):
    network = mnasnet_small(in_channels=in_channels, num_classes=num_classes).set_train(False)
    features = network.forward_features(images(2, in_channels, size, size + 20))
    assert features.shape == (2, 1280, math.ceil(size / 32), math.ceil((size + 20) / 32))
    assert network.forward_head(features).shape == (2, num_classes)
    assert network(images(2, in_channels, size, size)).shape == (2, num_classes)


def test_head_is_the_mean_over_positions_and_a_dense_layer():
    network = tiny().set_train(False)
    features = images(2, 1280, 3, 4)
    weight, bias = network.classifier.weight.asnumpy(), network.classifier.bias.asnumpy()
    expected = features.asnumpy().mean((2, 3)) @ weight.T + bias
    np.testing.assert_allclose(network.forward_head(features).asnumpy(), expected, atol=1e-5)


def test_padding_reaches_every_convolution_and_changes_even_sizes_only():
    symmetric, same = tiny().set_train(False), tiny(padding="same").set_train(False)
    for ours, theirs in zip(same.get_parameters(), symmetric.get_parameters(), strict=True):
        ours.set_data(theirs)
    convs = [
        c for _, c in same.features.cells_and_names() if isinstance(c, nn.Conv2d) and c.kernel_size > (1, 1)
    ]
    assert {c.pad_mode for c in convs} == {"same"}
    odd, even = images(1, 3, 17, 17), images(1, 3, 16, 16)
    np.testing.assert_allclose(same(odd).asnumpy(), symmetric(odd).asnumpy(), atol=1e-6)
    assert np.abs(same(even).asnumpy() - symmetric(even).asnumpy()).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "stages", "width", "stem"),
    [("semnasnet_100", A1, 1.0, 32), ("semnasnet_075", A1, 0.75, 32), ("mnasnet_small", SMALL, 1.0, 8)],
)
def test_squeeze_excite_is_a_quarter_of_what_enters_the_block(name, stages, width, stem):
    channels, expected = make_divisible(stem * width), []
    for stage in stages:
        for _ in range(stage.blocks):
            if stage.se:
                expected.append((channels * stage.expand, channels // 4))
            channels = make_divisible(stage.channels * width)
    gates = [c for _, c in built(name).cells_and_names() if isinstance(c, SqueezeExcite)]
    assert [(g.reduce.in_channels, g.reduce.out_channels) for g in gates] == expected
    assert len(expected) == {"semnasnet": 8, "mnasnet": 10}[name.split("_")[0]]


def test_only_blocks_that_keep_their_shape_have_a_skip():
    skips = [cell.skip for _, cell in built("mnasnet_100").cells_and_names() if isinstance(cell, Block)]
    stages = ([False, True, True],) * 3 + ([False, True], [False, True, True, True], [False])
    assert skips == [skip for stage in stages for skip in stage]


def test_drop_path_rates_grow_linearly_over_the_seventeen_blocks():
    network = create_model("mnasnet_050", drop_path_rate=0.17)
    rates = [cell.drop_path.rate for _, cell in network.cells_and_names() if isinstance(cell, Block)]
    np.testing.assert_allclose(rates, [0.01 * i for i in range(1, 17)], atol=1e-12)  # block 0 is flat


def test_regularisers_act_in_training_only():
    ms.set_seed(0)
    x = images(8, 3, 16, 16)
    network = tiny(drop_rate=0.5, drop_path_rate=0.9)
    network.set_train(False)
    np.testing.assert_array_equal(network(x).asnumpy(), network(x).asnumpy())
    for off, differs in (({"drop_path_rate": 0.0}, True), ({"drop_rate": 0.0}, True)):
        network = tiny(**{"drop_rate": 0.5, "drop_path_rate": 0.9, **off}).set_train()
        assert (network(x).asnumpy() != network(x).asnumpy()).any() == differs
    network = tiny(drop_rate=0.0).set_train()
    np.testing.assert_array_equal(network(x).asnumpy(), network(x).asnumpy())


@pytest.mark.parametrize(
    ("name", "rate"),
    [("mnasnet_050", 0.2), ("mnasnet_140", 0.2), ("semnasnet_100", 0.2), ("mnasnet_small", 0.0)],
)
def test_dropout_is_that_of_the_original_by_default(name, rate):
    assert built(name).dropout.rate == rate


def test_normalisation_has_the_constants_of_the_original_and_takes_others():
    def constants(network):
        norms = [c for _, c in network.cells_and_names() if isinstance(c, nn.BatchNorm2d)]
        return {(c.eps, round(1 - c.momentum, 9)) for c in norms}  # the layer keeps the new one's weight

    assert constants(built("mnasnet_050")) == {(1e-3, 0.99)}
    assert constants(tiny(bn_eps=1e-5, bn_momentum=0.9)) == {(1e-5, 0.9)}


def test_momentum_weighs_the_old_statistic():
    network = tiny(bn_momentum=0.75).set_train()
    x = images(4, 3, 16, 16)
    stem = network.features[0](x).asnumpy()
    network(x)
    mean = network.features[1].moving_mean.asnumpy()
    np.testing.assert_allclose(mean, 0.75 * 0 + 0.25 * stem.mean((0, 2, 3)), atol=1e-5)


@pytest.fixture(scope="module")
def seeded():
    ms.set_seed(1)
    return create_model("mnasnet_100", num_classes=400)


@pytest.mark.parametrize(
    ("kernel", "depthwise", "expected"),
    [(3, True, math.sqrt(2 / 9)), (5, True, math.sqrt(2 / 25)), (3, False, math.sqrt(2 / (9 * 32)))],
)
def test_kernels_start_with_the_deviation_of_the_original(seeded, kernel, depthwise, expected):
    weights = [
        cell.weight.asnumpy().ravel()
        for _, cell in seeded.cells_and_names()
        if isinstance(cell, nn.Conv2d) and cell.kernel_size[0] == kernel and (cell.group > 1) == depthwise
    ]
    weights = np.concatenate(weights)
    assert abs(weights.std() / expected - 1) < 4 / math.sqrt(2 * weights.size)
    assert abs(weights.mean() / expected) < 4 / math.sqrt(weights.size)


def test_pointwise_kernels_start_normal_with_deviation_by_fan_out(seeded):
    convs = [c for _, c in seeded.cells_and_names() if isinstance(c, nn.Conv2d) and c.kernel_size == (1, 1)]
    scaled = np.concatenate([c.weight.asnumpy().ravel() * math.sqrt(c.out_channels / 2) for c in convs])
    assert abs(scaled.std() - 1) < 4 / math.sqrt(2 * scaled.size)
    assert abs((np.abs(scaled) > 2).mean() - math.erfc(math.sqrt(2))) < 1e-3  # not truncated
    assert len({c.weight.asnumpy().ravel()[:4].tobytes() for c in convs}) == len(convs)


def test_classifier_starts_uniform_within_the_root_of_the_classes(seeded):
    weight, bound = seeded.classifier.weight.asnumpy(), 1 / math.sqrt(400)
    assert 0.999 * bound < np.abs(weight).max() <= bound
    assert abs(weight.std() / (bound / math.sqrt(3)) - 1) < 0.01
    assert not seeded.classifier.bias.asnumpy().any()


def test_biases_start_at_zero_and_normalisations_as_identity():
    start = {"bias": 0, "beta": 0, "gamma": 1, "moving_mean": 0, "moving_variance": 1}
    for parameter in built("semnasnet_100").get_parameters():
        kind = parameter.name.split(".")[-1]
        if kind != "weight":
            assert (parameter.asnumpy() == start[kind]).all(), parameter.name


def test_builds_with_one_seed_are_equal_and_with_another_differ():
    def weights(seed):
        ms.set_seed(seed)
        return [p.asnumpy().copy() for p in tiny().get_parameters()]

    first, again, other = weights(5), weights(5), weights(6)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_graph_and_pynative_give_the_same_logits():
    network = tiny(drop_path_rate=0.5).set_train(False)
    x = images(2, 3, 16, 16)
    eager = network(x).asnumpy()
    ms.set_context(mode=ms.GRAPH_MODE)
    np.testing.assert_allclose(network(x).asnumpy(), eager, atol=1e-6)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"num_classes": 0}, "num_classes=0 must be a positive integer"),
        ({"num_classes": 2.0}, "num_classes=2.0 must be a positive integer"),
        ({"in_channels": -3}, "in_channels=-3 must be a positive integer"),
        ({"drop_rate": 1.0}, "drop_rate=1.0 is out of range: give a number in [0, 1)"),
        (
            {"drop_path_rate": -0.1},
            "drop_path_rate=-0.1 is out of range: give a number in [0, 1)",
        ),
        ({"bn_momentum": 1.5}, "bn_momentum=1.5 is out of range: give a number in [0, 1)"),
        ({"bn_eps": 0}, "bn_eps=0 is out of range: give a number above 0"),
        ({"padding": "symetric"}, "padding='symetric' is unknown; did you mean 'symmetric'?"),
        ({"padding": "valid"}, "padding='valid' is unknown: give one of symmetric, same"),
    ],
)
def test_arguments_out_of_range_are_refused_with_a_remedy(argument, message):
    with pytest.raises(UserError) as error:
        tiny(**argument)
    assert str(error.value) == message


def test_width_must_be_positive():
    with pytest.raises(UserError, match="width=0 is out of range"):
        MnasNet(B1, 0, 32)


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "PyNative"])
@pytest.mark.parametrize("shape", [(2, 1, 32, 32), (1, 32, 32, 3), (3, 32, 32)], ids=str)
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_images_of_another_shape_are_refused_instead_of_read_past_their_end(mode, shape, training):
    ms.set_context(mode=mode)
    network = create_model("mnasnet_small", 3).set_train(training)
    with pytest.raises(ValueError, match=r"images of shape .* are not of shape \(N, 3, H, W\)"):
        network(Tensor(np.zeros(shape, np.float32))).asnumpy()
