"""Image classification with a trained network, and output of the results."""

from mindcv.inference.image_classifier import (
    Classifier,
    ClassScore,
    Prediction,
    even_batch_size,
    network_logits,
    top_k,
)
from mindcv.inference.prediction_writers import FORMATS, PredictionWriter, open_writer

__all__ = [
    "FORMATS",
    "ClassScore",
    "Classifier",
    "Prediction",
    "PredictionWriter",
    "even_batch_size",
    "network_logits",
    "open_writer",
    "top_k",
]
