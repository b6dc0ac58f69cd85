"""Names of MindCV's models package: answers recorded with MindCV 0.3.0, and networks written for it."""

import hashlib

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

import mindcv
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.models import (
    FeatureExtractWrapper,
    Mnasnet,
    create_model,
    mnasnet_050,
    model_entrypoint,
    register_model,
    registry,
)
from mindcv.models.helpers import build_model_with_cfg, load_model_checkpoint, load_pretrained

IMAGES = Tensor(np.random.default_rng(0).normal(size=(2, 3, 32, 32)), ms.float32)
URL = "https://download.mindspore.cn/toolkits/mindcv/mnasnet/mnasnet_050-7d8bf4db.ckpt"
CFG = {"url": URL, "num_classes": 1000, "first_conv": "features.0", "classifier": "classifier"}
B1 = [f"mnasnet_{width}" for width in ("050", "075", "100", "130", "140")]


@pytest.fixture
def own_models(monkeypatch):
    """Models that a test registers are forgotten after it."""
    monkeypatch.setattr(registry, "_models", dict(registry._models))


def test_the_registry_answers_as_mindcv_does():
    assert mindcv.is_model("mnasnet_050")
    assert not mindcv.is_model("mnasnet_999")
    assert mindcv.is_model_pretrained("mnasnet_050")
    assert not mindcv.is_model_pretrained("mnasnet_999")
    assert mindcv.get_pretrained_cfg("mnasnet_050") == CFG
    assert mindcv.get_pretrained_cfg("mnasnet_999") == {}
    assert mindcv.get_pretrained_cfg_value("mnasnet_050", "url") == URL
    assert mindcv.get_pretrained_cfg_value("mnasnet_050", "nope") is None
    assert mindcv.has_pretrained_cfg_key("mnasnet_050", "url")
    assert not mindcv.has_pretrained_cfg_key("mnasnet_050", "nope")
    assert model_entrypoint("mnasnet_050") is mnasnet_050
    with pytest.raises(KeyError, match="mnasnet_999"):
        model_entrypoint("mnasnet_999")


def test_a_module_is_asked_for_its_models():
    assert "mnasnet" in mindcv.list_modules()
    assert mindcv.is_model_in_modules("mnasnet_050", ["mnasnet"])
    assert mindcv.is_model_in_modules("mnasnet_050", ("mobilenetv2", "mnasnet"))
    assert not mindcv.is_model_in_modules("mnasnet_050", [])
    assert mindcv.is_model_in_modules("mobilenet_v2_100", {"mobilenetv2"})
    with pytest.raises(TypeError, match="give a list of names"):
        mindcv.is_model_in_modules("mnasnet_050", "mnasnet")


def test_models_are_listed_by_filter_module_weights_and_exclusion_in_this_order():
    assert mindcv.list_models("mnasnet_[01]*") == B1
    assert mindcv.list_models("mnasnet*", "mobilenetv2") == []
    assert mindcv.list_models("", "nope") == []
    assert mindcv.list_models("mnasnet*", "", True) == B1
    assert mindcv.list_models("", "mnasnet", True, "*_1*") == ["mnasnet_050", "mnasnet_075"]


def test_a_model_is_created_by_position_as_in_mindcv():
    network = create_model("mnasnet_050", 7, False, 1, "", False, False)
    assert network(IMAGES[:, :1]).shape == (2, 7)
    assert mnasnet_050(False, 5, 1)(IMAGES[:, :1]).shape == (2, 5)


def test_mnasnet_is_the_network_of_its_width():
    network = Mnasnet(0.5, 3, 10, 0.3)
    assert network(IMAGES).shape == (2, 10)
    assert sum(p.size for p in Mnasnet(0.5).trainable_params()) == 2_218_512
    features = network.set_train(False).forward_features(IMAGES)
    assert np.array_equal(network.forward_head(features).asnumpy(), network(IMAGES).asnumpy())


def test_a_models_own_function_loads_published_weights(server, tmp_path, own_models):
    ms.set_seed(3)
    write_checkpoint(tmp_path / "a.ckpt", Mnasnet(0.5).parameters_dict(), {})
    content = (tmp_path / "a.ckpt").read_bytes()
    name = f"half-{hashlib.sha256(content).hexdigest()[:8]}.ckpt"
    server.files["/" + name] = content

    @register_model(url=server.url + name)
    def half(num_classes: int, in_channels: int) -> Mnasnet:
        return Mnasnet(0.5, in_channels, num_classes)

    stored = ms.load_checkpoint(str(tmp_path / "a.ckpt"))
    for network in (half(True), half(True, 4), create_model("half", 4, True)):
        assert np.array_equal(network.features[0].weight.asnumpy(), stored["features.0.weight"].asnumpy())
    assert np.array_equal(half(True).classifier.weight.asnumpy(), stored["classifier.weight"].asnumpy())
    assert half(True, 4).classifier.weight.shape == (4, 1280)


class Dummy(nn.Cell):
    """A network as in MindCV's guides: it registers the layers whose outputs are feature maps."""

    def __init__(self, num_classes: int = 1000, in_channels: int = 3, flat: bool = False) -> None:
        super().__init__()
        self.feature_info = []
        layers = [nn.Conv2d(in_channels, 4, 3, 2), nn.ReLU(), nn.Conv2d(4, 8, 3, 2)]
        if flat:
            self.flatten_sequential = True
            self.features = nn.SequentialCell(layers)
            names = ("features.0", "features.2")
        else:
            self.layer1 = nn.SequentialCell(layers[:2])
            self.layer2 = layers[2]
            names = ("layer1", "layer2")
        self.feature_info = [
            {"chs": 4, "reduction": 2, "name": names[0]},
            {"chs": 8, "reduction": 4, "name": names[1]},
        ]
        self.flat = flat
        self.classifier = nn.Dense(8, num_classes)

    def forward_features(self, x):
        return self.features(x) if self.flat else self.layer2(self.layer1(x))

    def construct(self, x):
        return self.classifier(self.forward_features(x).mean((2, 3)))


