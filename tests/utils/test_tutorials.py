"""MindCV's tutorials, statement by statement, with an MnasNet, small images and local data."""

import hashlib
import io
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from PIL import Image

from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.models import create_model, registry
from tests.support.cifar_files import write_cifar10

SIZE = 32


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> bytes:
    """A checkpoint of mnasnet_050 with 1000 classes."""
    ms.set_seed(1)
    path = tmp_path_factory.mktemp("weights") / "mnasnet_050.ckpt"
    write_checkpoint(path, create_model("mnasnet_050").parameters_dict(), {})
    return path.read_bytes()


@pytest.fixture
def published(server, weights, monkeypatch):
    """mnasnet_050's weights are on the server."""
    name = f"mnasnet_050-{hashlib.sha256(weights).hexdigest()[:8]}.ckpt"
    server.files[f"/{name}"] = weights
    entry = replace(registry.find_model("mnasnet_050"), url=server.url + name)
    monkeypatch.setitem(registry._models, "mnasnet_050", entry)
    return server


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder: an empty one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def canidae() -> bytes:
    """An archive like that of the fine-tuning tutorial: dark and light pictures in two classes."""
    rng = np.random.default_rng(0)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for split, count in (("train", 16), ("val", 5)):
            for number, name in enumerate(("dogs", "wolves")):
                for i in range(count):
                    pixels = rng.integers(0, 60, (SIZE, SIZE, 3)) + 180 * number
                    picture = io.BytesIO()
                    Image.fromarray(pixels.astype(np.uint8)).save(picture, "JPEG")
                    archive.writestr(f"data/Canidae/{split}/{name}/{i:03}.jpg", picture.getvalue())
    return packed.getvalue()


def test_quick_start(published, folder):
    write_cifar10(folder / "datasets" / "cifar" / "cifar-10-batches-bin")

    from mindcv.data import create_dataset, create_loader, create_transforms

    cifar10_dir = "./datasets/cifar/cifar-10-batches-bin"
    num_classes = 10
    num_workers = 8
    dataset_train = create_dataset(
        name="cifar10", root=cifar10_dir, split="train", shuffle=True, num_parallel_workers=num_workers
    )
    trans = create_transforms(dataset_name="cifar10", image_resize=SIZE)
    loader_train = create_loader(
        dataset=dataset_train,
        batch_size=20,
        is_training=True,
        num_classes=num_classes,
        transform=trans,
        num_parallel_workers=num_workers,
    )
    num_batches = loader_train.get_dataset_size()
    assert num_batches == 2

    from mindcv.models import create_model

    network = create_model(model_name="mnasnet_050", num_classes=num_classes, pretrained=True)

    from mindcv.loss import create_loss

    loss = create_loss(name="CE")

    from mindcv.scheduler import create_scheduler

    lr_scheduler = create_scheduler(steps_per_epoch=num_batches, scheduler="constant", lr=0.0001)

    from mindcv.optim import create_optimizer

    opt = create_optimizer(network.trainable_params(), opt="adam", lr=lr_scheduler)

    from mindspore import CheckpointConfig, LossMonitor, Model, ModelCheckpoint, TimeMonitor

    model = Model(network, loss_fn=loss, optimizer=opt, metrics={"accuracy"})
    ckpt_save_dir = "./ckpt"
    ckpt_config = CheckpointConfig(save_checkpoint_steps=num_batches)
    ckpt_cb = ModelCheckpoint(prefix="mnasnet-cifar10", directory=ckpt_save_dir, config=ckpt_config)
    model.train(
        2,
        loader_train,
        callbacks=[LossMonitor(num_batches), TimeMonitor(num_batches), ckpt_cb],
        dataset_sink_mode=False,
    )
    dataset_val = create_dataset(
        name="cifar10", root=cifar10_dir, split="test", shuffle=True, num_parallel_workers=num_workers
    )
    loader_val = create_loader(
        dataset=dataset_val,
        batch_size=4,
        is_training=False,
        num_classes=num_classes,
        transform=trans,
        num_parallel_workers=num_workers,
    )
    acc = model.eval(loader_val, dataset_sink_mode=False)
    assert 0 <= acc["accuracy"] <= 1
    assert Path("ckpt/mnasnet-cifar10-2_2.ckpt").exists()


