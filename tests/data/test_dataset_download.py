"""The small public datasets, from a server with files of the same layout."""

import gzip
import hashlib
import io
import tarfile

import numpy as np
import pytest

from mindcv.data import create_dataset
from mindcv.data.auto_augment import (
    augment_and_mix_transform,
    auto_augment_transform,
    rand_augment_transform,
    trivial_augment_wide_transform,
)
from mindcv.data.dataset_download import (
    Cifar10Download,
    Cifar100Download,
    MnistDownload,
    get_dataset_download_root,
)
from mindcv.data.distributed_sampler import RepeatAugSampler
from mindcv.errors import UserError
from tests.support.cifar_files import write_cifar10


@pytest.fixture
def cifar(server, tmp_path, monkeypatch):
    """CIFAR-10's archive on the server."""
    write_cifar10(tmp_path / "made" / "cifar-10-batches-bin")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(tmp_path / "made" / "cifar-10-batches-bin", "cifar-10-batches-bin")
    server.files["/cifar-10-binary.tar.gz"] = packed.getvalue()
    digest = hashlib.md5(packed.getvalue()).hexdigest()
    monkeypatch.setattr(Cifar10Download, "url", (server.url + "cifar-10-binary.tar.gz", digest))
    return server


@pytest.mark.parametrize("given", [True, False])
def test_cifar_is_downloaded_once_to_the_given_folder_or_to_the_cache(cifar, tmp_path, given):
    root = str(tmp_path / "data") if given else None
    for _ in range(2):
        assert create_dataset("cifar10", root, "train", download=True).get_dataset_size() == 40
    assert len(cifar.requests) == 1
    folder = Cifar10Download(root).path
    assert folder.startswith(root if given else get_dataset_download_root())
    assert create_dataset("cifar10", folder, "test").get_dataset_size() == 8


def test_a_damaged_archive_is_refused(cifar, tmp_path):
    cifar.files["/cifar-10-binary.tar.gz"] = cifar.files["/cifar-10-binary.tar.gz"][:-1] + b"x"
    with pytest.raises(UserError, match="the MD5 of the file is"):
        create_dataset("cifar10", tmp_path / "data", download=True)


def test_mnist_is_downloaded_and_unpacked_file_by_file(server, tmp_path, monkeypatch):
    resources = []
    for kind, count in (("train", 6), ("t10k", 4)):
        header = np.array([2051, count, 28, 28], ">i4").tobytes(), np.array([2049, count], ">i4").tobytes()
        for name, head, body in zip(
            ("images-idx3", "labels-idx1"), header, (bytes(count * 784), bytes(count)), strict=True
        ):
            file = f"{kind}-{name}-ubyte.gz"
            server.files[f"/{file}"] = gzip.compress(head + body)
            resources.append((file, hashlib.md5(server.files[f"/{file}"]).hexdigest()))
    monkeypatch.setattr(MnistDownload, "url_path", server.url)
    monkeypatch.setattr(MnistDownload, "resources", tuple(resources))
    assert create_dataset("MNIST", tmp_path / "data", "train", download=True).get_dataset_size() == 6
    assert create_dataset("mnist", tmp_path / "data", "test", download=True).get_dataset_size() == 4
    assert len(server.requests) == 4


def test_the_published_archives_are_those_that_mindcv_names():
    assert MnistDownload.resources[0] == ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873")
    assert Cifar10Download.url[1] == "c32a1d4ab5d03f1284b67883e8d87530"
    assert Cifar100Download.url[1] == "03b5dce01913d631647c71ecec9e9cb8"


ORDERS = {  # recorded with MindCV 0.3.0
    (20, 2, 0, False, 3, 0): [0, 0, 1, 2, 2, 3, 4, 4, 5, 6],
    (20, 2, 1, False, 3, 4): [0, 1, 1, 2, 3, 3, 4, 5, 5, 6],
    (20, 1, 0, False, 1, 0): list(range(20)),
}


@pytest.mark.parametrize("arguments", ORDERS)
def test_repeated_samples_come_in_mindcvs_order(arguments):
    sampler = RepeatAugSampler(*arguments)
    assert list(sampler) == ORDERS[arguments]
    assert len(sampler) == len(ORDERS[arguments])


def test_shards_of_repeated_samples_share_one_new_order_at_each_pass():
    shards = [RepeatAugSampler(20, 2, rank, selected_round=0) for rank in (0, 1)]
    first, second = (np.stack([list(shard) for shard in shards], 1).ravel() for _ in range(2))
    for order in (first, second):
        assert all(len(set(order[i : i + 3])) == 1 for i in range(0, 18, 3))
    assert list(first) != list(second)
    shards[0].set_epoch(0)
    assert list(shards[0]) == list(first[::2])


@pytest.mark.parametrize(
    ("create", "configs"),
    [
        (auto_augment_transform, "autoaug-mstd0.5"),
        (rand_augment_transform, "randaug-m9-n2-w0"),
        (trivial_augment_wide_transform, "trivialaugwide-m20"),
        (augment_and_mix_transform, "augmix-m5-w4-d2"),
    ],
)
def test_a_policy_is_an_operator_on_pixels(create, configs):
    image = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    operator = create(configs, {"img_mean": (1.0, 2.0, 3.0)})
    results = [operator(image) for _ in range(8)]
    assert all(result.shape == image.shape and result.dtype == np.uint8 for result in results)
    assert any((result != image).any() for result in results)
    with pytest.raises(UserError, match="auto_augment='other' is unknown: begin with"):
        create("other")
    with pytest.raises(UserError, match="hparams: unknown key 'colour'"):
        create(configs, {"colour": 1})
