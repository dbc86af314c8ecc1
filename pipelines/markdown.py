"""Pieces of Markdown that the benchmark's page is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def interval(row: Mapping[str, Any], name: str) -> str:
    """`0.88 [0.81, 0.93]`."""
    if row[name] is None:
        return "-"
    ends = row[f"{name}_lo"], row[f"{name}_hi"]
    return f"{row[name]:.3f}" + ("" if None in ends else f" [{ends[0]:.3f}, {ends[1]:.3f}]")


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def few(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "-"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def bullets(lines: Iterable[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)


def rates(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ("task", "method", "seeds", "SR", "n", "IR", "IR online", "n")
    return table(
        head,
        (
            (
                row["task"],
                f"`{row['method']}`",
                len(row["seeds"]),
                interval(row, "sr"),
                row["trials"],
                interval(row, "ir"),
                interval(row, "ir_online"),
                row["steps"],
            )
            for row in rows
        ),
    )
