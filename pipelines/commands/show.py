"""How commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def print_json(value: Any) -> None:
    """Indented JSON on stdout."""
    print(json.dumps(value, indent=1, default=str, allow_nan=False))


def print_fields(fields: Mapping[str, Any]) -> None:
    """One line a field, under its name."""
    for name, value in fields.items():
        print(f"{name}: {value}")


def print_rows(rows: Sequence[Mapping[str, Any]], *, empty: str) -> None:
    """Aligned columns under their names; `empty` where there are no rows."""
    if not rows:
        print(empty)
        return
    names = list(rows[0])
    texts = [names, *([str(row[name]) for name in names] for row in rows)]
    widths = [max(len(text[i]) for text in texts) for i in range(len(names))]
    for text in texts:
        print("  ".join(cell.ljust(width) for cell, width in zip(text, widths, strict=True)).rstrip())
