"""Downloads of the small public datasets."""

from pathlib import Path

from mindcv.files.archives import DownLoad
from mindcv.files.cache_folder import dataset_folder

__all__ = [
    "DOWNLOADS",
    "Cifar10Download",
    "Cifar100Download",
    "MnistDownload",
    "default_folder",
    "download_dataset",
    "get_dataset_download_root",
]

LARGEST = 1 << 30  # bytes; the largest of them has 170 MB


def get_dataset_download_root() -> str:
    """Return the folder that downloaded datasets are kept in."""
    return str(dataset_folder())


def default_folder(name: str) -> Path:
    """Return the folder that a dataset is downloaded to by default."""
    return dataset_folder() / name


def download_dataset(name: str, root: str | Path | None = None) -> str:
    """Download a dataset, unless its files are there already.

    Args:
        name: mnist, cifar10 or cifar100.
        root: Folder for it; by default a folder of its name in `get_dataset_download_root`.

    Returns:
        The folder of its files.

    Raises:
        UserError: It cannot be downloaded.
    """
    dataset = DOWNLOADS[name](None if root is None else str(root))
    dataset.download()
    return dataset.path


class MnistDownload(DownLoad):
    """Downloads MNIST's four files.

    Args:
        root: Folder for them; by default ``mnist`` in `get_dataset_download_root`.

    Attributes:
        path: The folder of the files.
    """

    largest = LARGEST
    url_path = "https://ossci-datasets.s3.amazonaws.com/mnist/"
    resources = (
        ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
    )

    def __init__(self, root: str | None = None) -> None:
        self.root = str(default_folder("mnist") if root is None else Path(root).expanduser())
        self.path = self.root

    def download(self) -> None:
        """Download and unpack the files that are missing.

        Raises:
            UserError: A file cannot be fetched or written, or has another MD5.
        """
        for name, md5 in self.resources:
            packed = Path(self.root, name)
            if packed.with_suffix("").is_file():
                continue
            self.download_url(self.url_path + name, self.root, name, md5)
            self.extract_archive(str(packed))


class _Cifar(DownLoad):
    """Downloads the archive of a CIFAR dataset.

    Args:
        root: Folder for it.
    """

    largest = LARGEST
    url: tuple[str, str]
    base_dir: str
    resources: tuple[str, ...]

    def __init__(self, root: str | None = None) -> None:
        name = type(self).__name__.removesuffix("Download").lower()
        self.root = str(default_folder(name) if root is None else Path(root).expanduser())
        self.path = str(Path(self.root, self.base_dir))

    def download(self) -> None:
        """Download and unpack the archive, if one of its files is missing.

        Raises:
            UserError: It cannot be fetched or written, or has another MD5.
        """
        if all(Path(self.path, name).is_file() for name in self.resources):
            return
        url, md5 = self.url
        self.download_and_extract_archive(url, self.root, md5=md5)


class Cifar10Download(_Cifar):
    """Downloads CIFAR-10's binary version.

    Args:
        root: Folder for its folder; by default ``cifar10`` in `get_dataset_download_root`.

    Attributes:
        path: The folder of the files.
    """

    url = ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530")
    base_dir = "cifar-10-batches-bin"
    resources = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin", "batches.meta.txt")


class Cifar100Download(_Cifar):
    """Downloads CIFAR-100's binary version.

    Args:
        root: Folder for its folder; by default ``cifar100`` in `get_dataset_download_root`.

    Attributes:
        path: The folder of the files.
    """

    url = ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8")
    base_dir = "cifar-100-binary"
    resources = ("train.bin", "test.bin", "fine_label_names.txt", "coarse_label_names.txt")


DOWNLOADS = {"mnist": MnistDownload, "cifar10": Cifar10Download, "cifar100": Cifar100Download}
