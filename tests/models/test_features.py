"""The pyramid of feature maps against timm's, and a classifier that is exchanged."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.errors import UserError
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.models import FeaturePyramid, MnasNet, create_model, feature_pyramid, freeze
from mindcv.models.mnasnet import Stage
from tests.support.networks import values_of
from tests.support.peers import timm, torch

TINY = (  # compiles in little time
    Stage(expand=1, channels=8, blocks=1, stride=1, kernel=3, flat=True),
    Stage(expand=2, channels=16, blocks=2, stride=2, kernel=5, se=0.25),
    Stage(expand=2, channels=24, blocks=1, stride=2, kernel=3),
)
PARTS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def tiny(**kwargs) -> MnasNet:
    return MnasNet(TINY, 1.0, 8, **{"num_classes": 7, **kwargs})


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def with_random_statistics(network: nn.Cell) -> nn.Cell:
    rng = np.random.default_rng(2)
    for parameter in network.get_parameters():
        if parameter.name.endswith(tuple(PARTS)):
            # Variances above the data's: the maps then stay near 1, where a difference says something.
            low = 2.0 if parameter.name.endswith("variance") else 0.5
            parameter.set_data(Tensor(rng.uniform(low, low + 1, parameter.shape).astype(np.float32)))
    return network.set_train(False)


def give_to(theirs, ours: nn.Cell) -> None:
    """Our weights in a network of timm, layer after layer: the tables have the same order.

    timm keeps the stages behind the last map that is wanted.
    """
    modules = [m for m in theirs.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.BatchNorm2d))]
    cells = [c for _, c in ours.cells_and_names() if isinstance(c, (nn.Conv2d, nn.BatchNorm2d))]
    with torch.no_grad():
        for module, cell in zip(modules, cells, strict=False):
            for parameter in cell.get_parameters():
                part = parameter.name.rpartition(".")[2]
                getattr(module, PARTS.get(part, part)).copy_(torch.from_numpy(parameter.asnumpy()))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mnasnet_050", {}),
        ("mnasnet_100", {}),
        ("mnasnet_140", {"out_indices": (2, 3, 4)}),
        ("semnasnet_100", {"out_indices": (0, 3)}),
        ("mnasnet_small", {"out_indices": (1,)}),
    ],
)
def test_maps_channels_and_strides_are_those_of_timm(name, options):
    ours = with_random_statistics(create_model(name, features_only=True, bn_eps=1e-5, **options))
    theirs = timm.create_model(name, features_only=True, **options).eval()
    assert ours.feature_channels == theirs.feature_info.channels()
    assert ours.feature_strides == theirs.feature_info.reduction()
    give_to(theirs, ours)
    x = images(2, 3, 64, 96)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x))
    found = ours(Tensor(x))
    assert isinstance(found, tuple)
    for mine, map_, stride, channels in zip(
        found, expected, ours.feature_strides, ours.feature_channels, strict=True
    ):
        assert mine.shape == (2, channels, 64 // stride, 96 // stride)
        assert 0.1 < map_.abs().max() < 30
        np.testing.assert_allclose(mine.asnumpy(), map_.numpy(), rtol=0, atol=1e-4)


def test_a_pyramid_of_all_maps_is_the_default():
    pyramid = create_model("mnasnet_100", features_only=True)
    assert isinstance(pyramid, FeaturePyramid)
    assert pyramid.feature_channels == [16, 24, 40, 96, 320]
    assert pyramid.feature_strides == [2, 4, 8, 16, 32]


def test_graph_mode_makes_the_same_maps():
    pyramid = with_random_statistics(feature_pyramid(tiny(), (0, 2)))
    x = Tensor(images(1, 3, 33, 47))
    expected = [m.asnumpy() for m in pyramid(x)]
    ms.set_context(mode=ms.GRAPH_MODE)
    found = pyramid(x)
    assert [m.shape for m in found] == [(1, 8, 17, 24), (1, 24, 5, 6)]
    for mine, reference in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine.asnumpy(), reference, atol=1e-5)


def test_a_pyramid_has_the_names_and_the_weights_of_its_network_and_no_more(tmp_path):
    source = with_random_statistics(create_model("mnasnet_small", 9))
    path = tmp_path / "source.ckpt"
    write_checkpoint(path, source.parameters_dict(), {})
    options = {"features_only": True, "checkpoint_path": str(path)}
    network = values_of(source)
    for indices, cells in (((4,), 3 + 15), ((1, 3), 3 + 11), ((0,), 3 + 1)):
        found = values_of(create_model("mnasnet_small", 9, out_indices=indices, **options))
        assert list(found) == [
            name for name in network if name.startswith("features.") and int(name.split(".")[1]) < cells
        ]
        for name, value in found.items():
            np.testing.assert_array_equal(value, network[name])


@pytest.mark.parametrize("mode", [ms.PYNATIVE_MODE, ms.GRAPH_MODE])
def test_a_pyramid_trains_with_the_masks_of_stochastic_depth(mode):
    ms.set_context(mode=mode)
    ms.set_seed(3)
    pyramid = feature_pyramid(tiny(drop_path_rate=0.9)).set_train()
    x = Tensor(images(4, 3, 32, 32))
    first, second = (pyramid(x)[-1].asnumpy() for _ in range(2))
    assert (first != second).any()
    assert int(pyramid.random_state.passes) == 2
    assert not any("dropout" in p.name for p in pyramid.get_parameters())
    ms.set_context(mode=ms.PYNATIVE_MODE)
    gradients = ms.grad(lambda x: sum(m.sum() for m in pyramid(x)), None, pyramid.trainable_params())(x)
    assert len(gradients) == len(pyramid.trainable_params())


def test_a_pyramid_can_be_frozen():
    pyramid = create_model("mnasnet_small", features_only=True)
    freeze(pyramid, 1)
    frozen = [p.name for p in pyramid.get_parameters() if not p.requires_grad and "moving" not in p.name]
    assert {name.split(".")[1] for name in frozen} == {"0", "1", "3"}
    freeze(pyramid, "backbone")
    assert pyramid.trainable_params() == []


@pytest.mark.parametrize(
    "indices", [(), (5,), (-1,), (1, 1), (3, 1), (1.0,), (True,), 3, "12", {1}], ids=lambda i: repr(i)
)
def test_maps_that_there_are_not_are_refused(indices):
    with pytest.raises(UserError) as caught:
        create_model("mnasnet_small", features_only=True, out_indices=indices)
    assert str(caught.value) == (
        f"out_indices={indices!r} must be different numbers from 0 to 4 in rising order, for example "
        "(2, 3, 4)"
    )


def test_maps_are_chosen_for_a_pyramid_only():
    with pytest.raises(UserError) as caught:
        create_model("mnasnet_small", out_indices=(1,))
    assert str(caught.value) == "out_indices=(1,) chooses feature maps: set features_only=True"
    with pytest.raises(UserError, match=r"^features_only=True: Dense does not describe its parts"):
        feature_pyramid(nn.Dense(1, 1))


# --- classifier --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "has_run"),
    [
        (ms.PYNATIVE_MODE, True),
        pytest.param(ms.GRAPH_MODE, False, marks=pytest.mark.slow),
        (ms.GRAPH_MODE, True),
    ],
)
def test_a_classifier_is_exchanged_and_keeps_its_names(mode, has_run):
    ms.set_context(mode=mode)
    network = tiny().set_train(False)
    before, x = values_of(network), Tensor(images(2, 3, 32, 32))
    if has_run:
        assert network(x).shape == (2, 7)
    network.reset_classifier(4)
    after = values_of(network)
    assert list(after) == list(before)
    assert [n for n in after if after[n].shape != before[n].shape] == ["classifier.weight", "classifier.bias"]
    assert network.get_classifier() is network.classifier
    assert (network.num_classes, after["classifier.weight"].shape) == (4, (4, 1280))
    assert 0.4 < np.abs(after["classifier.weight"]).max() <= 0.5
    logits = network(x)
    assert logits.shape == (2, 4)
    features = network.forward_features(x).asnumpy().mean((2, 3))
    expected = features @ after["classifier.weight"].T + after["classifier.bias"]
    np.testing.assert_allclose(logits.asnumpy(), expected, atol=1e-4)


@pytest.mark.parametrize("mode", [ms.PYNATIVE_MODE, pytest.param(ms.GRAPH_MODE, marks=pytest.mark.slow)])
def test_without_a_classifier_the_means_of_the_features_come_out(mode):
    ms.set_context(mode=mode)
    network = tiny().set_train(False)
    network.reset_classifier(0)
    assert [p.name for p in network.get_parameters() if "classifier" in p.name] == []
    x = Tensor(images(2, 3, 32, 32))
    expected = network.forward_features(x).asnumpy().mean((2, 3))
    np.testing.assert_allclose(network(x).asnumpy(), expected, atol=1e-5)
    assert isinstance(network.get_classifier(), nn.Identity)
    network.reset_classifier(3)
    assert network(x).shape == (2, 3)


@pytest.mark.parametrize("count", [-1, True, 2.0, "3"])
def test_a_number_of_classes_is_a_whole_number(count):
    network = tiny()
    with pytest.raises(UserError) as caught:
        network.reset_classifier(count)
    assert str(caught.value) == (f"num_classes={count!r} must be a positive integer, or 0 for no classifier")
    assert network.classifier.weight.shape == (7, 1280)
