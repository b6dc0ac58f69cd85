"""Structure of MindRecord files, checked before MindSpore reads them: it does not survive damaged ones."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from mindcv.errors import UserError

__all__ = ["REMEDY", "check_records"]

REMEDY = "write it again with MindSpore's FileWriter, and copy both NAME.mindrecord and NAME.mindrecord.db"
MAX_HEADER = 2**26
HEADER = {
    "header_size": int,
    "page_size": int,
    "compression_size": int,
    "index_fields": list,
    "page": list,
    "schema": list,
    "shard_addresses": list,
    "shard_id": int,
    "version": str,
}
PAGE = {
    "start_row_id": int,
    "end_row_id": int,
    "page_id": int,
    "page_size": int,
    "page_type": str,
    "page_type_id": int,
    "row_group_ids": list,
    "shard_id": int,
}
GROUP = {"id": int, "offset": int}
FIELD = {"index_field": str, "schema_id": int}
SCHEMA = {"blob_fields": list, "desc": str, "schema": dict}

# Rows whose place in the file is outside their page, of :size bytes, or whose page is not one of :pages.
OUTSIDE = " OR ".join(
    f"{column} IS NULL OR {column} NOT BETWEEN 0 AND {limit}"
    for kind in ("RAW", "BLOB")
    for column, limit in (
        (f"PAGE_ID_{kind}", ":pages - 1"),
        (f"PAGE_OFFSET_{kind}_END", ":size"),
        (f"PAGE_OFFSET_{kind}", f"PAGE_OFFSET_{kind}_END"),
    )
)


def check_records(path: Path) -> None:
    """Check the header of a MindRecord file and its index; a million rows take a second or two.

    Args:
        path: The file; its index is the SQLite file of the same name with ``.db`` behind it.

    Raises:
        UserError: If either is missing, damaged or incomplete.
    """
    index = path.with_name(path.name + ".db")
    for file in (path, index):
        if not file.is_file():
            raise UserError(f"{file} is missing: {REMEDY}")
    try:
        header = _header(path)
    except (KeyError, OSError, RecursionError, TypeError, ValueError):
        raise UserError(f"{path} has a damaged header: {REMEDY}") from None
    if path.stat().st_size < _expected_size(header):
        raise UserError(f"{path} is cut short: {REMEDY}")
    try:
        intact = _index_is_intact(index, header)
    except (sqlite3.Error, ValueError):
        intact = False
    if not intact:
        raise UserError(f"{index} is damaged: {REMEDY}")


def _header(path: Path) -> dict[str, Any]:
    """Read the header: its length in 8 bytes, then JSON.

    Raises:
        ValueError: If a value is missing, or has another type or a negative size; or KeyError, TypeError.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        _require(0 < length <= MAX_HEADER)
        header = json.loads(file.read(length))
    _check_fields(header, HEADER)
    for key, expected in (("page", PAGE), ("schema", SCHEMA), ("index_fields", FIELD)):
        for entry in header[key]:
            _check_fields(entry, expected)
    for page in header["page"]:
        _require(page["page_size"] <= header["page_size"])
        for group in page["row_group_ids"]:
            _check_fields(group, GROUP)
    _require(header["statistics"] is None or isinstance(header["statistics"], list))
    _require(header["schema"] and header["page_size"] > 0)
    return header


def _check_fields(found: Any, expected: dict[str, type]) -> None:
    for key, kind in expected.items():
        _require(type(found[key]) is kind and (kind is not int or found[key] >= 0))


def _expected_size(header: dict[str, Any]) -> int:
    """Return the smallest size of a file of these pages, of which the last is not filled up."""
    ends = (page["page_id"] * header["page_size"] + page["page_size"] for page in header["page"])
    return header["header_size"] + max(ends, default=0)


def _index_is_intact(index: Path, header: dict[str, Any]) -> bool:
    bounds = {"pages": len(header["page"]), "size": header["page_size"]}
    with closing(sqlite3.connect(f"{index.resolve().as_uri()}?mode=ro", uri=True)) as database:
        if database.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
            return False
        if database.execute("SELECT COUNT(*) FROM SHARD_NAME").fetchone() == (0,):
            return False
        return database.execute(f"SELECT 1 FROM INDEXES WHERE {OUTSIDE} LIMIT 1", bounds).fetchone() is None


def _require(valid: object) -> None:
    if not valid:
        raise ValueError("damaged")
