"""A page of HTML that needs nothing but itself: texts escaped, own style and script inside, no network."""

import base64
import hashlib
import html
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mindcv.errors import UserError
from mindcv.files.atomic import write_atomically

__all__ = ["document", "element", "finite", "shortened", "write_page"]

ASSETS = Path(__file__).parent / "assets"
LONGEST_TEXT = 200  # characters of a name or a value


def document(title: str, body: str, data: Mapping[str, Any], scripts: Sequence[str]) -> str:
    """Return a complete page.

    Its content security policy allows only the style and the script that are in it, by their checksums: a
    browser would run nothing that came in with the name of a class, and loads nothing from elsewhere.

    Args:
        title: Title.
        body: HTML between the body's tags; texts in it are escaped already, see `element`.
        data: Values for the scripts.
        scripts: Names of the scripts in the folder of assets, in the order in which they run.
    """
    style = _asset("page.css")
    script = "\n".join(_asset(name) for name in scripts)
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_checksum(style)}'; "
        f"script-src '{_checksum(script)}'; base-uri 'none'; form-action 'none'"
    )
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{html.escape(printed(title))}</title>",
            '<link rel="icon" href="data:,">',
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            body,
            f'<script type="application/json" id="data">{_embedded(data)}</script>',
            f"<script>{script}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def element(tag: str, *content: str, text: str = "", **attributes: str) -> str:
    """Return an HTML element.

    Args:
        tag: Its name.
        content: HTML inside.
        text: Text inside, before `content`; it is escaped.
        attributes: Attributes; a trailing underscore is dropped (``class_``), others become hyphens. Values
            are escaped.
    """
    named = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(printed(value))}"'
        for name, value in attributes.items()
    )
    return f"<{tag}{named}>{html.escape(shortened(text))}{''.join(content)}</{tag}>"


def shortened(text: str) -> str:
    """Return a text that can be shown: long ones lose their middle, bytes that are no text are replaced."""
    if len(text) > LONGEST_TEXT:
        text = f"{text[: LONGEST_TEXT - 41]}...{text[-38:]}"
    return printed(text)


def printed(text: str) -> str:
    """Replace what UTF-8 cannot hold, and control characters, which a page would not show."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() else "�" for c in text)


def finite(values: Iterable[float | None]) -> list[float | None]:
    """Return numbers for JSON, with six digits; None where one is missing or not finite."""
    return [None if v is None or not math.isfinite(v) else float(f"{v:.6g}") for v in values]


def write_page(path: Path, page: str) -> None:
    """Write a page, in place of an existing one once it is complete.

    Raises:
        UserError: If it cannot be written.
    """
    try:
        with write_atomically(path) as (partial,):
            partial.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{path}: the page cannot be written ({error.strerror}): choose another folder"
        ) from None


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _checksum(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _embedded(data: Mapping[str, Any]) -> str:
    """JSON that no HTML parser takes for a tag or for the end of the script."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
