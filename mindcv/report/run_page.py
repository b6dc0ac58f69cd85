"""The report of a run, or of a validation, as one page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindcv.report.analysis import (
    ClassScores,
    calibration,
    class_scores,
    confused_pairs,
    confusion_matrix,
)
from mindcv.report.document import document, element, finite, shortened
from mindcv.report.options_table import Option, options_section, values_table

__all__ = ["MATRIX_CLASSES", "Mistake", "RunPage", "Scored", "render_run"]

MATRIX_CLASSES = 30  # the largest confusion matrix that can be read
TOP5_CLASSES = 5  # with so few classes, the label is always among the first five
LISTED_PAIRS = 20_000
LISTED_CLASSES = 5_000
LISTED_EPOCHS = 2_000
SCRIPTS = ("dom.js", "line_chart.js", "curves.js", "classes.js", "calibration.js", "report.js")


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """An image that was classified wrongly.

    Args:
        label: Its class.
        predicted: The predicted class.
        confidence: The probability of that class.
        name: Its file, or its number.
        picture: The image as a data URL; empty if there is none.
    """

    label: int
    predicted: int
    confidence: float
    name: str
    picture: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """The predictions for a set of images; arrays have an entry per image.

    Args:
        classes: Class names, by label.
        labels: Labels.
        predicted: Predicted classes.
        confidences: Their probabilities.
        in_top5: Whether the label is among the five most probable classes.
        loss: Mean loss per image; None if unknown.
        weights: Which weights predicted, for the reader.
        images: Which images they are, for the reader.
        mistakes: The most confident mistakes.
    """

    classes: Sequence[str]
    labels: NDArray[np.int32]
    predicted: NDArray[np.int32]
    confidences: NDArray[np.float32]
    in_top5: NDArray[np.bool_]
    loss: float | None
    weights: str
    images: str
    mistakes: Sequence[Mistake] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class RunPage:
    """The contents of a report.

    Args:
        kind: Kind of report, above the title.
        title: Title.
        facts: Numbers in large type, by what they mean.
        columns: Values per epoch by the names of history.csv; empty without a training.
        options: The options, with their defaults.
        environment: What the run was made with.
        scored: The predictions; None if there are none.
        remark: A sentence under the title.
    """

    kind: str
    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    options: Sequence[Option] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    scored: Scored | None = None
    remark: str = ""


def render_run(page: RunPage) -> str:
    """Return the report as HTML."""
    scored = page.scored
    facts: dict[str, str] = {}
    data: dict[str, Any] = {"columns": thinned(page.columns)}
    if scored is not None:
        result = _scores(scored)
        facts = _score_facts(scored, result["ece"])
        data["scored"] = result
    sections = [
        ("curves", "Curves", _curves(page)),
        ("classes", "Classes", "" if scored is None else _classes(scored)),
        ("mistakes", "Mistakes", "" if scored is None else _mistakes(scored)),
        ("calibration", "Calibration", "" if scored is None else _calibration()),
        ("configuration", "Configuration", options_section(page.options) if page.options else ""),
        ("environment", "Environment", values_table(page.environment)),
    ]
    shown = [(name, title, content) for name, title, content in sections if content]
    links = [element("a", text=title, href=f"#{name}") for name, title, _ in shown]
    body = [
        element(
            "header",
            element("p", text=page.kind, class_="kind"),
            element("h1", text=page.title),
            element("p", text=page.remark, class_="remark") if page.remark else "",
            _tiles({**facts, **page.facts}),
        ),
        element("nav", *links, aria_label="Sections"),
        element("main", *(section(*each) for each in shown)),
        element("noscript", text="Charts and tables of classes need JavaScript, which is switched off."),
    ]
    return document(f"{page.title}: {page.kind.lower()}", "\n".join(body), data, SCRIPTS)


def section(name: str, title: str, content: str) -> str:
    """Return a section of a page with its heading."""
    heading = element("h2", text=title, id=f"{name}-title")
    return element("section", heading, content, id=name, aria_labelledby=f"{name}-title")


def thinned(columns: Mapping[str, Sequence[float | None]]) -> dict[str, list[float | None]]:
    """Return values per epoch for JSON, of at most `LISTED_EPOCHS` epochs, the last one included."""
    length = max(map(len, columns.values()), default=0)
    step = -(-length // LISTED_EPOCHS) or 1
    return {name: finite(values[::-1][::step][::-1]) for name, values in columns.items()}


def _tiles(facts: Mapping[str, str]) -> str:
    pairs = [
        element("div", element("dt", text=name), element("dd", text=value)) for name, value in facts.items()
    ]
    return element("dl", *pairs, class_="tiles") if pairs else ""


def _curves(page: RunPage) -> str:
    if not page.columns:
        return ""
    return element("div", class_="charts", id="charts")


def _classes(scored: Scored) -> str:
    note = f"{len(scored.labels):,} images of {scored.images}, predicted by {scored.weights}."
    return element("p", text=note, class_="note") + element("div", id="class-tables")


def _mistakes(scored: Scored) -> str:
    wrong = int((scored.labels != scored.predicted).sum())
    if not wrong:
        return element("p", text="Every image is classified correctly.", class_="note")
    shown = len(scored.mistakes)
    note = f"The {shown} most confident of {wrong:,} mistakes." if wrong > shown else f"All {wrong} mistakes."
    figures = [_mistake(scored.classes, mistake) for mistake in scored.mistakes]
    return element("p", text=note, class_="note") + element("ul", *figures, class_="mistakes")


def _mistake(classes: Sequence[str], mistake: Mistake) -> str:
    label, predicted = (shortened(classes[k]) for k in (mistake.label, mistake.predicted))
    picture = (
        element("span", text="no picture", class_="missing")
        if not mistake.picture
        else f'<img src="{mistake.picture}" alt="">'
    )
    lines = [
        element("strong", text=predicted),
        element("span", text=f" {mistake.confidence:.1%}", class_="number"),
        element("div", text=f"label {label}"),
        element("small", text=mistake.name),
    ]
    return element("li", element("figure", picture, element("figcaption", *lines)))


def _calibration() -> str:
    return element("div", id="reliability", class_="charts")


def _scores(scored: Scored) -> dict[str, Any]:
    """The values that the scripts show: of at most `LISTED_CLASSES` classes, those with most mistakes."""
    scores = class_scores(scored.labels, scored.predicted, len(scored.classes))
    listed, used = _listed(scores)
    places = {int(k): i for i, k in enumerate(listed)}
    pairs = confused_pairs(scored.labels, scored.predicted, LISTED_PAIRS)
    curve = calibration(scored.confidences, scored.labels == scored.predicted)
    result: dict[str, Any] = {
        "names": [shortened(scored.classes[k]) for k in places],
        "images": scores.images[listed].tolist(),
        "correct": scores.correct[listed].tolist(),
        "predicted": scores.predicted[listed].tolist(),
        "pairs": [[places[a], places[b], n] for a, b, n in pairs if a in places and b in places],
        "used": used,
        "ece": curve.ece,
        "bins": {
            "counts": curve.counts.tolist(),
            "accuracies": finite(curve.accuracies.tolist()),
            "confidences": finite(curve.confidences.tolist()),
        },
    }
    if len(listed) <= MATRIX_CLASSES:
        labels, predicted = (np.searchsorted(listed, k) for k in (scored.labels, scored.predicted))
        result["matrix"] = confusion_matrix(labels, predicted, len(listed)).tolist()
    return result


def _listed(scores: ClassScores) -> tuple[NDArray[np.int64], int]:
    """The classes to list, and the number of those that there is something to say about.

    A network may have more outputs than the images have classes.
    """
    count = len(scores.images)
    if count <= MATRIX_CLASSES:
        return np.arange(count), count
    (used,) = np.nonzero(scores.images + scores.predicted)
    wrong = (scores.images - scores.correct)[used]
    return np.sort(used[np.argsort(-wrong, kind="stable")[:LISTED_CLASSES]]), len(used)


def _score_facts(scored: Scored, ece: float) -> dict[str, str]:
    facts = {"Top-1": f"{np.mean(scored.labels == scored.predicted):.2%}"}
    if len(scored.classes) > TOP5_CLASSES:
        facts["Top-5"] = f"{np.mean(scored.in_top5):.2%}"
    if scored.loss is not None:
        facts["Loss"] = f"{scored.loss:.4f}"
    return {**facts, "Calibration error": f"{ece:.2%}"}
