"""Quality: what each episode of a session is worth learning from, as figures, reasons and a suggestion to people.

Nothing waits for it: people's decisions are what training reads. Episodes that were measured before are not again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import polars as pl

from assets import checks, plots
from assets.graph import stage
from assets.inputs import table
from assets.making import Made, Work
from assets.manifest import read_manifest
from assets.stages import TABLE
from episodes.findings import VERDICTS, Finding, Quality
from episodes.footage import CameraQuality
from episodes.quality import TREMBLE, examine, in_session

SHOWN = 6
"""defects in the picture"""
_COLUMN = {"int": pl.Int64, "float": pl.Float64, "str": pl.String, "Verdict": pl.String}


def _columns(of: type) -> dict[str, Any]:
    """Column types of a dataclass's plain fields."""
    plain = {field.name: str(field.type).removesuffix(" | None") for field in fields(of)}
    return {name: _COLUMN[type_] for name, type_ in plain.items() if type_ in _COLUMN}


SCHEMA: dict[str, Any] = {
    "episode_id": pl.String,
    "verdict": pl.String,
    "weight": pl.Float64,
    **_columns(Quality),
    "cameras": pl.List(pl.Struct(_columns(CameraQuality))),
    "findings": pl.List(pl.Struct(_columns(Finding))),
}
"""one row an episode; `findings` the gravest first"""


@stage("episodes/quality")
def quality(work: Work) -> Made:
    """Measure what was not measured before, and judge each episode beside the others of its session."""
    validated = table(work, "episodes/validated", work.partition)
    before, measured = _measured_before(work), dict[str, Quality]()
    for done, row in enumerate(validated.iter_rows(named=True)):
        episode_id = row["episode_id"]
        measured[episode_id] = before.get(episode_id) or _measured(work, row)
        if work.progress is not None:
            work.progress("quality", done + 1, len(validated))
    flag = checks.intervention_flag(validated)
    judged = dict(zip(measured, in_session(list(measured.values()), flag_lost=not flag.passed), strict=True))
    rows = pl.DataFrame([_row(episode_id, found) for episode_id, found in judged.items()], schema=SCHEMA)
    rows.write_parquet(work.out / TABLE)
    told = {verdict: int((rows["verdict"] == verdict).sum()) for verdict in VERDICTS}
    defects = _defects(rows)
    return Made(
        metadata={"episodes": len(rows), **told, **defects},
        checks=(checks.worth_learning_from(rows),),
        plots=_pictures(rows, defects),
    )


def _measured_before(work: Work) -> dict[str, Quality]:
    manifest = read_manifest(work.workspace, work.stage, work.partition)
    if manifest is None or manifest.code_version != work.stage.code_version:
        return {}
    rows = pl.read_parquet(work.upstream(work.stage.key, work.partition) / TABLE).iter_rows(named=True)
    return {str(row["episode_id"]): Quality.of(row) for row in rows}


def _measured(work: Work, validated: Mapping[str, Any]) -> Quality:
    """One episode; what validation refused is not measured, it is told in its words."""
    if not validated["errors"]:
        return examine(work.store.read(str(validated["episode_id"])))
    lost = Finding(defect="refused", verdict="exclude", reason=str(validated["first_defect"]))
    return Quality(steps=int(validated["steps"]), findings=(lost,))


def _row(episode_id: str, found: Quality) -> dict[str, Any]:
    ranked = [asdict(finding) for finding in found.ranked]
    judged = {"episode_id": episode_id, "verdict": found.verdict, "weight": found.weight}
    return {**asdict(found), **judged, "findings": ranked}


def _defects(rows: pl.DataFrame) -> dict[str, int]:
    """Defect -> how many episodes have it, the most frequent first."""
    names = rows.select(pl.col("findings").list.eval(pl.element().struct.field("defect")).list.unique())
    counted = (
        names["findings"].explode().drop_nulls().value_counts().sort("count", "findings", descending=[True, False])
    )
    return {f"episodes with {name.replace('_', ' ')}": count for name, count in counted.iter_rows()}


def _pictures(rows: pl.DataFrame, defects: Mapping[str, int]) -> dict[str, bytes]:
    """The tremble of all episodes against its threshold, and the most frequent defects where there are any."""
    found = {name.removeprefix("episodes with "): float(count) for name, count in list(defects.items())[:SHOWN]}
    shown = {"defects": plots.bars(found, "episodes")} if found else {}
    return shown | {"tremble": plots.histogram(rows["tremble"].drop_nulls().to_list(), "tremble", TREMBLE)}
