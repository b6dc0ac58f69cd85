"""Further public names of MindCV 0.3.0: that they exist, and what they do."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

import mindcv
from mindcv.data import Mixup
from mindcv.data.constants import DEFAULT_CROP_PCT, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from mindcv.errors import UserError
from mindcv.models import model_entrypoint
from mindcv.optim.optim_factory import init_group_params


def test_every_name_at_the_top_leads_to_its_object():
    names = dir(mindcv)
    assert {"TrainStep", "Mnasnet", "mobilenet_v3_small_100", "MnistDownload", "AMP_BLACK_LIST"} <= {*names}
    assert mindcv.TrainStep is mindcv.utils.TrainStep
    assert all(getattr(mindcv, name) is not None for name in names if not name.startswith("_"))
    with pytest.raises(AttributeError, match="no attribute 'resnet50'"):
        mindcv.resnet50  # noqa: B018


def test_the_statistics_of_imagenet_are_on_the_scale_of_pixels():
    assert pytest.approx([123.675, 116.28, 103.53]) == IMAGENET_DEFAULT_MEAN
    assert pytest.approx([58.395, 57.12, 57.375]) == IMAGENET_DEFAULT_STD
    assert DEFAULT_CROP_PCT == 0.875


@pytest.mark.parametrize("room", ["mindcv.models", "mindcv.models.mobilenetv2"])
def test_a_model_is_found_by_the_name_that_has_its_image_size(room):
    module = mindcv.models if room == "mindcv.models" else mindcv.models.mobilenetv2
    assert module.mobilenet_v2_050_128 is model_entrypoint("mobilenet_v2_050")
    with pytest.raises(AttributeError, match=f"module '{room}' has no attribute 'mobilenet_v9'"):
        module.mobilenet_v9  # noqa: B018


GROUPS = {  # names of the parameters with and without weight decay, recorded with MindCV 0.3.0
    ("disable", ()): [["a.gamma", "x", "a.bias", "z.weight", "biases"]],
    ("norm_and_bias", ()): [["x", "z.weight"], ["a.gamma", "a.bias", "biases"]],
    ("auto", ("x",)): [["z.weight"], ["a.gamma", "x", "a.bias", "biases"]],
}


@pytest.mark.parametrize(("filtered", "excluded"), GROUPS)
def test_parameters_are_grouped_by_their_names_as_in_mindcv(filtered, excluded):
    shapes = {"a.gamma": (2, 2), "x": (3,), "a.bias": (2, 2), "z.weight": (2, 2), "biases": (2,)}
    parameters = [Parameter(Tensor(np.ones(shape, np.float32)), name=name) for name, shape in shapes.items()]
    *groups, order = init_group_params(parameters, 0.1, filtered, excluded)
    assert [[p.name for p in group["params"]] for group in groups] == GROUPS[filtered, excluded]
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0][: len(groups)]
    assert order == {"order_params": parameters}


@pytest.mark.parametrize("kind", [Tensor, np.asarray])
def test_mixup_takes_mindcvs_arguments_and_smooths_the_labels(kind):
    images = np.arange(4 * 3 * 2 * 2, dtype=np.float32).reshape(4, 3, 2, 2)
    labels = np.array([0, 1, 2, 1], np.int32)
    np.random.seed(0)
    mixed, target = Mixup(0.5, 0.0, None, 1.0, 0.5, "batch", True, 0.2, 5)(kind(images), kind(labels))
    assert isinstance(mixed, Tensor) == (kind is Tensor)
    pixels = mixed.asnumpy() if isinstance(mixed, Tensor) else mixed
    share = (pixels[0, 0, 0, 0] - images[3, 0, 0, 0]) / (images[0, 0, 0, 0] - images[3, 0, 0, 0])
    assert 0 < share < 1
    expected = [0.04 + 0.8 * share, 0.04 + 0.8 * (1 - share), 0.04, 0.04, 0.04]
    np.testing.assert_allclose(target[0], expected, atol=1e-5)


def test_mixups_numbers_come_from_the_common_seed():
    images = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)
    found = []
    for _ in range(2):
        mindcv.set_seed(7)
        mixer = Mixup(0.5, 1.0, num_classes=4)
        found.append([mixer(images, np.arange(4)) for _ in range(3)])
    for (a, b), (c, d) in zip(*found, strict=True):
        assert np.array_equal(a, c)
        assert np.array_equal(b, d)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"mixup_alpha": 0.0}, "mix nothing: give one of them above 0"),
        ({"mode": "elem"}, "mode='elem' is not supported: give 'batch'"),
        ({"cutmix_minmax": (0.2, 0.8)}, "is not supported: give cutmix_alpha"),
        ({"label_smoothing": 2.0}, "label_smoothing=2.0 is out of range"),
    ],
)
def test_what_mixup_cannot_do_is_refused(kwargs, message):
    with pytest.raises(UserError, match=message):
        Mixup(**kwargs)


def test_lists_of_cells_and_suffixes_are_mindcvs():
    assert [cell.__name__ for cell in mindcv.AMP_BLACK_LIST] == [
        "BatchNorm1d",
        "BatchNorm2d",
        "BatchNorm3d",
        "LayerNorm",
    ]
    assert ms.nn.Conv2d in mindcv.AMP_WHITE_LIST
    assert len(mindcv.AMP_WHITE_LIST) == 7
    assert (mindcv.ARCHIVE_TYPE_SUFFIX, mindcv.COMPRESS_TYPE_SUFFIX) == ([".tar", ".zip"], [".bz2", ".gz"])
    assert mindcv.FILE_TYPE_ALIASES[".tgz"] == (".tar", ".gz")
