"""How commands print: tables for people, JSON for programs, and on the way how far they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


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


@contextmanager
def count_bar(what: str, console: Console | None = None) -> Iterator[Callable[[int, int], None]]:
    """A progress bar, to be called with (done, total)."""
    with bars(console) as progress:
        bar = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


def bars(console: Console | None = None, *, show: bool = True) -> Progress:
    """Progress bars, each with its name, count and time; on stderr unless `console` says otherwise, gone at the end."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = console or Console(stderr=True)  # a file or pipe would get an empty line for each bar that is gone
    return Progress(*columns, console=console, disable=not (show and console.is_terminal), transient=True)
