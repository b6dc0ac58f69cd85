"""CIFAR-10's binary files with a few random images."""

from pathlib import Path

import numpy as np

__all__ = ["write_cifar10"]


def write_cifar10(folder: Path) -> None:
    """Write CIFAR-10's binary files with 8 images each."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        labels = (np.arange(8) % 10).astype(np.uint8)[:, None]
        images = rng.integers(0, 256, (8, 3072)).astype(np.uint8)
        (folder / f"{name}.bin").write_bytes(np.hstack([labels, images]).tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(f"class{i}" for i in range(10)) + "\n")
