"""Names, results and exceptions of MindCV 0.3.0, as recorded from it, next to ours."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

import mindcv.loss
from mindcv.data import create_dataset, create_loader, create_transforms
from mindcv.errors import UserError
from mindcv.loss import create_loss
from mindcv.models import create_model, list_models, mnasnet_050, model_entrypoint
from mindcv.models.helpers import ConfigDict
from mindcv.optim import OPTIMIZERS, create_optimizer
from mindcv.scheduler import create_scheduler, dynamic_lr

pytestmark = pytest.mark.usefixtures("pynative")

HERE = Path(__file__).parent
RATES = json.loads((HERE / "mindcv_rates.json").read_text())
LOSSES = json.loads((HERE / "mindcv_losses.json").read_text())

MODULES = """
from mindcv.data.auto_augment import (
    augment_and_mix_transform, auto_augment_transform, rand_augment_transform, trivial_augment_wide_transform)
from mindcv.data.constants import DEFAULT_CROP_PCT, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from mindcv.data.dataset_download import (
    Cifar100Download, Cifar10Download, MnistDownload, get_dataset_download_root)
from mindcv.data.dataset_factory import create_dataset, get_dataset_size
from mindcv.data.distributed_sampler import RepeatAugSampler
from mindcv.data.loader import create_loader
from mindcv.data.mixup import Mixup
from mindcv.data.transforms_factory import create_transforms, transforms_imagenet_train
from mindcv.loss.asymmetric import AsymmetricLossMultilabel, AsymmetricLossSingleLabel
from mindcv.loss.binary_cross_entropy_smooth import BinaryCrossEntropySmooth
from mindcv.loss.cross_entropy_smooth import CrossEntropySmooth
from mindcv.loss.jsd import JSDCrossEntropy
from mindcv.loss.loss_factory import create_loss
from mindcv.models.features import FeatureExtractWrapper
from mindcv.models.helpers import ConfigDict, build_model_with_cfg, load_pretrained, make_divisible
from mindcv.models.mnasnet import Mnasnet, default_cfgs, mnasnet_050, mnasnet_140
from mindcv.models.mobilenetv2 import MobileNetV2, default_cfgs, mobilenet_v2_100
from mindcv.models.mobilenetv3 import MobileNetV3, default_cfgs, mobilenet_v3_large_100
from mindcv.models.model_factory import create_model
from mindcv.models.registry import list_models, model_entrypoint, register_model
from mindcv.optim.adamw import AdamW
from mindcv.optim.adan import Adan
from mindcv.optim.lion import Lion
from mindcv.optim.nadam import NAdam
from mindcv.optim.optim_factory import create_optimizer
from mindcv.scheduler.dynamic_lr import cosine_decay_lr, one_cycle_lr
from mindcv.scheduler.scheduler_factory import create_scheduler
from mindcv.utils.download import DownLoad
from mindcv.utils.path import detect_file_type
""".strip()


@pytest.fixture
def pynative():
    """PyNative mode, as in a notebook."""
    before = ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    yield
    ms.set_context(mode=before)


def test_the_module_paths_that_scripts_import_exist():
    # In a process of its own: a module that others have imported already would hide a missing import.
    ran = subprocess.run([sys.executable, "-c", MODULES], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(("name", "arguments", "keywords", "rates"), RATES)
def test_lists_of_rates_are_mindcvs(name, arguments, keywords, rates):
    np.testing.assert_allclose(
        getattr(dynamic_lr, name)(*arguments, **keywords), rates, rtol=1e-6, atol=1e-12
    )


def test_the_peaks_of_a_cycle_follow_a_function_of_its_number_or_of_the_step():
    run = {"steps_per_epoch": 8, "epochs": 1}
    by_cycle = dynamic_lr.cyclic_lr(0.0, 1.0, 2, scale_fn=lambda cycle: 0.5**cycle, **run)
    assert by_cycle == [0, 0.25, 0.5, 0.25, 0, 0.125, 0.25, 0.125]
    by_step = dynamic_lr.cyclic_lr(0.0, 1.0, 2, scale_fn=lambda i: i, scale_mode="iterations", **run)
    assert by_step == [0, 0.5, 2, 1.5, 0, 2.5, 6, 3.5]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("one_cycle_lr", (0.1, 0.3, "sin"), "anneal_strategy='sin' is unknown: give cos or linear"),
        ("cyclic_lr", (0.1, 0.3, 4, 4, "square"), "mode='square' is unknown: give triangular"),
        ("cyclic_lr", (0.1, 0.3, 0), "step_size_up=0 is out of range: give a positive number"),
        ("cyclic_lr", (0.1, 0.3, 4, 4, "", 1, abs, "epoch"), "scale_mode='epoch' is unknown: give cycle"),
    ],
)
def test_mistakes_in_a_list_of_rates_are_named(name, arguments, message):
    with pytest.raises(UserError, match=message):
        getattr(dynamic_lr, name)(*arguments, steps_per_epoch=2, epochs=2)


@pytest.mark.parametrize(("name", "settings", "labels", "expected"), LOSSES["results"])
def test_losses_are_mindcvs(name, settings, labels, expected):
    weight = Tensor(LOSSES["weight"], ms.float32)
    settings = {key: weight if value is True else value for key, value in settings.items()}
    targets = LOSSES["labels"][labels]
    loss = getattr(mindcv.loss, name)(**settings)
    found = loss(
        Tensor(LOSSES["logits"], ms.float32), Tensor(targets, ms.int32 if labels == "indices" else ms.float32)
    )
    np.testing.assert_allclose(found.asnumpy(), expected, rtol=2e-5, atol=1e-5)


# What a bad argument raises in MindCV 0.3.0.
EXCEPTIONS = [
    (lambda: create_loss("other"), NotImplementedError),
    (lambda: create_loss("CE", reduction="other"), ValueError),
    (lambda: create_loss("CE", label_smoothing=1.5), ValueError),
    (lambda: create_scheduler(5, "other"), ValueError),
    (lambda: create_scheduler(5, "multi_step_decay", milestones=None), ValueError),
    (lambda: create_optimizer(nn.Dense(2, 2), "other"), ValueError),
    (lambda: create_optimizer(nn.Dense(2, 2), "sgd", lr=-0.1), ValueError),
    (lambda: create_optimizer(nn.Dense(2, 2), "sgd", other=1), TypeError),
    (lambda: create_transforms("other"), NotImplementedError),
    (lambda: create_dataset("imagenet", "no/such/folder"), ValueError),
    (lambda: create_dataset("imagenet", "no/such/folder", num_shards=2), RuntimeError),
    (lambda: create_model("other"), RuntimeError),
    (lambda: create_model("mnasnet_050", other=1), TypeError),
    (lambda: model_entrypoint("other"), KeyError),
    (lambda: dynamic_lr.one_cycle_lr(0.1, 0.3, "sin", steps_per_epoch=2, epochs=2), ValueError),
]


@pytest.mark.parametrize("number", range(len(EXCEPTIONS)))
def test_a_bad_argument_raises_mindcvs_exception(number):
    call, exception = EXCEPTIONS[number]
    with pytest.raises(exception):
        call()


def test_model_functions_show_mindcvs_signature():
    shown = [(p.name, p.default) for p in inspect.signature(mnasnet_050).parameters.values()]
    assert shown[:3] == [("pretrained", False), ("num_classes", 1000), ("in_channels", 3)]
    assert mnasnet_050.__name__ == "mnasnet_050"


def test_default_cfgs_tell_where_the_weights_of_a_family_are():
    from mindcv.models.mnasnet import default_cfgs

    assert sorted(default_cfgs) == list_models("mnasnet*", pretrained=True)
    assert default_cfgs["mnasnet_050"] == {  # recorded with MindCV 0.3.0
        "url": "https://download.mindspore.cn/toolkits/mindcv/mnasnet/mnasnet_050-7d8bf4db.ckpt",
        "num_classes": 1000,
        "first_conv": "features.0",
        "classifier": "classifier",
    }


def test_a_config_dict_has_its_keys_as_attributes():
    config = ConfigDict(epochs=3)
    config.lr = 0.1
    assert (config.epochs, config["lr"]) == (3, 0.1)
    del config.epochs
    with pytest.raises(AttributeError, match="no key 'epochs': the keys are lr"):
        config.epochs  # noqa: B018


def test_mobilenets_of_an_image_size_are_those_of_their_width():
    assert model_entrypoint("mobilenet_v2_050_128") is model_entrypoint("mobilenet_v2_050")


def test_feature_maps_tell_their_channels():
    pyramid = create_model("mnasnet_050", features_only=True, out_indices=[1, 3])
    maps = pyramid(Tensor(np.zeros((1, 3, 64, 64), np.float32)))
    assert pyramid.out_channels == [m.shape[1] for m in maps]


def test_mnist_stays_grey_unless_colour_is_asked_for():
    image = np.zeros((28, 28, 1), np.uint8)

    def shape(**options):
        rows = ms.dataset.NumpySlicesDataset(([image], [0]), ["image", "label"])
        loader = create_loader(rows, 1, transform=create_transforms("mnist", 32, **options))
        return next(loader.create_dict_iterator(num_epochs=1, output_numpy=True))["image"].shape

    assert shape() == (1, 1, 32, 32)
    assert shape(in_channels=3) == (1, 3, 32, 32)


class SmallNetwork(nn.Cell):
    """A convolution and a classifier, as scripts write them."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, has_bias=True)
        self.relu = nn.ReLU()
        self.flatten = nn.Flatten()
        self.fc = nn.Dense(4 * 36, 4)

    def construct(self, x):
        return self.fc(self.flatten(self.relu(self.conv(x))))


FORMS = (
    lambda net: net,
    lambda net: net.trainable_params(),
    lambda net: [{"params": net.trainable_params()[:2]}, {"params": net.trainable_params()[2:], "lr": 0.005}],
)


@pytest.mark.parametrize(("number", "name"), list(enumerate(OPTIMIZERS)))
def test_a_small_network_learns_with_every_optimizer_and_any_form_of_parameters(number, name):
    ms.set_seed(0)
    rng = np.random.default_rng(0)
    images = Tensor(rng.normal(size=(8, 1, 6, 6)), ms.float32)
    labels = Tensor(rng.integers(0, 4, 8), ms.int32)
    net = SmallNetwork()
    optimizer = create_optimizer(FORMS[number % 3](net), name, lr=0.005, weight_decay=1e-4)
    step = nn.TrainOneStepCell(nn.WithLossCell(net, create_loss()), optimizer).set_train()
    losses = [float(step(images, labels)) for _ in range(8)]
    assert losses[-1] < losses[0]
