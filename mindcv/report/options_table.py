"""Tables of options and of other named values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mindcv.report.document import element

__all__ = ["Option", "options_section", "shown_value", "values_table"]


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option of a run.

    Args:
        name: Its name, as in a YAML file.
        value: Its value.
        default: Its default.
        group: What it belongs to.
    """

    name: str
    value: Any
    default: Any
    group: str = ""

    @property
    def differs(self) -> bool:
        """Whether the value is not the default."""
        return shown_value(self.value) != shown_value(self.default)


def shown_value(value: Any) -> str:
    """Return a value as in a YAML file."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(shown_value, value))}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value) or '""'


def options_section(options: Sequence[Option]) -> str:
    """Return the options that differ from their defaults, and all of them behind a disclosure."""
    differing = [option for option in options if option.differs]
    note = f"{len(differing)} of {len(options)} options differ from their defaults."
    changed = _table(differing, with_group=False) if differing else ""
    everything = element(
        "details", element("summary", text=f"All {len(options)} options"), _table(options, with_group=True)
    )
    return element("p", text=note, class_="note") + changed + everything


def _table(options: Sequence[Option], *, with_group: bool) -> str:
    rows, group = [], None
    for option in options:
        if with_group and option.group != group:
            group = option.group
            rows.append(
                element("tr", element("th", text=group, colspan="3", scope="rowgroup", class_="group"))
            )
        cells = [
            element("th", text=option.name, scope="row"),
            element("td", text=shown_value(option.value)),
            element("td", text=shown_value(option.default), class_="default"),
        ]
        rows.append(element("tr", *cells, class_="differs") if option.differs else element("tr", *cells))
    head = element("thead", element("tr", *(element("th", text=t, scope="col") for t in HEADINGS)))
    return element("div", element("table", head, element("tbody", *rows), class_="options"), class_="wide")


HEADINGS = ("option", "value", "default")


def values_table(values: Mapping[str, str]) -> str:
    """Return named values as a table; empty without values."""
    if not values:
        return ""
    rows = [
        element("tr", element("th", text=name, scope="row"), element("td", text=value))
        for name, value in values.items()
    ]
    return element("div", element("table", element("tbody", *rows), class_="values"), class_="wide")
