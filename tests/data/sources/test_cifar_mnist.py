"""CIFAR and MNIST, from small files in the formats that their authors publish."""

import gzip

import numpy as np
import pytest

from mindcv.data import create_source
from mindcv.errors import UserError


def pixels_and_labels(source):
    rows = source.dataset(np.arange(len(source))).create_tuple_iterator(num_epochs=1, output_numpy=True)
    images, labels = zip(*((image.copy(), int(label)) for image, label in rows), strict=True)
    return np.stack(images), list(labels)


def write_cifar(path, images, *labels):
    """Records of label bytes and then the red, the green and the blue plane."""
    columns = [np.asarray(column, np.uint8)[:, None] for column in labels]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.hstack([*columns, images.transpose(0, 3, 1, 2).reshape(len(images), -1)]).tofile(path)


def write_idx(path, array, packed=False):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    data = header + array.tobytes()
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(data)) if packed else path.write_bytes(data)


def random_images(count, *shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


@pytest.fixture
def cifar10(tmp_path):
    images = random_images(12, 32, 32, 3)
    folder = tmp_path / "cifar-10-batches-bin"
    for batch in range(5):
        part = slice(2 * batch, 2 * batch + 2)
        write_cifar(folder / f"data_batch_{batch + 1}.bin", images[part], [batch, 9 - batch])
    write_cifar(folder / "test_batch.bin", images[10:], [3, 7])
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (folder / "batches.meta.txt").write_text("\n".join(names) + "\n\n")
    return tmp_path, images


@pytest.fixture
def mnist(tmp_path):
    images = random_images(5, 28, 28)
    write_idx(tmp_path / "train-images-idx3-ubyte", images[:3])
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.array([5, 0, 9], np.uint8))
    write_idx(tmp_path / "t10k-images-idx3-ubyte", images[3:], packed=True)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", np.array([1, 2], np.uint8), packed=True)
    return tmp_path, images


def test_cifar10_is_read_in_the_order_of_its_files(cifar10):
    root, images = cifar10
    for folder in (root, root / "cifar-10-batches-bin"):
        train = create_source("cifar10", folder, "train")
        assert train.classes[0] == "airplane"
        assert len(train.classes) == 10
        pixels, labels = pixels_and_labels(train)
        assert np.array_equal(pixels, images[:10])
        assert labels == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]


def test_test_images_are_also_called_val(cifar10):
    root, images = cifar10
    for split in ("val", "test"):
        pixels, labels = pixels_and_labels(create_source("CIFAR10", root, split))
        assert np.array_equal(pixels, images[10:])
        assert labels == [3, 7]


def test_cifar100_takes_the_fine_labels(tmp_path):
    images = random_images(3, 32, 32, 3)
    write_cifar(tmp_path / "train.bin", images, [1, 2, 3], [99, 0, 42])
    source = create_source("cifar100", tmp_path, "train")
    pixels, labels = pixels_and_labels(source)
    assert np.array_equal(pixels, images)
    assert labels == [99, 0, 42]
    assert source.classes == [str(label) for label in range(100)]


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_mnist_is_read_packed_and_unpacked(mnist, name):
    root, images = mnist
    for split, part, expected in (("train", images[:3], [5, 0, 9]), ("val", images[3:], [1, 2])):
        source = create_source(name, root, split)
        pixels, labels = pixels_and_labels(source)
        assert np.array_equal(pixels, part[..., None])
        assert labels == expected
        assert len(source.classes) == 10


def test_a_missing_file_is_named_with_where_to_get_it(tmp_path):
    with pytest.raises(UserError, match=r"data_batch_1.bin is missing: .*cs.toronto.edu.*binary version"):
        create_source("cifar10", tmp_path, "train")
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte is missing, and so is .*ubyte\.gz"):
        create_source("mnist", tmp_path, "train")


def test_an_unknown_split_is_refused(tmp_path):
    with pytest.raises(UserError, match="split='valid' is unknown: this dataset has train, and test"):
        create_source("mnist", tmp_path, "valid")


def test_a_cut_cifar_file_is_named(cifar10):
    path = cifar10[0] / "cifar-10-batches-bin" / "test_batch.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        UserError, match=r"test_batch.bin is damaged: 6145 bytes are not a multiple of an image"
    ):
        create_source("cifar10", cifar10[0], "test")


def test_a_cifar_label_out_of_range_is_refused(cifar10):
    path = cifar10[0] / "cifar-10-batches-bin" / "test_batch.bin"
    write_cifar(path, random_images(1, 32, 32, 3), [10])
    with pytest.raises(UserError, match="damaged: it holds the label 10"):
        create_source("cifar10", cifar10[0], "test")


def test_damaged_mnist_files_are_named(mnist):
    root, _ = mnist
    path = root / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="train-images-idx3-ubyte is damaged"):
        create_source("mnist", root, "train")
    path.write_bytes(b"\0\0")
    with pytest.raises(UserError, match="train-images-idx3-ubyte is damaged"):
        create_source("mnist", root, "train")
    packed = root / "t10k-labels-idx1-ubyte.gz"
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte.gz is damaged"):
        create_source("mnist", root, "test")


def test_mnist_labels_must_match_the_images(mnist):
    root, _ = mnist
    write_idx(root / "train-labels-idx1-ubyte", np.array([5, 0], np.uint8))
    with pytest.raises(UserError, match="3 train images have 2 labels up to 5"):
        create_source("mnist", root, "train")
