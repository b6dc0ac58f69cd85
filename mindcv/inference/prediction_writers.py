"""Output of predictions as a table, as CSV and as JSON lines."""

import csv
import json
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, get_args

from mindcv.choices import PredictionFormat
from mindcv.errors import UserError, printable
from mindcv.files.inputs import is_same_file
from mindcv.inference.image_classifier import Prediction

__all__ = ["FORMATS", "PredictionWriter", "open_writer"]

FORMATS: tuple[PredictionFormat, ...] = get_args(PredictionFormat)
COLUMNS = ("file", "rank", "index", "class", "probability")
WIDEST = 60  # columns of a terminal that a file's name may take before it gets a line of its own


class PredictionWriter:
    """Writes predictions one by one, except those without scores.

    Args:
        file: Receives them.
        kind: One of `FORMATS`. table is a block of lines per image; csv a line per score, after a header;
            jsonl an object per image.
        paths: The images to come, from which the table takes the width of its first column.
    """

    def __init__(self, file: TextIO, kind: str, paths: Sequence[str] = ()) -> None:
        self.file = file
        self.kind = kind
        widths = [width for width in map(_width, map(printable, paths)) if width <= WIDEST]
        self.width = max(widths, default=0)
        if kind == "csv":
            csv.writer(file, lineterminator="\n").writerow(COLUMNS)

    def write(self, prediction: Prediction) -> None:
        """Write one prediction and flush it."""
        if not prediction.scores:
            return
        if self.kind == "csv":
            self._write_csv(prediction)
        elif self.kind == "jsonl":
            self._write_json(prediction)
        else:
            self._write_table(prediction)
        self.file.flush()

    def _write_csv(self, prediction: Prediction) -> None:
        rows = csv.writer(self.file, lineterminator="\n")
        shown = printable if self.file.isatty() else str  # a terminal would obey what a file just holds
        for rank, score in enumerate(prediction.scores, start=1):
            probability = f"{score.probability:.6f}"
            rows.writerow((shown(prediction.path), rank, score.index, shown(score.name), probability))

    def _write_json(self, prediction: Prediction) -> None:
        scores = [
            {"index": score.index, "class": score.name, "probability": round(score.probability, 6)}
            for score in prediction.scores
        ]
        record = {"file": prediction.path, "predictions": scores}
        # Linux allows names that are not valid Unicode; their bytes must be escaped.
        unicode = prediction.path.isprintable()
        print(json.dumps(record, ensure_ascii=not unicode), file=self.file)

    def _write_table(self, prediction: Prediction) -> None:
        name = printable(prediction.path)
        if _width(name) > self.width:
            print(name, file=self.file)
            name = ""
        for score in prediction.scores:
            padding = " " * (self.width - _width(name))
            print(f"{name}{padding}  {score.probability:7.4f}  {printable(score.name)}", file=self.file)
            name = ""


@contextmanager
def open_writer(
    kind: str, output: str | Path | None, paths: Sequence[str] = ()
) -> Iterator[PredictionWriter]:
    """Write predictions to a file, or to standard output.

    Args:
        kind: See `PredictionWriter`.
        output: The file, which is replaced; None is standard output.
        paths: The images to come.

    Raises:
        UserError: If the file cannot be written, or is one of the images.
    """
    if output is None:
        yield PredictionWriter(sys.stdout, kind, paths)
        return
    if any(is_same_file(output, path) for path in paths):  # it would be emptied before it is read
        raise UserError(f"--output {output} is an image to be read: choose another file")
    try:  # names that are not valid Unicode keep their bytes
        with Path(output).open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            yield PredictionWriter(file, kind, paths)
    except OSError as error:
        if error.filename not in (None, str(output)):  # another file's
            raise
        raise UserError(
            f"--output {output} cannot be written ({error.strerror}): choose another file"
        ) from None


def _width(text: str) -> int:
    """Return the number of columns of a text in a terminal, where Chinese characters take two."""
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)
