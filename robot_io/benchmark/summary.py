"""All that is told of some runs, in one object of JSON: the table, what methods save, what crashed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.sealed import write_sealed
from robot_io.benchmark.compare import comparisons
from robot_io.benchmark.record import RunRecord
from robot_io.benchmark.table import read_crashes, read_runs, table

SUMMARY = "table.json"
"""beside the runs of a schedule, for whoever only looks"""


def summary(runs: Sequence[RunRecord], crashed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`{mean, tasks, comparisons, crashed}`."""
    return {**table(runs), "comparisons": comparisons(runs), "crashed": list(crashed)}


def write_summary(directory: Path) -> dict[str, Any]:
    """Write and return that of the finished runs of a schedule; `DataRefused` where there is none."""
    found = summary(read_runs(directory), read_crashes(directory))
    write_sealed(directory / SUMMARY, found)
    return found
