"""Reports with made-up results, for tests of the page."""

import numpy as np

from mindcv.report.analysis import confident_mistakes
from mindcv.report.options_table import Option
from mindcv.report.run_page import Mistake, RunPage, Scored
from mindcv.report.thumbnails import thumbnail

__all__ = ["HOSTILE", "example_page", "scored_sample"]

HOSTILE = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>"


def scored_sample(classes, labels, predicted) -> Scored:
    """Predictions of classes that are given by their names or by their number."""
    names = [f"class {k}" for k in range(classes)] if isinstance(classes, int) else classes
    rng = np.random.default_rng(1)
    confidences = rng.beta(5, 1.5, len(labels)).astype(np.float32)
    picture = thumbnail(rng.integers(0, 256, (16, 16, 3)).astype(np.uint8))
    mistakes = [
        Mistake(
            label=int(labels[k]),
            predicted=int(predicted[k]),
            confidence=float(confidences[k]),
            name=f"{names[labels[k]]}/{k}.png",
            picture=picture,
        )
        for k in confident_mistakes(labels, predicted, confidences, 24)
    ]
    return Scored(
        classes=names,
        labels=labels,
        predicted=predicted,
        confidences=confidences,
        in_top5=labels == predicted,
        loss=0.5,
        weights="the network after epoch 8 of 9, the best (mnasnet_075_best.ckpt)",
        images="/data/val",
        mistakes=mistakes,
    )


def example_page(classes, images: int = 600, epochs: int = 40) -> RunPage:
    """A report of a run whose validation loss is 100,000 in one epoch and whose training loss is once NaN."""
    rng = np.random.default_rng(0)
    count = classes if isinstance(classes, int) else len(classes)
    labels = (np.arange(images) % count).astype(np.int32)
    wrong = rng.random(images) < 0.2
    predicted = np.where(wrong, (labels + rng.integers(1, 4, images)) % count, labels).astype(np.int32)
    number = np.arange(1, epochs + 1)
    loss = 2 * np.exp(-3 * number / epochs) + 0.4
    spiked = loss + 0.2 + rng.normal(0, 0.02, epochs)
    spiked[epochs // 3] = 1e5
    holed = loss.copy()
    holed[epochs // 2] = np.nan
    columns = {
        "epoch": number.tolist(),
        "train_loss": holed.tolist(),
        "val_loss": spiked.tolist(),
        "top1": (1 - loss / 3).tolist(),
        "lr": (0.05 * (1 - number / epochs)).tolist(),
        "images_per_second": rng.normal(1000, 20, epochs).tolist(),
    }
    return RunPage(
        kind="Training report",
        title="mnasnet_075 on digits",
        facts={"Best epoch": "8 of 9", "Time": "2 min 3 s", "Parameters": "3,170,208"},
        columns=columns,
        options=[
            Option(name="lr", value=0.05, default=0.001, group="Training length and learning rate"),
            Option(name="opt", value="adam", default="adam", group="Optimizer"),
        ],
        environment={"device": "CPU", "Python": "3.11"},
        scored=scored_sample(classes, labels, predicted),
    )
