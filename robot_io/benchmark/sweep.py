"""Other people: how patient, how quick and how attentive the scripted person is, one of the three at a time.

What a method saves depends on who watches. The table has one person, fixed before it was run; here the same runs are
made with another. The person of the table is no setting: those runs are the table's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from robot_io.benchmark.compare import comparisons
from robot_io.benchmark.protocol import RIGID
from robot_io.benchmark.record import RunRecord
from robot_io.benchmark.table import table

METHODS = ("hil_serl", "hil_serl_regrasp")
SAVED = tuple(f"{name}{end}" for name in ("ir_ratio", "sr_difference") for end in ("", "_lo", "_hi"))


class Setting(NamedTuple):
    """One parameter of `ScriptedHuman`, and what it is in place of the table's."""

    name: str
    value: float

    @property
    def schedule(self) -> str:
        """The name that its runs stand under, beside those of the table."""
        return f"sweep-{self.name}-{self.value:g}"


SETTINGS = tuple(
    Setting(name, value)
    for name, values in {"window_s": (2.0, 4.5), "delay_s": (0.3, 1.2), "attention": (0.8, 1.0)}.items()
    for value in values
)


def sweep_table(found: Mapping[str, Sequence[RunRecord]]) -> list[dict[str, Any]]:
    """One row for each person, and for each task and the mean of several: what `hil_serl_regrasp` saves with them.

    `found` is schedule -> finished runs; the table's own person comes first, and who was not run is left out.
    """
    people = [("table", "", None), *((s.schedule, s.name, s.value) for s in SETTINGS)]
    return [
        {"setting": name, "value": value, **row}
        for schedule, name, value in people
        for row in _rows(found.get(schedule, ()))
    ]


def _rows(runs: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """Each task's, then the mean's where there are several."""
    mine = [run for run in runs if run.method in METHODS]
    cells = [(task, [run for run in mine if run.task == task]) for task in RIGID]
    rows = [row for task, cell in cells if (row := _row(task, cell)) is not None]
    mean = _row("mean", mine) if len(rows) > 1 else None
    return rows if mean is None else [*rows, mean]


def _row(task: str, runs: Sequence[RunRecord]) -> dict[str, Any] | None:
    """None where one of the two methods was not run."""
    baseline, ours = METHODS
    saved = [c for c in comparisons(runs) if (c["method"], c["against"]) == (ours, baseline)]
    if not saved:
        return None
    both = [run for run in runs if run.task in saved[0]["tasks"]]
    reached = {row["method"]: row for row in table(both)["mean"]}
    seeds = sorted(set(reached[baseline]["seeds"]) & set(reached[ours]["seeds"]))
    rates = {f"{what}_{name}": reached[name][what] for what in ("ir", "sr") for name in METHODS}
    return {"task": task, "seeds": seeds, **rates, **{name: saved[0][name] for name in SAVED}}
