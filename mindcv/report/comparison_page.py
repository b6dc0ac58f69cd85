"""Several runs side by side on one page: final scores, curves over one another, and what differs."""

from collections.abc import Mapping, Sequence
from typing import Any

from mindcv.report.document import document, element, shortened
from mindcv.report.options_table import shown_value
from mindcv.report.run_folder import RunFolder
from mindcv.report.run_page import section, thinned

__all__ = ["render_comparison"]

SCRIPTS = ("dom.js", "line_chart.js", "curves.js", "comparison.js")
SCORE_HEADINGS = ("run", "top-1", "top-5", "loss", "best epoch", "epochs", "time")
NO_VALUE = "\N{EN DASH}"


def render_comparison(runs: Sequence[RunFolder], defaults: Mapping[str, Any]) -> str:
    """Return the page as HTML.

    Args:
        runs: The runs, in the order in which they are shown.
        defaults: The default of each option, for options that a run's file does not set.
    """
    body = [
        element(
            "header",
            element("p", text="Comparison", class_="kind"),
            element("h1", text=f"{len(runs)} runs"),
        ),
        element(
            "main",
            section("scores", "Scores", _scores(runs)),
            section("curves", "Curves", element("div", class_="charts", id="charts")),
            section("options", "Differing options", _options(runs, defaults)),
        ),
        element("noscript", text="Curves need JavaScript, which is switched off."),
    ]
    data = {"runs": [{"name": shortened(run.name), "columns": thinned(run.columns)} for run in runs]}
    return document("Comparison of runs", "\n".join(body), data, SCRIPTS)


def _scores(runs: Sequence[RunFolder]) -> str:
    rows = []
    tops = [_at_best(run, "top1") for run in runs]
    highest = max((top for top in tops if top is not None), default=None)
    for run, top in zip(runs, tops, strict=True):
        epochs, best = run.columns["epoch"], run.best
        seconds = sum(v or 0.0 for key in ("train_seconds", "val_seconds") for v in run.columns[key])
        values = (
            _percent(top),
            _percent(_at_best(run, "top5")),
            NO_VALUE if (loss := _at_best(run, "val_loss")) is None else f"{loss:.4f}",
            NO_VALUE if best is None else f"{epochs[best]:g}",
            str(len(epochs)),
            duration(seconds),
        )
        cells = [element("td", text=value, class_="number") for value in values]
        row = [element("th", text=run.name, scope="row", class_="name"), *cells]
        leads = top is not None and top == highest
        rows.append(element("tr", *row, class_="leads") if leads else element("tr", *row))
    head = [
        element("th", text=text, scope="col", class_="number" if place else "name")
        for place, text in enumerate(SCORE_HEADINGS)
    ]
    table = element(
        "table", element("thead", element("tr", *head)), element("tbody", *rows), class_="data scores"
    )
    note = "The scores of each run's best epoch; those of its EMA model, where it has one."
    return element("p", text=note, class_="note") + element("div", table, class_="wide")


def _at_best(run: RunFolder, name: str) -> float | None:
    return None if run.best is None else run.columns[f"{run.prefix}{name}"][run.best]


def _percent(share: float | None) -> str:
    return NO_VALUE if share is None else f"{share:.2%}"


def duration(seconds: float) -> str:
    """Return a time in its two largest units, such as ``2 h 5 min``."""
    total = round(seconds)
    for size, unit, part, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if total >= size:
            return f"{total // size} {unit} {total % size // part} {smaller}"
    return f"{total} s"


def differing_options(runs: Sequence[RunFolder], defaults: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the values of the options that are not the same in all runs, a value per run.

    Args:
        runs: The runs; one without options is left out of the comparison, and has a dash.
        defaults: The default of each option.
    """
    names = dict.fromkeys([*defaults, *(name for run in runs for name in run.options)])
    found = {}
    for name in names:
        values = [
            shown_value(run.options.get(name, defaults.get(name))) if run.options else NO_VALUE
            for run in runs
        ]
        if len({value for value, run in zip(values, runs, strict=True) if run.options}) > 1:
            found[name] = values
    return found


def _options(runs: Sequence[RunFolder], defaults: Mapping[str, Any]) -> str:
    unknown = [run.name for run in runs if not run.options]
    note = f"No options are known of {', '.join(unknown)}: there is no config.yaml." if unknown else ""
    remark = element("p", text=note, class_="note") if note else ""
    differing = differing_options(runs, defaults)
    if not differing:
        return remark + element("p", text="The known options of all runs are the same.", class_="note")
    head = [element("th", text=text, scope="col") for text in ("option", *(run.name for run in runs))]
    rows = [
        element("tr", element("th", text=name, scope="row"), *(element("td", text=v) for v in values))
        for name, values in differing.items()
    ]
    table = element(
        "table", element("thead", element("tr", *head)), element("tbody", *rows), class_="options differing"
    )
    return remark + element("div", table, class_="wide")