def test_fine_tuning(published, folder):
    published.files["/Canidae_data.zip"] = canidae()

    from mindcv.utils.download import DownLoad

    dataset_url = f"{published.url}Canidae_data.zip"
    root_dir = "./"
    if not os.path.exists(os.path.join(root_dir, "data/Canidae")):  # noqa: PTH110, PTH118
        DownLoad().download_and_extract_archive(dataset_url, root_dir)

    from mindcv.data import create_dataset, create_loader, create_transforms

    num_workers = 8
    data_dir = "./data/Canidae/"
    dataset_train = create_dataset(root=data_dir, split="train", num_parallel_workers=num_workers)
    dataset_val = create_dataset(root=data_dir, split="val", num_parallel_workers=num_workers)
    trans_train = create_transforms(dataset_name="ImageNet", is_training=True, image_resize=SIZE)
    trans_val = create_transforms(dataset_name="ImageNet", is_training=False, image_resize=SIZE)
    loader_train = create_loader(
        dataset=dataset_train,
        batch_size=16,
        is_training=True,
        num_classes=2,
        transform=trans_train,
        num_parallel_workers=num_workers,
    )
    loader_val = create_loader(
        dataset=dataset_val,
        batch_size=5,
        is_training=True,
        num_classes=2,
        transform=trans_val,
        num_parallel_workers=num_workers,
    )
    images, labels = next(loader_train.create_tuple_iterator())
    assert images.shape == (16, 3, SIZE, SIZE)
    assert set(labels.asnumpy().tolist()) <= {0, 1}
    shown = images[0].asnumpy().transpose(1, 2, 0)
    shown = np.array([0.229, 0.224, 0.225]) * shown + np.array([0.485, 0.456, 0.406])
    assert -0.01 < shown.min() < shown.max() < 1.01  # the pictures of the tutorial need no clipping

    from mindcv.models import create_model

    network = create_model(model_name="mnasnet_050", num_classes=2, pretrained=True)

    from mindspore import LossMonitor, Model, TimeMonitor

    from mindcv.loss import create_loss
    from mindcv.optim import create_optimizer

    opt = create_optimizer(network.trainable_params(), opt="adam", lr=1e-4)
    loss = create_loss(name="CE")
    model = Model(network, loss_fn=loss, optimizer=opt, metrics={"accuracy"})
    model.train(1, loader_train, callbacks=[LossMonitor(5), TimeMonitor(5)], dataset_sink_mode=False)
    res = model.eval(loader_val)
    assert 0 <= res["accuracy"] <= 1
    images, labels = next(loader_val.create_tuple_iterator())
    output = model.predict(images)
    assert np.argmax(output.asnumpy(), axis=1).shape == labels.shape

    for param in network.get_parameters():
        if param.name not in ["classifier.weight", "classifier.bias"]:
            param.requires_grad = False
    dataset_train = create_dataset(root=data_dir, split="train", num_parallel_workers=num_workers)
    loader_train = create_loader(
        dataset=dataset_train,
        batch_size=16,
        is_training=True,
        num_classes=2,
        transform=trans_train,
        num_parallel_workers=num_workers,
    )
    frozen = network.features[0].weight.asnumpy().copy()
    opt = create_optimizer(network.trainable_params(), opt="adam", lr=1e-3)
    loss = create_loss(name="CE")
    model = Model(network, loss_fn=loss, optimizer=opt, metrics={"accuracy"})
    before = network.classifier.weight.asnumpy().copy()
    model.train(1, loader_train, callbacks=[LossMonitor(5), TimeMonitor(5)], dataset_sink_mode=False)
    assert np.array_equal(network.features[0].weight.asnumpy(), frozen)
    assert not np.array_equal(network.classifier.weight.asnumpy(), before)


def test_inference(published, weights, folder):
    (folder / "data" / "test" / "dog").mkdir(parents=True)
    Image.new("RGB", (60, 50), (90, 120, 200)).save("data/test/dog/dog.jpg")
    (folder / "mnasnet_050_224.ckpt").write_bytes(weights)

    from mindcv.models import registry

    assert "mnasnet_050" in registry.list_models()

    from mindcv.models import create_model

    model = create_model(model_name="mnasnet_050", num_classes=1000, pretrained=True)
    model.set_train(False)
    loaded = create_model(
        model_name="mnasnet_050", num_classes=1000, checkpoint_path="./mnasnet_050_224.ckpt"
    )
    loaded.set_train(False)

    from mindcv.data import create_dataset

    num_workers = 1
    data_dir = "./data/"
    dataset = create_dataset(root=data_dir, split="test", num_parallel_workers=num_workers)

    from mindcv.data import create_loader, create_transforms

    transforms_list = create_transforms(dataset_name="imagenet", is_training=False, image_resize=SIZE)
    data_loader = create_loader(
        dataset=dataset,
        batch_size=1,
        is_training=False,
        num_classes=1000,
        transform=transforms_list,
        num_parallel_workers=num_workers,
    )
    import mindspore.ops as P  # noqa: N812

    images, _ = next(data_loader.create_tuple_iterator())
    output = P.Squeeze()(model(images))
    assert output.shape == (1000,)
    assert np.array_equal(output.asnumpy(), P.Squeeze()(loaded(images)).asnumpy())
    assert 0 <= np.argmax(output.asnumpy()) < 1000