@pytest.mark.parametrize("flat", [False, True])
def test_feature_maps_of_a_network_written_for_mindcv_are_those_of_its_layers(flat):
    network = Dummy(flat=flat)
    wrapper = FeatureExtractWrapper(network, [0, 1])
    maps = wrapper(IMAGES)
    assert wrapper.out_channels == [4, 8]
    assert isinstance(maps, list)
    assert [m.shape for m in maps] == [(2, 4, 16, 16), (2, 8, 8, 8)]
    assert np.array_equal(maps[1].asnumpy(), network.forward_features(IMAGES).asnumpy())
    only = FeatureExtractWrapper(network, [1])
    assert (only.out_channels, len(only(IMAGES))) == ([8], 1)


def test_feature_maps_of_our_networks_have_mindcvs_attribute():
    network = create_model("mnasnet_050")
    wrapper = FeatureExtractWrapper(network, [1, 3])
    expected = create_model("mnasnet_050", features_only=True, out_indices=[1, 3]).feature_channels
    assert wrapper.out_channels == expected
    assert [m.shape[2] for m in wrapper(IMAGES)] == [8, 2]


def test_a_network_that_rewrites_its_features_returns_the_chosen_ones():
    class Rewritten(Dummy):
        def __init__(self) -> None:
            super().__init__()
            self.is_rewritten = True

        def construct(self, x):
            first = self.layer1(x)
            return [first, self.layer2(first)]

    assert [m.shape for m in FeatureExtractWrapper(Rewritten(), [1])(IMAGES)] == [(2, 8, 8, 8)]


@pytest.mark.parametrize(
    ("net", "indices", "words"),
    [(nn.Dense(2, 2), [0], "parts"), (Dummy(), [0, 7], "out_indices"), (Dummy(), [1, 0], "out_indices")],
)
def test_feature_maps_that_are_not_there_are_a_value_error(net, indices, words):
    with pytest.raises(ValueError, match=words):
        FeatureExtractWrapper(net, indices)


@pytest.fixture
def published(server, tmp_path):
    """Weights of a Dummy on the server: their configuration and values."""
    ms.set_seed(5)
    network = Dummy()
    write_checkpoint(tmp_path / "dummy.ckpt", network.parameters_dict(), {})
    content = (tmp_path / "dummy.ckpt").read_bytes()
    name = f"dummy-{hashlib.sha256(content).hexdigest()[:8]}.ckpt"
    server.files["/" + name] = content
    cfg = {"url": server.url + name, "first_conv": "layer1.0", "classifier": "classifier"}
    return cfg, {p.name: p.asnumpy() for p in network.get_parameters()}


def test_published_weights_are_loaded_except_the_classifier_of_other_classes(published):
    cfg, values = published
    same, other, grey = Dummy(), Dummy(3), Dummy(in_channels=1)
    load_pretrained(same, cfg)
    assert all(np.array_equal(p.asnumpy(), values[p.name]) for p in same.get_parameters())
    before = other.classifier.weight.asnumpy().copy()
    load_pretrained(other, cfg, num_classes=3)
    assert np.array_equal(other.layer2.weight.asnumpy(), values["layer2.weight"])
    assert np.array_equal(other.classifier.weight.asnumpy(), before)
    load_pretrained(grey, cfg, in_channels=1)
    summed = values["layer1.0.weight"].sum(axis=1, keepdims=True)
    assert np.allclose(grey.layer1[0].weight.asnumpy(), summed, atol=1e-6)


def test_weights_that_do_not_fit_are_named(published):
    cfg, _ = published
    with pytest.raises(ValueError, match=r"lacks 'layer2\.weight'"):
        load_pretrained(Dummy(), cfg, filter_fn=lambda values: {"layer1.0.weight": values["layer1.0.weight"]})
    with pytest.raises(ValueError, match=r"'classifier\.weight' has the shape"):
        load_pretrained(Dummy(3), cfg)
    with pytest.raises(ValueError, match="has no url"):
        load_pretrained(Dummy(), {})


def test_a_model_file_written_for_mindcv_is_registered_and_created(published, own_models):
    cfg, values = published

    @register_model
    def dummynet(pretrained: bool = False, num_classes: int = 1000, in_channels: int = 3, **kwargs):
        args = {"num_classes": num_classes, "in_channels": in_channels, **kwargs}
        return build_model_with_cfg(Dummy, pretrained, cfg, **args)

    network = create_model("dummynet", pretrained=True)
    assert np.array_equal(network.layer2.weight.asnumpy(), values["layer2.weight"])
    assert create_model("dummynet", 4)(IMAGES).shape == (2, 4)
    pyramid = create_model("dummynet", features_only=True, out_indices=[1])
    assert pyramid.out_channels == [8]
    built = build_model_with_cfg(Dummy, False, cfg, features_only=True, out_indices=[0], num_classes=2)
    assert built.out_channels == [4]


def test_a_checkpoint_is_loaded_into_a_network(tmp_path):
    source, target = create_model("mnasnet_050", 3), create_model("mnasnet_050", 3)
    write_checkpoint(tmp_path / "a.ckpt", source.parameters_dict(), {})
    load_model_checkpoint(target, str(tmp_path / "a.ckpt"))
    assert np.array_equal(target.classifier.weight.asnumpy(), source.classifier.weight.asnumpy())
