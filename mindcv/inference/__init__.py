"""From images to the classes that a finished network sees in them, and to a table of these."""

from mindcv.inference.classify import Classifier, Guess, Prediction, even_batch_size, network_logits, top_k
from mindcv.inference.tables import FORMATS, PredictionWriter, open_writer

__all__ = [
    "FORMATS",
    "Classifier",
    "Guess",
    "Prediction",
    "PredictionWriter",
    "even_batch_size",
    "network_logits",
    "open_writer",
    "top_k",
]
