"""What a freeze would change for training, before it is made: rows and balance, stuck steps, memory entries.

Pure: what is recorded, mined and retrieved, under the decisions that training reads now and under those that stand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from audits.state import Decisions
from labeling_app.data import Library
from labeling_app.labels import labels_of, positives

Effect = Mapping[str, int]
NEXT = {
    "episodes": "Outcomes and exclusions are read by everything: value, labels, memory and models of the task are made "
    "again.",
    "labels": "Intervention model, trigger, memory and the release candidate are made again; the value model stays.",
    "pairs": "The recovery memory, what was learned from it and the release candidate are made again.",
}
"""what `regrasp materialize` does after a freeze that changes something of a task"""


def compared(library: Library, task: str, kind: str, frozen: Decisions, standing: Decisions) -> pl.DataFrame:
    """Measure, what training reads now, what it would read, and the change."""
    measure = _MEASURES[kind]
    now, then = measure(library, task, frozen), measure(library, task, standing)
    rows = [
        {"": name, "now": now[name], "with this freeze": then[name], "change": then[name] - now[name]} for name in now
    ]
    return pl.DataFrame(rows)


def _episodes(library: Library, task: str, decisions: Decisions) -> Effect:
    table = library.episodes(task, decisions)
    left_out = pl.col("excluded") | (pl.col("weight") == 0) | ~pl.col("complete").fill_null(False)
    used = table.filter(~left_out)
    known = used.filter(pl.col("success") != "unknown")
    return {
        "successes": int((used["success"] == "success").sum()),
        "failures": int((used["success"] == "failure").sum()),
        "outcome unknown": len(used) - len(known),
        "left out": len(table) - len(used),
        "training rows (steps of known outcome)": int(known["length"].sum()),
    }


def _labels(library: Library, task: str, decisions: Decisions) -> Effect:
    table = library.episodes(task, {})
    lengths = dict(zip(table["episode_id"], table["length"], strict=True))
    labels = labels_of(library.labels(task), decisions, list(lengths))
    stuck, steps = positives(labels, lengths), sum(length or 0 for length in lengths.values())
    return {
        "labels that count": sum(label.verdict in ("", "accept") for label in labels),
        "rejected": sum(label.verdict == "reject" for label in labels),
        "unsure": sum(label.verdict == "unsure" for label in labels),
        "positives (steps stuck)": stuck,
        "balance (stuck steps in 1,000)": round(1000 * stuck / steps) if steps else 0,
    }


def _pairs(library: Library, task: str, decisions: Decisions) -> Effect:
    pairs = library.pairs(task)
    shown = pl.DataFrame(schema={"pair_id": pl.String}) if pairs is None else pairs
    wrong = {item for item, said in decisions.items() if said.get("verdict") != "valid"}
    goals = [name for name in ("goal_episode", "goal_t") if name in shown.columns]
    entries = shown.select(goals).unique()
    gone = shown.filter(pl.col("pair_id").is_in(wrong)).select(goals).unique()
    return {
        "pairs judged": sum(item in decisions for item in shown["pair_id"]),
        "of them valid": sum(item in decisions and item not in wrong for item in shown["pair_id"]),
        "memory entries that these pairs show": len(entries),
        "memory entries taken out": len(gone),
    }


_MEASURES: Mapping[str, Callable[[Library, str, Decisions], Effect]] = {
    "episodes": _episodes,
    "labels": _labels,
    "pairs": _pairs,
}
